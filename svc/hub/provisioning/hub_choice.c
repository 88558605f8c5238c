/* SPDX-License-Identifier: Apache-2.0 */
/* Which hub an enrollment and a registration id choose (hub_choice.h). */
#include "hub/provisioning/hub_choice.h"

#include "base/text.h"
#include "hub/provisioning/allocation.h"

bool
hub_choice_may(const struct enrollment *e, const char *host)
{
	const json_t *hubs = json_object_get(e->wishes, "iotHubs");
	const char *one = json_string_value(json_object_get(e->wishes, "iotHubHostName"));

	if (!host) /* provisioning is alone: there is no hub of ours */
		return false;
	for (size_t i = 0; i < json_array_size(hubs); i++)
		if (text_is_nocase(json_string_value(json_array_get(hubs, i)), host))
			return true;
	return json_array_size(hubs) == 0 && (!one || !*one || text_is_nocase(one, host));
}

/* static: the one that is named first. */
static bool
is_first(const struct enrollment *e, const char *host)
{
	const char *first = json_string_value(json_array_get(json_object_get(e->wishes, "iotHubs"), 0));

	return text_is(json_string_value(json_object_get(e->wishes, "allocationPolicy")), "static") && text_is_nocase(first, host);
}

const char *
hub_choice_name(const struct linked_hubs *hubs, size_t i, const char *ours)
{
	return i < hubs->n ? hubs->item[i]->host : ours;
}

int
hub_choice_find(const struct linked_hubs *hubs, const char *ours, const char *host)
{
	for (size_t i = 0; i <= hubs->n; i++)
		if (text_is_nocase(hub_choice_name(hubs, i, ours), host))
			return (int)i;
	return -1;
}

int
hub_choice_pick(const struct enrollment *e, const struct linked_hubs *hubs, const char *ours, const char *registration_id)
{
	const char *policy = json_string_value(json_object_get(e->wishes, "allocationPolicy"));
	int64_t weights[LINKED_HUBS_MAX + 1];
	size_t which[LINKED_HUBS_MAX + 1], n = 0;

	for (size_t k = 0; k <= hubs->n; k++) {
		size_t i = (hubs->n + k) % (hubs->n + 1); /* our own first */
		const char *host = hub_choice_name(hubs, i, ours);

		if (host && is_first(e, host))
			return (int)i;
		if (!hub_choice_may(e, host))
			continue;
		weights[n] = i < hubs->n ? hubs->item[i]->weight : 1;
		which[n++] = i;
	}
	return n > 0 ? (int)which[allocation_pick(policy, weights, n, registration_id)] : -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* It is answered when it is understood: what the refresher asks for then takes as long as it takes. */
#include "gateway/edge_hub/scope_method.h"

#include "base/mem.h"
#include "wire/json.h"

#define NAMES_MAX 1000

static int
refuse(json_t **result, const char *words)
{
	*result = json_pack("{s:s}", "message", words);
	return 400;
}

static int
run(void *arg, const json_t *payload, json_t **result)
{
	const char **names = NULL;
	json_t *list = NULL, *item;
	struct err err = ERR_INIT;
	size_t i, n;

	if (!json_is_object(payload) || json_find_array(payload, "deviceIds", &list, &err) < 0 || !list)
		return refuse(result, "wanted is an object with deviceIds, a list");
	n = json_array_size(list);
	if (n > NAMES_MAX)
		return refuse(result, "too many deviceIds");
	names = mem_array(n + 1, sizeof(*names));
	json_array_foreach(list, i, item)
		names[i] = json_is_string(item) ? json_string_value(item) : "";
	refresher_changed(arg, names, n);
	mem_free(names);
	return 200;
}

struct edge_hub_method
scope_method(struct refresher *refresher)
{
	return (struct edge_hub_method){ .name = "RefreshDeviceScopeIdentityCache", .run = run, .arg = refresher };
}

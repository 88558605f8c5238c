/* SPDX-License-Identifier: Apache-2.0 */
/* What can't be read changes nothing: the next question hears it. */
#include "gateway/edge_hub/presence_method.h"

#include "base/text.h"
#include "gateway/gauges/hub_presence.h"
#include "wire/json.h"

static int
run(void *arg, const json_t *payload, json_t **result)
{
	const json_t *hub = json_is_object(payload) ? json_object_get(payload, "hub") : NULL;
	struct hub_word word = { 0 };

	(void)arg;
	if (!json_is_null(hub) && !(json_is_string(hub) && hub_word_parse(&word, slice_of(json_string_value(hub))))) {
		*result = json_pack("{s:s}", "message", "wanted is an object with hub, a text of reach, seconds and gateway");
		return 400;
	}
	hub_presence_told(&word);
	return 200;
}

struct edge_hub_method
presence_method(void)
{
	return (struct edge_hub_method){ .name = HUB_WORD_METHOD, .run = run };
}

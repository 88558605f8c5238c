/* SPDX-License-Identifier: Apache-2.0 */
/* Links to hubs, one a line, each as an operator sends it: [host, body].  A host that was taken can stand in a URL, its key is not shown, and a change of the weight alone keeps the
 * rest. */
#include <string.h>

#include "fuzz.h"
#include "hub/provisioning/linked_hub.h"
#include "wire/json.h"

static void
check(const struct linked_hub *hub)
{
	OWN_LIB(json_t) shown = linked_hub_to_json(hub);
	OWN_LIB(json_t) change = json_pack("{s:i}", "allocationWeight", 7);
	struct err err = ERR_INIT;
	OWN(linked_hub) again = linked_hub_from_json(hub->host, change, hub, &err);

	FUZZ_CHECK(strcspn(hub->host, "/?#@%\\ ") == strlen(hub->host) && hub->host[0]);
	FUZZ_CHECK(shown && json_object_size(shown) == 3 && hub->key.len > 0);
	FUZZ_CHECK(again && again->weight == 7 && strcmp(again->policy, hub->policy) == 0);
	FUZZ_CHECK(again->key.len == hub->key.len && memcmp(again->key.bytes, hub->key.bytes, hub->key.len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { .text = (const char *)data, .len = size }, line;
	bool more = size > 0;

	while (more) {
		struct err err = ERR_INIT;
		OWN_LIB(json_t) json = NULL;
		OWN(linked_hub) hub = NULL;
		const char *host;

		more = slice_cut(&rest, '\n', &line);
		json = json_parse(line.text, line.len, &err);
		host = json_string_value(json_array_get(json, 0));
		if (host && json_is_object(json_array_get(json, 1)))
			hub = linked_hub_from_json(host, json_array_get(json, 1), NULL, &err);
		if (hub)
			check(hub);
	}
	return 0;
}

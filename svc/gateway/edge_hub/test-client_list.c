/* SPDX-License-Identifier: Apache-2.0 */
/* Who is connected, as it is reported. */
#include "base/mem.h"
#include "gateway/edge_hub/client_list.h"
#include "t.h"
#include "wire/json.h"

#define NOW 1772323200 /* 2026-03-01 */

static void
check_changes(struct client_list *list, const char *want)
{
	OWN_LIB(json_t) changes = client_list_changes(list);
	OWN_TEXT text = changes ? json_line(changes) : mem_text("");

	CHECK_STR(text, want);
}

TEST("who comes and goes is told once, with the times, and with a key that a twin may have")
{
	struct client_list *list = client_list_new();

	check_changes(list, "");
	client_list_came(list, "dev.1/$mod", NOW);
	check_changes(list,
		"{\"clients\":{\"dev%2E1/%24mod\":{\"status\":\"Connected\",\"lastConnectedTimeUtc\":\"2026-03-01T00:00:00Z\"}}}");
	check_changes(list, "");
	client_list_went(list, "dev.1/$mod", NOW + 60);
	client_list_went(list, "nobody", NOW);
	check_changes(list,
		"{\"clients\":{\"dev%2E1/%24mod\":{\"status\":\"Disconnected\",\"lastConnectedTimeUtc\":\"2026-03-01T00:00:00Z\","
		"\"lastDisconnectedTimeUtc\":\"2026-03-01T00:01:00Z\"}}}");
	client_list_free(list);
}

TEST("who has a second session stays connected when the first one ends")
{
	struct client_list *list = client_list_new();

	client_list_came(list, "dev1", NOW);
	client_list_came(list, "dev1", NOW + 1);
	client_list_went(list, "dev1", NOW + 1);
	check_changes(
		list, "{\"clients\":{\"dev1\":{\"status\":\"Connected\",\"lastConnectedTimeUtc\":\"2026-03-01T00:00:01Z\"}}}");
	client_list_free(list);
}

TEST("when it is full, who has gone first makes place, and who finds none is not in it")
{
	struct client_list *list = client_list_new();
	json_t *changes;

	for (int i = 0; i < CLIENT_LIST_MAX; i++) {
		OWN_TEXT name = mem_textf("dev%d", i);

		client_list_came(list, name, NOW);
	}
	client_list_came(list, "late", NOW);
	changes = client_list_changes(list);
	CHECK_INT(json_object_size(json_object_get(changes, "clients")), CLIENT_LIST_MAX);
	CHECK(!json_object_get(json_object_get(changes, "clients"), "late"));
	json_decref(changes);
	client_list_went(list, "dev7", NOW + 2);
	client_list_went(list, "dev3", NOW + 1);
	client_list_came(list, "later", NOW + 3);
	changes = client_list_changes(list);
	CHECK(json_is_null(json_object_get(json_object_get(changes, "clients"), "dev3")));
	CHECK(json_is_object(json_object_get(json_object_get(changes, "clients"), "dev7")));
	CHECK(json_is_object(json_object_get(json_object_get(changes, "clients"), "later")));
	json_decref(changes);
	client_list_free(list);
}

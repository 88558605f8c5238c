/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the gateway. */
#include "edge_gateway.h"

#include "base/mem.h"
#include "base/text.h"
#include "gateway_tool.h"
#include "wire/json.h"

static void
put_refusal(struct buf *page, const json_t *hub)
{
	const char *parent = gateway_text_at(hub, "parent");

	buf_putf(page, "✗ %s refuses it, since %s: %s\n", *parent ? parent : gateway_text_at(hub, "name"),
		gateway_text_at(hub, "since"), gateway_text_at(hub, "why"));
	buf_puts(page, "  Is this device enabled in the hub, with the keys that it has here, and its clock right?\n");
	if (*parent)
		buf_putf(page, "  Is %s its parent there (parentScopes), and enabled too?\n", parent);
}

/* Nothing is wrong with this device then, and what it does goes on. */
static void
put_away(struct buf *page, const json_t *hub)
{
	const char *parent = gateway_text_at(hub, "parent");

	buf_putf(page,
		"\nThe gateway: %s is away since %s; `rootedge gateway status` says what goes on without, and for how long\n",
		*parent ? parent : gateway_text_at(hub, "name"), gateway_text_at(hub, "since"));
}

/* The parent is there, and says that one above is without the hub. */
static bool
is_lost_beyond(const json_t *hub)
{
	const char *reach = gateway_text_at(json_object_get(hub, "beyond"), "reach");

	return text_is(gateway_text_at(hub, "reach"), "reachable") && (text_is(reach, "away") || text_is(reach, "refuses"));
}

static void
put_beyond(struct buf *page, const json_t *hub)
{
	const json_t *beyond = json_object_get(hub, "beyond");

	buf_putf(page,
		"\nThe gateway: %s is away since %s, lost by %s above this one; `rootedge gateway status` says what goes on "
		"without, and for how long\n",
		gateway_text_at(hub, "name"), gateway_text_at(beyond, "since"), gateway_text_at(beyond, "gateway"));
}

static void
put_unready(struct buf *page, json_t *checks)
{
	const char *name;
	json_t *check;

	json_object_foreach(checks, name, check) {
		if (!json_is_true(json_object_get(check, "ok")))
			buf_putf(page, "✗ it is not ready: %s: %s\n", name, gateway_text_at(check, "says"));
	}
}

void
edge_gateway_look(const char *state, json_t *status, struct buf *page)
{
	struct gateway_options options = { .state = state };
	struct err none_runs = ERR_INIT;
	OWN_LIB(json_t) said = gateway_ask(&options, "GET", "status", NULL, 0, &none_runs);
	const json_t *hub = json_object_get(said, "hub");
	bool is_refused = text_is(gateway_text_at(hub, "reach"), "refuses"),
	     is_ready = json_is_true(json_object_get(said, "ready"));

	if (!hub)
		return;
	if (text_is(gateway_text_at(hub, "reach"), "away"))
		put_away(page, hub);
	if (is_lost_beyond(hub))
		put_beyond(page, hub);
	if (is_refused || !is_ready)
		buf_puts(page, "\nThe gateway:\n");
	if (is_refused)
		put_refusal(page, hub);
	put_unready(page, json_object_get(said, "checks"));
	json_object_set_new(status, "gateway",
		json_pack("{s:s, s:b, s:b}", "reach", gateway_text_at(hub, "reach"), "ready", is_ready, "well",
			is_ready && !is_refused));
}

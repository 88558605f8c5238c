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

	buf_putf(page, "\nThe gateway:\n✗ %s refuses it, since %s: %s\n", *parent ? parent : gateway_text_at(hub, "name"),
		gateway_text_at(hub, "since"), gateway_text_at(hub, "why"));
	buf_puts(page, "  Is this device enabled in the hub, with the keys that it has here, and its clock right?\n");
	if (*parent)
		buf_putf(page, "  Is %s its parent there (parentScopes), and enabled too?\n", parent);
}

void
edge_gateway_look(const char *state, json_t *status, struct buf *page)
{
	struct gateway_options options = { .state = state };
	struct err none_runs = ERR_INIT;
	OWN_LIB(json_t) said = gateway_ask(&options, "GET", "status", NULL, 0, &none_runs);
	const json_t *hub = json_object_get(said, "hub");
	bool is_refused = text_is(gateway_text_at(hub, "reach"), "refuses");

	if (!hub)
		return;
	if (is_refused)
		put_refusal(page, hub);
	json_object_set_new(
		status, "gateway", json_pack("{s:s, s:b}", "reach", gateway_text_at(hub, "reach"), "well", !is_refused));
}

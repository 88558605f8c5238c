/* SPDX-License-Identifier: Apache-2.0 */
/* Routes of an operator and messages of strangers: the text up to a zero byte is a route, what follows a bag and, behind the next one, a payload. */
#include "fuzz.h"
#include "wire/route.h"

static struct slice
cut(struct slice *rest)
{
	struct slice part;

	slice_cut(rest, '\0', &part);
	return part;
}

static void
ask(const struct route *route, const struct route_message *message)
{
	struct route_view view;
	bool taken;

	route_view_init(&view, message);
	taken = route_takes(route, &view);
	FUZZ_CHECK(taken == route_takes(route, &view));
	route_view_clear(&view);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct slice rest = { .text = (const char *)data, .len = size };
	OWN_TEXT text = slice_text(cut(&rest));
	struct route_message message = { .device_id = { "edge", 4 }, .module_id = { "m", 1 }, .is_own = true };
	OWN(route) route = route_parse(text, &err);

	FUZZ_CHECK(route || err.text[0]);
	message.bag = cut(&rest);
	message.payload = rest;
	if (route)
		ask(route, &message);
	message.is_twin_change = true;
	if (route)
		ask(route, &message);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is desired here, on top of what the hub desires. */
#include "base/mem.h"
#include "gateway/twins/overlay.h"
#include "t.h"
#include "wire/json.h"

static json_t *
parsed(const char *text)
{
	struct err err = ERR_INIT;
	json_t *json = json_parse(text, strlen(text), &err);

	if (!json)
		fail_msg("%s", err.text);
	return json;
}

static void
check_json(const json_t *got, const char *want)
{
	OWN_LIB(json_t) wanted = parsed(want);
	OWN_TEXT text = json_line(got);

	if (!json_equal(got, wanted))
		fail_msg("%s, not %s", text, want);
}

TEST("the overlay of a view makes that view, whatever stands in the place of what")
{
	static const char *const docs[] = { "{}", "{\"a\":1}", "{\"a\":{}}", "{\"a\":{\"x\":1,\"y\":2}}",
		"{\"a\":[1,{\"x\":1}],\"b\":false}", "{\"a\":{\"x\":{\"y\":1}},\"b\":{\"c\":3}}", "{\"b\":{\"c\":{}}}" };

	for (size_t i = 0; i < COUNT(docs); i++) {
		for (size_t j = 0; j < COUNT(docs); j++) {
			OWN_LIB(json_t) hubs = parsed(docs[i]);
			OWN_LIB(json_t) view = parsed(docs[j]);
			OWN_LIB(json_t) overlay = overlay_of(hubs, view);
			OWN_LIB(json_t) again = overlay_view(hubs, overlay);

			check_json(again, docs[j]);
			check_json(hubs, docs[i]);
		}
	}
}

TEST("what the hub writes of a property ends what was set here of that one, and of no other")
{
	static const struct {
		const char *set, *written, *left;
	} rows[] = {
		{ "{\"a\":1,\"b\":2}", "{\"a\":7,\"$version\":3}", "{\"b\":2}" },
		{ "{\"a\":1}", "{\"b\":7}", "{\"a\":1}" },
		{ "{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"x\":7,\"z\":1}}", "{\"a\":{\"y\":2}}" },
		{ "{\"a\":{\"x\":1}}", "{\"a\":{\"x\":null}}", "{}" },
		{ "{\"a\":{\"x\":1}}", "{\"a\":null}", "{}" },
		{ "{\"a\":{\"x\":1}}", "{\"a\":[1]}", "{}" },
		{ "{\"a\":null}", "{\"a\":{\"x\":1}}", "{}" },
		{ "{\"a\":[1,2]}", "{\"a\":[1]}", "{}" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		OWN_LIB(json_t) overlay = parsed(rows[i].set);
		OWN_LIB(json_t) written = parsed(rows[i].written);

		overlay_yield(overlay, written);
		check_json(overlay, rows[i].left);
	}
}

TEST("two merges become one, with what they delete")
{
	OWN_LIB(json_t) first = parsed("{\"a\":{\"x\":1,\"y\":null},\"b\":1}");
	OWN_LIB(json_t) second = parsed("{\"a\":{\"x\":null,\"z\":2},\"b\":{\"c\":null}}");

	overlay_join(first, second);
	check_json(first, "{\"a\":{\"x\":null,\"y\":null,\"z\":2},\"b\":{\"c\":null}}");
}

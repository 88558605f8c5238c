/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of configurations: what is one, and what it does to desired properties. */
#include "base/mem.h"
#include "hub/automation/content.h"
#include "t.h"
#include "wire/json.h"

static json_t *
parse(const char *text)
{
	struct err err = ERR_INIT;
	json_t *json = json_parse(text, strlen(text), &err);

	if (!json)
		fail_msg("%s: %s", text, err.text);
	return json;
}

TEST("a content has one kind, and entries at or below the desired properties")
{
	static const struct {
		const char *content;
		enum content_kind kind;
	} good[] = {
		{ "{\"deviceContent\": {\"properties.desired.a.b\": 1, \"properties.desired.c\": null}}", CONTENT_DEVICE },
		{ "{\"moduleContent\": {\"properties.desired\": {\"a\": 1}}, \"deviceContent\": {}, \"modulesContent\": null}",
			CONTENT_MODULE },
		{ "{\"modulesContent\": {\"$edgeAgent\": {\"properties.desired\": {}}, \"m\": {}}}", CONTENT_MODULES },
	};
	static const char *const bad[] = {
		"{}",
		"{\"deviceContent\": {}}",
		"{\"deviceContent\": [1]}",
		"{\"deviceContent\": {\"tags.a\": 1}}",
		"{\"deviceContent\": {\"properties.reported.a\": 1}}",
		"{\"deviceContent\": {\"properties.desiredly\": 1}}",
		"{\"deviceContent\": {\"properties.desired\": 1}}",
		"{\"deviceContent\": {\"properties.desired.\": 1}}",
		"{\"deviceContent\": {\"properties.desired.a..b\": 1}}",
		"{\"deviceContent\": {\"properties.desired.a.a.a.a.a.a.a.a.a.a.a\": 1}}",
		"{\"modulesContent\": {\"m\": 1}}",
		"{\"modulesContent\": {\"m\": {\"tags\": 1}}}",
		"{\"deviceContent\": {\"properties.desired.a\": 1}, \"modulesContent\": {\"m\": {}}}",
	};

	for (size_t i = 0; i < COUNT(good); i++) {
		OWN_LIB(json_t) content = parse(good[i].content);
		struct err err = ERR_INIT;
		enum content_kind kind = CONTENT_DEVICE;

		if (content_check(content, &kind, &err) < 0)
			fail_msg("%s: %s", good[i].content, err.text);
		CHECK_INT(kind, good[i].kind);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		OWN_LIB(json_t) content = parse(bad[i]);
		struct err err = ERR_INIT;
		enum content_kind kind;

		if (content_check(content, &kind, &err) == 0)
			fail_msg("%s was accepted", bad[i]);
	}
}

static void
check_apply(const char *before, const char *entries, const char *after)
{
	OWN_LIB(json_t) desired = parse(before);
	OWN_LIB(json_t) e = parse(entries);
	OWN_LIB(json_t) wanted = parse(after);
	OWN_TEXT got = NULL;

	content_apply(desired, e);
	got = json_line(desired);
	if (!json_equal(desired, wanted))
		fail_msg("%s on %s is %s, not %s", entries, before, got, after);
}

TEST("an entry sets its path as it is, and shorter paths come first")
{
	check_apply(
		"{\"a\": {\"old\": 1}, \"b\": 2}", "{\"properties.desired.a\": {\"new\": 1}}", "{\"a\": {\"new\": 1}, \"b\": 2}");
	check_apply("{\"a\": 1}", "{\"properties.desired.a.b.c\": 3}", "{\"a\": {\"b\": {\"c\": 3}}}");
	check_apply("{\"a\": 1, \"b\": 2}", "{\"properties.desired\": {\"c\": {}}}", "{\"c\": {}}");
	check_apply("{\"a\": 1}", "{\"properties.desired.c.d\": 4, \"properties.desired\": {\"c\": {\"e\": 5}}}",
		"{\"c\": {\"e\": 5, \"d\": 4}}");
	check_apply("{\"a\": {\"b\": 1, \"c\": 2}}", "{\"properties.desired.a.b\": null}", "{\"a\": {\"c\": 2}}");
}

TEST("taking back takes the paths that were set and nothing else")
{
	OWN_LIB(json_t) desired = parse("{\"a\": {\"b\": 1, \"c\": 2}, \"d\": 3}");
	OWN_LIB(json_t) entries =
		parse("{\"properties.desired.a.b\": 9, \"properties.desired.x.y\": 1, \"properties.desired.d\": {}}");
	OWN_LIB(json_t) wanted = parse("{\"a\": {\"c\": 2}}");

	content_remove(desired, entries);
	CHECK(json_equal(desired, wanted));
}

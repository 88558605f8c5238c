/* SPDX-License-Identifier: Apache-2.0 */
/* What a gateway makes of a twin while the hub is there, away, and back. */
#include "base/mem.h"
#include "gateway/twins/kept_twin.h"
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
	OWN_TEXT text = got ? json_line(got) : mem_text("nothing");

	if (!json_equal(got, wanted))
		fail_msg("%s, not %s", text, want);
}

static int
report(struct kept_twin *t, const char *patch)
{
	OWN_LIB(json_t) json = parsed(patch);
	struct err err = ERR_INIT;

	return kept_twin_report(t, json, &err);
}

/* The news, to be freed, or NULL. */
static json_t *
full(struct kept_twin *t, const char *view)
{
	OWN_LIB(json_t) json = parsed(view);
	struct err err = ERR_INIT;
	json_t *news = NULL;

	CHECK_OK(kept_twin_full(t, json, &news, &err), err);
	return news;
}

static enum kept_patch
patch(struct kept_twin *t, int64_t version, const char *text)
{
	OWN_LIB(json_t) json = parsed(text);
	OWN_LIB(json_t) news = NULL;

	return kept_twin_patch(t, version, json, &news);
}

static struct kept_twin *
known(const char *view)
{
	struct kept_twin *t = kept_twin_new("g1");
	OWN_LIB(json_t) news = full(t, view);

	CHECK(!news);
	return t;
}

TEST("a change of desired properties is applied when it follows, known when it is old, and a gap when it does not")
{
	OWN(kept_twin) t = known("{\"desired\":{\"a\":1,\"$version\":4},\"reported\":{\"$version\":1}}");
	OWN_LIB(json_t) view = NULL;

	CHECK_INT(patch(t, 4, "{\"a\":9,\"$version\":4}"), KEPT_OLD);
	CHECK_INT(patch(t, 6, "{\"a\":9,\"$version\":6}"), KEPT_GAP);
	CHECK_INT(patch(t, 3, "{\"a\":9,\"$version\":3}"), KEPT_GAP);
	CHECK_INT(patch(t, 5, "{\"a\":null,\"b\":{\"c\":2},\"$version\":5}"), KEPT_APPLIED);
	view = kept_twin_view(t);
	check_json(view, "{\"desired\":{\"b\":{\"c\":2},\"$version\":5},\"reported\":{\"$version\":1}}");
}

TEST("of a twin that was read before, what is different now is news; of one that nobody was told, nothing is")
{
	OWN(kept_twin) t = known("{\"desired\":{\"a\":1,\"b\":{\"x\":1,\"y\":2},\"$version\":4},\"reported\":{\"$version\":1}}");
	OWN_LIB(json_t) news =
		full(t, "{\"desired\":{\"b\":{\"x\":7,\"y\":2},\"c\":3,\"$version\":9},\"reported\":{\"$version\":1}}");
	OWN_LIB(json_t) same =
		full(t, "{\"desired\":{\"b\":{\"x\":7,\"y\":2},\"c\":3,\"$version\":10},\"reported\":{\"$version\":1}}");

	check_json(news, "{\"a\":null,\"b\":{\"x\":7},\"c\":3,\"$version\":9}");
	CHECK(!same);
	CHECK_INT(t->desired_version, 10);
}

TEST("who was told an empty twin while the hub was away is told all of it when it is back")
{
	OWN(kept_twin) t = kept_twin_new("g1");
	OWN_LIB(json_t) view = kept_twin_view(t);
	OWN_LIB(json_t) news = NULL;

	check_json(view, "{\"desired\":{\"$version\":0},\"reported\":{\"$version\":0}}");
	t->is_told = true;
	news = full(t, "{\"desired\":{\"a\":1,\"$version\":2},\"reported\":{\"$version\":1}}");
	check_json(news, "{\"a\":1,\"$version\":2}");
}

TEST("what is pushed is the difference to what the hub has, also after it was pushed twice or refused")
{
	OWN(kept_twin) t = known("{\"desired\":{\"$version\":1},\"reported\":{\"a\":1,\"b\":{\"x\":1},\"$version\":3}}");
	OWN_LIB(json_t) push = NULL;

	CHECK(!kept_twin_is_due(t));
	CHECK_INT(report(t, "{\"a\":null,\"b\":{\"y\":2}}"), 0);
	CHECK_INT(report(t, "{\"c\":[1,2]}"), 0);
	push = kept_twin_push(t);
	check_json(push, "{\"a\":null,\"b\":{\"y\":2},\"c\":[1,2]}");
	CHECK_INT(report(t, "{\"c\":null,\"d\":4}"), 0); /* while it is on its way */
	kept_twin_pushed(t, push);
	json_decref(push);
	push = kept_twin_push(t);
	check_json(push, "{\"c\":null,\"d\":4}");
	kept_twin_refused(t);
	CHECK(!kept_twin_is_due(t));
	check_json(t->reported, "{\"b\":{\"x\":1,\"y\":2},\"c\":[1,2]}");
}

TEST("what was reported before the hub was heard of is pushed then, what it deletes too")
{
	OWN(kept_twin) t = kept_twin_new("g1");
	OWN_LIB(json_t) news = NULL;
	OWN_LIB(json_t) push = NULL;

	CHECK_INT(report(t, "{\"old\":null,\"a\":{\"x\":1}}"), 0);
	CHECK_INT(report(t, "{\"a\":{\"y\":2}}"), 0);
	CHECK(kept_twin_is_due(t));
	push = kept_twin_push(t);
	CHECK(!push);
	news = full(t, "{\"desired\":{\"$version\":1},\"reported\":{\"old\":7,\"other\":1,\"$version\":3}}");
	push = kept_twin_push(t);
	check_json(push, "{\"old\":null,\"a\":{\"x\":1,\"y\":2}}");
	check_json(t->reported, "{\"other\":1,\"a\":{\"x\":1,\"y\":2}}");
}

TEST("what somebody else has changed at the hub meanwhile stays, under what this device has reported")
{
	OWN(kept_twin) t = known("{\"desired\":{\"$version\":1},\"reported\":{\"a\":1,\"b\":1,\"$version\":3}}");
	OWN_LIB(json_t) news = NULL;
	OWN_LIB(json_t) push = NULL;

	CHECK_INT(report(t, "{\"a\":2}"), 0);
	news = full(t, "{\"desired\":{\"$version\":1},\"reported\":{\"a\":1,\"b\":5,\"$version\":4}}");
	check_json(t->reported, "{\"a\":2,\"b\":5}");
	push = kept_twin_push(t);
	check_json(push, "{\"a\":2}");
}

TEST("a report by which the hub would not go is refused and changes nothing")
{
	OWN(kept_twin) t = known("{\"desired\":{\"$version\":1},\"reported\":{\"a\":1,\"$version\":3}}");
	static const char *const bad[] = { "{\"b.c\":1}", "{\"$x\":1}", "{\"n\":4503599627370497}", "[1]", "\"text\"",
		"{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":{\"h\":{\"i\":{\"j\":{\"k\":{\"l\":1}}}}}}}}}}}}" };

	for (size_t i = 0; i < COUNT(bad); i++)
		if (report(t, bad[i]) == 0)
			fail_msg("%s was taken", bad[i]);
	CHECK(!kept_twin_is_due(t));
	check_json(t->reported, "{\"a\":1}");
}

TEST("who was deleted and made again has nothing of what is kept, and forgetting the one leaves what the other has reported")
{
	OWN(kept_twin) second = kept_twin_new("g2");
	OWN(kept_twin) untold = kept_twin_new("");

	CHECK(kept_twin_is_of(second, "g2") && !kept_twin_is_of(second, "g1"));
	CHECK(kept_twin_is_of(second, "") && kept_twin_is_of(untold, "g1"));
}

TEST("it is read as it was written, and what is no twin is not read")
{
	OWN(kept_twin) t = kept_twin_new("g7");
	OWN(kept_twin) again = NULL;
	OWN_LIB(json_t) json = NULL;
	OWN_LIB(json_t) bad = parsed("{\"generation\":7}");
	struct err err = ERR_INIT;

	t->is_told = true;
	CHECK_INT(report(t, "{\"a\":{\"x\":null}}"), 0);
	json = kept_twin_to_json(t);
	again = kept_twin_from_json(json, &err);
	CHECK_STR(again->generation_id, "g7");
	CHECK(again->is_told && !again->is_known);
	check_json(again->unread, "{\"a\":{\"x\":null}}");
	CHECK(!kept_twin_from_json(bad, &err));
}

/* -- What is desired here ---------------------------------------------------------------------------------------------------------------------- */

#define AS_TOLD "{\"desired\":{\"a\":1,\"b\":{\"x\":1,\"y\":2},\"$version\":5},\"reported\":{\"$version\":1}}"

/* The news, to be freed. */
static json_t *
desire(struct kept_twin *t, const char *patch)
{
	OWN_LIB(json_t) json = parsed(patch);
	struct err err = ERR_INIT;
	json_t *news = NULL;

	CHECK_OK(kept_twin_desire(t, json, &news, &err), err);
	return news;
}

static void
check_desired(const struct kept_twin *t, const char *want)
{
	OWN_LIB(json_t) view = kept_twin_view(t);

	check_json(json_object_get(view, "desired"), want);
}

TEST("what is desired here is seen at once under a new version, stays when the hub is back and has changed nothing, and counts on "
     "from there")
{
	OWN(kept_twin) t = known(AS_TOLD);
	OWN_LIB(json_t) news = desire(t, "{\"a\":2,\"b\":{\"x\":null,\"z\":3}}");
	OWN_LIB(json_t) again = desire(t, "{\"c\":4}");
	OWN_LIB(json_t) back = full(t, AS_TOLD);

	check_json(news, "{\"a\":2,\"b\":{\"x\":null,\"z\":3},\"$version\":6}");
	check_json(again, "{\"c\":4,\"$version\":7}");
	CHECK(!back);
	check_desired(t, "{\"a\":2,\"b\":{\"y\":2,\"z\":3},\"c\":4,\"$version\":7}");
	CHECK(!kept_twin_is_due(t)); /* none of it is the hub's */
}

TEST("a property that the hub has changed meanwhile is the hub's again, and what else was desired here stays")
{
	OWN(kept_twin) t = known(AS_TOLD);
	OWN_LIB(json_t) mine = desire(t, "{\"a\":2,\"b\":{\"x\":8}}");
	OWN_LIB(json_t) news =
		full(t, "{\"desired\":{\"a\":1,\"b\":{\"x\":7,\"y\":9},\"$version\":6},\"reported\":{\"$version\":1}}");

	check_json(news, "{\"b\":{\"x\":7,\"y\":9},\"$version\":7}");
	check_desired(t, "{\"a\":2,\"b\":{\"x\":7,\"y\":9},\"$version\":7}");
	check_json(t->overlay, "{\"a\":2}");
}

TEST("what the hub writes while it is heard is the hub's, also when it writes what was there")
{
	OWN(kept_twin) t = known(AS_TOLD);
	OWN_LIB(json_t) mine = desire(t, "{\"a\":2,\"b\":7}");
	OWN_LIB(json_t) same = parsed("{\"a\":1,\"$version\":6}");
	OWN_LIB(json_t) other = parsed("{\"b\":{\"x\":5},\"$version\":7}");
	OWN_LIB(json_t) news = NULL;

	CHECK_INT(kept_twin_patch(t, 6, same, &news), KEPT_APPLIED);
	check_json(news, "{\"a\":1,\"$version\":7}");
	json_decref(news);
	CHECK_INT(kept_twin_patch(t, 7, other, &news), KEPT_APPLIED);
	check_json(news, "{\"b\":{\"x\":5,\"y\":2},\"$version\":8}"); /* what 7 had hidden, too */
	check_json(t->overlay, "{}");
}

TEST("a null removes what the hub desires, until the hub writes it; a hub that removes has the last word too")
{
	OWN(kept_twin) t = known(AS_TOLD);
	OWN_LIB(json_t) mine = desire(t, "{\"a\":null,\"b\":{\"x\":8}}");
	OWN_LIB(json_t) news = NULL;

	check_desired(t, "{\"b\":{\"x\":8,\"y\":2},\"$version\":6}");
	news = full(t, "{\"desired\":{\"a\":3,\"$version\":8},\"reported\":{\"$version\":1}}");
	check_json(news, "{\"a\":3,\"b\":null,\"$version\":9}");
}

TEST("before the hub was heard of, what is desired here is all there is; of what the hub has, the hub's holds then")
{
	OWN(kept_twin) t = kept_twin_new("g1");
	OWN_LIB(json_t) mine = desire(t, "{\"a\":2,\"mine\":1}");
	OWN_LIB(json_t) untold = NULL;

	check_json(mine, "{\"a\":2,\"mine\":1,\"$version\":1}");
	CHECK(!full(t, AS_TOLD)); /* nobody was told anything */
	untold = kept_twin_untold(t);
	check_json(untold, "{\"a\":1,\"b\":{\"x\":1,\"y\":2},\"mine\":1,\"$version\":6}");
}

TEST("who was away is told what has become of all that, not how; and nothing twice")
{
	OWN(kept_twin) t = known(AS_TOLD);
	OWN_LIB(json_t) first = desire(t, "{\"a\":2,\"c\":1}");
	OWN_LIB(json_t) second = desire(t, "{\"a\":3,\"c\":null,\"b\":{\"y\":null}}");
	OWN_LIB(json_t) untold = kept_twin_untold(t);
	OWN_LIB(json_t) none = NULL;

	check_json(untold, "{\"a\":3,\"b\":{\"y\":null},\"$version\":7}");
	CHECK(kept_twin_told(t));
	CHECK(!kept_twin_told(t));
	none = kept_twin_untold(t);
	CHECK(!none);
}

TEST("what is taken back leaves the hub's, under a new version")
{
	OWN(kept_twin) t = known(AS_TOLD);
	OWN_LIB(json_t) mine = desire(t, "{\"a\":2,\"b\":null,\"c\":1}");
	OWN_LIB(json_t) news = NULL;
	OWN_LIB(json_t) none = NULL;

	kept_twin_yield(t, &news);
	check_json(news, "{\"a\":1,\"b\":{\"x\":1,\"y\":2},\"c\":null,\"$version\":7}");
	check_desired(t, "{\"a\":1,\"b\":{\"x\":1,\"y\":2},\"$version\":7}");
	kept_twin_yield(t, &none);
	CHECK(!none);
}

TEST("the version that a device sees never goes back, were the hub's restored from long ago")
{
	OWN(kept_twin) t = known(AS_TOLD);
	OWN_LIB(json_t) mine = desire(t, "{\"c\":1}");
	OWN_LIB(json_t) news = full(t, "{\"desired\":{\"a\":0,\"$version\":2},\"reported\":{\"$version\":1}}");
	OWN_LIB(json_t) next = parsed("{\"a\":5,\"$version\":3}");
	OWN_LIB(json_t) told = NULL;

	check_json(news, "{\"a\":0,\"b\":null,\"$version\":7}");
	CHECK_INT(kept_twin_patch(t, 3, next, &told), KEPT_APPLIED);
	check_json(told, "{\"a\":5,\"$version\":8}");
}

TEST("what the hub would not take is not desired here either, and nothing is changed")
{
	OWN(kept_twin) t = known(AS_TOLD);
	static const struct {
		const char *patch;
		enum err_kind kind;
	} bad[] = {
		{ "{\"b.c\":1}", ERR_INVALID },
		{ "{\"$x\":1}", ERR_INVALID },
		{ "{\"n\":4503599627370497}", ERR_INVALID },
		{ "[1]", ERR_INVALID },
		{ "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":{\"h\":{\"i\":{\"j\":{\"k\":{\"l\":1}}}}}}}}}}}}",
			ERR_INVALID },
	};
	OWN_LIB(json_t) large = json_object();
	struct err err = ERR_INIT;
	json_t *news = NULL;

	for (size_t i = 0; i < COUNT(bad); i++) {
		OWN_LIB(json_t) patch = parsed(bad[i].patch);
		struct err why = ERR_INIT;

		if (kept_twin_desire(t, patch, &news, &why) == 0 || why.kind != bad[i].kind)
			fail_msg("%s: %s", bad[i].patch, why.text);
	}
	for (int i = 0; i < 9; i++) {
		char key[] = { 'k', (char)('a' + i), 0 };
		char text[4001] = "";

		memset(text, 'x', 4000);
		json_object_set_new(large, key, json_string(text));
	}
	CHECK(kept_twin_desire(t, large, &news, &err) < 0 && err.kind == ERR_LIMIT);
	CHECK(!news);
	check_desired(t, "{\"a\":1,\"b\":{\"x\":1,\"y\":2},\"$version\":5}");
}

TEST("what is desired here is read as it was written, with what is to be told")
{
	OWN(kept_twin) t = known(AS_TOLD);
	OWN_LIB(json_t) mine = desire(t, "{\"a\":null,\"c\":1}");
	OWN_LIB(json_t) json = kept_twin_to_json(t);
	struct err err = ERR_INIT;
	OWN(kept_twin) again = kept_twin_from_json(json, &err);
	OWN_LIB(json_t) untold = kept_twin_untold(again);
	OWN_LIB(json_t) shown = kept_twin_inspect(again);

	check_desired(again, "{\"b\":{\"x\":1,\"y\":2},\"c\":1,\"$version\":6}");
	check_json(untold, "{\"a\":null,\"c\":1,\"$version\":6}");
	check_json(shown,
		"{\"properties\":{\"desired\":{\"b\":{\"x\":1,\"y\":2},\"c\":1,\"$version\":6},\"reported\":{\"$version\":1}},"
		"\"local\":{\"a\":null,\"c\":1},\"due\":false,"
		"\"hub\":{\"desired\":{\"a\":1,\"b\":{\"x\":1,\"y\":2},\"$version\":5},\"reported\":{\"$version\":1}}}");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One configuration: what its document may say, and which of several counts. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/automation/configuration.h"
#include "t.h"
#include "wire/json.h"

static struct configuration *
unread(const char *id, int64_t created_ms, const char *text)
{
	struct err err = ERR_INIT;
	json_t *doc = json_parse(text, strlen(text), &err);

	if (!doc)
		fail_msg("%s: %s", text, err.text);
	return configuration_new(id, "e", doc, created_ms);
}

static struct configuration *
configuration(const char *id, int64_t created_ms, const char *text)
{
	struct configuration *c = unread(id, created_ms, text);
	struct err err = ERR_INIT;

	if (configuration_read(c, &err) != CONFIGURATION_OK)
		fail_msg("%s: %s", text, err.text);
	return c;
}

#define DEVICE "\"content\": {\"deviceContent\": {\"properties.desired.a\": 1}}"
#define WHOLE "\"content\": {\"modulesContent\": {\"$edgeAgent\": {\"properties.desired\": {}}}}"
#define LAYER "\"content\": {\"modulesContent\": {\"$edgeAgent\": {\"properties.desired.modules.m\": {}}}}"

static void
check_chosen(struct configuration *const *list, size_t n, enum content_kind kind, const char *expected)
{
	struct configuration *chosen[CONFIGURATIONS_MAX];
	size_t n_chosen = configuration_choose(list, n, kind, chosen);
	CLEAR(buf) names = BUF_INIT(256);

	for (size_t i = 0; i < n_chosen; i++)
		buf_putf(&names, "%s%s", i > 0 ? " " : "", chosen[i]->id);
	CHECK_STR(buf_text(&names), expected);
}

TEST("what is wrong with a document is told apart")
{
	static const struct {
		const char *doc;
		enum configuration_answer answer;
	} cases[] = {
		{ "{" DEVICE "}", CONFIGURATION_OK },
		{ "{" DEVICE ", \"priority\": 0, \"targetCondition\": \"deviceId = 'd'\"}", CONFIGURATION_OK },
		{ "{}", CONFIGURATION_BAD_CONTENT },
		{ "{" DEVICE ", \"priority\": -1}", CONFIGURATION_INVALID },
		{ "{" DEVICE ", \"priority\": \"1\"}", CONFIGURATION_INVALID },
		{ "{" DEVICE ", \"labels\": []}", CONFIGURATION_INVALID },
		{ "{" DEVICE ", \"targetCondition\": 1}", CONFIGURATION_BAD_CONDITION },
		{ "{" DEVICE ", \"targetCondition\": \"deviceId =\"}", CONFIGURATION_BAD_CONDITION },
		{ "{" DEVICE ", \"targetCondition\": \"FROM devices.modules WHERE moduleId = 'm'\"}", CONFIGURATION_BAD_CONDITION },
		{ "{" DEVICE ", \"metrics\": {\"queries\": {\"q\": \"SELECT\"}}}", CONFIGURATION_BAD_METRIC },
		{ "{" DEVICE ", \"metrics\": {\"queries\": {\"q\": 1}}}", CONFIGURATION_BAD_METRIC },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		OWN(configuration) c = unread("c", 1, cases[i].doc);
		struct err err = ERR_INIT;

		CHECK_INT(configuration_read(c, &err), cases[i].answer);
	}
}

TEST("a blank condition is none: no twin meets it")
{
	OWN(configuration) c = configuration("c", 1, "{" DEVICE ", \"targetCondition\": \" \"}");

	CHECK(!c->condition);
}

TEST("the highest priority counts, and of equals the younger one")
{
	OWN(configuration) low = configuration("low", 9, "{" DEVICE ", \"priority\": 1}");
	OWN(configuration) older = configuration("older", 1, "{" DEVICE ", \"priority\": 5}");
	OWN(configuration) younger = configuration("younger", 2, "{" DEVICE ", \"priority\": 5}");
	struct configuration *all[] = { low, younger, older };

	check_chosen(all, 3, CONTENT_DEVICE, "younger");
	check_chosen(all, 1, CONTENT_DEVICE, "low");
	check_chosen(all, 3, CONTENT_MODULES, "");
}

TEST("layers lie on the highest whole deployment, least important first, and those below it do not count")
{
	OWN(configuration) below = configuration("below", 1, "{" LAYER ", \"priority\": 1}");
	OWN(configuration) whole = configuration("whole", 1, "{" WHOLE ", \"priority\": 2}");
	OWN(configuration) first = configuration("first", 1, "{" LAYER ", \"priority\": 3}");
	OWN(configuration) second = configuration("second", 1, "{" LAYER ", \"priority\": 4}");
	struct configuration *all[] = { second, whole, below, first };

	check_chosen(all, 4, CONTENT_MODULES, "whole first second");
}

TEST("layers without a whole deployment do not count")
{
	OWN(configuration) layer = configuration("layer", 1, "{" LAYER ", \"priority\": 3}");
	struct configuration *all[] = { layer };

	check_chosen(all, 1, CONTENT_MODULES, "");
}

TEST("a configuration that is doomed is found only as such")
{
	OWN(configuration) doomed = configuration("c", 1, "{" DEVICE "}");
	OWN(configuration) alive = configuration("c", 2, "{" DEVICE "}");
	struct configuration *all[] = { doomed, alive };

	doomed->is_doomed = true;
	CHECK(configuration_find(all, 2, "c", true) == doomed);
	CHECK(configuration_find(all, 2, "c", false) == alive);
	CHECK(!configuration_find(all, 1, "c", false));
	CHECK(configuration_is_among(doomed, all, 1));
	CHECK(!configuration_is_among(alive, all, 1));
}

TEST("the entries of a module are looked up only where the content is for all modules of a gateway")
{
	OWN(configuration) device = configuration("d", 1, "{" DEVICE "}");
	OWN(configuration) whole = configuration("w", 1, "{" WHOLE "}");

	CHECK_INT(json_object_size(configuration_entries(device, "m")), 1);
	CHECK(json_object_get(configuration_entries(whole, "$edgeAgent"), "properties.desired"));
	CHECK(!configuration_entries(whole, "m"));
}

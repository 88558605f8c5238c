/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations: what is taken, what follows from it for twins, and what is found again after a stop at any point. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/automation/configurations.h"
#include "hub/twins/twin_index.h"
#include "t.h"
#include "wire/json.h"

struct fixture {
	char path[128];
	struct registry_store *store;
	struct registry *registry;
	struct twins *twins;
	struct configurations *configurations;
};

static void
fixture_open(struct fixture *f)
{
	struct err err = ERR_INIT;

	f->store = registry_store_open(f->path, &err);
	f->registry = f->store ? registry_open(f->store, NULL, &err) : NULL;
	if (!f->registry || twin_index_open(f->store, NULL, 0, &err) < 0)
		fail_msg("%s", err.text);
	f->twins = twins_new(f->registry);
	f->configurations = configurations_open(f->registry, f->twins, NULL, NULL, NULL, 0, &err);
	if (!f->configurations)
		fail_msg("%s", err.text);
}

static void
fixture_close(struct fixture *f)
{
	configurations_close(f->configurations);
	twins_free(f->twins);
	registry_close(f->registry);
	registry_store_close(f->store);
}

static struct fixture
fixture_new(void)
{
	struct fixture f = { 0 };
	static int n;

	snprintf(f.path, sizeof(f.path), "%s/configuration-%d.sqlite", T_TMPDIR, n++);
	fixture_open(&f);
	return f;
}

static void
run_all(struct fixture *f)
{
	for (int i = 0; configurations_step(f->configurations, 1000); i++)
		if (i > 100)
			fail_msg("there is no end of it");
}

static void
add_identity(struct fixture *f, const char *device_id, const char *module_id, bool is_edge)
{
	struct registry_call call = { .op = REGISTRY_PUT, .device_id = mem_text(device_id), .module_id = mem_text(module_id) };

	call.wanted = identity_new(device_id, module_id);
	call.wanted->enabled = true;
	call.wanted->is_edge = is_edge;
	registry_run(f->registry, &call);
	CHECK_INT(call.answer, REGISTRY_OK);
	registry_call_clear(&call);
}

static json_t *
parse(const char *text)
{
	struct err err = ERR_INIT;
	json_t *json = json_parse(text, strlen(text), &err);

	if (!json)
		fail_msg("%s: %s", text, err.text);
	return json;
}

static void
set_tags(struct fixture *f, const char *device_id, const char *tags)
{
	struct twin_call call = { .device_id = mem_text(device_id), .tags = parse(tags) };

	twins_run(f->twins, &call);
	CHECK_INT(call.answer, TWIN_OK);
	twin_call_clear(&call);
}

static char *
desired_of(struct fixture *f, const char *device_id, const char *module_id)
{
	struct twin_call call = { .device_id = mem_text(device_id), .module_id = mem_text(module_id) };
	char *text;

	twins_run(f->twins, &call);
	if (call.answer != TWIN_OK)
		fail_msg("%s", call.err.text);
	text = json_line(call.twin->desired.values);
	twin_call_clear(&call);
	return text;
}

static void
check_desired(struct fixture *f, const char *device_id, const char *module_id, const char *wanted)
{
	OWN_TEXT got = desired_of(f, device_id, module_id);
	OWN_LIB(json_t) is = parse(got);
	OWN_LIB(json_t) expected = parse(wanted);

	if (!json_equal(is, expected))
		fail_msg("%s has %s, not %s", device_id, got, wanted);
}

static enum configuration_answer
put(struct fixture *f, const char *id, const char *body, const char *if_match)
{
	struct configuration_call call = {
		.op = CONFIGURATION_PUT, .id = mem_text(id), .body = parse(body), .if_match = mem_text(if_match)
	};
	enum configuration_answer answer;

	configurations_run(f->configurations, &call);
	answer = call.answer;
	configuration_call_clear(&call);
	return answer;
}

static enum configuration_answer
drop(struct fixture *f, const char *id)
{
	struct configuration_call call = { .op = CONFIGURATION_REMOVE, .id = mem_text(id) };
	enum configuration_answer answer;

	configurations_run(f->configurations, &call);
	answer = call.answer;
	configuration_call_clear(&call);
	return answer;
}

static void
check_counts(struct fixture *f, const char *id, int targeted, int applied)
{
	struct configuration_call call = { .op = CONFIGURATION_GET, .id = mem_text(id) };
	const json_t *results;

	configurations_run(f->configurations, &call);
	CHECK_INT(call.answer, CONFIGURATION_OK);
	results = json_object_get(json_object_get(call.result, "systemMetrics"), "results");
	CHECK_INT(json_integer_value(json_object_get(results, "targetedCount")), targeted);
	CHECK_INT(json_integer_value(json_object_get(results, "appliedCount")), applied);
	configuration_call_clear(&call);
}

static const char north[] = "{\"content\": {\"deviceContent\": {\"properties.desired.rate\": 10}}, \"targetCondition\": "
			    "\"tags.site = 'north'\", \"priority\": 5}";
static const char urgent[] = "{\"content\": {\"deviceContent\": {\"properties.desired.rate\": 1, \"properties.desired.alarm.on\": "
			     "true}}, \"targetCondition\": \"tags.urgent\", "
			     "\"priority\": 9}";

TEST("twins that meet the condition get the content, those that begin to get it later, those that cease to lose it")
{
	struct fixture f = fixture_new();

	add_identity(&f, "a", NULL, false);
	add_identity(&f, "b", NULL, false);
	set_tags(&f, "a", "{\"site\": \"north\"}");
	CHECK_INT(put(&f, "north", north, NULL), CONFIGURATION_OK);
	run_all(&f);
	check_desired(&f, "a", NULL, "{\"rate\":10}");
	check_desired(&f, "b", NULL, "{}");
	check_counts(&f, "north", 1, 1);
	set_tags(&f, "b", "{\"site\": \"north\"}");
	run_all(&f);
	check_desired(&f, "b", NULL, "{\"rate\":10}");
	set_tags(&f, "a", "{\"site\": \"south\"}");
	run_all(&f);
	check_desired(&f, "a", NULL, "{}");
	check_counts(&f, "north", 1, 1);
	fixture_close(&f);
}

TEST("the highest priority counts, and what it leaves alone is taken over by the next")
{
	struct fixture f = fixture_new();

	add_identity(&f, "a", NULL, false);
	set_tags(&f, "a", "{\"site\": \"north\", \"urgent\": true}");
	put(&f, "north", north, NULL);
	put(&f, "urgent", urgent, NULL);
	run_all(&f);
	check_desired(&f, "a", NULL, "{\"rate\":1,\"alarm\":{\"on\":true}}");
	check_counts(&f, "north", 1, 0);
	check_counts(&f, "urgent", 1, 1);
	set_tags(&f, "a", "{\"urgent\": false}");
	run_all(&f);
	check_desired(&f, "a", NULL, "{\"rate\":10,\"alarm\":{}}");
	check_counts(&f, "north", 1, 1);
	fixture_close(&f);
}

TEST("another condition moves the content, and deleting the configuration takes it back")
{
	struct fixture f = fixture_new();
	static const char south[] = "{\"targetCondition\": \"tags.site = 'south'\"}";

	add_identity(&f, "a", NULL, false);
	add_identity(&f, "b", NULL, false);
	set_tags(&f, "a", "{\"site\": \"north\"}");
	set_tags(&f, "b", "{\"site\": \"south\"}");
	put(&f, "north", north, NULL);
	run_all(&f);
	CHECK_INT(put(&f, "north", south, "*"), CONFIGURATION_OK);
	run_all(&f);
	check_desired(&f, "a", NULL, "{}");
	check_desired(&f, "b", NULL, "{\"rate\":10}");
	CHECK_INT(drop(&f, "north"), CONFIGURATION_OK);
	CHECK_INT(drop(&f, "north"), CONFIGURATION_MISSING);
	run_all(&f);
	check_desired(&f, "b", NULL, "{}");
	fixture_close(&f);
}

TEST("a new device, and a stop before anything was applied, are caught up with")
{
	struct fixture f = fixture_new();
	static const char all[] =
		"{\"content\": {\"deviceContent\": {\"properties.desired.x\": {\"y\": 1}}}, \"targetCondition\": \"*\"}";

	add_identity(&f, "a", NULL, false);
	put(&f, "all", all, NULL);
	fixture_close(&f);
	fixture_open(&f);
	run_all(&f);
	check_desired(&f, "a", NULL, "{\"x\":{\"y\":1}}");
	add_identity(&f, "b", NULL, false);
	run_all(&f);
	check_desired(&f, "b", NULL, "{\"x\":{\"y\":1}}");
	drop(&f, "all");
	fixture_close(&f);
	fixture_open(&f);
	run_all(&f);
	check_desired(&f, "a", NULL, "{}");
	fixture_close(&f);
}

TEST("a deployment is for gateways, and layers of a higher priority lie on top of it")
{
	struct fixture f = fixture_new();
	static const char base[] = "{\"content\": {\"modulesContent\": {\"$edgeAgent\": {\"properties.desired\": {\"modules\": "
				   "{\"m1\": {}}}}, \"$edgeHub\": "
				   "{\"properties.desired\": {\"routes\": {}}}}}, \"targetCondition\": \"*\", \"priority\": 1}";
	static const char layer[] = "{\"content\": {\"modulesContent\": {\"$edgeAgent\": {\"properties.desired.modules.m2\": "
				    "{}}}}, \"targetCondition\": \"*\", "
				    "\"priority\": 2}";
	static const char under[] = "{\"content\": {\"modulesContent\": {\"$edgeAgent\": {\"properties.desired.modules.m3\": "
				    "{}}}}, \"targetCondition\": \"*\"}";

	add_identity(&f, "gw", NULL, true);
	add_identity(&f, "leaf", NULL, false);
	CHECK_INT(put(&f, "base", base, NULL), CONFIGURATION_OK);
	CHECK_INT(put(&f, "layer", layer, NULL), CONFIGURATION_OK);
	CHECK_INT(put(&f, "under", under, NULL), CONFIGURATION_OK);
	run_all(&f);
	check_desired(&f, "gw", "$edgeAgent", "{\"modules\":{\"m1\":{},\"m2\":{}}}");
	check_desired(&f, "gw", "$edgeHub", "{\"routes\":{}}");
	check_counts(&f, "base", 1, 1);
	check_counts(&f, "layer", 1, 1);
	check_counts(&f, "under", 1, 0);
	fixture_close(&f);
}

TEST("a module's configuration may say that it is from devices.modules")
{
	struct fixture f = fixture_new();
	static const char modules[] = "{\"content\": {\"moduleContent\": {\"properties.desired.rate\": 3}}, \"targetCondition\": "
				      "\"from devices.modules\\nwhere moduleId = 'm'\"}";
	static const char devices[] = "{\"content\": {\"moduleContent\": {\"properties.desired.rate\": 3}}, \"targetCondition\": "
				      "\"from devices where deviceId = 'd'\"}";

	add_identity(&f, "d", NULL, false);
	add_identity(&f, "d", "m", false);
	add_identity(&f, "d", "n", false);
	CHECK_INT(put(&f, "modules", modules, NULL), CONFIGURATION_OK);
	CHECK_INT(put(&f, "devices", devices, NULL), CONFIGURATION_BAD_CONDITION);
	run_all(&f);
	check_desired(&f, "d", "m", "{\"rate\":3}");
	check_desired(&f, "d", "n", "{}");
	fixture_close(&f);
}

TEST("what is no configuration is refused by its reason")
{
	struct fixture f = fixture_new();
	static const struct {
		const char *body;
		enum configuration_answer answer;
	} rows[] = {
		{ "{}", CONFIGURATION_BAD_CONTENT },
		{ "{\"content\": {\"deviceContent\": {\"tags.a\": 1}}}", CONFIGURATION_BAD_CONTENT },
		{ "{\"content\": {\"deviceContent\": {\"properties.desired.a\": 1}}, \"targetCondition\": \"a = = 1\"}",
			CONFIGURATION_BAD_CONDITION },
		{ "{\"content\": {\"deviceContent\": {\"properties.desired.a\": 1}}, \"targetCondition\": 1}",
			CONFIGURATION_BAD_CONDITION },
		{ "{\"content\": {\"deviceContent\": {\"properties.desired.a\": 1}}, \"metrics\": {\"queries\": {\"q\": \"x\"}}}",
			CONFIGURATION_BAD_METRIC },
		{ "{\"content\": {\"deviceContent\": {\"properties.desired.a\": 1}}, \"priority\": -1}", CONFIGURATION_INVALID },
		{ "{\"content\": {\"deviceContent\": {\"properties.desired.a\": 1}}, \"labels\": 1}", CONFIGURATION_INVALID },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (put(&f, "c", rows[i].body, NULL) != rows[i].answer)
			fail_msg("%s", rows[i].body);
	CHECK_INT(put(&f, "c", north, "*"), CONFIGURATION_MISSING);
	CHECK_INT(put(&f, "c", north, NULL), CONFIGURATION_OK);
	CHECK_INT(put(&f, "c", north, NULL), CONFIGURATION_EXISTS);
	CHECK_INT(put(&f, "c", north, "x"), CONFIGURATION_WRONG_ETAG);
	CHECK_INT(put(&f, "c", urgent, "*"), CONFIGURATION_IMMUTABLE);
	for (int i = 1; i < CONFIGURATIONS_MAX; i++) {
		OWN_TEXT id = mem_textf("c%d", i);

		CHECK_INT(put(&f, id, north, NULL), CONFIGURATION_OK);
	}
	CHECK_INT(put(&f, "one-more", north, NULL), CONFIGURATION_TOO_MANY);
	fixture_close(&f);
}

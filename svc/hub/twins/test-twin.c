/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on twins: preconditions, what is kept, who is told, transactions of several. */
#include "base/mem.h"
#include "base/text.h"
#include "hub/registry/registry.h"
#include "hub/twins/twin.h"
#include "hub/twins/twin_store.h"
#include "t.h"
#include "wire/json.h"

/* dev1 and its module m in a file of their own; calls run on the test's thread. */
struct fixture {
	char path[128];
	struct registry_store *store;
	struct registry *registry;
	struct twins *twins;
	char told[1024]; /* what the watcher heard, a line a change */
};

static void
on_change(void *arg, const struct twin_event *event)
{
	struct fixture *f = arg;
	OWN_LIB(json_t) json = twin_event_json(event);
	json_t *properties = json_object_get(json, "properties"), *section;
	OWN_TEXT line = NULL;
	const char *name;
	size_t len = strlen(f->told);

	json_object_foreach(properties, name, section) { /* of the metadata only what it mirrors: there are times in it */
		json_t *meta = json_object_get(section, "$metadata"), *names = json_array(), *value;
		const char *key;

		json_object_foreach(meta, key, value)
			if (*key != '$')
				json_array_append_new(names, json_string(key));
		CHECK(json_object_get(meta, "$lastUpdated"));
		json_object_set_new(section, "$metadata", names);
	}
	line = json_line(json);
	snprintf(f->told + len, sizeof(f->told) - len, "%s%s%s\n", event->identity->module_id ? event->identity->module_id : "",
		event->change->replace ? "=" : "+", line);
}

static void
fixture_open(struct fixture *f)
{
	struct err err = ERR_INIT;

	f->store = registry_store_open(f->path, &err);
	f->registry = f->store ? registry_open(f->store, NULL, &err) : NULL;
	if (!f->registry)
		fail_msg("%s", err.text);
	f->twins = twins_new(f->registry);
	twins_watch(f->twins, on_change, f);
}

static void
fixture_close(struct fixture *f)
{
	twins_free(f->twins);
	registry_close(f->registry);
	registry_store_close(f->store);
}

static void
registry_do(struct fixture *f, enum registry_op op, const char *device_id, const char *module_id)
{
	struct registry_call call = { .op = op,
		.device_id = mem_text(device_id),
		.module_id = mem_text(module_id),
		.wanted = op == REGISTRY_PUT ? identity_new(device_id, module_id) : NULL };

	registry_run(f->registry, &call);
	CHECK_INT(call.answer, REGISTRY_OK);
	registry_call_clear(&call);
}

static void
fixture_new(struct fixture *f)
{
	static int n;

	*f = (struct fixture){ 0 };
	snprintf(f->path, sizeof(f->path), "%s/twin-%d.sqlite", T_TMPDIR, n++);
	fixture_open(f);
	registry_do(f, REGISTRY_PUT, "dev1", NULL);
	registry_do(f, REGISTRY_PUT, "dev1", "m");
}

static json_t *
parsed(const char *text)
{
	struct err err = ERR_INIT;

	return text ? json_parse(text, strlen(text), &err) : NULL;
}

static struct twin_call
call_for(const char *module_id, const char *tags, const char *desired, const char *reported)
{
	return (struct twin_call){ .device_id = mem_text("dev1"),
		.module_id = mem_text(module_id),
		.tags = parsed(tags),
		.desired = parsed(desired),
		.reported = parsed(reported) };
}

static enum twin_answer
run(struct fixture *f, struct twin_call call)
{
	enum twin_answer answer;

	twins_run(f->twins, &call);
	answer = call.answer;
	CHECK(answer == TWIN_OK || call.err.text[0]);
	twin_call_clear(&call);
	return answer;
}

/* The twin of dev1 or its module as the device sees it, and its tags. */
static void
check_twin(struct fixture *f, const char *module_id, const char *want)
{
	struct twin_call call = call_for(module_id, NULL, NULL, NULL);
	OWN_LIB(json_t) view = NULL;
	OWN_TEXT got = NULL;

	twins_run(f->twins, &call);
	CHECK_INT(call.answer, TWIN_OK);
	view = twin_device_view(call.twin);
	json_object_set(view, "tags", call.twin->tags);
	got = json_line(view);
	CHECK_STR(got, want);
	twin_call_clear(&call);
}

static char *
etag_now(struct fixture *f)
{
	struct twin_call call = call_for(NULL, NULL, NULL, NULL);
	char *etag;

	twins_run(f->twins, &call);
	etag = mem_text(call.twin->etag);
	twin_call_clear(&call);
	return etag;
}

TEST("an identity has an empty twin of version 1 before anybody has written to it")
{
	struct fixture f;

	fixture_new(&f);
	check_twin(&f, NULL, "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1},\"tags\":{}}");
	fixture_close(&f);
}

TEST("what was written is there after the file was opened again, each twin for itself")
{
	struct fixture f;

	fixture_new(&f);
	CHECK_INT(run(&f, call_for(NULL, "{\"t\":1}", "{\"d\":2}", NULL)), TWIN_OK);
	CHECK_INT(run(&f, call_for(NULL, NULL, NULL, "{\"r\":\"\u00e4\"}")), TWIN_OK);
	CHECK_INT(run(&f, call_for("m", NULL, "{\"of\":\"m\"}", NULL)), TWIN_OK);
	fixture_close(&f);
	fixture_open(&f);
	check_twin(&f, NULL,
		"{\"desired\":{\"d\":2,\"$version\":2},\"reported\":{\"r\":\"\u00e4\",\"$version\":2},\"tags\":{\"t\":1}}");
	check_twin(&f, "m", "{\"desired\":{\"of\":\"m\",\"$version\":2},\"reported\":{\"$version\":1},\"tags\":{}}");
	fixture_close(&f);
}

TEST("an etag that is no longer the twin's refuses the change; reported properties do not touch it")
{
	struct fixture f;
	struct twin_call call = call_for(NULL, NULL, "{\"a\":2}", NULL);
	OWN_TEXT first = NULL;
	OWN_TEXT second = NULL;
	OWN_TEXT third = NULL;

	fixture_new(&f);
	first = etag_now(&f);
	call.if_match = mem_text(first);
	CHECK_INT(run(&f, call), TWIN_OK);
	second = etag_now(&f);
	CHECK(!text_is(first, second));
	call = call_for(NULL, NULL, "{\"a\":3}", NULL);
	call.if_match = mem_text(first);
	CHECK_INT(run(&f, call), TWIN_WRONG_ETAG);
	call = call_for(NULL, NULL, NULL, "{\"r\":1}");
	CHECK_INT(run(&f, call), TWIN_OK);
	third = etag_now(&f);
	CHECK_STR(third, second);
	call = call_for(NULL, "{\"t\":1}", NULL, NULL);
	call.if_match = mem_text("*");
	CHECK_INT(run(&f, call), TWIN_OK);
	check_twin(&f, NULL, "{\"desired\":{\"a\":2,\"$version\":2},\"reported\":{\"r\":1,\"$version\":2},\"tags\":{\"t\":1}}");
	fixture_close(&f);
}

TEST("a report that names another version than the present one is refused")
{
	struct fixture f;
	struct twin_call call = call_for(NULL, NULL, NULL, "{\"a\":1}");

	fixture_new(&f);
	call.if_version = 1;
	CHECK_INT(run(&f, call), TWIN_OK);
	call = call_for(NULL, NULL, NULL, "{\"a\":2}");
	call.if_version = 1;
	CHECK_INT(run(&f, call), TWIN_WRONG_VERSION);
	check_twin(&f, NULL, "{\"desired\":{\"$version\":1},\"reported\":{\"a\":1,\"$version\":2},\"tags\":{}}");
	fixture_close(&f);
}

TEST("there is no twin without its identity, and it is deleted with it")
{
	struct fixture f;
	struct twin_call call = call_for("nobody", NULL, NULL, NULL);

	fixture_new(&f);
	CHECK_INT(run(&f, call), TWIN_NO_MODULE);
	CHECK_INT(run(&f, call_for("m", NULL, "{\"a\":1}", NULL)), TWIN_OK);
	CHECK_INT(run(&f, call_for(NULL, NULL, "{\"a\":1}", NULL)), TWIN_OK);
	registry_do(&f, REGISTRY_REMOVE, "dev1", NULL);
	CHECK_INT(run(&f, call_for(NULL, NULL, "{\"a\":1}", NULL)), TWIN_NO_DEVICE);
	CHECK_INT(run(&f, call_for("m", NULL, "{\"a\":1}", NULL)), TWIN_NO_DEVICE);
	registry_do(&f, REGISTRY_PUT, "dev1", NULL);
	registry_do(&f, REGISTRY_PUT, "dev1", "m");
	check_twin(&f, NULL, "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1},\"tags\":{}}");
	check_twin(&f, "m", "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1},\"tags\":{}}");
	fixture_close(&f);
}

TEST("a report of a device that was deleted and made again meanwhile changes nothing")
{
	struct fixture f;
	struct twin_call call = call_for(NULL, NULL, NULL, "{\"a\":1}");
	OWN(identity) before = NULL;

	fixture_new(&f);
	before = registry_find(f.registry, "dev1", NULL);
	registry_do(&f, REGISTRY_REMOVE, "dev1", NULL);
	registry_do(&f, REGISTRY_PUT, "dev1", NULL);
	call.generation_id = mem_text(before->generation_id);
	CHECK_INT(run(&f, call), TWIN_GONE);
	check_twin(&f, NULL, "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1},\"tags\":{}}");
	fixture_close(&f);
}

TEST("who watches hears each change in order, a refused one not at all")
{
	struct fixture f;
	struct twin_call call = call_for(NULL, "{\"t\":1}", NULL, NULL);

	fixture_new(&f);
	CHECK_INT(run(&f, call_for(NULL, NULL, "{\"a\":1,\"b\":null}", NULL)), TWIN_OK);
	CHECK_INT(run(&f, call_for("m", NULL, NULL, "{\"r\":1}")), TWIN_OK);
	CHECK_INT(run(&f, call_for(NULL, NULL, "{\"a.b\":1}", NULL)), TWIN_INVALID);
	call.replace = true;
	CHECK_INT(run(&f, call), TWIN_OK);
	call = call_for(NULL, NULL, NULL, NULL);
	call.model_id = mem_text("dtmi:x;1");
	CHECK_INT(run(&f, call), TWIN_OK);
	CHECK_STR(f.told,
		"+{\"version\":2,\"properties\":{\"desired\":{\"a\":1,\"b\":null,\"$metadata\":[\"a\"],\"$version\":2}}}\n"
		"m+{\"version\":2,\"properties\":{\"reported\":{\"r\":1,\"$metadata\":[\"r\"],\"$version\":2}}}\n"
		"={\"version\":3,\"tags\":{\"t\":1}}\n");
	fixture_close(&f);
}

TEST("the model that a device named at its connection is kept, and named again it is no change")
{
	struct fixture f;
	struct twin_call call = call_for(NULL, NULL, NULL, NULL);

	fixture_new(&f);
	call.model_id = mem_text("dtmi:x;1");
	CHECK_INT(run(&f, call), TWIN_OK);
	call = call_for(NULL, NULL, NULL, NULL);
	call.model_id = mem_text("dtmi:x;1");
	twins_run(f.twins, &call);
	CHECK_STR(call.twin->model_id, "dtmi:x;1");
	CHECK_INT(call.twin->version, 2);
	twin_call_clear(&call);
	fixture_close(&f);
}

/* In a transaction of ours; which of them said no, or n. */
static size_t
run_all(struct fixture *f, struct twin_call *calls, size_t n)
{
	struct err err = ERR_INIT;
	size_t i;

	CHECK_OK(registry_store_begin(f->store, &err), err);
	for (i = 0; i < n; i++) {
		twins_try(f->twins, &calls[i]);
		if (calls[i].answer != TWIN_OK)
			break;
	}
	CHECK_STR(f->told, "");
	registry_store_end(f->store, i == n ? 0 : -1, &err);
	for (size_t k = 0; k < n && i == n; k++)
		twins_settle(f->twins, &calls[k], NULL);
	return i;
}

TEST("several twins are changed together or not at all, and told of afterwards")
{
	struct fixture f;
	struct twin_call calls[2];

	fixture_new(&f);
	calls[0] = call_for(NULL, NULL, "{\"a\":1}", NULL);
	calls[1] = call_for("nobody", NULL, "{\"a\":1}", NULL);
	CHECK_INT(run_all(&f, calls, 2), 1);
	CHECK_INT(calls[1].answer, TWIN_NO_MODULE);
	check_twin(&f, NULL, "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1},\"tags\":{}}");
	CHECK_STR(f.told, "");
	twin_call_clear(&calls[0]);
	twin_call_clear(&calls[1]);
	calls[0] = call_for(NULL, NULL, "{\"a\":1}", NULL);
	calls[1] = call_for("m", NULL, "{\"a\":2}", NULL);
	calls[1].replace = true;
	CHECK_INT(run_all(&f, calls, 2), 2);
	CHECK_CONTAINS(f.told, "\nm=");
	check_twin(&f, "m", "{\"desired\":{\"a\":2,\"$version\":2},\"reported\":{\"$version\":1},\"tags\":{}}");
	twin_call_clear(&calls[0]);
	twin_call_clear(&calls[1]);
	fixture_close(&f);
}

TEST("a twin that is no JSON in the file any more is reported as damage")
{
	struct fixture f;
	struct err err = ERR_INIT;
	struct twin_call call = call_for(NULL, NULL, NULL, NULL);

	fixture_new(&f);
	CHECK_INT(run(&f, call_for(NULL, NULL, "{\"a\":1}", NULL)), TWIN_OK);
	CHECK_INT(db_run(registry_store_db(f.store), &err, "UPDATE twin SET desired = '{\"a\":'", ""), 0);
	twins_run(f.twins, &call);
	CHECK_INT(call.answer, TWIN_FAILED);
	CHECK_CONTAINS(call.err.text, "is damaged: the twin of dev1");
	twin_call_clear(&call);
	fixture_close(&f);
}

struct together {
	struct fixture *f;
	struct twin_call *call;
};

static int
change_too(void *arg, struct err *err)
{
	struct together *together = arg;

	(void)err;
	twins_try(together->f->twins, together->call);
	return together->call->answer == TWIN_OK ? 0 : -1;
}

static enum registry_answer
make_with_twin(struct fixture *f, const char *module_id, const char *desired)
{
	struct twin_call twin = call_for(module_id, NULL, desired, NULL);
	struct together together = { f, &twin };
	struct registry_call call = { .op = REGISTRY_PUT,
		.device_id = mem_text("dev1"),
		.module_id = mem_text(module_id),
		.wanted = identity_new("dev1", module_id),
		.also = change_too,
		.also_arg = &together };
	enum registry_answer answer;

	registry_run(f->registry, &call);
	answer = call.answer;
	twins_settle(f->twins, &twin, answer == REGISTRY_OK ? NULL : &call.err);
	registry_call_clear(&call);
	twin_call_clear(&twin);
	return answer;
}

TEST("a module and its twin are made together, or neither is")
{
	struct fixture f;
	OWN(identity) made = NULL;

	fixture_new(&f);
	CHECK_INT(make_with_twin(&f, "n", "{\"a.b\":1}"), REGISTRY_FAILED);
	CHECK(!registry_find(f.registry, "dev1", "n"));
	fixture_close(&f);
	fixture_open(&f);
	CHECK(!registry_find(f.registry, "dev1", "n"));
	CHECK_INT(make_with_twin(&f, "n", "{\"a\":1}"), REGISTRY_OK);
	made = registry_find(f.registry, "dev1", "n");
	CHECK(made);
	check_twin(&f, "n", "{\"desired\":{\"a\":1,\"$version\":2},\"reported\":{\"$version\":1},\"tags\":{}}");
	fixture_close(&f);
}

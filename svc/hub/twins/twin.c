/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and changing twins (twin.h).  A call finds the identity and its twin, makes the twin that is wanted, and puts it, as a step of a transaction that it shares with
 * others.  Watchers are told when that is committed, while the worker can do nothing else: so they hear versions in order. */
#include "hub/twins/twin.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/twins/twin_store.h"
#include "wire/json.h"

struct twins {
	struct registry *registry;
	struct {
		void (*changed)(void *arg, const struct twin_event *event);
		void *arg;
	} watcher[TWIN_WATCHERS_MAX];
	size_t n_watchers;
	int (*record)(void *arg, const struct twin_event *event, struct err *err);
	void *record_arg;
};

struct twins *
twins_new(struct registry *registry)
{
	struct twins *twins = NEW(twins);

	twins->registry = registry;
	return twins;
}

void
twins_free(struct twins *twins)
{
	mem_free(twins);
}

void
twins_watch(struct twins *twins, void (*changed)(void *arg, const struct twin_event *event), void *arg)
{
	if (twins->n_watchers == TWIN_WATCHERS_MAX)
		abort(); /* they are counted in hub.c */
	twins->watcher[twins->n_watchers].changed = changed;
	twins->watcher[twins->n_watchers++].arg = arg;
}

void
twins_record(struct twins *twins, int (*record)(void *arg, const struct twin_event *event, struct err *err), void *arg)
{
	twins->record = record;
	twins->record_arg = arg;
}

/* -- One change ------------------------------------------------------------------------------------------------------------------------ */

static struct twin_change
change_of(const struct twin_call *call)
{
	return (struct twin_change){
		.tags = call->tags, .desired = call->desired, .reported = call->reported, .replace = call->replace
	};
}

static bool
writes(const struct twin_call *call)
{
	return call->tags || call->desired || call->reported;
}

static bool
has_change(const struct twin_call *call)
{
	return writes(call) || call->model_id;
}

static enum twin_answer
no(struct twin_call *call, enum twin_answer answer, const char *sentence)
{
	(void)err_set(&call->err, ERR_CONFLICT, "%s", sentence);
	return answer;
}

/* What the transaction itself has made is not in memory yet. */
static struct identity *
find_module(struct twins *twins, struct twin_call *call)
{
	struct identity *found = registry_find(twins->registry, call->device_id, call->module_id);
	struct err err = ERR_INIT;

	if (!found && registry_store_find(registry_store_of(twins->registry), call->device_id, call->module_id, &found, &err) < 0)
		return NULL;
	return found;
}

static enum twin_answer
find_identity(struct twins *twins, struct twin_call *call)
{
	OWN(identity) device = registry_find(twins->registry, call->device_id, NULL);

	call->identity = call->module_id ? find_module(twins, call) : GIVE(device);
	if (call->identity && call->generation_id && !text_is(call->generation_id, call->identity->generation_id))
		return no(call, TWIN_GONE, "this identity was deleted");
	if (call->identity)
		return TWIN_OK;
	return device ? no(call, TWIN_NO_MODULE, "there is no such module") : no(call, TWIN_NO_DEVICE, "there is no such device");
}

static enum twin_answer
check_match(struct twin_call *call)
{
	if (call->if_match && !text_is(call->if_match, "*") && !text_is(call->if_match, call->twin->etag))
		return no(call, TWIN_WRONG_ETAG, "the etag is not that of the twin as it is");
	if (call->if_version != 0 && call->if_version != call->twin->reported.version)
		return no(call, TWIN_WRONG_VERSION, "the version is not that of the reported properties as they are");
	return TWIN_OK;
}

static enum twin_answer
apply(struct twin_call *call, struct twin *after)
{
	struct twin_change change = change_of(call);

	if (twin_apply(after, &change, clock_wall_ms(), &call->err) < 0)
		return call->err.kind == ERR_LIMIT ? TWIN_TOO_LARGE : TWIN_INVALID;
	if (call->tags || call->desired) {
		mem_free(after->etag);
		after->etag = twin_store_etag();
	}
	if (call->model_id) {
		mem_free(after->model_id);
		after->model_id = mem_text(call->model_id);
	}
	return TWIN_OK;
}

static enum twin_answer
change(struct db *db, struct twin_call *call)
{
	OWN(twin) after = NULL;
	enum twin_answer answer = check_match(call);

	if (answer != TWIN_OK)
		return answer;
	after = twin_copy(call->twin);
	answer = apply(call, after);
	if (answer != TWIN_OK)
		return answer;
	if (twin_store_put(db, call->device_id, call->module_id, call->twin, after, &call->err) < 0)
		return TWIN_FAILED;
	call->before = call->twin;
	call->twin = GIVE(after);
	return TWIN_OK;
}

/* A device says its model at each connection: most often the one that is known. */
static void
forget_known_model(struct twin_call *call)
{
	if (!call->model_id || !text_is(call->model_id, call->twin->model_id))
		return;
	mem_free(call->model_id);
	call->model_id = NULL;
}

static enum twin_answer
find_and_change(struct twins *twins, struct twin_call *call)
{
	struct db *db = registry_store_db(registry_store_of(twins->registry));
	enum twin_answer answer = find_identity(twins, call);

	if (answer != TWIN_OK)
		return answer;
	call->twin = twin_store_get(db, call->device_id, call->module_id, &call->err);
	if (!call->twin)
		return TWIN_FAILED;
	forget_known_model(call);
	return has_change(call) ? change(db, call) : TWIN_OK;
}

static struct twin_event
event_of(const struct twin_call *call, const struct twin_change *wanted)
{
	return (struct twin_event){ .identity = call->identity, .before = call->before, .after = call->twin, .change = wanted };
}

static enum twin_answer
write_down(struct twins *twins, struct twin_call *call)
{
	struct twin_change wanted = change_of(call);
	struct twin_event event = event_of(call, &wanted);

	if (!twins->record || !call->before || !writes(call) || twins->record(twins->record_arg, &event, &call->err) == 0)
		return TWIN_OK;
	return TWIN_FAILED;
}

/* -- Transactions ------------------------------------------------------------------------------------------------------------------------ */

void
twins_try(struct twins *twins, struct twin_call *call)
{
	struct registry_store *store = registry_store_of(twins->registry);

	call->answer = TWIN_FAILED;
	if (registry_store_begin(store, &call->err) < 0)
		return;
	call->answer = find_and_change(twins, call);
	if (call->answer == TWIN_OK)
		call->answer = write_down(twins, call);
	if (registry_store_end(store, call->answer == TWIN_OK ? 0 : -1, &call->err) < 0 && call->answer == TWIN_OK)
		call->answer = TWIN_FAILED;
}

static void
tell(struct twins *twins, const struct twin_call *call)
{
	struct twin_change wanted = change_of(call);
	struct twin_event event = event_of(call, &wanted);

	for (size_t i = 0; i < twins->n_watchers; i++)
		twins->watcher[i].changed(twins->watcher[i].arg, &event);
}

/* What was only read is as undone as what was written: it may be what a step before it wrote. */
void
twins_settle(struct twins *twins, struct twin_call *call, const struct err *problem)
{
	if (problem) {
		call->answer = TWIN_FAILED;
		call->err = *problem;
	} else if (call->answer == TWIN_OK && call->before && writes(call)) {
		tell(twins, call);
	}
	twin_free(call->before);
	call->before = NULL;
}

/* -- Calls ---------------------------------------------------------------------------------------------------------------------------------- */

static void
run_step(struct registry_step *step)
{
	struct twin_call *call = CONTAINER_OF(step, struct twin_call, step);

	twins_try(call->twins, call);
}

static void
settle_step(struct registry_step *step, const struct err *problem)
{
	struct twin_call *call = CONTAINER_OF(step, struct twin_call, step);

	twins_settle(call->twins, call, problem);
}

static void
step_done(struct registry_step *step)
{
	struct twin_call *call = CONTAINER_OF(step, struct twin_call, step);

	call->done(call);
}

static struct registry_step *
step_of(struct twins *twins, struct twin_call *call)
{
	call->twins = twins;
	call->step = (struct registry_step){ .run = run_step, .settle = settle_step, .done = step_done };
	return &call->step;
}

bool
twins_submit(struct twins *twins, struct twin_call *call, struct owner *owner)
{
	return registry_step(twins->registry, step_of(twins, call), owner);
}

void
twins_run(struct twins *twins, struct twin_call *call)
{
	registry_step_now(twins->registry, step_of(twins, call));
}

void
twin_call_clear(struct twin_call *call)
{
	mem_free(call->device_id);
	mem_free(call->module_id);
	mem_free(call->generation_id);
	mem_free(call->model_id);
	mem_free(call->if_match);
	json_decref(call->tags);
	json_decref(call->desired);
	json_decref(call->reported);
	identity_free(call->identity);
	twin_free(call->twin);
	twin_free(call->before);
	*call = (struct twin_call){ 0 };
}

/* -- For the log of changes ---------------------------------------------------------------------------------------------------------------- */

/* The part of the metadata that mirrors what was written. */
static json_t *
written_meta(json_t *written, json_t *meta)
{
	json_t *out = json_object(), *value, *inner;
	const char *key;

	json_object_foreach(meta, key, value) {
		inner = json_object_get(written, key);
		if (json_is_object(inner))
			json_object_set_new(out, key, written_meta(inner, value));
		else if (inner || *key == '$')
			json_object_set(out, key, value);
	}
	return out;
}

static void
put_tags(json_t *into, const struct twin_event *event)
{
	json_t *written = event->change->tags;

	if (written)
		json_object_set(into, "tags", event->change->replace || !json_is_object(written) ? event->after->tags : written);
}

static void
put_section(json_t *into, const char *name, json_t *written, bool replaced, const struct twin_section *after)
{
	json_t *section;

	if (!written)
		return;
	if (replaced || !json_is_object(written))
		written = after->values;
	section = json_deep_copy(written);
	json_object_set_new(section, "$metadata", written_meta(written, after->meta));
	json_object_set_new(section, "$version", json_integer(after->version));
	json_object_set_new(into, name, section);
}

json_t *
twin_event_json(const struct twin_event *event)
{
	const struct twin_change *change = event->change;
	const struct twin *after = event->after;
	json_t *json = json_pack("{s:I}", "version", (json_int_t)after->version), *properties = json_object();

	put_tags(json, event);
	put_section(properties, "desired", change->desired, change->replace, &after->desired);
	put_section(properties, "reported", change->reported, change->replace, &after->reported);
	if (json_object_size(properties) > 0)
		json_object_set(json, "properties", properties);
	json_decref(properties);
	return json;
}

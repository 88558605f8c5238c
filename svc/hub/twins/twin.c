/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and changing twins (twin.h).  A call finds the identity and its twin, makes the twin that is wanted, and puts it; several calls can be one
 * transaction.  Watchers are told when it is committed, while the worker can do nothing else: so they hear versions in order. */
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

/* -- One change ------------------------------------------------------------------------------------------------------------------------ */

/* A step of a transaction: the call with what it found. */
struct step {
	struct twin_call *call;
	struct twin *before; /* NULL: nothing was changed */
};

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

static enum twin_answer
find_identity(struct twins *twins, struct twin_call *call)
{
	OWN(identity) device = registry_find(twins->registry, call->device_id, NULL);

	call->identity = call->module_id ? registry_find(twins->registry, call->device_id, call->module_id) : GIVE(device);
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
change(struct db *db, struct step *step)
{
	struct twin_call *call = step->call;
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
	step->before = call->twin;
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
take_step(struct twins *twins, struct step *step)
{
	struct db *db = registry_store_db(registry_store_of(twins->registry));
	struct twin_call *call = step->call;
	enum twin_answer answer = find_identity(twins, call);

	if (answer != TWIN_OK)
		return answer;
	call->twin = twin_store_get(db, call->device_id, call->module_id, &call->err);
	if (!call->twin)
		return TWIN_FAILED;
	forget_known_model(call);
	return has_change(call) ? change(db, step) : TWIN_OK;
}

/* -- A transaction ----------------------------------------------------------------------------------------------------------------------- */

static void
tell(struct twins *twins, const struct step *step)
{
	struct twin_change wanted = change_of(step->call);
	struct twin_event event = {
		.identity = step->call->identity, .before = step->before, .after = step->call->twin, .change = &wanted
	};

	for (size_t i = 0; i < twins->n_watchers; i++)
		twins->watcher[i].changed(twins->watcher[i].arg, &event);
}

/* The index of who said no. */
static size_t
take_steps(struct twins *twins, struct step *steps, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		steps[i].call->answer = take_step(twins, &steps[i]);
		if (steps[i].call->answer != TWIN_OK)
			break;
	}
	return i;
}

static size_t
fail_all(struct step *steps, size_t n, const struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		steps[i].call->answer = TWIN_FAILED;
		steps[i].call->err = *err;
	}
	return 0;
}

static size_t
run_steps(struct twins *twins, struct step *steps, size_t n)
{
	struct registry_store *store = registry_store_of(twins->registry);
	struct err err = ERR_INIT;
	size_t who;

	if (registry_store_begin(store, &err) < 0)
		return fail_all(steps, n, &err);
	who = take_steps(twins, steps, n);
	if (who < n) {
		registry_store_rollback(store);
		return who;
	}
	if (registry_store_commit(store, &err) < 0) {
		registry_store_rollback(store);
		return fail_all(steps, n, &err);
	}
	for (size_t i = 0; i < n; i++)
		if (steps[i].before && writes(steps[i].call))
			tell(twins, &steps[i]);
	return n;
}

size_t
twins_run_all(struct twins *twins, struct twin_call *calls, size_t n)
{
	struct step *steps = mem_array(n, sizeof(*steps));
	size_t who;

	for (size_t i = 0; i < n; i++)
		steps[i].call = &calls[i];
	who = run_steps(twins, steps, n);
	for (size_t i = 0; i < n; i++)
		twin_free(steps[i].before);
	mem_free(steps);
	return who;
}

void
twins_run(struct twins *twins, struct twin_call *call)
{
	struct step step = { .call = call };

	if (has_change(call))
		run_steps(twins, &step, 1);
	else
		call->answer = take_step(twins, &step);
	twin_free(step.before);
}

/* -- Calls ---------------------------------------------------------------------------------------------------------------------------------- */

static void
run_job(struct job *job)
{
	struct twin_call *call = CONTAINER_OF(job, struct twin_call, job);

	twins_run(call->twins, call);
}

static void
job_done(struct job *job)
{
	struct twin_call *call = CONTAINER_OF(job, struct twin_call, job);

	call->done(call);
}

bool
twins_submit(struct twins *twins, struct twin_call *call, struct owner *owner)
{
	call->twins = twins;
	call->job = (struct job){ .run = run_job, .done = job_done, .owner = owner };
	return registry_work(twins->registry, &call->job);
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

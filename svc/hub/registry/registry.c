/* SPDX-License-Identifier: Apache-2.0 */
/* The registry in memory (registry.h): what registry_change.c has made durable is published here.  Only the worker changes the table, one record after
 * the other. */
#include "hub/registry/registry.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "hub/registry/registry_record.h"
#include "hub/registry/registry_table.h"

#define LIST_MAX 1000
#define SCOPE_LIST_MAX 2000 /* with modules: such an answer is read whole */
#define WATCHERS_MAX 8

struct watcher {
	unsigned events;
	void (*told)(void *arg, const struct identity *before, const struct identity *after);
	void *arg;
};

struct registry {
	struct registry_store *store;
	struct pool *worker;
	struct registry_table *table;
	struct registry_steps *steps;
	struct registry_change change; /* the worker's */
	atomic_uint_fast64_t epoch;
	atomic_bool stopping;
	struct watcher watchers[WATCHERS_MAX];
	size_t n_watchers;

	/* Until all is loaded. */
	atomic_bool loaded;
	pthread_mutex_t reader_lock;
	struct registry_store *reader;
	struct job load;
	bool load_failed;
	struct err load_err;
	void (*on_loaded)(void *arg, const struct err *problem);
	void *on_loaded_arg;
};

/* -- Looking up ------------------------------------------------------------------------------------------------------------------ */

/* What isn't loaded yet.  A record that can't be right is none: loading will come to it, and end the hub. */
static struct identity *
find_stored(struct registry *registry, const char *device_id, const char *module_id)
{
	OWN(identity) found = NULL;
	struct err err = ERR_INIT;
	int done = 0;

	pthread_mutex_lock(&registry->reader_lock);
	if (registry->reader)
		done = registry_store_find(registry->reader, device_id, module_id, &found, &err);
	else /* loaded since the look */
		found = registry_table_find(registry->table, device_id, module_id);
	pthread_mutex_unlock(&registry->reader_lock);
	if (done < 0 || (found && record_check(found, &err) < 0))
		return NULL;
	return GIVE(found);
}

struct identity *
registry_find(struct registry *registry, const char *device_id, const char *module_id)
{
	bool complete = atomic_load(&registry->loaded); /* before the look: what is removed after that was there to be found */
	struct identity *found = registry_table_find(registry->table, device_id, module_id);

	return found || complete ? found : find_stored(registry, device_id, module_id);
}

struct identity *
registry_find_judged(struct registry *registry, const char *device_id, const char *module_id)
{
	OWN(identity) device = module_id ? registry_find(registry, device_id, NULL) : NULL;

	return identity_under(registry_find(registry, device_id, module_id), device);
}

struct identity *
registry_find_scope(struct registry *registry, const char *scope)
{
	OWN_TEXT id = record_scope_device(scope);
	OWN(identity) gateway = id ? registry_find(registry, id, NULL) : NULL;

	if (!gateway || !gateway->is_edge || !text_is(gateway->scope, scope))
		return NULL;
	return GIVE(gateway);
}

struct identity *
registry_find_parent(struct registry *registry, const struct identity *identity)
{
	const char *scope = record_parent(identity);

	return scope ? registry_find_scope(registry, scope) : NULL;
}

static bool
is_below(struct registry *registry, const char *device_id, const char *gateway_id, bool enabled)
{
	struct identity *at = registry_find(registry, device_id, NULL), *parent;
	bool found = false;

	for (int level = 0; at && !found && level <= REGISTRY_LEVELS_MAX; level++) {
		if (!enabled || at->enabled)
			found = text_is(at->device_id, gateway_id);
		parent = found || (enabled && !at->enabled) ? NULL : registry_find_parent(registry, at);
		identity_free(at);
		at = parent;
	}
	identity_free(at);
	return found;
}

bool
registry_is_below(struct registry *registry, const char *device_id, const char *gateway_id)
{
	return is_below(registry, device_id, gateway_id, false);
}

bool
registry_is_reached(struct registry *registry, const char *device_id, const char *gateway_id)
{
	return is_below(registry, device_id, gateway_id, true);
}

uint64_t
registry_epoch(const struct registry *registry)
{
	return atomic_load(&registry->epoch);
}

void
registry_touch(struct registry *registry)
{
	atomic_fetch_add(&registry->epoch, 1);
}

void
registry_each(struct registry *registry, void (*each)(void *arg, const struct identity *identity), void *arg)
{
	registry_table_each(registry->table, each, arg);
}

void
registry_count(struct registry *registry, size_t *n_devices, size_t *n_enabled)
{
	registry_table_count(registry->table, n_devices, n_enabled);
}

bool
registry_is_loaded(const struct registry *registry)
{
	return atomic_load(&registry->loaded);
}

struct registry_store *
registry_store_of(struct registry *registry)
{
	return registry->store;
}

bool
registry_work(struct registry *registry, struct job *job)
{
	return !atomic_load(&registry->stopping) && pool_try(registry->worker, job);
}

bool
registry_step(struct registry *registry, struct registry_step *step, struct owner *owner)
{
	return registry_work(registry, registry_steps_job(registry->steps, step, owner));
}

void
registry_step_now(struct registry *registry, struct registry_step *step)
{
	registry_steps_run(registry->steps, step);
}

void
registry_stop(struct registry *registry)
{
	atomic_store(&registry->stopping, true);
}

void
registry_watch(struct registry *registry, unsigned events,
	void (*told)(void *arg, const struct identity *before, const struct identity *after), void *arg)
{
	assert(registry->n_watchers < WATCHERS_MAX);
	registry->watchers[registry->n_watchers++] = (struct watcher){ events, told, arg };
}

void
registry_record(struct registry *registry,
	int (*record)(void *arg, const struct identity *before, const struct identity *after, struct err *err), void *arg)
{
	registry->change.record = record;
	registry->change.record_arg = arg;
}

/* -- Loading ------------------------------------------------------------------------------------------------------------------------ */

static int
load_one(void *arg, struct identity *identity_take, struct err *err)
{
	struct registry *registry = arg;
	OWN(identity) identity = identity_take;
	OWN_TEXT name = identity_name(identity->device_id, identity->module_id);
	struct registry_pack *pack;

	if (record_check(identity, err) < 0)
		return err_wrap(err, "the record of %s", name);
	pack = registry_pack_new(identity);
	if (!pack)
		return err_set(err, ERR_BROKEN, "the record of %s: it is larger than any", name);
	registry_pack_free(registry_table_put(registry->table, pack));
	return 0;
}

static int
load(struct registry *registry, struct err *err)
{
	if (registry_store_check(registry->store, err) < 0 || registry_store_load(registry->store, load_one, registry, err) < 0)
		return -1;
	atomic_store(&registry->loaded, true);
	mem_trim();
	return 0;
}

static void
run_load(struct job *job)
{
	struct registry *registry = CONTAINER_OF(job, struct registry, load);

	registry->load_failed = load(registry, &registry->load_err) < 0;
	if (registry->load_failed)
		return;
	pthread_mutex_lock(&registry->reader_lock);
	registry_store_close(registry->reader);
	registry->reader = NULL;
	pthread_mutex_unlock(&registry->reader_lock);
}

static void
load_done(struct job *job)
{
	struct registry *registry = CONTAINER_OF(job, struct registry, load);

	registry->on_loaded(registry->on_loaded_arg, registry->load_failed ? &registry->load_err : NULL);
}

int
registry_load_soon(struct registry *registry, struct owner *owner, void (*loaded)(void *arg, const struct err *problem), void *arg,
	struct err *err)
{
	if (registry_is_loaded(registry))
		return 0;
	registry->on_loaded = loaded;
	registry->on_loaded_arg = arg;
	registry->load = (struct job){ .run = run_load, .done = load_done, .owner = owner };
	return registry_work(registry, &registry->load) ? 0 : err_set(err, ERR_UNAVAILABLE, "the registry's worker is busy");
}

/* All of it, or a way to look into the file until registry_load_soon: the worker may be asked before that. */
static int
load_or_look(struct registry *registry, struct err *err)
{
	if (!registry->worker || registry_store_is_checked(registry->store))
		return load(registry, err);
	registry->reader = registry_store_open_reader(registry->store, err);
	return registry->reader ? 0 : -1;
}

struct registry *
registry_open(struct registry_store *store, struct pool *worker, struct err *err)
{
	struct registry *registry = NEW(registry);

	registry->store = store;
	registry->worker = worker;
	registry->table = registry_table_new();
	registry->steps = registry_steps_new(store);
	pthread_mutex_init(&registry->reader_lock, NULL);
	if (registry_change_open(&registry->change, store, err) < 0 || load_or_look(registry, err) < 0) {
		registry_close(registry);
		return NULL;
	}
	return registry;
}

void
registry_close(struct registry *registry)
{
	if (!registry)
		return;
	registry_change_clear(&registry->change);
	registry_store_close(registry->reader);
	registry_table_free(registry->table);
	registry_steps_free(registry->steps);
	pthread_mutex_destroy(&registry->reader_lock);
	mem_free(registry);
}

/* -- Changes ------------------------------------------------------------------------------------------------------------------------ */

static void
tell(struct registry *registry, const struct identity *before, const struct identity *after)
{
	unsigned event = !before ? REGISTRY_CREATED : after ? REGISTRY_CHANGED : REGISTRY_REMOVED;

	for (size_t i = 0; i < registry->n_watchers; i++)
		if (registry->watchers[i].events & event)
			registry->watchers[i].told(registry->watchers[i].arg, before, after);
}

/* Visible from here on; who watches is told of what was there before. */
static void
publish(struct registry *registry, const struct registry_changed *changed)
{
	const struct identity *named = changed->after ? changed->after : changed->before;
	struct registry_pack *before = NULL, *pack;

	if (changed->after) {
		pack = registry_pack_new(changed->after);
		assert(pack); /* the REST API has a lower ceiling for each text */
		before = registry_table_put(registry->table, pack);
	} else {
		before = registry_table_remove(registry->table, named->device_id, named->module_id);
	}
	if (before)
		atomic_fetch_add(&registry->epoch, 1);
	registry_pack_free(before);
	tell(registry, changed->before, changed->after);
}

static void
run_change(struct registry *registry, struct registry_call *call)
{
	registry_change_run(&registry->change, call);
	for (size_t i = 0; i < registry->change.n_changed; i++)
		publish(registry, &registry->change.changed[i]);
}

/* -- Lists --------------------------------------------------------------------------------------------------------------------------- */

static void
find_name(void *arg, const char *device_id, const char *module_id)
{
	struct registry_call *call = arg;
	struct identity *found = registry_find(call->registry, device_id, module_id);

	if (found)
		registry_call_add_found(call, found);
}

/* One more than was asked for tells whether there are more. */
static void
trim_list(struct registry_call *call, int64_t max)
{
	call->more = (int64_t)call->n_found > max;
	while ((int64_t)call->n_found > max)
		identity_free(call->found[--call->n_found]);
}

/* With each device its modules; devices that would make it too long are left for the next page. */
static int
add_modules(struct registry *registry, struct registry_call *call)
{
	struct identity **devices = call->found;
	size_t n = call->n_found, i;
	int done = 0;

	call->found = NULL;
	call->n_found = 0;
	for (i = 0; i < n && done == 0 && call->n_found < SCOPE_LIST_MAX; i++) {
		registry_call_add_found(call, identity_ref(devices[i]));
		done = registry_store_modules(registry->store, devices[i]->device_id, find_name, call, &call->err);
	}
	call->more = call->more || i < n;
	for (i = 0; i < n; i++)
		identity_free(devices[i]);
	mem_free(devices);
	return done;
}

static enum registry_answer
run_list(struct registry *registry, struct registry_call *call)
{
	int64_t max = call->max > 0 && call->max < LIST_MAX ? call->max : LIST_MAX;
	int done;

	switch (call->op) {
	case REGISTRY_LIST_DEVICES:
		done = registry_store_devices(registry->store, call->after, max + 1, find_name, call, &call->err);
		break;
	case REGISTRY_LIST_CHILDREN:
		done = registry_store_children(registry->store, call->scope, call->after, max + 1, find_name, call, &call->err);
		break;
	default:
		done = registry_store_modules(registry->store, call->device_id, find_name, call, &call->err);
	}
	if (done < 0)
		return REGISTRY_FAILED;
	trim_list(call, max);
	if (call->with_modules && add_modules(registry, call) < 0)
		return REGISTRY_FAILED;
	return REGISTRY_OK;
}

/* -- Calls --------------------------------------------------------------------------------------------------------------------------------- */

/* A registry that could not be loaded answers nothing: the hub is about to end. */
void
registry_run(struct registry *registry, struct registry_call *call)
{
	call->registry = registry;
	if (!registry_is_loaded(registry)) {
		call->answer = REGISTRY_FAILED;
		(void)err_set(&call->err, ERR_UNAVAILABLE, "the registry is not loaded");
		return;
	}
	switch (call->op) {
	case REGISTRY_PUT:
	case REGISTRY_REMOVE:
	case REGISTRY_ROTATE:
	case REGISTRY_BULK:
		run_change(registry, call);
		break;
	case REGISTRY_LIST_DEVICES:
	case REGISTRY_LIST_MODULES:
	case REGISTRY_LIST_CHILDREN:
		call->answer = run_list(registry, call);
		break;
	case REGISTRY_COUNT:
		call->answer = REGISTRY_OK;
		break;
	}
}

static void
run_job(struct job *job)
{
	struct registry_call *call = CONTAINER_OF(job, struct registry_call, job);

	registry_run(call->registry, call);
}

static void
job_done(struct job *job)
{
	struct registry_call *call = CONTAINER_OF(job, struct registry_call, job);

	call->done(call);
}

bool
registry_submit(struct registry *registry, struct registry_call *call, struct owner *owner)
{
	call->registry = registry;
	call->job = (struct job){ .run = run_job, .done = job_done, .owner = owner };
	return registry_work(registry, &call->job);
}

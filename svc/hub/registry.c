/* SPDX-License-Identifier: Apache-2.0 */
/* The registry in memory and its one writer (registry.h).  Only the worker changes the map, so it reads it without the lock and takes the lock to
 * publish; every change is a transaction first. */
#include "hub/registry.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/registry_record.h"

#define LIST_MAX 1000
#define TICKS_1970 621355968000000000ull /* 100 ns since the year 1 */

struct registry {
	struct registry_store *store;
	struct pool *worker;
	pthread_rwlock_t lock; /* for the map and the counts */
	struct map *map;       /* "dev" or "dev/mod" to struct identity, one reference each */
	size_t n_devices, n_enabled;
	atomic_uint_fast64_t epoch;
	atomic_bool stopping;
	void (*changed)(void *arg, const struct identity *before, const struct identity *after);
	void *changed_arg;
	void (*lifecycle)(void *arg, const struct identity *identity, bool created);
	void *lifecycle_arg;
	uint64_t ticks, change; /* the last ones used; the worker's */
};

/* -- Looking up ------------------------------------------------------------------------------------------------------------------ */

struct identity *
registry_find(struct registry *registry, const char *device_id, const char *module_id)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	struct identity *found;

	pthread_rwlock_rdlock(&registry->lock);
	found = map_find_text(registry->map, name);
	if (found)
		found = identity_ref(found);
	pthread_rwlock_unlock(&registry->lock);
	return found;
}

struct identity *
registry_find_judged(struct registry *registry, const char *device_id, const char *module_id)
{
	OWN(identity) device = module_id ? registry_find(registry, device_id, NULL) : NULL;

	return identity_under(registry_find(registry, device_id, module_id), device);
}

/* The id stands in the scope, in front of the last hyphen. */
struct identity *
registry_find_scope(struct registry *registry, const char *scope)
{
	OWN(identity) gateway = NULL;
	OWN_TEXT id = NULL;
	const char *hyphen;

	if (!scope || !text_starts(scope, RECORD_SCOPE_PREFIX))
		return NULL;
	scope += strlen(RECORD_SCOPE_PREFIX);
	hyphen = strrchr(scope, '-');
	if (!hyphen)
		return NULL;
	id = mem_textn(scope, (size_t)(hyphen - scope));
	gateway = registry_find(registry, id, NULL);
	if (!gateway || !gateway->is_edge || !text_is(gateway->scope, scope - strlen(RECORD_SCOPE_PREFIX)))
		return NULL;
	return GIVE(gateway);
}

struct identity *
registry_find_parent(struct registry *registry, const struct identity *identity)
{
	const char *scope = record_parent(identity);

	return scope ? registry_find_scope(registry, scope) : NULL;
}

bool
registry_is_below(struct registry *registry, const struct identity *identity, const char *gateway_id)
{
	struct identity *at = registry_find(registry, identity->device_id, NULL), *parent;
	bool found = false;

	for (int level = 0; at && !found && level <= REGISTRY_LEVELS_MAX; level++) {
		found = text_is(at->device_id, gateway_id);
		parent = found ? NULL : registry_find_parent(registry, at);
		identity_free(at);
		at = parent;
	}
	identity_free(at);
	return found;
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
	size_t at = 0;
	void *value;

	while (map_next(registry->map, &at, NULL, NULL, &value))
		each(arg, value);
}

void
registry_count(struct registry *registry, size_t *n_devices, size_t *n_enabled)
{
	pthread_rwlock_rdlock(&registry->lock);
	*n_devices = registry->n_devices;
	*n_enabled = registry->n_enabled;
	pthread_rwlock_unlock(&registry->lock);
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

void
registry_stop(struct registry *registry)
{
	atomic_store(&registry->stopping, true);
}

void
registry_watch(struct registry *registry, void (*changed)(void *arg, const struct identity *before, const struct identity *after),
	void *arg)
{
	registry->changed = changed;
	registry->changed_arg = arg;
}

void
registry_watch_lifecycle(
	struct registry *registry, void (*changed)(void *arg, const struct identity *identity, bool created), void *arg)
{
	registry->lifecycle = changed;
	registry->lifecycle_arg = arg;
}

/* -- Publishing --------------------------------------------------------------------------------------------------------------------- */

static void
count(struct registry *registry, const struct identity *identity, int by)
{
	if (!identity || identity->module_id)
		return;
	registry->n_devices += (size_t)by;
	registry->n_enabled += identity->enabled ? (size_t)by : 0;
}

/* Put `after` in the place of what was there; NULL removes it.  Takes the reference. */
static void
publish(struct registry *registry, const char *name, struct identity *after)
{
	struct identity *before;

	pthread_rwlock_wrlock(&registry->lock);
	before = after ? map_put_text(registry->map, name, after) : map_remove_text(registry->map, name);
	count(registry, before, -1);
	count(registry, after, 1);
	if (before)
		atomic_fetch_add(&registry->epoch, 1);
	pthread_rwlock_unlock(&registry->lock);
	if (before && registry->changed)
		registry->changed(registry->changed_arg, before, after);
	if (!before != !after && registry->lifecycle)
		registry->lifecycle(registry->lifecycle_arg, after ? after : before, after != NULL);
	identity_free(before);
}

static void
publish_identity(struct registry *registry, const struct identity *after)
{
	OWN_TEXT name = identity_name(after->device_id, after->module_id);

	publish(registry, name, identity_ref(after));
}

static int
load_one(void *arg, struct identity *identity_take, struct err *err)
{
	struct registry *registry = arg;
	OWN_TEXT name = identity_name(identity_take->device_id, identity_take->module_id);

	if (record_check(identity_take, err) < 0) {
		identity_free(identity_take);
		return err_wrap(err, "the record of %s", name);
	}
	publish(registry, name, identity_take);
	return 0;
}

struct registry *
registry_open(struct registry_store *store, struct pool *worker, struct err *err)
{
	struct registry *registry = NEW(registry);
	int64_t ticks = 0, change = 0;

	registry->store = store;
	registry->worker = worker;
	registry->map = map_new();
	pthread_rwlock_init(&registry->lock, NULL);
	if (registry_store_load(store, load_one, registry, err) < 0 || registry_store_get_number(store, "ticks", &ticks, err) < 0 ||
		registry_store_get_number(store, "change", &change, err) < 0) {
		registry_close(registry);
		return NULL;
	}
	registry->ticks = (uint64_t)ticks;
	registry->change = (uint64_t)change;
	return registry;
}

void
registry_close(struct registry *registry)
{
	size_t at = 0;
	void *value;

	if (!registry)
		return;
	while (map_next(registry->map, &at, NULL, NULL, &value))
		identity_free(value);
	map_free(registry->map);
	pthread_rwlock_destroy(&registry->lock);
	mem_free(registry);
}

/* -- Putting -------------------------------------------------------------------------------------------------------------------------- */

static uint64_t
next_ticks(struct registry *registry)
{
	uint64_t now = TICKS_1970 + (uint64_t)clock_wall_ms() * 10000;

	registry->ticks = now > registry->ticks ? now : registry->ticks + 1;
	return registry->ticks;
}

/* Is what the caller expects there? */
static enum registry_answer
check_match(const struct registry_call *call, const struct identity *before)
{
	enum registry_answer missing = call->module_id ? REGISTRY_NO_MODULE : REGISTRY_NO_DEVICE;

	if (call->op == REGISTRY_PUT && !call->if_match)
		return before ? REGISTRY_EXISTS : REGISTRY_OK;
	if (!before)
		return missing;
	if (!call->if_match || text_is(call->if_match, "*") || text_is(call->if_match, before->etag))
		return REGISTRY_OK;
	return REGISTRY_WRONG_ETAG;
}

static void
count_name(void *arg, const char *device_id, const char *module_id)
{
	(void)device_id;
	(void)module_id;
	++*(size_t *)arg;
}

static enum registry_answer
check_new_module(struct registry *registry, struct registry_call *call)
{
	OWN(identity) device = registry_find(registry, call->device_id, NULL);
	size_t n = 0;

	if (!device)
		return REGISTRY_NO_DEVICE;
	if (*call->module_id == '$' && !record_is_system_module(call->module_id)) {
		(void)err_set(&call->err, ERR_INVALID, "names that begin with $ belong to the system");
		return REGISTRY_INVALID;
	}
	if (registry_store_modules(registry->store, call->device_id, count_name, &n, &call->err) < 0)
		return REGISTRY_FAILED;
	return n >= REGISTRY_MODULES_MAX ? REGISTRY_TOO_MANY_MODULES : REGISTRY_OK;
}

/* A parent that is new to it must be a gateway, not this device or one below it, and not too deep down.  The parent it had may be gone by now: its
 * children can be changed all the same. */
static enum registry_answer
check_parent(struct registry *registry, const struct identity *before, const struct identity *record)
{
	OWN(identity) gateway = registry_find_parent(registry, record);
	struct identity *at, *up;
	bool loop = false, too_deep;

	if (!record_parent(record) || (before && text_is(record_parent(before), record_parent(record))))
		return REGISTRY_OK;
	if (!gateway)
		return REGISTRY_BAD_SCOPE;
	at = identity_ref(gateway);
	for (int level = 1; at && !loop && level <= REGISTRY_LEVELS_MAX; level++) {
		loop = text_is(at->device_id, record->device_id);
		up = registry_find_parent(registry, at);
		identity_free(at);
		at = up;
	}
	too_deep = at != NULL;
	identity_free(at);
	return loop || too_deep ? REGISTRY_BAD_SCOPE : REGISTRY_OK;
}

static int
save_counters(struct registry *registry, struct err *err)
{
	if (registry_store_set_number(registry->store, "ticks", (int64_t)registry->ticks, err) < 0)
		return -1;
	return registry_store_set_number(registry->store, "change", (int64_t)registry->change, err);
}

/* A gateway comes with the two modules that every runtime has. */
static int
save_system_modules(
	struct registry *registry, struct identity *modules[2], const struct identity *device, int64_t now, struct err *err)
{
	static const char *const names[2] = { "$edgeAgent", "$edgeHub" };

	for (int i = 0; i < 2; i++) {
		modules[i] = record_system_module(device->device_id, names[i], next_ticks(registry), ++registry->change, now);
		if (registry_store_put(registry->store, modules[i], err) < 0)
			return -1;
	}
	return 0;
}

static int
save(struct registry *registry, const struct identity *after, bool becomes_edge, int64_t now, struct err *err)
{
	struct identity *modules[2] = { NULL, NULL };
	int done = -1;

	if (registry_store_begin(registry->store, err) < 0)
		return -1;
	if (registry_store_put(registry->store, after, err) == 0 &&
		(!becomes_edge || save_system_modules(registry, modules, after, now, err) == 0) &&
		save_counters(registry, err) == 0)
		done = registry_store_commit(registry->store, err);
	if (done < 0)
		registry_store_rollback(registry->store);
	else
		publish_identity(registry, after);
	for (int i = 0; i < 2; i++) {
		if (done == 0 && modules[i])
			publish_identity(registry, modules[i]);
		identity_free(modules[i]);
	}
	return done;
}

static void
add_found(struct registry_call *call, struct identity *identity_take)
{
	call->found = mem_resize(call->found, (call->n_found + 1) * sizeof(*call->found));
	call->found[call->n_found++] = identity_take;
}

static enum registry_answer
run_put(struct registry *registry, struct registry_call *call)
{
	OWN(identity) before = registry_find(registry, call->device_id, call->module_id);
	OWN(identity) after = NULL;
	enum registry_answer answer = check_match(call, before);
	struct record_wish wish = { .wanted = call->wanted, .before = before, .keep_auth = call->keep_auth, .now = clock_wall() };

	if (answer == REGISTRY_OK && call->module_id && !before)
		answer = check_new_module(registry, call);
	if (answer != REGISTRY_OK)
		return answer;
	wish.ticks = next_ticks(registry);
	wish.change = ++registry->change;
	after = record_compose(&wish, &call->err);
	if (!after)
		return REGISTRY_INVALID;
	answer = check_parent(registry, before, after);
	if (answer != REGISTRY_OK)
		return answer;
	if (save(registry, after, after->is_edge && !(before && before->is_edge), wish.now, &call->err) < 0)
		return REGISTRY_FAILED;
	add_found(call, GIVE(after));
	return REGISTRY_OK;
}

/* -- Removing and listing --------------------------------------------------------------------------------------------------------------- */

static void
find_name(void *arg, const char *device_id, const char *module_id)
{
	struct registry_call *call = arg;
	struct identity *found = registry_find(call->registry, device_id, module_id);

	if (found)
		add_found(call, found);
}

static enum registry_answer
run_remove(struct registry *registry, struct registry_call *call)
{
	OWN(identity) before = registry_find(registry, call->device_id, call->module_id);
	struct registry_call modules = { .registry = registry };
	enum registry_answer answer = check_match(call, before);
	OWN_TEXT name = identity_name(call->device_id, call->module_id);

	if (answer != REGISTRY_OK)
		return answer;
	if (call->module_id && record_is_system_module(call->module_id))
		return REGISTRY_SYSTEM_MODULE;
	if (!call->module_id && registry_store_modules(registry->store, call->device_id, find_name, &modules, &call->err) < 0)
		answer = REGISTRY_FAILED;
	else if (registry_store_begin(registry->store, &call->err) < 0)
		answer = REGISTRY_FAILED;
	else if (registry_store_remove(registry->store, call->device_id, call->module_id, &call->err) < 0 ||
		 registry_store_commit(registry->store, &call->err) < 0) {
		registry_store_rollback(registry->store);
		answer = REGISTRY_FAILED;
	}
	for (size_t i = 0; answer == REGISTRY_OK && i < modules.n_found; i++) {
		OWN_TEXT module_name = identity_name(call->device_id, modules.found[i]->module_id);

		publish(registry, module_name, NULL);
	}
	if (answer == REGISTRY_OK)
		publish(registry, name, NULL);
	registry_call_clear(&modules);
	return answer;
}

/* One more than was asked for tells whether there are more. */
static void
trim_list(struct registry_call *call, int64_t max)
{
	call->more = (int64_t)call->n_found > max;
	while ((int64_t)call->n_found > max)
		identity_free(call->found[--call->n_found]);
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
	return REGISTRY_OK;
}

/* -- Calls --------------------------------------------------------------------------------------------------------------------------------- */

void
registry_run(struct registry *registry, struct registry_call *call)
{
	call->registry = registry;
	switch (call->op) {
	case REGISTRY_PUT:
		call->answer = run_put(registry, call);
		break;
	case REGISTRY_REMOVE:
		call->answer = run_remove(registry, call);
		break;
	case REGISTRY_LIST_DEVICES:
	case REGISTRY_LIST_MODULES:
	case REGISTRY_LIST_CHILDREN:
		call->answer = run_list(registry, call);
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

void
registry_call_clear(struct registry_call *call)
{
	for (size_t i = 0; i < call->n_found; i++)
		identity_free(call->found[i]);
	mem_free(call->found);
	identity_free(call->wanted);
	mem_free(call->device_id);
	mem_free(call->module_id);
	mem_free(call->if_match);
	mem_free(call->scope);
	mem_free(call->after);
	*call = (struct registry_call){ 0 };
}

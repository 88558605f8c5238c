/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The registry of devices and modules.  Everything that a decision needs is in memory, packed; who looks something up gets a fresh record, on any
 * thread.  Changes and lists are calls: small operations with compare-and-set on an etag, run one after the other on the registry's worker,
 * durable in SQLite before they are answered.
 *
 * A large registry is loaded after the hub listens.  Until then the worker changes nothing: who looks something up that is not in memory yet finds it
 * in SQLite, through a connection for reading, and calls wait.  Damage that loading finds therefore finds the file as it was. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth/identity.h"
#include "base/err.h"
#include "base/pool.h"
#include "hub/registry/registry_call.h"
#include "hub/registry/registry_change.h"
#include "hub/registry/registry_step.h"
#include "hub/registry/registry_store.h"

struct registry;
/* The registry uses the store from now on only on `worker`, a pool of one thread; both are borrowed.  What registry_store_open_soon found small is
 * loaded when this returns, and so it is without a worker; otherwise registry_load_soon is to follow. */
struct registry *registry_open(struct registry_store *store, struct pool *worker, struct err *err);
/* Load on the worker, before anything else that is given to it; then tell `owner` whether it could be: NULL, or what is damaged.  Told nothing when it is
 * loaded already. */
int registry_load_soon(struct registry *registry, struct owner *owner, void (*loaded)(void *arg, const struct err *problem),
	void *arg, struct err *err);
bool registry_is_loaded(const struct registry *registry);
void registry_close(struct registry *registry);
struct registry_store *registry_store_of(struct registry *registry);
/* Another job for the worker.  false: too much waits already, or the registry is stopping. */
bool registry_work(struct registry *registry, struct job *job);
/* The same for a step, which shares its transaction with those beside it (registry_step.h). */
bool registry_step(struct registry *registry, struct registry_step *step, struct owner *owner);
void registry_step_now(struct registry *registry, struct registry_step *step); /* on this thread: registry_steps_run */
/* No more jobs from now on: before the worker is freed. */
void registry_stop(struct registry *registry);

/* All of them, in no order; only on the worker. */
void registry_each(struct registry *registry, void (*each)(void *arg, const struct identity *identity), void *arg);

/* Told of changes, on the worker, after they are durable and visible, in the order in which they began to watch: `before` is NULL for what is new,
 * `after` for what was removed.  Set before the registry is shared. */
enum registry_event { REGISTRY_CREATED = 1, REGISTRY_CHANGED = 2, REGISTRY_REMOVED = 4, REGISTRY_ALL = 7 };
void registry_watch(struct registry *registry, unsigned events,
	void (*told)(void *arg, const struct identity *before, const struct identity *after), void *arg);
/* The same before the commit of each change, which is undone where this fails: for who writes it down.  There is one. */
void registry_record(struct registry *registry,
	int (*record)(void *arg, const struct identity *before, const struct identity *after, struct err *err), void *arg);

/* -- Any thread; the caller owns a reference; NULL: no such identity ---------------------------------------------------------- */
struct identity *registry_find(struct registry *registry, const char *device_id, const char *module_id);
/* The same for a decision: a module of a disabled device is a disabled record. */
struct identity *registry_find_judged(struct registry *registry, const char *device_id, const char *module_id);
struct identity *registry_find_scope(struct registry *registry, const char *scope); /* the gateway whose scope that is */
struct identity *registry_find_parent(struct registry *registry, const struct identity *identity);
/* Is this device `gateway_id` itself, or somewhere below it? */
bool registry_is_below(struct registry *registry, const char *device_id, const char *gateway_id);
/* The same, and are it and all on the way up enabled? */
bool registry_is_reached(struct registry *registry, const char *device_id, const char *gateway_id);
/* Counts the changes of what was there: equal means that nothing known has changed. */
uint64_t registry_epoch(const struct registry *registry);
/* Something beside the records changed that decisions stand on: sessions are to ask again. */
void registry_touch(struct registry *registry);
/* Of what is in memory: to know all, run REGISTRY_COUNT first. */
void registry_count(struct registry *registry, size_t *n_devices, size_t *n_enabled);

/* -- Calls (registry_call.h) ------------------------------------------------------------------------------------------------------- */
/* false: too much waits already. */
bool registry_submit(struct registry *registry, struct registry_call *call, struct owner *owner);
/* The same at once, on this thread: for the worker itself and for tests. */
void registry_run(struct registry *registry, struct registry_call *call);

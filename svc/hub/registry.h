/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The registry of devices and modules.  Everything that a decision needs is in memory: records are immutable and shared by reference, any thread may
 * look them up.  Changes and lists are calls: small operations with compare-and-set on an etag, run one after the other on the registry's worker,
 * durable in SQLite before they are answered. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth/identity.h"
#include "base/err.h"
#include "base/pool.h"
#include "hub/registry_store.h"

#define REGISTRY_MODULES_MAX 50
#define REGISTRY_LEVELS_MAX 5 /* of nested gateways (gateway 3.7) */

struct registry;
/* The registry uses the store from now on only on `worker`, a pool of one thread; both are borrowed. */
struct registry *registry_open(struct registry_store *store, struct pool *worker, struct err *err);
void registry_close(struct registry *registry);
struct registry_store *registry_store_of(struct registry *registry);
/* Another job for the worker.  false: too much waits already, or the registry is stopping. */
bool registry_work(struct registry *registry, struct job *job);
/* No more jobs from now on: before the worker is freed. */
void registry_stop(struct registry *registry);

/* All of them, in no order; only on the worker. */
void registry_each(struct registry *registry, void (*each)(void *arg, const struct identity *identity), void *arg);

/* Told of every change of what was there, on the worker, after it is durable and visible: `after` is NULL when it was removed.  Set before
 * the registry is shared. */
void registry_watch(struct registry *registry,
	void (*changed)(void *arg, const struct identity *before, const struct identity *after), void *arg);

/* The same of identities that came to be or were removed. */
void registry_watch_lifecycle(
	struct registry *registry, void (*changed)(void *arg, const struct identity *identity, bool created), void *arg);

/* -- Any thread; the caller owns a reference; NULL: no such identity ---------------------------------------------------------- */
struct identity *registry_find(struct registry *registry, const char *device_id, const char *module_id);
/* The same for a decision: a module of a disabled device is a disabled record. */
struct identity *registry_find_judged(struct registry *registry, const char *device_id, const char *module_id);
struct identity *registry_find_scope(struct registry *registry, const char *scope); /* the gateway whose scope that is */
struct identity *registry_find_parent(struct registry *registry, const struct identity *identity);
/* Is the device `identity` belongs to `gateway_id` itself, or somewhere below it? */
bool registry_is_below(struct registry *registry, const struct identity *identity, const char *gateway_id);
/* Counts the changes of what was there: equal means that nothing known has changed. */
uint64_t registry_epoch(const struct registry *registry);
/* Something beside the records changed that decisions stand on: sessions are to ask again. */
void registry_touch(struct registry *registry);
void registry_count(struct registry *registry, size_t *n_devices, size_t *n_enabled);

/* -- Calls ------------------------------------------------------------------------------------------------------------------- */
enum registry_op { REGISTRY_PUT, REGISTRY_REMOVE, REGISTRY_LIST_DEVICES, REGISTRY_LIST_MODULES, REGISTRY_LIST_CHILDREN };
enum registry_answer {
	REGISTRY_OK,
	REGISTRY_EXISTS,
	REGISTRY_NO_DEVICE,
	REGISTRY_NO_MODULE,
	REGISTRY_WRONG_ETAG,
	REGISTRY_TOO_MANY_MODULES,
	REGISTRY_SYSTEM_MODULE,
	REGISTRY_BAD_SCOPE,
	REGISTRY_INVALID, /* err has the sentence */
	REGISTRY_FAILED,  /* the database; err has the sentence */
};

struct registry_call {
	/* The question; owned. */
	enum registry_op op;
	char *device_id, *module_id; /* module_id NULL: the device */
	struct identity *wanted;     /* PUT */
	bool keep_auth;		     /* PUT: `wanted` says nothing about authentication */
	char *if_match; /* NULL: PUT creates, REMOVE is unconditional; "*": whatever is there; else the etag that must be there */
	char *scope, *after; /* lists: children of this scope; begin behind this id */
	int64_t max;	     /* lists: no more than these */

	/* The answer. */
	enum registry_answer answer;
	struct err err;
	struct identity **found; /* PUT: the record as it is now; lists: the records; owned */
	size_t n_found;
	bool more; /* lists: there are more behind the last one */

	void (*done)(struct registry_call *call); /* on the owner it was submitted for */
	struct registry *registry;
	struct job job;
};
void registry_call_clear(struct registry_call *call);
/* false: too much waits already. */
bool registry_submit(struct registry *registry, struct registry_call *call, struct owner *owner);
/* The same at once, on this thread: for the worker itself and for tests. */
void registry_run(struct registry *registry, struct registry_call *call);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the hub keeps in SQLite: identities, policies, kept subscriptions, counters.  Used by one thread at a time: the registry's worker, or
 * whoever starts the hub before that. */

#include <stdint.h>

#include "auth/identity.h"
#include "base/err.h"
#include "base/own.h"
#include "store/db.h"

struct registry_store;
struct registry_store *registry_store_open(const char *path, struct err *err);
/* The same, but a large file is not read through for damage: it is at the latest before the first change, or by registry_store_check. */
struct registry_store *registry_store_open_soon(const char *path, struct err *err);
bool registry_store_is_checked(const struct registry_store *store);
int registry_store_check(struct registry_store *store, struct err *err);       /* once */
int registry_store_expect_many(struct registry_store *store, struct err *err); /* changes; memory is spent on them */
/* Another connection to what an open store has, for reading only and another thread. */
struct registry_store *registry_store_open_reader(const struct registry_store *store, struct err *err);
void registry_store_close(struct registry_store *store);

/* For the stores of other subjects in the same file, which are in the same transactions. */
struct db *registry_store_db(struct registry_store *store);

int registry_store_begin(struct registry_store *store, struct err *err);
/* Told of the end of each outermost transaction, on its thread; one watches, or NULL. */
void registry_store_watch(struct registry_store *store, void (*ended)(void *arg, bool is_durable), void *arg);
int registry_store_end(struct registry_store *store, int done, struct err *err); /* 0: commit, else: undo (db_end) */

/* Identities.  `each` gets a new identity that is its own; -1: it can't be right, which ends the loading as damage. */
typedef int registry_store_identity(void *arg, struct identity *identity_take, struct err *err);
int registry_store_load(struct registry_store *store, registry_store_identity *each, void *arg, struct err *err);
/* *out is NULL when there is none. */
int registry_store_find(
	struct registry_store *store, const char *device_id, const char *module_id, struct identity **out, struct err *err);
int registry_store_put(struct registry_store *store, const struct identity *identity, struct err *err);
/* With module_id NULL the device and all its modules. */
int registry_store_remove(struct registry_store *store, const char *device_id, const char *module_id, struct err *err);

/* Names in order; `each` borrows them; module_id is NULL for a device. */
typedef void registry_store_name(void *arg, const char *device_id, const char *module_id);
int registry_store_devices(
	struct registry_store *store, const char *after, int64_t max, registry_store_name *each, void *arg, struct err *err);
int registry_store_modules(
	struct registry_store *store, const char *device_id, registry_store_name *each, void *arg, struct err *err);
/* The devices whose parent has this scope. */
int registry_store_children(struct registry_store *store, const char *scope, const char *after, int64_t max,
	registry_store_name *each, void *arg, struct err *err);

/* Numbers and words about the whole: 0 or NULL when never set. */
int registry_store_get_number(struct registry_store *store, const char *name, int64_t *value, struct err *err);
int registry_store_set_number(struct registry_store *store, const char *name, int64_t value, struct err *err);
int registry_store_get_text(struct registry_store *store, const char *name, char **value, struct err *err);
int registry_store_set_text(struct registry_store *store, const char *name, const char *value, struct err *err);
/* Where provisioning is reached, as of its last start. */
#define PROVISIONING_HOSTNAME "provisioning_hostname"
#define PROVISIONING_PORT "provisioning_port"
#define PROVISIONING_ID_SCOPE "provisioning_id_scope"

/* Policies. */
typedef void registry_store_policy(void *arg, const char *name, unsigned rights, const struct secret keys[2]);
int registry_store_policies(struct registry_store *store, registry_store_policy *each, void *arg, struct err *err);
int registry_store_put_policy(
	struct registry_store *store, const char *name, unsigned rights, const struct secret keys[2], struct err *err);
int registry_store_remove_policy(struct registry_store *store, const char *name, struct err *err);

/* Kept subscriptions of an identity: `filters` is text of the caller's form; NULL removes. */
typedef void registry_store_filters(void *arg, const char *name, const char *filters);
int registry_store_subscriptions(struct registry_store *store, registry_store_filters *each, void *arg, struct err *err);
int registry_store_put_subscriptions(struct registry_store *store, const char *name, const char *filters, struct err *err);

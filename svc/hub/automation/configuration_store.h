/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Configurations in the registry's database, and which twin has which of them (the table configuration_twin).  Whoever holds a configuration meets its condition;
 * `applied` says that it is one of those that count there and was written.  Each row has the number of the sweep that saw it last, so that what a sweep did not
 * find can be found.  The registry's worker's. */

#include "hub/automation/configuration.h"
#include "store/db.h"

/* A twin; borrowed. */
struct configuration_target {
	const char *device_id, *module_id; /* module_id "" for a device */
};

/* What a twin holds. */
struct configuration_held {
	struct configuration *list[CONFIGURATIONS_MAX];
	bool applied[CONFIGURATIONS_MAX];
	size_t n;
};

/* All of them, in the order of their names; each is the callback's own.  What it cannot read is damaged, and ends it. */
int configuration_store_load(
	struct db *db, int (*each)(void *arg, struct configuration *c, struct err *err), void *arg, struct err *err);
int configuration_store_save(struct db *db, const struct configuration *c, struct err *err);
int configuration_store_doom(struct db *db, const struct configuration *c, struct err *err);
int configuration_store_remove(struct db *db, const struct configuration *c, struct err *err);

/* Which of the list this twin holds, without `except`. */
int configuration_store_held(struct db *db, struct configuration_target target, struct configuration *const *list, size_t n_list,
	const struct configuration *except, struct configuration_held *held, struct err *err);
int configuration_store_hold(struct db *db, const struct configuration *c, struct configuration_target target, struct err *err);
int configuration_store_let_go(struct db *db, const struct configuration *c, struct configuration_target target, struct err *err);
int configuration_store_set_applied(
	struct db *db, const struct configuration *c, struct configuration_target target, bool applied, struct err *err);
/* A twin that is no more, with all modules of a device. */
int configuration_store_forget(struct db *db, struct configuration_target target, struct err *err);
/* One that the last sweep did not find: 1, and its names are the caller's; 0: there is none. */
int configuration_store_unswept(struct db *db, const struct configuration *c, char **device_id, char **module_id, struct err *err);
int configuration_store_count(struct db *db, const struct configuration *c, int64_t *targeted, int64_t *applied, struct err *err);

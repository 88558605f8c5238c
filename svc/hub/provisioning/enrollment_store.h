/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The enrollments in SQLite.  Used by one thread at a time, the registry's worker.  Ids are looked for
 * without regard to case. */

#include "hub/provisioning/enrollment.h"
#include "store/db.h"

/* *out is NULL when there is none. */
int enrollment_store_find(struct db *db, bool is_group, const char *id, struct enrollment **out, struct err *err);
int enrollment_store_put(struct db *db, const struct enrollment *enrollment, struct err *err);
int enrollment_store_remove(struct db *db, bool is_group, const char *id, struct err *err);
/* In the order of ids, those behind `after` (NULL: from the beginning); `each` owns what it gets. */
typedef void enrollment_store_each(void *arg, struct enrollment *enrollment_take);
int enrollment_store_list(
	struct db *db, bool is_group, const char *after, int64_t max, enrollment_store_each *each, void *arg, struct err *err);

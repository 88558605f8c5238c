/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the provisioning service keeps in SQLite: enrollments and registrations.  Used by one thread at a time, the registry's worker.  Ids are looked for
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

/* What became of a device.  It is written before the hub is (ASSIGNING), and again after that: a kill between leaves a claim on the device id, which the next
 * register of the same id goes on with. */
struct registration {
	char *id;	/* as the device wrote it first */
	char *group_id; /* NULL: by an individual enrollment */
	char *hub, *device_id, *operation, *etag;
	char *payload;		/* what it sent along when it registered last: JSON, on one line; NULL: nothing */
	char *failure;		/* why it can't be assigned; NULL: it is, or will be */
	char *storage_root_key; /* that its TPM showed last, which does not say so again when it asks how it goes; NULL: it has none */
	bool assigned, owned; /* owned: the device in a linked hub was made by this registration */
	int64_t created, updated;
};
void registration_free(struct registration *registration);
OWN_DEFINE(registration);
int registration_find(struct db *db, const char *id, struct registration **out, struct err *err);
/* Of a group, in the order of ids, those behind `after` (NULL: from the beginning); `each` owns what it gets. */
typedef void registration_each(void *arg, struct registration *registration_take);
int registration_list(
	struct db *db, const char *group_id, const char *after, int64_t max, registration_each *each, void *arg, struct err *err);
int registration_put(struct db *db, const struct registration *registration, struct err *err);
int registration_remove(struct db *db, const char *id, struct err *err);

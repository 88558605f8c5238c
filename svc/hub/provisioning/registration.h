/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What became of a device: to which hub it belongs, and how far that is done.  Kept in SQLite, so that whatever a kill leaves is gone on with (pursuit.h).  Used by one thread at a time, the registry's
 * worker.  Ids are looked for without regard to case.
 *
 * One that is unfinished goes through these states, each on disk before the next thing is done in a hub:
 *
 *	hub "", from A or none		its hub is to be chosen
 *	hub B, from A or none		the device is to be made in B; with what A has of it, if so
 *	hub B, from A, assigned		it is in B, and is to be taken out of A
 *	hub B, assigned			done */

#include "hub/provisioning/enrollment.h"
#include "store/db.h"

enum registration_substatus { REGISTRATION_INITIAL, REGISTRATION_MIGRATED, REGISTRATION_RESET, REGISTRATION_REPROVISIONED };

struct registration {
	char *id;	/* as the device wrote it first */
	char *group_id; /* NULL: by an individual enrollment */
	char *hub, *from, *device_id, *operation, *etag;
	char *payload;		/* what it sent along when it registered last: JSON, on one line; NULL: nothing */
	char *returned;		/* what its custom allocation has for it, the same way */
	char *twin;		/* what its custom allocation wants of a new twin, the same way */
	char *failure;		/* why it can't be assigned; NULL: it is, or will be */
	int error;		/* the number of that */
	char *storage_root_key; /* that its TPM showed last, which does not say so again when it asks how it goes; NULL: it has none */
	struct cert *shown;	/* the certificate it registered with; NULL: a token */
	char *issued;		/* the SHA-256 of the certificate that it was issued, upper-case hex; NULL: it asked for none */
	bool issued_pem;	/* asked for in the spelling of 2021 */
	enum registration_substatus substatus;
	bool assigned, owned; /* owned: the device in `hub` was made by this registration */
	int64_t created, updated;
	int64_t due; /* when to go on by ourselves; 0: there is nothing to do */
	int tries;   /* in vain, since it registered */
};
void registration_free(struct registration *registration);
OWN_DEFINE(registration);
bool registration_is_unfinished(const struct registration *r);
void registration_set(char **field, char *value_take);

int registration_find(struct db *db, const char *id, struct registration **out, struct err *err);
/* Of a group, in the order of ids, those behind `after` (NULL: from the beginning); `each` owns what it gets. */
typedef void registration_each(void *arg, struct registration *registration_take);
int registration_list(
	struct db *db, const char *group_id, const char *after, int64_t max, registration_each *each, void *arg, struct err *err);
/* Those to go on with at this time, the oldest first. */
int registration_list_due(struct db *db, int64_t now, int64_t max, registration_each *each, void *arg, struct err *err);
int registration_postpone(struct db *db, const char *id, int64_t due, struct err *err);
int registration_all_are_due(struct db *db, struct err *err); /* at the start: nobody works on any of them */
int registration_rename_hub(struct db *db, const char *before, const char *after, struct err *err);
int registration_put(struct db *db, const struct registration *registration, struct err *err);
int registration_remove(struct db *db, const char *id, struct err *err);

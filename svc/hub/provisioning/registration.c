/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of registrations (registration.h). */
#include "hub/provisioning/registration.h"

#include <string.h>

#include "base/mem.h"

#define COLUMNS                                                                                                                    \
	"name, group_id, hub, device_id, operation, etag, assigned, created, updated, payload, owned, failure, from_hub, "         \
	"returned, "                                                                                                               \
	"twin, error, shown, substatus, due, tries, storage_root_key, issued, issued_pem"

void
registration_free(struct registration *r)
{
	if (!r)
		return;
	mem_free(r->id);
	mem_free(r->group_id);
	mem_free(r->hub);
	mem_free(r->from);
	mem_free(r->device_id);
	mem_free(r->operation);
	mem_free(r->etag);
	mem_free(r->payload);
	mem_free(r->returned);
	mem_free(r->twin);
	mem_free(r->failure);
	mem_free(r->storage_root_key);
	mem_free(r->issued);
	cert_free(r->shown);
	mem_free(r);
}

bool
registration_is_unfinished(const struct registration *r)
{
	return !r->failure && (!r->assigned || r->from);
}

void
registration_set(char **field, char *value_take)
{
	mem_free(*field);
	*field = value_take;
}

/* One that is damaged is as good as none: the device registers again. */
static struct cert *
read_cert(const char *pem)
{
	struct certs list = { 0 };
	struct err err = ERR_INIT;
	struct cert *cert = NULL;

	if (pem && certs_parse(&list, pem, strlen(pem), 1, &err) == 0)
		cert = cert_ref(list.item[0]);
	certs_clear(&list);
	return cert;
}

static struct registration *
read_row(struct db_stmt *row)
{
	struct registration *r = NEW(registration);

	r->id = mem_text(db_text(row, 0));
	r->group_id = mem_text(db_text(row, 1));
	r->hub = mem_text(db_text(row, 2));
	r->device_id = mem_text(db_text(row, 3));
	r->operation = mem_text(db_text(row, 4));
	r->etag = mem_text(db_text(row, 5));
	r->assigned = db_int(row, 6) != 0;
	r->created = db_int(row, 7);
	r->updated = db_int(row, 8);
	r->payload = mem_text(db_text(row, 9));
	r->owned = db_int(row, 10) != 0;
	r->failure = mem_text(db_text(row, 11));
	r->from = mem_text(db_text(row, 12));
	r->returned = mem_text(db_text(row, 13));
	r->twin = mem_text(db_text(row, 14));
	r->error = (int)db_int(row, 15);
	r->shown = read_cert(db_text(row, 16));
	r->substatus = (enum registration_substatus)db_int(row, 17);
	r->due = db_int(row, 18);
	r->tries = (int)db_int(row, 19);
	r->storage_root_key = mem_text(db_text(row, 20));
	r->issued = mem_text(db_text(row, 21));
	r->issued_pem = db_int(row, 22) != 0;
	return r;
}

int
registration_find(struct db *db, const char *id, struct registration **out, struct err *err)
{
	OWN_TEXT key = enrollment_id_fold(id);
	struct db_stmt *row = db_query(db, err, "SELECT " COLUMNS " FROM registration WHERE id = ?", "t", key);
	int there = row ? db_next(row, err) : -1;

	*out = there > 0 ? read_row(row) : NULL;
	if (row)
		db_done(row);
	return there < 0 ? -1 : 0;
}

static int
each_row(struct db_stmt *row, registration_each *each, void *arg, struct err *err)
{
	int more = row ? db_next(row, err) : -1;

	for (; more > 0; more = db_next(row, err))
		each(arg, read_row(row));
	if (row)
		db_done(row);
	return more;
}

int
registration_list(
	struct db *db, const char *group_id, const char *after, int64_t max, registration_each *each, void *arg, struct err *err)
{
	OWN_TEXT behind = after ? enrollment_id_fold(after) : mem_text("");

	return each_row(
		db_query(db, err,
			"SELECT " COLUMNS " FROM registration WHERE group_id = ? COLLATE NOCASE AND id > ? ORDER BY id LIMIT ?",
			"tti", group_id, behind, max),
		each, arg, err);
}

int
registration_list_due(struct db *db, int64_t now, int64_t max, registration_each *each, void *arg, struct err *err)
{
	return each_row(db_query(db, err, "SELECT " COLUMNS " FROM registration WHERE due > 0 AND due <= ? ORDER BY due LIMIT ?",
				"ii", now, max),
		each, arg, err);
}

int
registration_postpone(struct db *db, const char *id, int64_t due, struct err *err)
{
	OWN_TEXT key = enrollment_id_fold(id);

	return db_run(db, err, "UPDATE registration SET due = ? WHERE id = ?", "it", due, key);
}

int
registration_all_are_due(struct db *db, struct err *err)
{
	return db_run(db, err, "UPDATE registration SET due = 1 WHERE due > 1", "");
}

int
registration_rename_hub(struct db *db, const char *before, const char *after, struct err *err)
{
	if (db_run(db, err, "UPDATE registration SET hub = ? WHERE hub = ?", "tt", after, before) < 0)
		return -1;
	return db_run(db, err, "UPDATE registration SET from_hub = ? WHERE from_hub = ?", "tt", after, before);
}

int
registration_put(struct db *db, const struct registration *r, struct err *err)
{
	OWN_TEXT key = enrollment_id_fold(r->id);
	OWN_TEXT shown = cert_pem(r->shown);

	return db_run(db, err,
		"INSERT OR REPLACE INTO registration (id, " COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		"tttttttiiitittttitiiitti", key, r->id, r->group_id, r->hub, r->device_id, r->operation, r->etag,
		(int64_t)r->assigned, r->created, r->updated, r->payload, (int64_t)r->owned, r->failure, r->from, r->returned,
		r->twin, (int64_t)r->error, shown, (int64_t)r->substatus, r->due, (int64_t)r->tries, r->storage_root_key, r->issued,
		(int64_t)r->issued_pem);
}

int
registration_remove(struct db *db, const char *id, struct err *err)
{
	OWN_TEXT key = enrollment_id_fold(id);

	return db_run(db, err, "DELETE FROM registration WHERE id = ?", "t", key);
}

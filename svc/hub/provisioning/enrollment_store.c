/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of the provisioning service (enrollment_store.h).  What a decision needs stands in columns; what only becomes of the device is JSON. */
#include "hub/provisioning/enrollment_store.h"

#include <string.h>

#include "base/mem.h"
#include "wire/json.h"

#define COLUMNS                                                                                                                    \
	"name, enabled, proof, key1, key2, cert1, cert2, device_id, etag, wishes, created, updated, endorsement_key, "             \
	"storage_root_key, ca1, ca2"

static void
read_key(struct secret *key, struct db_stmt *row, int column)
{
	size_t len;
	const void *bytes = db_blob(row, column, &len);

	if (bytes && len > 0 && len <= SECRET_MAX)
		secret_set(key, bytes, len);
}

static int
read_cert(struct cert **cert, struct db_stmt *row, int column, struct err *err)
{
	const char *pem = db_text(row, column);
	struct certs list = { 0 };

	if (!pem)
		return 0;
	if (certs_parse(&list, pem, strlen(pem), 1, err) < 0)
		return err_wrap(err, "a certificate of an enrollment");
	*cert = cert_ref(list.item[0]);
	certs_clear(&list);
	return 0;
}

static struct enrollment *
read_enrollment(struct db_stmt *row, bool is_group, struct err *err)
{
	OWN(enrollment) e = enrollment_new(db_text(row, 0), is_group);
	const char *wishes = db_text(row, 9);

	e->enabled = db_int(row, 1) != 0;
	e->proof = (enum enrollment_proof)db_int(row, 2);
	for (int i = 0; i < 2; i++) {
		read_key(&e->keys[i], row, 3 + i);
		if (read_cert(&e->certs[i], row, 5 + i, err) < 0)
			return NULL;
	}
	e->device_id = mem_text(db_text(row, 7));
	e->etag = mem_text(db_text(row, 8));
	e->wishes = json_parse(wishes ? wishes : "", wishes ? strlen(wishes) : 0, err);
	e->created = db_int(row, 10);
	e->updated = db_int(row, 11);
	e->endorsement_key = mem_text(db_text(row, 12));
	e->storage_root_key = mem_text(db_text(row, 13));
	e->ca_names[0] = mem_text(db_text(row, 14));
	e->ca_names[1] = mem_text(db_text(row, 15));
	return e->wishes ? GIVE(e) : NULL;
}

int
enrollment_store_list(
	struct db *db, bool is_group, const char *after, int64_t max, enrollment_store_each *each, void *arg, struct err *err)
{
	OWN_TEXT behind = after ? enrollment_id_fold(after) : mem_text("");
	struct db_stmt *row =
		db_query(db, err, "SELECT " COLUMNS " FROM enrollment WHERE is_group = ? AND id > ? ORDER BY id LIMIT ?", "iti",
			(int64_t)is_group, behind, max);
	int more = row ? db_next(row, err) : -1;

	while (more > 0) {
		struct enrollment *e = read_enrollment(row, is_group, err);

		if (e)
			each(arg, e);
		more = e ? db_next(row, err) : -1;
	}
	if (row)
		db_done(row);
	return more;
}

int
enrollment_store_find(struct db *db, bool is_group, const char *id, struct enrollment **out, struct err *err)
{
	OWN_TEXT key = enrollment_id_fold(id);
	struct db_stmt *row =
		db_query(db, err, "SELECT " COLUMNS " FROM enrollment WHERE is_group = ? AND id = ?", "it", (int64_t)is_group, key);
	int there = row ? db_next(row, err) : -1;

	*out = there > 0 ? read_enrollment(row, is_group, err) : NULL;
	if (row)
		db_done(row);
	return there < 0 || (there > 0 && !*out) ? -1 : 0;
}

int
enrollment_store_put(struct db *db, const struct enrollment *e, struct err *err)
{
	OWN_TEXT key = enrollment_id_fold(e->id);
	OWN_TEXT pem1 = cert_pem(e->certs[0]);
	OWN_TEXT pem2 = cert_pem(e->certs[1]);
	OWN_TEXT wishes = json_line(e->wishes);

	return db_run(db, err,
		"INSERT OR REPLACE INTO enrollment (is_group, id, " COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		"ittiibbtttttiitttt", (int64_t)e->is_group, key, e->id, (int64_t)e->enabled, (int64_t)e->proof, e->keys[0].bytes,
		e->keys[0].len, e->keys[1].bytes, e->keys[1].len, pem1, pem2, e->device_id, e->etag, wishes, e->created, e->updated,
		e->endorsement_key, e->storage_root_key, e->ca_names[0], e->ca_names[1]);
}

int
enrollment_store_remove(struct db *db, bool is_group, const char *id, struct err *err)
{
	OWN_TEXT key = enrollment_id_fold(id);

	return db_run(db, err, "DELETE FROM enrollment WHERE is_group = ? AND id = ?", "it", (int64_t)is_group, key);
}

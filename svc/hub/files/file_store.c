/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of uploaded files (file_store.h).  A row is the truth about a file: a file that no row names is a leftover. */
#include "hub/files/file_store.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define EXPIRED_KEPT_S (24 * 3600) /* so that it can be told that an upload has expired, not only that it is unknown */
#define LOCK_S 60
#define DELIVERIES_MAX 10
#define NOTIFICATION_LIFE_S (48 * 3600)

/* -- Uploads --------------------------------------------------------------------------------------------------------------------------- */

void
file_upload_clear(struct file_upload *upload)
{
	mem_free(upload->device_id);
	mem_free(upload->blob);
	*upload = (struct file_upload){ 0 };
}

int
file_store_count_uploads(struct registry_store *store, const char *device_id, int64_t now, int64_t *n, struct err *err)
{
	int got = db_number(registry_store_db(store), n, err, "SELECT count(*) FROM upload WHERE device_id = ? AND expires > ?",
		"ti", device_id, now);

	return got == 1 ? 0 : -1;
}

int
file_store_begin_upload(
	struct registry_store *store, const char *correlation_id, const struct file_upload *upload, int64_t now, struct err *err)
{
	if (db_run(registry_store_db(store), err, "DELETE FROM upload WHERE expires < ?", "i", now - EXPIRED_KEPT_S) < 0)
		return -1;
	return db_run(registry_store_db(store), err,
		"INSERT INTO upload (correlation_id, device_id, blob, expires) VALUES (?, ?, ?, ?)", "ttti", correlation_id,
		upload->device_id, upload->blob, upload->expires);
}

int
file_store_find_upload(struct registry_store *store, const char *correlation_id, struct file_upload *upload, struct err *err)
{
	struct db_stmt *row = db_query(registry_store_db(store), err,
		"SELECT device_id, blob, expires FROM upload WHERE correlation_id = ?", "t", correlation_id);
	int got;

	if (!row)
		return -1;
	got = db_next(row, err);
	if (got == 1)
		*upload = (struct file_upload){
			.device_id = mem_text(db_text(row, 0)), .blob = mem_text(db_text(row, 1)), .expires = db_int(row, 2)
		};
	db_done(row);
	return got < 0 ? -1 : 0;
}

int
file_store_end_upload(struct registry_store *store, const char *correlation_id, struct err *err)
{
	return db_run(registry_store_db(store), err, "DELETE FROM upload WHERE correlation_id = ?", "t", correlation_id);
}

/* -- Blobs and blocks ------------------------------------------------------------------------------------------------------------------- */

void
blob_record_clear(struct blob_record *record)
{
	mem_free(record->content_type);
	*record = (struct blob_record){ 0 };
}

/* file, size, modified, content type */
static int
read_record(struct db_stmt *row, struct blob_record *record, struct err *err)
{
	int got;

	if (!row)
		return -1;
	got = db_next(row, err);
	if (got == 1) {
		*record = (struct blob_record){
			.size = db_int(row, 1), .modified = db_int(row, 2), .content_type = mem_text(db_text(row, 3))
		};
		snprintf(record->file, sizeof(record->file), "%s", db_text(row, 0));
	}
	db_done(row);
	return got < 0 ? -1 : 0;
}

int
file_store_find_blob(struct registry_store *store, const char *blob, struct blob_record *record, struct err *err)
{
	return read_record(db_query(registry_store_db(store), err,
				   "SELECT file, size, modified, content_type FROM blob WHERE name = ?", "t", blob),
		record, err);
}

int
file_store_put_blob(struct registry_store *store, const char *blob, const struct blob_record *record, struct err *err)
{
	return db_run(registry_store_db(store), err,
		"INSERT OR REPLACE INTO blob (name, file, size, modified, content_type) VALUES (?, ?, ?, ?, ?)", "ttiit", blob,
		record->file, record->size, record->modified, record->content_type);
}

int
file_store_find_block(struct registry_store *store, const char *blob, const char *id, struct blob_record *block, struct err *err)
{
	return read_record(db_query(registry_store_db(store), err,
				   "SELECT file, size, modified, NULL FROM block WHERE blob = ? AND id = ?", "tt", blob, id),
		block, err);
}

int
file_store_put_block(
	struct registry_store *store, const char *blob, const char *id, const struct blob_record *block, struct err *err)
{
	return db_run(registry_store_db(store), err,
		"INSERT OR REPLACE INTO block (blob, id, file, size, modified) VALUES (?, ?, ?, ?, ?)", "tttii", blob, id,
		block->file, block->size, block->modified);
}

int
file_store_remove_blocks(struct registry_store *store, const char *blob, struct err *err)
{
	return db_run(registry_store_db(store), err, "DELETE FROM block WHERE blob = ?", "t", blob);
}

/* Rows of blob, file, size. */
static int
each_file(struct db_stmt *rows_take, file_store_file *each, void *arg, struct err *err)
{
	int got;

	if (!rows_take)
		return -1;
	while ((got = db_next(rows_take, err)) == 1)
		each(arg, db_text(rows_take, 0), db_text(rows_take, 1), db_int(rows_take, 2));
	db_done(rows_take);
	return got;
}

int
file_store_files(struct registry_store *store, const char *blob, file_store_file *each, void *arg, struct err *err)
{
	struct db_stmt *rows =
		blob ? db_query(registry_store_db(store), err, "SELECT blob, file, size FROM block WHERE blob = ?", "t", blob)
		     : db_query(registry_store_db(store), err,
			       "SELECT blob, file, size FROM block UNION ALL SELECT name, file, size FROM blob", "");

	return each_file(rows, each, arg, err);
}

int
file_store_remove_old_blocks(
	struct registry_store *store, int64_t before, int64_t max, file_store_file *each, void *arg, struct err *err)
{
	/* SQLite hands the rows out when all of them are deleted; they are durable when the statement has ended, and a file that goes a moment before its row is missed by nobody. */
	return each_file(db_query(registry_store_db(store), err,
				 "DELETE FROM block WHERE file IN (SELECT file FROM block WHERE modified < ? ORDER BY modified "
				 "LIMIT ?) RETURNING "
				 "blob, file, size",
				 "ii", before, max),
		each, arg, err);
}

/* -- With the device -------------------------------------------------------------------------------------------------------------------- */

char *
file_store_device(const char *blob)
{
	return mem_textf("%.*s", (int)strcspn(blob, "/"), blob);
}

/* "DEVICE/" to before "DEVICE0", which is the next letter. */
#define OF_DEVICE(column) " " column " > ?1 || '/' AND " column " < ?1 || '0'"

int
file_store_forget_device(struct registry_store *store, const char *device_id, struct err *err)
{
	static const char *const statements[] = {
		"INSERT INTO dropped_file (file, blob, size) SELECT file, name, size FROM blob WHERE" OF_DEVICE("name"),
		"INSERT INTO dropped_file (file, blob, size) SELECT file, blob, size FROM block WHERE" OF_DEVICE("blob"),
		"DELETE FROM blob WHERE" OF_DEVICE("name"),
		"DELETE FROM block WHERE" OF_DEVICE("blob"),
		"DELETE FROM upload WHERE device_id = ?1",
		"DELETE FROM file_notification WHERE device_id = ?1",
	};

	for (size_t i = 0; i < COUNT(statements); i++)
		if (db_run(registry_store_db(store), err, statements[i], "t", device_id) < 0)
			return -1;
	return 0;
}

int
file_store_take_dropped(struct registry_store *store, file_store_file *each, void *arg, struct err *err)
{
	return each_file(
		db_query(registry_store_db(store), err, "DELETE FROM dropped_file RETURNING blob, file, size", ""), each, arg, err);
}

/* -- Notifications ------------------------------------------------------------------------------------------------------------------------ */

void
file_notification_clear(struct file_notification *notification)
{
	mem_free(notification->device_id);
	mem_free(notification->blob);
	*notification = (struct file_notification){ 0 };
}

/* Each one that comes takes two that nobody wanted along: what devices can fill stays bounded where no service ever asks. */
int
file_store_put_notification(struct registry_store *store, const struct file_notification *n, struct err *err)
{
	if (db_run(registry_store_db(store), err,
		    "DELETE FROM file_notification WHERE seq IN (SELECT seq FROM file_notification ORDER BY seq LIMIT 2) AND "
		    "enqueued < ?",
		    "i", n->enqueued - NOTIFICATION_LIFE_S) < 0)
		return -1;
	return db_run(registry_store_db(store), err,
		"INSERT INTO file_notification (device_id, blob, size, modified, enqueued) VALUES (?, ?, ?, ?, ?)", "ttiii",
		n->device_id, n->blob, n->size, n->modified, n->enqueued);
}

static int
read_free_notification(
	struct registry_store *store, int64_t now, int64_t *seq, struct file_notification *notification, struct err *err)
{
	struct db_stmt *row = db_query(registry_store_db(store), err,
		"SELECT seq, device_id, blob, size, modified, enqueued FROM file_notification WHERE locked_until <= ? ORDER BY seq "
		"LIMIT 1",
		"i", now);
	int got;

	if (!row)
		return -1;
	got = db_next(row, err);
	if (got == 1) {
		*seq = db_int(row, 0);
		*notification = (struct file_notification){ .device_id = mem_text(db_text(row, 1)),
			.blob = mem_text(db_text(row, 2)),
			.size = db_int(row, 3),
			.modified = db_int(row, 4),
			.enqueued = db_int(row, 5) };
	}
	db_done(row);
	return got < 0 ? -1 : 0;
}

int
file_store_take_notification(
	struct registry_store *store, const char *lock, int64_t now, struct file_notification *notification, struct err *err)
{
	struct file_notification found = { 0 };
	int64_t seq;

	if (db_run(registry_store_db(store), err,
		    "DELETE FROM file_notification WHERE locked_until <= ?1 AND (deliveries >= ?2 OR enqueued < ?3)", "iii", now,
		    (int64_t)DELIVERIES_MAX, now - NOTIFICATION_LIFE_S) < 0 ||
		read_free_notification(store, now, &seq, &found, err) < 0)
		return -1;
	if (found.blob &&
		db_run(registry_store_db(store), err,
			"UPDATE file_notification SET lock = ?, locked_until = ?, deliveries = deliveries + 1 WHERE seq = ?", "tii",
			lock, now + LOCK_S, seq) < 0) {
		file_notification_clear(&found);
		return -1;
	}
	*notification = found;
	return 0;
}

int
file_store_complete_notification(struct registry_store *store, const char *lock, int64_t now, int64_t *held, struct err *err)
{
	if (db_run(registry_store_db(store), err, "DELETE FROM file_notification WHERE lock = ? AND locked_until > ?", "ti", lock,
		    now) < 0)
		return -1;
	*held = db_changes(registry_store_db(store));
	return 0;
}

int
file_store_abandon_notification(struct registry_store *store, const char *lock, int64_t now, int64_t *held, struct err *err)
{
	if (db_run(registry_store_db(store), err,
		    "UPDATE file_notification SET lock = NULL, locked_until = 0 WHERE lock = ? AND locked_until > ?", "ti", lock,
		    now) < 0)
		return -1;
	*held = db_changes(registry_store_db(store));
	return 0;
}

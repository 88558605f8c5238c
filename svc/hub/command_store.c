/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of commands (command_store.h). */
#include "hub/command_store.h"

#include "base/mem.h"

int
command_store_count(struct registry_store *store, const char *device_id, const char *module_id, int64_t *n, struct err *err)
{
	struct db_stmt *row = db_query(registry_store_db(store), err,
		"SELECT COUNT(*) FROM command WHERE device_id = ? AND module_id = ?", "tt", device_id, module_id ? module_id : "");
	int got;

	if (!row)
		return -1;
	got = db_next(row, err);
	if (got == 1)
		*n = db_int(row, 0);
	db_done(row);
	return got < 0 ? -1 : 0;
}

static int
last_sequence(struct db *db, int64_t *sequence, struct err *err)
{
	struct db_stmt *row = db_query(db, err, "SELECT last_insert_rowid()", "");
	int got;

	if (!row)
		return -1;
	got = db_next(row, err);
	if (got == 1)
		*sequence = db_int(row, 0);
	db_done(row);
	return got < 0 ? -1 : 0;
}

int
command_store_add(struct registry_store *store, const struct command *c, int64_t *sequence, struct err *err)
{
	OWN_TEXT device_id = slice_text(c->device_id);
	OWN_TEXT module_id = slice_text(c->module_id);
	OWN_TEXT message_id = slice_text(c->message_id);
	OWN_TEXT correlation_id = slice_text(c->correlation_id);
	OWN_TEXT user_id = slice_text(c->user_id);
	OWN_TEXT content_type = slice_text(c->content_type);
	OWN_TEXT content_encoding = slice_text(c->content_encoding);
	OWN_TEXT properties = slice_text(c->properties);
	struct db *db = registry_store_db(store);

	if (db_run(db, err,
		    "INSERT INTO command (device_id, module_id, message_id, correlation_id, user_id, content_type, "
		    "content_encoding,"
		    " properties, payload, ack, has_expiry, enqueued_ms, expires_ms, locked_until_ms, n_deliveries)"
		    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",
		    "ttttttttbiiii", device_id, module_id, message_id, correlation_id, user_id, content_type, content_encoding,
		    properties, c->payload.text, c->payload.len, (int64_t)c->ack, (int64_t)c->has_expiry, c->enqueued_ms,
		    c->expires_ms) < 0)
		return -1;
	return last_sequence(db, sequence, err);
}

static void
read_command(struct command *c, struct db_stmt *row)
{
	*c = (struct command){
		.sequence = db_int(row, 0),
		.device_id = slice_of(db_text(row, 1)),
		.module_id = slice_of(db_text(row, 2)),
		.message_id = slice_of(db_text(row, 3)),
		.correlation_id = slice_of(db_text(row, 4)),
		.user_id = slice_of(db_text(row, 5)),
		.content_type = slice_of(db_text(row, 6)),
		.content_encoding = slice_of(db_text(row, 7)),
		.properties = slice_of(db_text(row, 8)),
		.ack = (enum command_ack)(db_int(row, 10) & COMMAND_ACK_FULL),
		.has_expiry = db_int(row, 11) != 0,
		.enqueued_ms = db_int(row, 12),
		.expires_ms = db_int(row, 13),
		.locked_until_ms = db_int(row, 14),
		.n_deliveries = (int)db_int(row, 15),
	};
	c->payload.text = db_blob(row, 9, &c->payload.len);
}

int
command_store_pending(struct registry_store *store, const char *device_id, const char *module_id, command_store_row *each,
	void *arg, struct err *err)
{
	struct db_stmt *row = db_query(registry_store_db(store), err,
		"SELECT sequence, device_id, module_id, message_id, correlation_id, user_id, content_type, content_encoding,"
		" properties, payload, ack, has_expiry, enqueued_ms, expires_ms, locked_until_ms, n_deliveries, lock_token"
		" FROM command WHERE device_id = ? AND module_id = ? ORDER BY sequence LIMIT ?",
		"tti", device_id, module_id ? module_id : "", (int64_t)COMMAND_PENDING_MAX);
	struct command command;
	int got;

	if (!row)
		return -1;
	while ((got = db_next(row, err)) == 1) {
		read_command(&command, row);
		each(arg, &command, db_text(row, 16));
	}
	db_done(row);
	return got;
}

int
command_store_lock(struct registry_store *store, int64_t sequence, const char *lock_token, int64_t until_ms, struct err *err)
{
	return db_run(registry_store_db(store), err,
		"UPDATE command SET lock_token = ?, locked_until_ms = ?, n_deliveries = n_deliveries + 1 WHERE sequence = ?", "tii",
		lock_token, until_ms, sequence);
}

int
command_store_remove(struct registry_store *store, int64_t sequence, struct err *err)
{
	return db_run(registry_store_db(store), err, "DELETE FROM command WHERE sequence = ?", "i", sequence);
}

int
command_store_forget(struct registry_store *store, const char *device_id, const char *module_id, int64_t *n, struct err *err)
{
	struct db *db = registry_store_db(store);
	int done =
		module_id ? db_run(db, err, "DELETE FROM command WHERE device_id = ? AND module_id = ?", "tt", device_id, module_id)
			  : db_run(db, err, "DELETE FROM command WHERE device_id = ?", "t", device_id);

	if (done == 0)
		*n = db_changes(db);
	return done;
}

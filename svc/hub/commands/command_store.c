/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of commands (command_store.h). */
#include "hub/commands/command_store.h"

#include "base/mem.h"

int
command_store_count(struct registry_store *store, const char *device_id, const char *module_id, int64_t *n, struct err *err)
{
	int got = db_number(registry_store_db(store), n, err, "SELECT COUNT(*) FROM command WHERE device_id = ? AND module_id = ?",
		"tt", device_id, module_id ? module_id : "");

	return got < 0 ? -1 : 0;
}

static int
last_sequence(struct db *db, int64_t *sequence, struct err *err)
{
	return db_number(db, sequence, err, "SELECT last_insert_rowid()", "") < 0 ? -1 : 0;
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

#define SELECT_COMMAND                                                                                                             \
	"SELECT sequence, device_id, module_id, message_id, correlation_id, user_id, content_type, content_encoding, properties,"  \
	" payload, ack, has_expiry, enqueued_ms, expires_ms, locked_until_ms, n_deliveries, lock_token FROM command "

static int
each_row(struct db_stmt *row, command_store_row *each, void *arg, struct err *err)
{
	struct command command;
	bool more = true;
	int got = 0;

	if (!row)
		return -1;
	while (more && (got = db_next(row, err)) == 1) {
		read_command(&command, row);
		more = each(arg, &command, db_text(row, 16));
	}
	db_done(row);
	return got < 0 ? -1 : 0;
}

int
command_store_pending(struct registry_store *store, const char *device_id, const char *module_id, command_store_row *each,
	void *arg, struct err *err)
{
	return each_row(
		db_query(registry_store_db(store), err, SELECT_COMMAND "WHERE device_id = ? AND module_id = ? ORDER BY sequence",
			"tt", device_id, module_id ? module_id : ""),
		each, arg, err);
}

int
command_store_find(struct registry_store *store, const char *device_id, const char *module_id, const char *lock_token,
	int64_t sequence, command_store_row *each, void *arg, struct err *err)
{
	struct db *db = registry_store_db(store);
	struct db_stmt *row;

	if (!module_id)
		module_id = "";
	if (lock_token)
		row = db_query(db, err, SELECT_COMMAND "WHERE device_id = ? AND module_id = ? AND lock_token = ?", "ttt", device_id,
			module_id, lock_token);
	else
		row = db_query(db, err, SELECT_COMMAND "WHERE device_id = ? AND module_id = ? AND sequence = ?", "tti", device_id,
			module_id, sequence);
	return each_row(row, each, arg, err);
}

int
command_store_overdue(struct registry_store *store, int64_t now_ms, command_store_row *each, void *arg, struct err *err)
{
	struct db *db = registry_store_db(store);

	if (each_row(db_query(db, err, SELECT_COMMAND "WHERE expires_ms <= ?", "i", now_ms), each, arg, err) < 0)
		return -1;
	/* The limit stands in the text, so that the index of the few is used. */
	_Static_assert(COMMAND_DELIVERIES_MAX == 10, "the index of the schema");
	return each_row(
		db_query(db, err, SELECT_COMMAND "WHERE n_deliveries >= 10 AND expires_ms > ?", "i", now_ms), each, arg, err);
}

int
command_store_queues(struct registry_store *store, command_store_queue *each, void *arg, struct err *err)
{
	struct db_stmt *row = db_query(registry_store_db(store), err,
		"SELECT device_id, module_id, COUNT(*) FROM command GROUP BY device_id, module_id", "");
	const char *module_id;
	int got;

	if (!row)
		return -1;
	while ((got = db_next(row, err)) == 1) {
		module_id = db_text(row, 1);
		each(arg, db_text(row, 0), *module_id ? module_id : NULL, db_int(row, 2));
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
command_store_unlock(struct registry_store *store, int64_t sequence, bool unsent, struct err *err)
{
	return db_run(registry_store_db(store), err,
		"UPDATE command SET lock_token = NULL, locked_until_ms = 0, n_deliveries = n_deliveries - ? WHERE sequence = ?",
		"ii", (int64_t)unsent, sequence);
}

int
command_store_release(struct registry_store *store, const char *device_id, const char *module_id, struct err *err)
{
	return db_run(registry_store_db(store), err,
		"UPDATE command SET locked_until_ms = 0"
		" WHERE device_id = ? AND module_id = ? AND lock_token IS NULL AND locked_until_ms > 0",
		"tt", device_id, module_id ? module_id : "");
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

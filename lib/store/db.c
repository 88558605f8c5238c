/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite (db.h).  What the file is gets looked at before SQLite does: SQLite turns an empty file into a database, and opening a newer one would
 * already write to it. */
#include "store/db.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rd.h"

#define HEAD_LEN 100 /* sqlite.org/fileformat.html 1.3 */
#define HEAD_VERSION 60

static pthread_once_t once = PTHREAD_ONCE_INIT;

struct db_stmt {
	sqlite3_stmt *stmt;
	char *sql;
	struct db *db;
	struct db_stmt *next;
	bool busy;
};

struct db {
	sqlite3 *handle;
	char *path;
	struct db_stmt *stmts; /* prepared once */
	int depth;	       /* of transactions in each other */
};

static enum err_kind
kind_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_CONSTRAINT:
		return ERR_CONFLICT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_FULL:
	case SQLITE_IOERR:
		return ERR_UNAVAILABLE;
	case SQLITE_TOOBIG:
		return ERR_LIMIT;
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
		return ERR_DENIED;
	default:
		return ERR_BROKEN;
	}
}

static int
fail(struct db *db, const char *what, struct err *err)
{
	return err_set(
		err, kind_of(sqlite3_extended_errcode(db->handle)), "%s: %s: %s", db->path, what, sqlite3_errmsg(db->handle));
}

/* -- Opening ----------------------------------------------------------------------------------------------------------------- */

/* Look whether it is ours to touch. */
static int
check_file(const char *path, size_t n_migrations, struct err *err)
{
	static const char magic[] = "SQLite format 3";
	uint8_t head[HEAD_LEN];
	struct rd version;
	uint32_t found;
	ssize_t len;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, "cannot open the database %s", path);
	len = pread(fd, head, sizeof(head), 0);
	close(fd);
	if (len < 0)
		return err_errno(err, "cannot read the database %s", path);
	if (len == 0)
		return err_set(err, ERR_BROKEN, "%s is empty: what was in it is lost; remove it to begin anew", path);
	if (len < HEAD_LEN || memcmp(head, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_BROKEN, "%s is not a database; it is left untouched", path);
	version = rd_over(head + HEAD_VERSION, 4);
	found = rd_u32(&version);
	if (found > n_migrations)
		return err_set(err, ERR_INVALID, "%s is of version %u, this program knows %zu: it is left untouched", path, found,
			n_migrations);
	return 0;
}

static int
exec(struct db *db, const char *sql, struct err *err)
{
	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return fail(db, sql, err);
	return 0;
}

/* The first column of the first row, as text. */
static int
ask(struct db *db, const char *sql, char *out, size_t room, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	const char *text;
	int code = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);

	out[0] = '\0';
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW) {
		text = (const char *)sqlite3_column_text(stmt, 0);
		snprintf(out, room, "%s", text ? text : "");
	}
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		(void)err_set(err, kind_of(code), "%s: %s", db->path, sqlite3_errmsg(db->handle));
	sqlite3_finalize(stmt);
	return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : -1;
}

static int
check_content(struct db *db, struct err *err)
{
	char answer[200];

	if (ask(db, "PRAGMA quick_check(1)", answer, sizeof(answer), err) < 0)
		return -1;
	if (strcmp(answer, "ok") != 0)
		return err_set(err, ERR_BROKEN, "%s is damaged: %s; it is left untouched", db->path, answer);
	return 0;
}

/* From here on closing may move the write-ahead log's content into the file. */
int
db_check(struct db *db, struct err *err)
{
	if (check_content(db, err) < 0)
		return -1;
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return 0;
}

static int
get_version(struct db *db, size_t *version, struct err *err)
{
	char text[32];

	if (ask(db, "PRAGMA user_version", text, sizeof(text), err) < 0)
		return -1;
	*version = 0;
	for (const char *c = text; *c >= '0' && *c <= '9'; c++)
		*version = *version * 10 + (size_t)(*c - '0');
	return 0;
}

static void
undo(struct db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

static int
migrate(struct db *db, const char *const *migrations, size_t version, size_t n, struct err *err)
{
	char set[64];

	if (version > n) /* newer content that still stands in the write-ahead log */
		return err_set(err, ERR_INVALID, "%s is of version %zu, this program knows %zu: it is left untouched", db->path,
			version, n);
	if (version == n)
		return 0;
	if (exec(db, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	for (size_t i = version; i < n; i++)
		if (exec(db, migrations[i], err) < 0) {
			undo(db);
			return err_wrap(err, "bringing it from version %zu to %zu", i, i + 1);
		}
	snprintf(set, sizeof(set), "PRAGMA user_version = %zu", n);
	if (exec(db, set, err) < 0 || exec(db, "COMMIT", err) < 0) {
		undo(db);
		return -1;
	}
	return 0;
}

static int
set_up(struct db *db, const char *const *migrations, size_t n, enum db_check check, struct err *err)
{
	size_t version = 0;
	char mode[16];

	sqlite3_busy_timeout(db->handle, 5000);
	/* Until everything was found in order, closing must not write the log's content into the file. */
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (check == DB_CHECK_NOW && check_content(db, err) < 0)
		return -1;
	if (get_version(db, &version, err) < 0)
		return -1;
	if (check == DB_CHECK_LATER && version != n && check_content(db, err) < 0)
		return -1;
	if (ask(db, "PRAGMA journal_mode = WAL", mode, sizeof(mode), err) < 0)
		return -1;
	if (strcmp(mode, "wal") != 0)
		return err_set(err, ERR_BROKEN, "%s: the journal mode is %s instead of wal", db->path, mode);
	if (exec(db, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF", err) < 0 ||
		migrate(db, migrations, version, n, err) < 0)
		return -1;
	if (check == DB_CHECK_NOW)
		sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return 0;
}

/* No pages set aside: SQLite takes twenty at once for each connection, and touches them all, where the database of an idle service fills two. */
static void
configure(void)
{
	sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
}

/* A connection without anything done to it yet. */
static struct db *
connect_to(const char *path, int flags, struct err *err)
{
	struct db *db = NEW(db);

	db->path = mem_text(path);
	pthread_once(&once, configure);
	if (sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK)
		return db;
	(void)err_set(
		err, ERR_BROKEN, "cannot open the database %s: %s", path, db->handle ? sqlite3_errmsg(db->handle) : "no memory");
	db_close(db);
	return NULL;
}

static struct db *
open_file(const char *path, const char *const *migrations, size_t n, enum db_check check, struct err *err)
{
	struct db *db = connect_to(path, SQLITE_OPEN_READWRITE, err);

	if (db && set_up(db, migrations, n, check, err) < 0) {
		db_close(db);
		return NULL;
	}
	return db;
}

int
db_expect_many(struct db *db, struct err *err)
{
	return exec(db, "PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16384", err);
}

struct db *
db_open_reader(const char *path, struct err *err)
{
	struct db *db = connect_to(path, SQLITE_OPEN_READONLY, err);

	if (db)
		sqlite3_busy_timeout(db->handle, 5000);
	return db;
}

static int
create_private(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(err, "cannot make the database %s", path);
	close(fd);
	return 0;
}

/* It is begun beside its place and moved there when it is whole: so an empty file is never a beginning, but a loss. */
static int
begin(const char *path, const char *const *migrations, size_t n, struct err *err)
{
	OWN_TEXT fresh = mem_textf("%s.new", path);
	OWN_TEXT fresh_log = mem_textf("%s-wal", fresh);
	OWN_TEXT old_log = mem_textf("%s-wal", path);
	OWN_TEXT dir = mem_text(path);
	char *slash = strrchr(dir, '/');
	struct db *db;

	/* What an earlier try left, and the log of a database that somebody removed: SQLite would take them for this one's. */
	if (file_remove(fresh_log, err) < 0 || file_remove(old_log, err) < 0 || create_private(fresh, err) < 0)
		return -1;
	db = open_file(fresh, migrations, n, DB_CHECK_NOW, err);
	if (!db)
		return -1;
	db_close(db);
	if (rename(fresh, path) < 0)
		return err_errno(err, "cannot make the database %s", path);
	if (slash)
		slash[slash == dir] = '\0';
	return file_sync_dir(slash ? dir : ".", err);
}

struct db *
db_open_checked(const char *path, const char *const *migrations, size_t n, enum db_check check, struct err *err)
{
	if (!file_exists(path) && begin(path, migrations, n, err) < 0)
		return NULL;
	return check_file(path, n, err) < 0 ? NULL : open_file(path, migrations, n, check, err);
}

struct db *
db_open(const char *path, const char *const *migrations, size_t n, struct err *err)
{
	return db_open_checked(path, migrations, n, DB_CHECK_NOW, err);
}

void
db_close(struct db *db)
{
	struct db_stmt *next;

	if (!db)
		return;
	for (struct db_stmt *s = db->stmts; s; s = next) {
		next = s->next;
		sqlite3_finalize(s->stmt);
		mem_free(s->sql);
		mem_free(s);
	}
	sqlite3_close(db->handle);
	mem_free(db->path);
	mem_free(db);
}

const char *
db_path(const struct db *db)
{
	return db->path;
}

/* -- Statements ---------------------------------------------------------------------------------------------------------------- */

static struct db_stmt *
stmt_get(struct db *db, const char *sql, struct err *err)
{
	struct db_stmt *s;

	for (s = db->stmts; s; s = s->next)
		if (!s->busy && strcmp(s->sql, sql) == 0)
			break;
	if (s) {
		s->busy = true;
		return s;
	}
	s = NEW(db_stmt);
	if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL) != SQLITE_OK) {
		(void)fail(db, sql, err);
		mem_free(s);
		return NULL;
	}
	s->sql = mem_text(sql);
	s->db = db;
	s->busy = true;
	s->next = db->stmts;
	db->stmts = s;
	return s;
}

static int
bind(struct db_stmt *s, const char *types, va_list args)
{
	const char *text;
	const void *blob;
	int code = SQLITE_OK;
	size_t len;

	for (int i = 1; *types && code == SQLITE_OK; types++, i++) {
		switch (*types) {
		case 't':
			text = va_arg(args, const char *);
			code = sqlite3_bind_text(s->stmt, i, text, -1, SQLITE_TRANSIENT);
			break;
		case 'i':
			code = sqlite3_bind_int64(s->stmt, i, va_arg(args, int64_t));
			break;
		case 'b':
			blob = va_arg(args, const void *);
			len = va_arg(args, size_t);
			code = sqlite3_bind_blob64(s->stmt, i, blob, len, SQLITE_TRANSIENT);
			break;
		default:
			code = SQLITE_MISUSE;
		}
	}
	return code;
}

static int
bind_value(sqlite3_stmt *stmt, int i, const struct db_value *value)
{
	switch (value->type) {
	case DB_INT:
		return sqlite3_bind_int64(stmt, i, value->whole);
	case DB_REAL:
		return sqlite3_bind_double(stmt, i, value->real);
	case DB_TEXT:
		return sqlite3_bind_text64(stmt, i, value->data, value->len, SQLITE_TRANSIENT, SQLITE_UTF8);
	case DB_BLOB:
		return sqlite3_bind_blob64(stmt, i, value->data ? value->data : "", value->len, SQLITE_TRANSIENT);
	case DB_NULL:
		break;
	}
	return sqlite3_bind_null(stmt, i);
}

static struct db_stmt *
query_v(struct db *db, struct err *err, const char *sql, const char *types, va_list args)
{
	struct db_stmt *s = stmt_get(db, sql, err);

	if (!s)
		return NULL;
	if (bind(s, types, args) != SQLITE_OK) {
		(void)fail(db, sql, err);
		db_done(s);
		return NULL;
	}
	return s;
}

struct db_stmt *
db_query(struct db *db, struct err *err, const char *sql, const char *types, ...)
{
	struct db_stmt *s;
	va_list args;

	va_start(args, types);
	s = query_v(db, err, sql, types, args);
	va_end(args);
	return s;
}

struct db_stmt *
db_query_values(struct db *db, struct err *err, const char *sql, const struct db_value *values, size_t n)
{
	struct db_stmt *s = stmt_get(db, sql, err);
	int code = SQLITE_OK;

	for (size_t i = 0; s && i < n && code == SQLITE_OK; i++)
		code = bind_value(s->stmt, (int)i + 1, &values[i]);
	if (code == SQLITE_OK)
		return s;
	(void)fail(db, sql, err);
	db_done(s);
	return NULL;
}

int
db_next(struct db_stmt *stmt, struct err *err)
{
	switch (sqlite3_step(stmt->stmt)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return fail(stmt->db, stmt->sql, err);
	}
}

void
db_done(struct db_stmt *stmt)
{
	if (!stmt)
		return;
	sqlite3_reset(stmt->stmt);
	sqlite3_clear_bindings(stmt->stmt);
	stmt->busy = false;
}

int
db_run(struct db *db, struct err *err, const char *sql, const char *types, ...)
{
	struct db_stmt *s;
	va_list args;
	int done;

	va_start(args, types);
	s = query_v(db, err, sql, types, args);
	va_end(args);
	if (!s)
		return -1;
	while ((done = db_next(s, err)) == 1)
		;
	db_done(s);
	return done;
}

int
db_number(struct db *db, int64_t *out, struct err *err, const char *sql, const char *types, ...)
{
	struct db_stmt *row;
	va_list args;
	int there;

	va_start(args, types);
	row = query_v(db, err, sql, types, args);
	va_end(args);
	there = row ? db_next(row, err) : -1;
	if (there > 0)
		*out = db_int(row, 0);
	db_done(row);
	return there;
}

int
db_run_values(struct db *db, struct err *err, const char *sql, const struct db_value *values, size_t n)
{
	struct db_stmt *s = db_query_values(db, err, sql, values, n);
	int done;

	if (!s)
		return -1;
	while ((done = db_next(s, err)) == 1)
		;
	db_done(s);
	return done;
}

const char *
db_text(struct db_stmt *stmt, int column)
{
	return (const char *)sqlite3_column_text(stmt->stmt, column);
}

int64_t
db_int(struct db_stmt *stmt, int column)
{
	return sqlite3_column_int64(stmt->stmt, column);
}

const void *
db_blob(struct db_stmt *stmt, int column, size_t *len)
{
	const void *data = sqlite3_column_blob(stmt->stmt, column);

	*len = (size_t)sqlite3_column_bytes(stmt->stmt, column);
	return data;
}

struct db_value
db_get(struct db_stmt *stmt, int column)
{
	static const enum db_type types[] = { [SQLITE_INTEGER] = DB_INT,
		[SQLITE_FLOAT] = DB_REAL,
		[SQLITE_TEXT] = DB_TEXT,
		[SQLITE_BLOB] = DB_BLOB,
		[SQLITE_NULL] = DB_NULL };
	struct db_value value = { .type = types[sqlite3_column_type(stmt->stmt, column)] };

	if (value.type == DB_INT)
		value.whole = sqlite3_column_int64(stmt->stmt, column);
	else if (value.type == DB_REAL)
		value.real = sqlite3_column_double(stmt->stmt, column);
	else if (value.type == DB_TEXT)
		value.data = sqlite3_column_text(stmt->stmt, column);
	else if (value.type == DB_BLOB)
		value.data = sqlite3_column_blob(stmt->stmt, column);
	if (value.type == DB_TEXT || value.type == DB_BLOB)
		value.len = (size_t)sqlite3_column_bytes(stmt->stmt, column);
	return value;
}

/* -- Transactions --------------------------------------------------------------------------------------------------------------- */

int64_t
db_changes(struct db *db)
{
	return sqlite3_changes64(db->handle);
}

/* After a full disk or a failing one SQLite may have undone the whole transaction by itself: a savepoint would then begin, and release would commit, one of its own. */
static int
check_outer(const struct db *db, struct err *err)
{
	if (!sqlite3_get_autocommit(db->handle))
		return 0;
	return err_set(err, ERR_UNAVAILABLE, "%s: the transaction around this one was undone", db->path);
}

int
db_begin(struct db *db, struct err *err)
{
	if (db->depth > 0 && check_outer(db, err) < 0)
		return -1;
	if (db_run(db, err, db->depth == 0 ? "BEGIN IMMEDIATE" : "SAVEPOINT inner", "") < 0)
		return -1;
	db->depth++;
	return 0;
}

static void
roll_back(struct db *db)
{
	const char *sql = db->depth == 1 ? "ROLLBACK" : "ROLLBACK TO inner; RELEASE inner";

	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	db->depth--;
}

int
db_end(struct db *db, int done, struct err *err)
{
	if (done == 0 && check_outer(db, err) == 0 && db_run(db, err, db->depth == 1 ? "COMMIT" : "RELEASE inner", "") == 0) {
		db->depth--;
		return 0;
	}
	roll_back(db);
	return -1;
}

bool
db_is_in_transaction(const struct db *db)
{
	return db->depth > 0;
}

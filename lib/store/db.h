/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* SQLite sessions: WAL, synchronous=FULL, migrations by user_version, statements prepared once.  A database of a newer version than the program
 * knows, or one that is damaged, is refused with its path and left untouched.  Used by one thread at a time (give it a job on a pool of one). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"

struct db;
struct db_stmt;

/* migrations[i] brings version i to i+1; all run in one transaction. */
struct db *db_open(const char *path, const char *const *migrations, size_t n, struct err *err);
/* Reading a large file through takes seconds.  With DB_CHECK_LATER (a file that needs migrations is checked at once all the same) db_check is due before
 * the first change: until then nothing is written to the file, not even by closing. */
enum db_check { DB_CHECK_NOW, DB_CHECK_LATER };
struct db *db_open_checked(const char *path, const char *const *migrations, size_t n, enum db_check check, struct err *err);
int db_check(struct db *db, struct err *err);
/* For a process that writes much in little time: 64 MB of pages stay in memory, and the write-ahead log may grow as large. */
int db_expect_many(struct db *db, struct err *err);
/* A second connection to a database that is open, for reading only, on a thread of its own. */
struct db *db_open_reader(const char *path, struct err *err);
void db_close(struct db *db);
const char *db_path(const struct db *db); /* for errors about what the rows say */

/* Run with bound values; types: 't' const char * (NULL ok), 'i' int64_t, 'b' const void *, size_t.  For statements without rows. */
int db_run(struct db *db, struct err *err, const char *sql, const char *types, ...);
int64_t db_changes(struct db *db);
/* The same with values whose types are known only now. */
enum db_type { DB_NULL, DB_INT, DB_REAL, DB_TEXT, DB_BLOB };
struct db_value {
	enum db_type type;
	int64_t whole;
	double real;
	const void *data; /* of texts and blobs; borrowed for the call */
	size_t len;
};
int db_run_values(struct db *db, struct err *err, const char *sql, const struct db_value *values, size_t n);
/* Transactions stand in each other: an inner one that is undone leaves the outer one as it was, and nothing is durable before the outermost ends. */
int db_begin(struct db *db, struct err *err);
/* done 0: commit, anything else: undo, and then -1 is returned with `err` as it was.  Whatever it returns, the transaction is over. */
int db_end(struct db *db, int done, struct err *err);
bool db_is_in_transaction(const struct db *db);

/* Rows: db_query, then db_next until 0. */
struct db_stmt *db_query(struct db *db, struct err *err, const char *sql, const char *types, ...);
struct db_stmt *db_query_values(struct db *db, struct err *err, const char *sql, const struct db_value *values, size_t n);
int db_next(struct db_stmt *stmt, struct err *err);    /* 1 row, 0 end, -1 */
const char *db_text(struct db_stmt *stmt, int column); /* borrowed until the next step; NULL for NULL */
int64_t db_int(struct db_stmt *stmt, int column);
const void *db_blob(struct db_stmt *stmt, int column, size_t *len);
struct db_value db_get(struct db_stmt *stmt, int column); /* borrowed until the next step */
void db_done(struct db_stmt *stmt);
/* The one number of the first row: 1, or 0 when there is no row and *out stays as it was. */
int db_number(struct db *db, int64_t *out, struct err *err, const char *sql, const char *types, ...);

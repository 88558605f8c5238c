/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite sessions: versions, damage, and what survives a kill. */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/db.h"
#include "t.h"

static const char *const migrations[] = {
	"CREATE TABLE thing (name TEXT PRIMARY KEY, size INTEGER, data BLOB)",
	"ALTER TABLE thing ADD COLUMN note TEXT",
};

static const char *
new_path(void)
{
	static char path[128];
	static int n;

	snprintf(path, sizeof(path), "%s/db-%d.sqlite", T_TMPDIR, n++);
	return path;
}

static struct db *
open_db(const char *path, size_t n)
{
	struct err err = ERR_INIT;
	struct db *db = db_open(path, migrations, n, &err);

	if (!db)
		fail_msg("%s", err.text);
	return db;
}

static void
open_fails(const char *path, enum err_kind kind, const char *part)
{
	struct err err = ERR_INIT;

	CHECK(!db_open(path, migrations, 2, &err));
	CHECK_ERR(err, kind, part);
	CHECK_CONTAINS(err.text, path);
}

static int64_t
count_things(struct db *db)
{
	struct err err = ERR_INIT;
	struct db_stmt *stmt = db_query(db, &err, "SELECT count(*) FROM thing", "");
	int64_t n;

	CHECK(stmt && db_next(stmt, &err) == 1);
	n = db_int(stmt, 0);
	db_done(stmt);
	return n;
}

TEST("values come back as they were bound, NULL included")
{
	struct db *db = open_db(new_path(), 2);
	struct err err = ERR_INIT;
	struct db_stmt *stmt;
	size_t len;

	CHECK_OK(db_run(db, &err, "INSERT INTO thing VALUES (?, ?, ?, ?)", "tibt", "pump", (int64_t)-7, "a\0b", (size_t)3,
			 (const char *)NULL),
		err);
	CHECK_INT(db_changes(db), 1);
	stmt = db_query(db, &err, "SELECT name, size, data, note FROM thing WHERE name = ?", "t", "pump");
	CHECK_INT(db_next(stmt, &err), 1);
	CHECK_STR(db_text(stmt, 0), "pump");
	CHECK_INT(db_int(stmt, 1), -7);
	CHECK_MEM(db_blob(stmt, 2, &len), "a\0b", 3);
	CHECK_INT(len, 3);
	CHECK(!db_text(stmt, 3));
	CHECK_INT(db_next(stmt, &err), 0);
	db_done(stmt);
	db_close(db);
}

TEST("a transaction that is rolled back leaves nothing")
{
	struct db *db = open_db(new_path(), 2);
	struct err err = ERR_INIT;

	CHECK_OK(db_begin(db, &err), err);
	CHECK_OK(db_run(db, &err, "INSERT INTO thing (name) VALUES (?)", "t", "a"), err);
	CHECK_INT(db_end(db, -1, &err), -1);
	CHECK_INT(err.kind, ERR_NONE);
	CHECK_INT(count_things(db), 0);
	db_close(db);
}

static void
put(struct db *db, const char *name)
{
	struct err err = ERR_INIT;

	CHECK_OK(db_run(db, &err, "INSERT INTO thing (name) VALUES (?)", "t", name), err);
}

TEST("a transaction in another one is undone alone, and what it left is durable with the outer one")
{
	const char *path = new_path();
	struct db *db = open_db(path, 2), *other;
	struct err err = ERR_INIT;

	CHECK_OK(db_begin(db, &err), err);
	put(db, "a");
	CHECK_OK(db_begin(db, &err), err);
	put(db, "b");
	CHECK_OK(db_begin(db, &err), err);
	put(db, "c");
	CHECK_OK(db_end(db, 0, &err), err);
	CHECK_INT(db_end(db, -1, &err), -1);
	CHECK_INT(count_things(db), 1);
	CHECK_OK(db_begin(db, &err), err);
	put(db, "d");
	CHECK_OK(db_end(db, 0, &err), err);
	other = db_open_reader(path, &err);
	CHECK_INT(count_things(other), 0); /* nobody else has seen anything */
	CHECK(db_is_in_transaction(db));
	CHECK_OK(db_end(db, 0, &err), err);
	CHECK_INT(count_things(other), 2);
	CHECK(!db_is_in_transaction(db));
	db_close(other);
	db_close(db);
}

TEST("a transaction that was undone from within takes all inner ones along")
{
	struct db *db = open_db(new_path(), 2);
	struct err err = ERR_INIT;

	CHECK_OK(db_begin(db, &err), err);
	put(db, "a");
	CHECK_OK(db_run(db, &err, "ROLLBACK", ""), err); /* as SQLite does by itself where a disk fails */
	CHECK_INT(db_begin(db, &err), -1);
	CHECK_ERR(err, ERR_UNAVAILABLE, "was undone");
	CHECK_INT(db_end(db, 0, &err), -1);
	CHECK(!db_is_in_transaction(db));
	CHECK_INT(count_things(db), 0);
	CHECK_OK(db_begin(db, &err), err);
	put(db, "b");
	CHECK_OK(db_end(db, 0, &err), err);
	CHECK_INT(count_things(db), 1);
	db_close(db);
}

TEST("breaking a constraint is a conflict")
{
	struct db *db = open_db(new_path(), 2);
	struct err err = ERR_INIT;

	CHECK_OK(db_run(db, &err, "INSERT INTO thing (name) VALUES ('a')", ""), err);
	CHECK(db_run(db, &err, "INSERT INTO thing (name) VALUES ('a')", "") < 0);
	CHECK_ERR(err, ERR_CONFLICT, "UNIQUE");
	db_close(db);
}

TEST("an older database is brought up to date and keeps its rows")
{
	const char *path = new_path();
	struct db *db = open_db(path, 1);
	struct err err = ERR_INIT;

	CHECK_OK(db_run(db, &err, "INSERT INTO thing (name) VALUES ('a')", ""), err);
	db_close(db);
	db = open_db(path, 2);
	CHECK_OK(db_run(db, &err, "UPDATE thing SET note = 'n'", ""), err);
	CHECK_INT(count_things(db), 1);
	db_close(db);
}

TEST("a migration that fails leaves the version that was there")
{
	static const char *const broken[] = { "CREATE TABLE thing (name TEXT)", "CREATE TABLE other (x); SELECT nonsense" };
	const char *path = new_path();
	struct err err = ERR_INIT;
	struct db *db;

	db_close(db_open(path, broken, 1, &err));
	CHECK(!db_open(path, broken, 2, &err));
	CHECK_CONTAINS(err.text, "from version 1 to 2");
	err = (struct err)ERR_INIT;
	db = db_open(path, broken, 1, &err);
	CHECK(db != NULL);
	CHECK(db_run(db, &err, "SELECT * FROM other", "") < 0);
	db_close(db);
}

TEST("a database of a newer version is refused and left untouched")
{
	const char *path = new_path();
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	static const char *const three[] = { "CREATE TABLE a (x)", "CREATE TABLE b (x)", "CREATE TABLE c (x)" };

	db_close(db_open(path, three, 3, &err));
	CHECK_OK(file_load(&before, path, &err), err);
	open_fails(path, ERR_INVALID, "version 3");
	CHECK_OK(file_load(&after, path, &err), err);
	CHECK_INT(after.len, before.len);
	CHECK_MEM(after.data, before.data, before.len);
	buf_clear(&before);
	buf_clear(&after);
}

TEST("a file that is no database is refused with its path and left untouched")
{
	const char *path = new_path();
	struct buf after = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;

	CHECK_OK(file_save(path, "my diary", 8, 0600, &err), err);
	open_fails(path, ERR_BROKEN, "is not a database");
	CHECK_OK(file_load(&after, path, &err), err);
	CHECK_STR(buf_text(&after), "my diary");
	buf_clear(&after);
}

TEST("an empty file is a database that was lost: it is refused, and left untouched")
{
	const char *path = new_path();
	struct err err = ERR_INIT;
	struct stat st;

	CHECK_OK(file_save(path, "", 0, 0600, &err), err);
	open_fails(path, ERR_BROKEN, "is empty");
	CHECK(stat(path, &st) == 0 && st.st_size == 0);
}

TEST("a beginning that was cut short does no harm")
{
	const char *path = new_path();
	OWN_TEXT fresh = mem_textf("%s.new", path);
	OWN_TEXT log = mem_textf("%s-wal", fresh);
	struct err err = ERR_INIT;

	CHECK_OK(file_save(fresh, "half", 4, 0600, &err), err);
	CHECK_OK(file_save(log, "of it", 5, 0600, &err), err);
	db_close(open_db(path, 2));
	CHECK(file_exists(path) && !file_exists(fresh) && !file_exists(log));
}

TEST("the log of a database that was removed is not taken for that of the next")
{
	const char *path = new_path();
	OWN_TEXT log = mem_textf("%s-wal", path);
	struct db *db = open_db(path, 2);
	struct buf old = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	struct db_stmt *rows;

	CHECK_OK(db_run(db, &err, "INSERT INTO thing (size) VALUES (1)", ""), err);
	CHECK_OK(file_load(&old, log, &err), err);
	db_close(db);
	CHECK_OK(file_remove(path, &err), err);
	CHECK_OK(file_save(log, old.data, old.len, 0600, &err), err);
	db = open_db(path, 2);
	rows = db_query(db, &err, "SELECT size FROM thing", "");
	CHECK_INT(db_next(rows, &err), 0);
	db_done(rows);
	db_close(db);
	buf_clear(&old);
}

TEST("a damaged database is refused with its path and left untouched")
{
	const char *path = new_path();
	struct db *db = open_db(path, 2);
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	char name[32];

	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "thing number %d", i);
		CHECK_OK(db_run(db, &err, "INSERT INTO thing (name, note) VALUES (?, ?)", "tt", name,
				 "a note of some length about the thing"),
			err);
	}
	db_close(db);
	CHECK_OK(file_load(&before, path, &err), err);
	CHECK(before.len > 20000);
	memset(before.data + 12288, 0xee, 4096);
	CHECK_OK(file_save(path, before.data, before.len, 0600, &err), err);
	open_fails(path, ERR_BROKEN, "");
	CHECK_OK(file_load(&after, path, &err), err);
	CHECK_INT(after.len, before.len);
	CHECK_MEM(after.data, before.data, before.len);
	buf_clear(&before);
	buf_clear(&after);
}

TEST("only its owner may read the file")
{
	const char *path = new_path();
	struct db *db = open_db(path, 2);
	OWN_TEXT wal = mem_textf("%s-wal", path);
	struct stat st;

	CHECK(stat(path, &st) == 0);
	CHECK_INT(st.st_mode & 0777, 0600);
	CHECK(stat(wal, &st) == 0);
	CHECK_INT(st.st_mode & 0777, 0600);
	db_close(db);
}

TEST("what was committed is there after a kill")
{
	const char *path = new_path();
	int pipes[2], status, n = 0;
	struct db *db;
	pid_t child;
	char c;

	CHECK(pipe(pipes) == 0);
	child = fork();
	if (child == 0) {
		struct err err = ERR_INIT;

		db = open_db(path, 2);
		while (db_run(db, &err, "INSERT INTO thing (size) VALUES (1)", "") == 0 && write(pipes[1], "x", 1) == 1)
			;
		_exit(1);
	}
	close(pipes[1]);
	while (n < 30 && read(pipes[0], &c, 1) == 1)
		n++;
	kill(child, SIGKILL);
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	while (read(pipes[0], &c, 1) == 1)
		n++;
	close(pipes[0]);
	db = open_db(path, 2);
	CHECK(n >= 30 && count_things(db) >= n);
	db_close(db);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* kept.sqlite.  A text's blob is its initialization vector and its ciphertext, bound to the name, so that no row can stand for another's. */
#include "gateway/keep/keep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "keys/aead.h"
#include "store/db.h"

#define WORK_QUEUE_MAX 8192
#define KEY_LEN 32
#define IV_LEN 12
#define BLOB_MAX (2 << 20)

static const char *const migrations[] = {
	"CREATE TABLE the_key (iv BLOB NOT NULL, wrapped BLOB NOT NULL);"
	"CREATE TABLE kept (name TEXT PRIMARY KEY, is_due INTEGER NOT NULL, blob BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX kept_due ON kept (name) WHERE is_due = 1;"
	"CREATE TABLE subscriptions (name TEXT PRIMARY KEY, filters TEXT NOT NULL) WITHOUT ROWID;",
	"DELETE FROM subscriptions;", /* those of a name, whoever has it: now they are of one generation */
};

struct keep {
	char *path;
	struct db *db;
	struct pool *worker;
	struct secret key;
};

/* -- The key ---------------------------------------------------------------------------------------------------------------------------------- */

static int
make_key(struct keep *k, const struct workload *w, struct err *err)
{
	uint8_t key[KEY_LEN], iv[IV_LEN];
	struct buf wrapped = BUF_INIT(4096);
	int done;

	random_bytes(key, sizeof(key));
	random_bytes(iv, sizeof(iv));
	done = workload_encrypt(w, iv, sizeof(iv), key, sizeof(key), &wrapped, err);
	if (done == 0)
		done = db_run(k->db, err, "INSERT INTO the_key (iv, wrapped) VALUES (?, ?)", "bb", iv, sizeof(iv), wrapped.data,
			wrapped.len);
	if (done == 0)
		secret_set(&k->key, key, sizeof(key));
	mem_wipe(key, sizeof(key));
	buf_clear(&wrapped);
	return done;
}

/* 1, or 0: there is none yet. */
static int
read_wrapped(struct keep *k, struct buf *iv, struct buf *wrapped, struct err *err)
{
	struct db_stmt *row = db_query(k->db, err, "SELECT iv, wrapped FROM the_key", "");
	int got = row ? db_next(row, err) : -1;
	const void *data;
	size_t len;

	if (got == 1) {
		data = db_blob(row, 0, &len);
		buf_put(iv, data, len);
		data = db_blob(row, 1, &len);
		buf_put(wrapped, data, len);
	}
	if (row)
		db_done(row);
	return got;
}

static int
unwrap_key(struct keep *k, const struct workload *w, const struct buf *iv, const struct buf *wrapped, struct err *err)
{
	struct buf key = BUF_INIT(KEY_LEN * 4);
	int done = workload_decrypt(w, iv->data, iv->len, wrapped->data, wrapped->len, &key, err);

	/* That it could not be asked says nothing about the file. */
	if (done < 0 && err->kind != ERR_INVALID)
		err->kind = ERR_UNAVAILABLE;
	if (done == 0 && key.len != KEY_LEN)
		done = err_set(err, ERR_INVALID, "its key has %zu bytes", key.len);
	if (done == 0)
		secret_set(&k->key, key.data, key.len);
	buf_wipe(&key);
	return done;
}

static int
find_key(struct keep *k, const struct workload *w, struct err *err)
{
	CLEAR(buf) iv = BUF_INIT(64);
	CLEAR(buf) wrapped = BUF_INIT(4096);
	int got = read_wrapped(k, &iv, &wrapped, err);

	if (got == 0)
		return make_key(k, w, err);
	return got < 0 ? -1 : unwrap_key(k, w, &iv, &wrapped, err);
}

/* -- Opening ---------------------------------------------------------------------------------------------------------------------------------- */

static int
try_open(struct keep *k, const struct workload *w, struct err *err)
{
	k->db = db_open(k->path, migrations, COUNT(migrations), err);
	if (k->db && find_key(k, w, err) == 0)
		return 0;
	db_close(k->db);
	k->db = NULL;
	return -1;
}

static void
move_aside(const char *path, const char *suffix)
{
	OWN_TEXT from = mem_textf("%s%s", path, suffix);
	OWN_TEXT to = mem_textf("%s.unreadable%s", path, suffix);

	if (rename(from, to) < 0 && errno != ENOENT)
		log_error("%s: %s", from, strerror(errno));
}

static void
set_aside(const struct keep *k, const char *why)
{
	log_warn("the twins kept for the time when the hub is away can't be read, and are set aside as %s.unreadable: %s", k->path,
		why);
	move_aside(k->path, "");
	move_aside(k->path, "-wal");
	move_aside(k->path, "-shm");
}

static bool
is_unreadable(const struct err *err)
{
	return err->kind == ERR_INVALID || err->kind == ERR_BROKEN;
}

struct keep *
keep_open(const char *state_dir, const struct workload *workload, struct err *err)
{
	struct keep *k = NEW(keep);
	struct err why = ERR_INIT;
	int done;

	k->path = file_join(state_dir, "kept.sqlite");
	done = try_open(k, workload, &why);
	if (done < 0 && is_unreadable(&why)) {
		set_aside(k, why.text);
		why = (struct err)ERR_INIT;
		done = try_open(k, workload, &why);
	}
	if (done == 0) {
		k->worker = pool_new("keep", 1, WORK_QUEUE_MAX);
		return k;
	}
	*err = why;
	keep_close(k);
	return NULL;
}

void
keep_stop(struct keep *k)
{
	if (!k)
		return;
	pool_free(k->worker);
	k->worker = NULL;
}

void
keep_close(struct keep *k)
{
	if (!k)
		return;
	keep_stop(k);
	db_close(k->db);
	secret_clear(&k->key);
	mem_free(k->path);
	mem_free(k);
}

bool
keep_work(struct keep *k, struct job *job)
{
	return k->worker && pool_try(k->worker, job);
}

int
keep_begin(struct keep *k, struct err *err)
{
	return db_begin(k->db, err);
}

int
keep_end(struct keep *k, int done, struct err *err)
{
	return db_end(k->db, done, err);
}

/* -- Texts ------------------------------------------------------------------------------------------------------------------------------------- */

static int
open_blob(struct keep *k, const char *name, const uint8_t *blob, size_t len, struct buf *text, struct err *err)
{
	if (len <= IV_LEN)
		return err_set(err, ERR_BROKEN, "%s: what is kept of %s is cut off", k->path, name);
	if (aead_decrypt(text, &k->key, blob, IV_LEN, name, strlen(name), blob + IV_LEN, len - IV_LEN, err) < 0)
		return err_wrap(err, "%s: what is kept of %s", k->path, name);
	return 1;
}

int
keep_get(struct keep *k, const char *name, struct buf *text, struct err *err)
{
	struct db_stmt *row = db_query(k->db, err, "SELECT blob FROM kept WHERE name = ?", "t", name);
	int got = row ? db_next(row, err) : -1;
	const void *blob;
	size_t len;

	if (got == 1) {
		blob = db_blob(row, 0, &len);
		got = open_blob(k, name, blob, len, text, err);
	}
	if (row)
		db_done(row);
	return got;
}

int
keep_put(struct keep *k, const char *name, const void *text, size_t len, bool is_due, struct err *err)
{
	CLEAR(buf) blob = BUF_INIT(BLOB_MAX);
	uint8_t iv[IV_LEN];

	random_bytes(iv, sizeof(iv));
	buf_put(&blob, iv, sizeof(iv));
	if (aead_encrypt(&blob, &k->key, iv, sizeof(iv), name, strlen(name), text, len, err) < 0)
		return -1;
	if (blob.failed)
		return err_set(err, ERR_LIMIT, "what is to be kept of %s is too large", name);
	return db_run(k->db, err, "INSERT OR REPLACE INTO kept (name, is_due, blob) VALUES (?, ?, ?)", "tib", name, (int64_t)is_due,
		blob.data, blob.len);
}

int
keep_remove(struct keep *k, const char *name, struct err *err)
{
	return db_run(k->db, err, "DELETE FROM kept WHERE name = ?", "t", name);
}

int
keep_each_due(struct keep *k, void (*each)(void *arg, const char *name), void *arg, struct err *err)
{
	struct db_stmt *rows = db_query(k->db, err, "SELECT name FROM kept WHERE is_due = 1", "");
	int got = rows ? 1 : -1;

	while (got == 1 && (got = db_next(rows, err)) == 1)
		each(arg, db_text(rows, 0));
	if (rows)
		db_done(rows);
	return got;
}

/* -- Subscriptions ----------------------------------------------------------------------------------------------------------------------------- */

static int
load_subscriptions(void *arg, void (*each)(void *each_arg, const char *name, const char *text), void *each_arg, struct err *err)
{
	struct keep *k = arg;
	struct db_stmt *rows = db_query(k->db, err, "SELECT name, filters FROM subscriptions", "");
	int got = rows ? 1 : -1;

	while (got == 1 && (got = db_next(rows, err)) == 1)
		each(each_arg, db_text(rows, 0), db_text(rows, 1));
	if (rows)
		db_done(rows);
	return got;
}

static int
begin(void *arg, struct err *err)
{
	return keep_begin(arg, err);
}

static int
put_subscriptions(void *arg, const char *name, const char *text, struct err *err)
{
	struct keep *k = arg;

	if (!text)
		return db_run(k->db, err, "DELETE FROM subscriptions WHERE name = ?", "t", name);
	return db_run(k->db, err, "INSERT OR REPLACE INTO subscriptions (name, filters) VALUES (?, ?)", "tt", name, text);
}

static int
end(void *arg, int done, struct err *err)
{
	return keep_end(arg, done, err);
}

static bool
work(void *arg, struct job *job)
{
	return keep_work(arg, job);
}

struct subscriptions_keeper
keep_subscriptions(struct keep *k)
{
	return (struct subscriptions_keeper){
		.arg = k, .load = load_subscriptions, .begin = begin, .put = put_subscriptions, .end = end, .work = work
	};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* kept.sqlite.  A text's blob is its initialization vector and its ciphertext, bound to the name, so that no row can stand for another's.  A sum of all texts (keep_sum.h) is sealed with each transaction,
 * so that neither the file nor a row of it can be exchanged for an older one; the seal's key is another one at each start and after a while (freshness.h). */
#include "gateway/keep/keep.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "gateway/keep/keep_sum.h"
#include "keys/aead.h"
#include "store/db.h"

#define WORK_QUEUE_MAX 8192
#define KEY_LEN 32
#define IV_LEN 12
#define BLOB_MAX (2 << 20)
#define VERSION_MS (10 * 60 * 1000) /* keyd is asked so often, at most */

static const char *const migrations[] = {
	"CREATE TABLE the_key (iv BLOB NOT NULL, wrapped BLOB NOT NULL);"
	"CREATE TABLE kept (name TEXT PRIMARY KEY, is_due INTEGER NOT NULL, blob BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX kept_due ON kept (name) WHERE is_due = 1;"
	"CREATE TABLE subscriptions (name TEXT PRIMARY KEY, filters TEXT NOT NULL) WITHOUT ROWID;",
	"DELETE FROM subscriptions;", /* those of a name, whoever has it: now they are of one generation */
	"CREATE TABLE seal (id INTEGER PRIMARY KEY CHECK (id = 1), seal BLOB NOT NULL);",
};

struct keep {
	char *path;
	struct db *db;
	struct pool *worker;
	struct secret key;
	bool is_new; /* the file was */
	struct freshness *freshness;
	int64_t version_ms; /* since when its version is sealed, boot clock */
	uint8_t sum_key[DIGEST_SHA256_LEN];
	struct keep_sum sum, sum_before; /* of what is there now; and when the transaction began */
	bool is_in_transaction, has_changed;
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
		done = err_set(err, ERR_INVALID, "its key has %u bytes", key.len);
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

	k->is_new = got == 0;
	if (got == 0)
		return make_key(k, w, err);
	return got < 0 ? -1 : unwrap_key(k, w, &iv, &wrapped, err);
}

/* -- Is it the newest? ------------------------------------------------------------------------------------------------------------------------- */

static void
sum_row(struct keep *k, const char *name, bool is_due, const void *blob, size_t len)
{
	keep_sum_add(&k->sum, k->sum_key, sizeof(k->sum_key), name, is_due, blob, len);
}

static int
sum_all(struct keep *k, struct err *err)
{
	struct db_stmt *rows = db_query(k->db, err, "SELECT name, is_due, blob FROM kept", "");
	int got = rows ? 1 : -1;
	const void *blob;
	size_t len;

	k->sum = (struct keep_sum){ 0 };
	digest_hmac_sha256(k->key.bytes, k->key.len, "rows", 4, k->sum_key);
	while (got == 1 && (got = db_next(rows, err)) == 1) {
		blob = db_blob(rows, 2, &len);
		sum_row(k, db_text(rows, 0), db_int(rows, 1), blob, len);
	}
	if (rows)
		db_done(rows);
	return got;
}

/* 1, or 0: there is none. */
static int
read_seal(struct keep *k, uint8_t seal[static FRESHNESS_SEAL_LEN], struct err *err)
{
	struct db_stmt *row = db_query(k->db, err, "SELECT seal FROM seal", "");
	int got = row ? db_next(row, err) : -1;
	const void *blob;
	size_t len;

	if (got == 1) {
		blob = db_blob(row, 0, &len);
		memset(seal, 0xff, FRESHNESS_SEAL_LEN);
		if (len == FRESHNESS_SEAL_LEN)
			memcpy(seal, blob, len);
	}
	if (row)
		db_done(row);
	return got;
}

/* One of a version that sealed nothing is as good as it is until the first seal. */
static int
check_freshness(struct keep *k, struct err *err)
{
	uint8_t seal[FRESHNESS_SEAL_LEN];
	int got = sum_all(k, err) < 0 ? -1 : read_seal(k, seal, err), fresh;

	if (got < 0 || k->is_new)
		return got < 0 ? -1 : 0;
	if (got == 1) {
		fresh = freshness_check(k->freshness, seal, k->sum.bytes, sizeof(k->sum.bytes), err);
	} else {
		fresh = freshness_is_known(k->freshness, err);
		fresh = fresh < 0 ? -1 : !fresh;
	}
	if (fresh < 0)
		err->kind = ERR_UNAVAILABLE;
	return fresh < 0 ? -1 : fresh ? 0 : err_set(err, ERR_CONFLICT, "%s: it is not what was written last", k->path);
}

/* Without another version it goes on with the one that it has. */
static int
begin_version(struct keep *k, struct err *err)
{
	struct err why = ERR_INIT;

	if (freshness_has_begun(k->freshness) && clock_boot_ms() - k->version_ms < VERSION_MS)
		return 0;
	k->version_ms = clock_boot_ms();
	if (freshness_next(k->freshness, &why) == 0)
		return 0;
	if (freshness_has_begun(k->freshness))
		return 0;
	*err = why;
	return -1;
}

static int
write_seal(struct keep *k, struct err *err)
{
	uint8_t seal[FRESHNESS_SEAL_LEN];

	if (begin_version(k, err) < 0)
		return -1;
	freshness_seal(k->freshness, k->sum.bytes, sizeof(k->sum.bytes), seal);
	return db_run(k->db, err, "INSERT OR REPLACE INTO seal (id, seal) VALUES (1, ?)", "b", seal, sizeof(seal));
}

/* -- Transactions ------------------------------------------------------------------------------------------------------------------------------ */

int
keep_begin(struct keep *k, struct err *err)
{
	assert(!k->is_in_transaction);
	if (db_begin(k->db, err) < 0)
		return -1;
	k->sum_before = k->sum;
	k->is_in_transaction = true;
	k->has_changed = false;
	return 0;
}

int
keep_end(struct keep *k, int done, struct err *err)
{
	if (done == 0 && k->has_changed)
		done = write_seal(k, err);
	done = db_end(k->db, done, err);
	if (done < 0)
		k->sum = k->sum_before;
	else if (k->has_changed)
		freshness_settle(k->freshness);
	k->is_in_transaction = false;
	return done;
}

/* -- Opening ---------------------------------------------------------------------------------------------------------------------------------- */

static int
try_open(struct keep *k, const struct workload *w, struct err *err)
{
	k->db = db_open(k->path, migrations, COUNT(migrations), err);
	if (k->db && find_key(k, w, err) == 0 && check_freshness(k, err) == 0 && keep_begin(k, err) == 0) {
		k->has_changed = true;
		if (keep_end(k, 0, err) == 0)
			return 0;
	}
	db_close(k->db);
	k->db = NULL;
	return -1;
}

static void
move_aside(const char *path, const char *why, const char *suffix)
{
	OWN_TEXT from = mem_textf("%s%s", path, suffix);
	OWN_TEXT to = mem_textf("%s.%s%s", path, why, suffix);

	if (rename(from, to) < 0 && errno != ENOENT)
		log_error("%s: %s", from, strerror(errno));
}

static void
set_aside(const struct keep *k, const struct err *why)
{
	bool is_older = why->kind == ERR_CONFLICT;
	const char *as = is_older ? "rolled-back" : "unreadable";

	if (is_older)
		log_error("STATE_ROLLED_BACK: the twins kept for the time when the hub is away are set aside as %s.%s, "
			  "and the hub is asked for them anew: %s",
			k->path, as, why->text);
	else
		log_warn("the twins kept for the time when the hub is away can't be read, and are set aside as %s.%s: %s", k->path,
			as, why->text);
	move_aside(k->path, as, "");
	move_aside(k->path, as, "-wal");
	move_aside(k->path, as, "-shm");
}

static bool
is_unreadable(const struct err *err)
{
	return err->kind == ERR_INVALID || err->kind == ERR_BROKEN || err->kind == ERR_CONFLICT;
}

struct keep *
keep_open(const char *state_dir, const struct workload *workload, struct freshness *freshness, struct err *err)
{
	struct keep *k = NEW(keep);
	struct err why = ERR_INIT;
	int done;

	k->path = file_join(state_dir, "kept.sqlite");
	k->freshness = freshness;
	done = try_open(k, workload, &why);
	if (done < 0 && is_unreadable(&why)) {
		set_aside(k, &why);
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

/* What goes, out of the sum. */
static int
take_out(struct keep *k, const char *name, struct err *err)
{
	struct db_stmt *row = db_query(k->db, err, "SELECT is_due, blob FROM kept WHERE name = ?", "t", name);
	int got = row ? db_next(row, err) : -1;
	const void *blob;
	size_t len;

	if (got == 1) {
		blob = db_blob(row, 1, &len);
		sum_row(k, name, db_int(row, 0), blob, len);
		k->has_changed = true;
	}
	if (row)
		db_done(row);
	return got < 0 ? -1 : 0;
}

static int
put(struct keep *k, const char *name, const struct buf *blob, bool is_due, struct err *err)
{
	if (take_out(k, name, err) < 0)
		return -1;
	sum_row(k, name, is_due, blob->data, blob->len);
	k->has_changed = true;
	return db_run(k->db, err, "INSERT OR REPLACE INTO kept (name, is_due, blob) VALUES (?, ?, ?)", "tib", name, (int64_t)is_due,
		blob->data, blob->len);
}

static int
remove_text(struct keep *k, const char *name, struct err *err)
{
	return take_out(k, name, err) < 0 ? -1 : db_run(k->db, err, "DELETE FROM kept WHERE name = ?", "t", name);
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
	if (k->is_in_transaction)
		return put(k, name, &blob, is_due, err);
	return keep_begin(k, err) < 0 ? -1 : keep_end(k, put(k, name, &blob, is_due, err), err);
}

int
keep_remove(struct keep *k, const char *name, struct err *err)
{
	if (k->is_in_transaction)
		return remove_text(k, name, err);
	return keep_begin(k, err) < 0 ? -1 : keep_end(k, remove_text(k, name, err), err);
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

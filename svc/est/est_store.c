/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of users and one-time passwords (est_store.h). */
#include "est/est_store.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "est/est_store_inside.h"
#include "wire/codec.h"

#define MAY_MAX (EST_NAMES_MAX * (EST_NAME_LEN_MAX + 1))

static const char *const migrations[] = {
	"CREATE TABLE user (name TEXT PRIMARY KEY, hash TEXT NOT NULL, may TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE one_time (digest TEXT PRIMARY KEY, id TEXT NOT NULL, label TEXT NOT NULL, until INTEGER NOT NULL, used "
	"INTEGER "
	"NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE waiting (number INTEGER PRIMARY KEY AUTOINCREMENT, asked INTEGER NOT NULL, label TEXT NOT NULL, requester "
	"TEXT NOT "
	"NULL, request TEXT NOT NULL, who TEXT NOT NULL, state INTEGER NOT NULL, UNIQUE (label, requester, "
	"request));"
	"CREATE INDEX waiting_state ON waiting (state);",
	"CREATE TABLE held (id TEXT NOT NULL, root TEXT NOT NULL, since INTEGER NOT NULL, PRIMARY KEY (root, id)) WITHOUT ROWID;",
	"ALTER TABLE held ADD COLUMN says INTEGER NOT NULL DEFAULT 0;",
};

char *
est_store_path(const char *state_dir)
{
	return file_join(state_dir, "est.db");
}

char *
est_journal_path(const char *state_dir)
{
	return file_join(state_dir, "issued.db");
}

struct est_store *
est_store_open(const char *path, struct err *err)
{
	struct est_store *s = NEW(est_store);

	pthread_mutex_init(&s->lock, NULL);
	s->db = db_open(path, migrations, COUNT(migrations), err);
	if (s->db)
		return s;
	est_store_close(s);
	return NULL;
}

void
est_store_close(struct est_store *s)
{
	if (!s)
		return;
	if (s->db)
		db_close(s->db);
	pthread_mutex_destroy(&s->lock);
	mem_free(s);
}

void
est_store_lock(struct est_store *s)
{
	pthread_mutex_lock(&s->lock);
}

int
est_store_unlock(struct est_store *s, int done)
{
	pthread_mutex_unlock(&s->lock);
	return done;
}

int
est_store_next(struct db_stmt *row, struct err *err)
{
	return row ? db_next(row, err) : -1;
}

void
est_store_end(struct db_stmt *row)
{
	if (row)
		db_done(row);
}

/* -- Users ------------------------------------------------------------------------------------------------------------------------ */

void
est_user_clear(struct est_user *user)
{
	mem_free(user->name);
	mem_free(user->hash);
	est_names_clear(&user->may);
	*user = (struct est_user){ 0 };
}

static char *
join(const struct est_names *may)
{
	struct buf text = BUF_INIT(MAY_MAX);

	for (size_t i = 0; i < may->n; i++)
		buf_putf(&text, "%s%s", i ? "\n" : "", may->item[i]);
	return buf_take_text(&text);
}

static void
split(struct est_names *out, const char *text)
{
	for (const char *end = text; text; text = end ? end + 1 : NULL) {
		OWN_TEXT one = NULL;

		end = strchr(text, '\n');
		one = end ? mem_textn(text, (size_t)(end - text)) : mem_text(text);
		est_names_add(out, one);
	}
}

static void
read_user(struct est_user *out, struct db_stmt *row)
{
	*out = (struct est_user){ .name = mem_text(db_text(row, 0)), .hash = mem_text(db_text(row, 1)) };
	split(&out->may, db_text(row, 2));
}

int
est_store_put_user(struct est_store *s, const struct est_user *user, struct err *err)
{
	OWN_TEXT may = join(&user->may);

	est_store_lock(s);
	return est_store_unlock(s, db_run(s->db, err, "INSERT OR REPLACE INTO user (name, hash, may) VALUES (?, ?, ?)", "ttt",
					   user->name, user->hash, may));
}

int
est_store_find_user(struct est_store *s, const char *name, struct est_user *out, bool *found, struct err *err)
{
	struct db_stmt *row;
	int there;

	est_store_lock(s);
	row = db_query(s->db, err, "SELECT name, hash, may FROM user WHERE name = ?", "t", name);
	there = est_store_next(row, err);
	if (there > 0)
		read_user(out, row);
	est_store_end(row);
	*found = there > 0;
	return est_store_unlock(s, there < 0 ? -1 : 0);
}

int
est_store_remove_user(struct est_store *s, const char *name, struct err *err)
{
	int done;

	est_store_lock(s);
	done = db_run(s->db, err, "DELETE FROM user WHERE name = ?", "t", name);
	if (done == 0 && db_changes(s->db) == 0)
		done = err_set(err, ERR_MISSING, "there is no user %.100s", name);
	return est_store_unlock(s, done);
}

int
est_store_list_users(struct est_store *s, void (*each)(void *arg, const struct est_user *user), void *arg, struct err *err)
{
	struct db_stmt *row;
	int more;

	est_store_lock(s);
	row = db_query(s->db, err, "SELECT name, hash, may FROM user ORDER BY name", "");
	for (more = est_store_next(row, err); more > 0; more = db_next(row, err)) {
		CLEAR(est_user) user;

		read_user(&user, row);
		each(arg, &user);
	}
	est_store_end(row);
	return est_store_unlock(s, more);
}

/* -- One-time passwords ------------------------------------------------------------------------------------------------------------- */

void
est_one_time_clear(struct est_one_time *o)
{
	mem_free(o->id);
	mem_free(o->label);
	*o = (struct est_one_time){ 0 };
}

void
est_one_time_digest(char out[static EST_DIGEST_LEN], const char *password)
{
	uint8_t digest[DIGEST_SHA256_LEN];
	CLEAR(buf) hex = BUF_INIT(EST_DIGEST_LEN);

	digest_sha256(password, strlen(password), digest);
	hex_encode(&hex, digest, sizeof(digest), true);
	memcpy(out, buf_text(&hex), EST_DIGEST_LEN);
}

int
est_store_put_one_time(struct est_store *s, const char *digest, const struct est_one_time *o, struct err *err)
{
	est_store_lock(s);
	return est_store_unlock(
		s, db_run(s->db, err, "INSERT INTO one_time (digest, id, label, until, used) VALUES (?, ?, ?, ?, 0)", "ttti",
			   digest, o->id, o->label, o->until));
}

int
est_store_find_one_time(struct est_store *s, const char *digest, struct est_one_time *out, bool *found, struct err *err)
{
	struct db_stmt *row;
	int there;

	est_store_lock(s);
	row = db_query(s->db, err, "SELECT id, label, until, used FROM one_time WHERE digest = ?", "t", digest);
	there = est_store_next(row, err);
	if (there > 0)
		*out = (struct est_one_time){ mem_text(db_text(row, 0)), mem_text(db_text(row, 1)), db_int(row, 2),
			db_int(row, 3) };
	est_store_end(row);
	*found = there > 0;
	return est_store_unlock(s, there < 0 ? -1 : 0);
}

static int
spend_one(struct est_store *s, struct est_spending *spending, int64_t now, struct err *err)
{
	if (!spending->digest)
		return 0;
	if (db_run(s->db, err, "UPDATE one_time SET used = ? WHERE digest = ? AND used = 0", "it", now, spending->digest) < 0)
		return -1;
	spending->got = db_changes(s->db) == 1;
	return 0;
}

int
est_store_spend(struct est_store *s, struct est_spending *const *list, size_t n, int64_t now, struct err *err)
{
	int done = 0;

	est_store_lock(s);
	if (db_begin(s->db, err) < 0)
		return est_store_unlock(s, -1);
	for (size_t i = 0; i < n && done == 0; i++)
		done = spend_one(s, list[i], now, err);
	return est_store_unlock(s, db_end(s->db, done, err));
}

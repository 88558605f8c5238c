/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of ca_revoked.h. */
#include "ca/ca_revoked.h"

#include <pthread.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/db.h"
#include "wire/codec.h"

static const char *const migrations[] = {
	"CREATE TABLE revoked (sequence INTEGER PRIMARY KEY AUTOINCREMENT, issuer TEXT NOT NULL, serial TEXT NOT NULL, subject "
	"TEXT NOT NULL, requester TEXT NOT NULL,"
	" revoked INTEGER NOT NULL, reason INTEGER NOT NULL, UNIQUE (issuer, serial));"
	"CREATE TRIGGER revoked_stays BEFORE UPDATE ON revoked BEGIN SELECT RAISE(ABORT, 'a revocation is not changed'); END;"
	"CREATE TRIGGER revoked_is_kept BEFORE DELETE ON revoked BEGIN SELECT RAISE(ABORT, 'a revocation is not taken back'); END;"
	"CREATE TABLE list (issuer TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;",
};

struct ca_revoked {
	struct db *db;
	pthread_mutex_t lock;
};

char *
ca_revoked_path(const char *journal_path)
{
	const char *end = strrchr(journal_path, '/');
	OWN_TEXT dir = end ? mem_textn(journal_path, (size_t)(end - journal_path)) : mem_text(".");

	return file_join(dir, "revoked.db");
}

struct ca_revoked *
ca_revoked_open(const char *path, struct err *err)
{
	struct ca_revoked *r = NEW(ca_revoked);

	pthread_mutex_init(&r->lock, NULL);
	r->db = db_open(path, migrations, COUNT(migrations), err);
	if (r->db)
		return r;
	ca_revoked_close(r);
	return NULL;
}

void
ca_revoked_close(struct ca_revoked *r)
{
	if (!r)
		return;
	if (r->db)
		db_close(r->db);
	pthread_mutex_destroy(&r->lock);
	mem_free(r);
}

/* -- Facts of a certificate ------------------------------------------------------------------------------------------------------------ */

static char *
fingerprint_of(const struct cert *cert)
{
	struct buf hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);

	hex_encode(&hex, cert_sha256(cert), DIGEST_SHA256_LEN, true);
	return buf_take_text(&hex);
}

static int
add(struct ca_revoked *r, const struct ca_entry *entry, enum crl_reason reason, int64_t now, struct err *err)
{
	OWN_TEXT issuer = fingerprint_of(entry->chain.item[0]);
	OWN_TEXT serial = cert_serial_hex(entry->cert);

	if (db_run(r->db, err,
		    "INSERT OR IGNORE INTO revoked (issuer, serial, subject, requester, revoked, reason) VALUES (?, ?, ?, ?, ?, ?)",
		    "ttttii", issuer, serial, cert_subject(entry->cert), entry->requester, now, (int64_t)reason) < 0)
		return -1;
	return db_changes(r->db) == 1 ? 0
				      : err_set(err, ERR_CONFLICT, "%s with the serial number %s is revoked already",
						cert_subject(entry->cert), serial);
}

int
ca_revoked_add(struct ca_revoked *r, const struct ca_entry *entry, enum crl_reason reason, int64_t now, struct err *err)
{
	int done;

	if (entry->chain.n == 0)
		return err_set(err, ERR_INVALID, "a certificate without its issuer can't be revoked");
	pthread_mutex_lock(&r->lock);
	done = add(r, entry, reason, now, err);
	pthread_mutex_unlock(&r->lock);
	return done;
}

/* -- Reading ---------------------------------------------------------------------------------------------------------------------------- */

int
ca_revoked_count(struct ca_revoked *r, int64_t *n, struct err *err)
{
	int done;

	*n = 0;
	pthread_mutex_lock(&r->lock);
	done = db_number(r->db, n, err, "SELECT max(sequence) FROM revoked", "") < 0 ? -1 : 0;
	pthread_mutex_unlock(&r->lock);
	return done;
}

int
ca_revoked_each(struct ca_revoked *r, const char *issuer, void (*each)(void *arg, const struct ca_revocation *one), void *arg,
	struct err *err)
{
	struct db_stmt *row;
	int more;

	pthread_mutex_lock(&r->lock);
	row = db_query(r->db, err,
		"SELECT issuer, serial, subject, requester, revoked, reason FROM revoked WHERE ?1 IS NULL OR issuer = ?1 ORDER BY "
		"sequence",
		"t", issuer);
	more = row ? db_next(row, err) : -1;
	for (; more > 0; more = db_next(row, err)) {
		struct ca_revocation one = { db_text(row, 0), db_text(row, 1), db_text(row, 2), db_text(row, 3), db_int(row, 4),
			(enum crl_reason)db_int(row, 5) };

		each(arg, &one);
	}
	if (row)
		db_done(row);
	pthread_mutex_unlock(&r->lock);
	return more;
}

int
ca_revoked_find(struct ca_revoked *r, const char *issuer, const char *serial, struct ca_revocation *out, struct err *err)
{
	struct db_stmt *row;
	int there;

	*out = (struct ca_revocation){ 0 };
	pthread_mutex_lock(&r->lock);
	row = db_query(r->db, err, "SELECT revoked, reason FROM revoked WHERE issuer = ? AND serial = ?", "tt", issuer, serial);
	there = row ? db_next(row, err) : -1;
	if (there > 0) {
		out->when = db_int(row, 0);
		out->reason = (enum crl_reason)db_int(row, 1);
	}
	if (row)
		db_done(row);
	pthread_mutex_unlock(&r->lock);
	return there < 0 ? -1 : 0;
}

int
ca_revoked_number(struct ca_revoked *r, const char *issuer, int64_t *number, struct err *err)
{
	int done;

	*number = 0;
	pthread_mutex_lock(&r->lock);
	done = db_run(r->db, err,
		"INSERT INTO list (issuer, number) VALUES (?, 1) ON CONFLICT (issuer) DO UPDATE SET number = number + 1", "t",
		issuer);
	if (done == 0)
		done = db_number(r->db, number, err, "SELECT number FROM list WHERE issuer = ?", "t", issuer) < 0 ? -1 : 0;
	pthread_mutex_unlock(&r->lock);
	return done;
}

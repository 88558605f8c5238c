/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of the journal (ca_journal.h), and the digests that tie its rows together. */
#include "ca/ca_journal.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/db.h"
#include "wire/codec.h"

#define CERT_MAX 65536
#define CHAIN_MAX 8
#define PEM_MAX (256 * 1024)
#define ROW_MAX (CERT_MAX + 8192)
#define HEX_LEN (2 * DIGEST_SHA256_LEN + 1)
#define COLUMNS "sequence, issued, profile, requester, request, issuer, certificate, digest"

static const char *const migrations[] = {
	"CREATE TABLE issuer (fingerprint TEXT PRIMARY KEY, chain TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE issued (sequence INTEGER PRIMARY KEY, issued INTEGER NOT NULL, profile TEXT NOT NULL, requester TEXT NOT "
	"NULL,"
	"  request TEXT NOT NULL, issuer TEXT NOT NULL REFERENCES issuer (fingerprint), certificate BLOB NOT NULL, digest BLOB NOT "
	"NULL,"
	"  serial TEXT NOT NULL, subject TEXT NOT NULL, fingerprint TEXT NOT NULL, key TEXT NOT NULL, not_after INTEGER NOT NULL);"
	"CREATE UNIQUE INDEX issued_serial ON issued (serial, issuer);"
	"CREATE UNIQUE INDEX issued_fingerprint ON issued (fingerprint);"
	"CREATE INDEX issued_subject ON issued (subject);"
	"CREATE INDEX issued_requester ON issued (requester, request);"
	"CREATE INDEX issued_key ON issued (key);"
	"CREATE TRIGGER issued_stays BEFORE UPDATE ON issued BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;"
	"CREATE TRIGGER issued_remains BEFORE DELETE ON issued BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;",
	"CREATE TRIGGER issuer_stays BEFORE UPDATE ON issuer BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;"
	"CREATE TRIGGER issuer_remains BEFORE DELETE ON issuer BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;",
};

struct ca_journal {
	struct db *db;
	pthread_mutex_t lock;
	int lock_fd; /* -1: a reader */
	char *path;
	int64_t last_sequence, last_issued;
	int64_t latest;			 /* the entry that is of */
	uint8_t head[DIGEST_SHA256_LEN]; /* of the last row; zeros: there is none */
};

void
ca_entry_free(struct ca_entry *r)
{
	if (!r)
		return;
	mem_free(r->profile);
	mem_free(r->requester);
	mem_free(r->request);
	mem_free(r->taken_by);
	cert_free(r->cert);
	certs_clear(&r->chain);
	mem_free(r);
}

/* -- What a row says -------------------------------------------------------------------------------------------------------------- */

/* What is looked for by; it all follows from the certificate. */
struct facts {
	char *serial;
	char fingerprint[HEX_LEN], key[HEX_LEN];
};

static void
put_hex(char out[static HEX_LEN], const uint8_t digest[static DIGEST_SHA256_LEN])
{
	struct buf hex = BUF_INIT(HEX_LEN);

	hex_encode(&hex, digest, DIGEST_SHA256_LEN, true);
	memcpy(out, buf_text(&hex), HEX_LEN);
	buf_clear(&hex);
}

static void
facts_of(struct facts *f, const struct cert *cert)
{
	uint8_t key[DIGEST_SHA256_LEN];

	f->serial = cert_serial_hex(cert);
	put_hex(f->fingerprint, cert_sha256(cert));
	cert_key_sha256(cert, key);
	put_hex(f->key, key);
}

static void
facts_clear(struct facts *f)
{
	mem_free(f->serial);
}

static void
put_text(struct buf *out, const char *text)
{
	buf_put_u32(out, (uint32_t)strlen(text));
	buf_puts(out, text);
}

/* Lengths stand before what has one, so that no two rows read the same. */
static int
digest_row(uint8_t out[static DIGEST_SHA256_LEN], const uint8_t before[static DIGEST_SHA256_LEN], const struct ca_entry *r,
	const char *issuer, const struct buf *der, struct err *err)
{
	CLEAR(buf) row = BUF_INIT(ROW_MAX);

	buf_put(&row, before, DIGEST_SHA256_LEN);
	buf_put_u64(&row, (uint64_t)r->sequence);
	buf_put_u64(&row, (uint64_t)r->issued);
	put_text(&row, r->profile);
	put_text(&row, r->requester);
	put_text(&row, r->request);
	put_text(&row, issuer);
	buf_put_u32(&row, (uint32_t)der->len);
	buf_put(&row, der->data, der->len);
	if (row.failed)
		return err_set(err, ERR_LIMIT, "a certificate that is too large for the journal");
	digest_sha256(row.data, row.len, out);
	return 0;
}

/* -- Reading ---------------------------------------------------------------------------------------------------------------------- */

/* 1: *out has it; 0: there is none. */
static int
read_issuer(struct ca_journal *j, const char *fingerprint, struct certs *out, struct err *err)
{
	struct db_stmt *row = db_query(j->db, err, "SELECT chain FROM issuer WHERE fingerprint = ?", "t", fingerprint);
	int there = row ? db_next(row, err) : -1;
	const char *pem = there > 0 ? db_text(row, 0) : NULL;

	if (there > 0 && (!pem || certs_parse(out, pem, strlen(pem), CHAIN_MAX, err) < 0))
		there = pem ? -1 : err_set(err, ERR_BROKEN, "the journal's issuer %s has no chain", fingerprint);
	if (row)
		db_done(row);
	return there;
}

static int
read_chain(struct ca_journal *j, struct ca_entry *r, const char *issuer, struct err *err)
{
	int there = read_issuer(j, issuer, &r->chain, err);

	return there != 0 ? there < 0 ? -1 : 0 : err_set(err, ERR_BROKEN, "the journal has no issuer %s", issuer);
}

/* Without the chain, which is another query. */
static struct ca_entry *
read_row(struct db_stmt *row, char issuer[static HEX_LEN], struct err *err)
{
	OWN(ca_entry) r = NEW(ca_entry);
	size_t len;
	const void *der = db_blob(row, 6, &len);

	r->sequence = db_int(row, 0);
	r->issued = db_int(row, 1);
	r->profile = mem_text(db_text(row, 2));
	r->requester = mem_text(db_text(row, 3));
	r->request = mem_text(db_text(row, 4));
	snprintf(issuer, HEX_LEN, "%s", db_text(row, 5) ? db_text(row, 5) : "");
	memcpy(r->issuer_sha256, issuer, HEX_LEN);
	r->cert = der ? cert_from_der(der, len, err) : NULL;
	if (r->cert && r->profile && r->requester && r->request)
		return GIVE(r);
	return err_null(err, ERR_BROKEN, "the journal's entry %lld holds no certificate", (long long)r->sequence);
}

/* row_take: of a query for COLUMNS, or NULL when that failed. */
static int
find_one(struct ca_journal *j, struct ca_entry **out, struct err *err, struct db_stmt *row_take)
{
	struct db_stmt *row = row_take;
	int there = row ? db_next(row, err) : -1;
	char issuer[HEX_LEN];
	OWN(ca_entry) r = there > 0 ? read_row(row, issuer, err) : NULL;

	if (row)
		db_done(row);
	*out = NULL;
	if (there <= 0)
		return there;
	if (!r || read_chain(j, r, issuer, err) < 0)
		return -1;
	*out = GIVE(r);
	return 0;
}

/* -- Opening ---------------------------------------------------------------------------------------------------------------------- */

/* The row before it may be as it likes: that it is what it was is for ca_journal_verify. */
static int
check_digest(const struct ca_entry *r, const char *issuer, const uint8_t *before, const void *digest, size_t len, struct err *err)
{
	CLEAR(buf) der = BUF_INIT(CERT_MAX);
	uint8_t wanted[DIGEST_SHA256_LEN];

	cert_put_der(r->cert, &der);
	if (digest_row(wanted, before, r, issuer, &der, err) < 0)
		return -1;
	if (len != sizeof(wanted) || memcmp(wanted, digest, len) != 0)
		return err_set(err, ERR_BROKEN, "the journal's entry %lld is not as it was written", (long long)r->sequence);
	return 0;
}

static int
take_tip(struct ca_journal *j, struct err *err)
{
	struct db_stmt *row =
		db_query(j->db, err, "SELECT sequence, issued, digest FROM issued ORDER BY sequence DESC LIMIT 1", "");
	int there = row ? db_next(row, err) : -1;
	size_t len = 0;
	const void *digest = there > 0 ? db_blob(row, 2, &len) : NULL;

	if (there > 0 && (!digest || len != sizeof(j->head)))
		there = err_set(err, ERR_BROKEN, "the journal's last entry has no digest");
	else if (there > 0) {
		j->last_sequence = db_int(row, 0);
		j->last_issued = db_int(row, 1);
		j->latest = j->last_sequence;
		memcpy(j->head, digest, len);
	}
	if (row)
		db_done(row);
	return there < 0 ? -1 : 0;
}

static struct ca_journal *
journal_new(void)
{
	struct ca_journal *j = NEW(ca_journal);

	pthread_mutex_init(&j->lock, NULL);
	j->lock_fd = -1;
	return j;
}

struct ca_journal *
ca_journal_open(const char *path, struct err *err)
{
	struct ca_journal *j = journal_new();
	OWN_TEXT lock = mem_textf("%s.lock", path);

	j->path = mem_text(path);
	j->lock_fd = file_lock(AT_FDCWD, lock, err);
	j->db = j->lock_fd >= 0 ? db_open(path, migrations, COUNT(migrations), err) : NULL;
	if (j->db && take_tip(j, err) == 0)
		return j;
	ca_journal_close(j);
	return err_wrap_null(err, "the issuance journal %s", path);
}

struct ca_journal *
ca_journal_open_reader(const char *path, struct err *err)
{
	struct ca_journal *j = journal_new();

	j->db = db_open_reader(path, err);
	if (j->db)
		return j;
	ca_journal_close(j);
	return NULL;
}

void
ca_journal_close(struct ca_journal *j)
{
	if (!j)
		return;
	if (j->db)
		db_close(j->db);
	if (j->lock_fd >= 0)
		close(j->lock_fd);
	pthread_mutex_destroy(&j->lock);
	mem_free(j->path);
	mem_free(j);
}

/* -- Dates of a wrong clock ----------------------------------------------------------------------------------------------------------- */

static char *
excuse_path(const char *journal_path)
{
	return mem_textf("%s.clock", journal_path);
}

int
ca_journal_excuse(const char *journal_path, const struct ca_journal_excuse *excuse, struct err *err)
{
	OWN_TEXT path = excuse_path(journal_path);
	OWN_TEXT text = mem_textf("%lld %lld\n", (long long)excuse->n, (long long)excuse->at);

	return file_save(path, text, strlen(text), 0600, err);
}

struct ca_journal_excuse
ca_journal_excused(const char *journal_path)
{
	static const struct ca_journal_excuse none;
	OWN_TEXT path = excuse_path(journal_path);
	CLEAR(buf) text = BUF_INIT(64);
	struct ca_journal_excuse excuse;
	struct err err = ERR_INIT;
	char *at;

	if (file_load(&text, path, &err) < 0)
		return none;
	if (text.len > 0 && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	at = strchr(buf_text(&text), ' ');
	if (!at)
		return none;
	*at++ = '\0';
	if (!text_to_i64(buf_text(&text), 0, INT64_MAX, &excuse.n) || !text_to_i64(at, 0, INT64_MAX, &excuse.at))
		return none;
	return excuse;
}

static void
look_for_excuse(struct ca_journal *j)
{
	struct ca_journal_excuse excuse = ca_journal_excused(j->path);

	if (j->latest <= excuse.n)
		j->last_issued = excuse.at;
}

int64_t
ca_journal_last_issued(struct ca_journal *j, int64_t now)
{
	int64_t last;

	pthread_mutex_lock(&j->lock);
	if (now < j->last_issued && j->path)
		look_for_excuse(j);
	last = j->last_issued;
	pthread_mutex_unlock(&j->lock);
	return last;
}

int
ca_journal_latest(struct ca_journal *j, int64_t *n, int64_t *issued, struct err *err)
{
	struct db_stmt *row;
	int there;

	pthread_mutex_lock(&j->lock);
	row = db_query(j->db, err, "SELECT max(sequence), max(issued) FROM issued", "");
	there = row ? db_next(row, err) : -1;
	*n = there > 0 ? db_int(row, 0) : 0;
	*issued = there > 0 ? db_int(row, 1) : 0;
	if (row)
		db_done(row);
	pthread_mutex_unlock(&j->lock);
	return there < 0 ? -1 : 0;
}

/* -- Adding ----------------------------------------------------------------------------------------------------------------------- */

static bool
is_fresh(const struct ca_entry *r, int64_t now)
{
	int64_t from = cert_not_before(r->cert), until = cert_not_after(r->cert);

	return now >= from && now < from + (until - from) / 3 * 2; /* one of a clock that was ahead has not begun */
}

/* Another profile has other rights and another end, and another CA may have been put in the place of this one because nobody is to trust it any more. */
static int
find_again(struct ca_journal *j, const struct ca_again *again, int64_t now, struct ca_entry **out, struct err *err)
{
	char issuer[HEX_LEN];

	put_hex(issuer, cert_sha256(again->issuer->item[0]));
	if (find_one(j, out, err,
		    db_query(j->db, err,
			    "SELECT " COLUMNS " FROM issued WHERE requester = ? AND request = ? AND profile = ? AND issuer = ?"
			    " ORDER BY sequence DESC LIMIT 1",
			    "tttt", again->requester, again->request, again->profile, issuer)) < 0)
		return -1;
	if (*out && !is_fresh(*out, now)) {
		ca_entry_free(*out);
		*out = NULL;
	}
	return 0;
}

/* What is there takes the place of what was made. */
static void
become(struct ca_entry *r, struct ca_entry *found)
{
	cert_free(r->cert);
	r->cert = cert_ref(found->cert);
	certs_clear(&r->chain);
	r->chain = found->chain;
	found->chain = (struct certs){ 0 };
	r->sequence = found->sequence;
	r->issued = found->issued;
	r->added = CA_WAS_THERE;
}

static int
find_taker(struct ca_journal *j, struct ca_entry *r, const struct facts *f, struct err *err)
{
	struct db_stmt *row = db_query(j->db, err,
		"SELECT requester FROM issued WHERE key = ? AND requester != ? AND not_after > ? ORDER BY sequence DESC LIMIT 1",
		"tti", f->key, r->requester, r->issued);
	int there = row ? db_next(row, err) : -1;

	if (there > 0) {
		r->taken_by = mem_text(db_text(row, 0));
		r->added = CA_KEY_TAKEN;
	}
	if (row)
		db_done(row);
	return there < 0 ? -1 : 0;
}

static int
put_issuer(struct ca_journal *j, const struct certs *issuer, char fingerprint[static HEX_LEN], struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);

	put_hex(fingerprint, cert_sha256(issuer->item[0]));
	certs_put_pem(issuer, &pem);
	return db_run(
		j->db, err, "INSERT OR IGNORE INTO issuer (fingerprint, chain) VALUES (?, ?)", "tt", fingerprint, buf_text(&pem));
}

static int
put_row(struct ca_journal *j, struct ca_entry *r, const struct facts *f, struct err *err)
{
	CLEAR(buf) der = BUF_INIT(CERT_MAX);
	uint8_t digest[DIGEST_SHA256_LEN];
	char issuer[HEX_LEN];

	r->sequence = j->last_sequence + 1;
	cert_put_der(r->cert, &der);
	if (put_issuer(j, r->issuer, issuer, err) < 0 || digest_row(digest, j->head, r, issuer, &der, err) < 0)
		return -1;
	if (db_run(j->db, err,
		    "INSERT INTO issued (" COLUMNS ", serial, subject, fingerprint, key, not_after)"
		    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		    "iittttbbtttti", r->sequence, r->issued, r->profile, r->requester, r->request, issuer, (const void *)der.data,
		    der.len, (const void *)digest, sizeof(digest), f->serial, cert_subject(r->cert), f->fingerprint, f->key,
		    cert_not_after(r->cert)) < 0)
		return -1;
	for (size_t i = 0; i < r->issuer->n; i++)
		certs_add(&r->chain, r->issuer->item[i]);
	r->added = CA_ADDED;
	j->last_sequence = r->sequence;
	if (r->issued >= j->last_issued) {
		j->last_issued = r->issued;
		j->latest = r->sequence;
	}
	memcpy(j->head, digest, sizeof(digest));
	return 0;
}

static int
add_one(struct ca_journal *j, struct ca_entry *r, struct err *err)
{
	struct ca_again again = { r->requester, r->request, r->profile, r->issuer };
	OWN(ca_entry) found = NULL;
	struct facts f;
	int done;

	if (r->once && find_again(j, &again, r->issued, &found, err) < 0)
		return -1;
	if (found) {
		become(r, found);
		return 0;
	}
	facts_of(&f, r->cert);
	done = find_taker(j, r, &f, err);
	if (done == 0 && !r->taken_by)
		done = put_row(j, r, &f, err);
	facts_clear(&f);
	return done;
}

static int
add_all(struct ca_journal *j, struct ca_entry *const *entries, size_t n, struct err *err)
{
	int done = 0;

	if (db_begin(j->db, err) < 0)
		return -1;
	for (size_t i = 0; i < n && done == 0; i++)
		done = add_one(j, entries[i], err);
	return db_end(j->db, done, err);
}

int
ca_journal_add(struct ca_journal *j, struct ca_entry *const *entries, size_t n, struct err *err)
{
	struct {
		int64_t sequence, issued, latest;
		uint8_t head[DIGEST_SHA256_LEN];
	} tip;
	int done;

	pthread_mutex_lock(&j->lock);
	tip.sequence = j->last_sequence;
	tip.issued = j->last_issued;
	tip.latest = j->latest;
	memcpy(tip.head, j->head, sizeof(tip.head));
	done = add_all(j, entries, n, err);
	if (done < 0) {
		j->last_sequence = tip.sequence;
		j->last_issued = tip.issued;
		j->latest = tip.latest;
		memcpy(j->head, tip.head, sizeof(tip.head));
	}
	pthread_mutex_unlock(&j->lock);
	return done;
}

/* -- Asking ----------------------------------------------------------------------------------------------------------------------- */

int
ca_journal_find(struct ca_journal *j, enum ca_journal_key key, const char *value, struct ca_entry **out, struct err *err)
{
	static const char *const queries[] = {
		[CA_BY_FINGERPRINT] = "SELECT " COLUMNS " FROM issued WHERE fingerprint = ?",
		[CA_BY_SERIAL] = "SELECT " COLUMNS " FROM issued WHERE serial = ? ORDER BY sequence DESC LIMIT 1",
		[CA_BY_SUBJECT] = "SELECT " COLUMNS " FROM issued WHERE subject = ? ORDER BY sequence DESC LIMIT 1",
		[CA_BY_REQUESTER] = "SELECT " COLUMNS " FROM issued WHERE requester = ? ORDER BY sequence DESC LIMIT 1",
	};
	int done;

	pthread_mutex_lock(&j->lock);
	done = find_one(j, out, err, db_query(j->db, err, queries[key], "t", value));
	pthread_mutex_unlock(&j->lock);
	return done;
}

/* *out stays NULL when the row is not of that CA, or is: as is asked. */
static int
take_of_ca(struct ca_journal *j, struct db_stmt *row, const struct cert *ca, bool is_of_it, struct ca_entry **out, struct err *err)
{
	char issuer[HEX_LEN];
	OWN(ca_entry) r = read_row(row, issuer, err);

	if (!r || read_chain(j, r, issuer, err) < 0)
		return -1;
	if (r->chain.n > 0 && cert_is_same_ca(r->chain.item[0], ca) == is_of_it)
		*out = GIVE(r);
	return 0;
}

static int
find_of_ca(struct ca_journal *j, const struct cert *ca, bool is_of_it, const char *serial, struct ca_entry **out, struct err *err)
{
	struct db_stmt *row =
		db_query(j->db, err, "SELECT " COLUMNS " FROM issued WHERE serial = ? ORDER BY sequence DESC", "t", serial);
	int more = row ? db_next(row, err) : -1;

	*out = NULL;
	while (more > 0 && !*out)
		more = take_of_ca(j, row, ca, is_of_it, out, err) < 0 ? -1 : *out ? 0 : db_next(row, err);
	if (row)
		db_done(row);
	return more;
}

int
ca_journal_find_of_ca(struct ca_journal *j, const struct cert *ca, const char *serial, struct ca_entry **out, struct err *err)
{
	int done;

	pthread_mutex_lock(&j->lock);
	done = find_of_ca(j, ca, true, serial, out, err);
	pthread_mutex_unlock(&j->lock);
	return done;
}

int
ca_journal_find_of_another(struct ca_journal *j, const struct cert *ca, const char *serial, struct ca_entry **out, struct err *err)
{
	int done;

	pthread_mutex_lock(&j->lock);
	done = find_of_ca(j, ca, false, serial, out, err);
	pthread_mutex_unlock(&j->lock);
	return done;
}

int
ca_journal_find_issuer(struct ca_journal *j, const char *fingerprint, struct certs *out, struct err *err)
{
	int there;

	pthread_mutex_lock(&j->lock);
	there = read_issuer(j, fingerprint, out, err);
	pthread_mutex_unlock(&j->lock);
	return there < 0 ? -1 : 0;
}

int
ca_journal_find_again(struct ca_journal *j, const struct ca_again *again, int64_t now, struct ca_entry **out, struct err *err)
{
	int done;

	pthread_mutex_lock(&j->lock);
	done = find_again(j, again, now, out, err);
	pthread_mutex_unlock(&j->lock);
	return done;
}

static int
list_locked(struct ca_journal *j, int64_t after, int max, void (*each)(void *arg, const struct ca_entry *record), void *arg,
	struct err *err)
{
	struct db_stmt *row = db_query(j->db, err, "SELECT " COLUMNS " FROM issued WHERE sequence > ? ORDER BY sequence LIMIT ?",
		"ii", after, (int64_t)max);
	int more = row ? db_next(row, err) : -1, n = 0;

	for (; more > 0; n++) {
		char issuer[HEX_LEN];
		OWN(ca_entry) r = read_row(row, issuer, err);

		if (r)
			each(arg, r);
		more = r ? db_next(row, err) : -1;
	}
	if (row)
		db_done(row);
	return more < 0 ? -1 : n;
}

int
ca_journal_list(struct ca_journal *j, int64_t after, int max, void (*each)(void *arg, const struct ca_entry *record), void *arg,
	struct err *err)
{
	int n;

	pthread_mutex_lock(&j->lock);
	n = list_locked(j, after, max, each, arg, err);
	pthread_mutex_unlock(&j->lock);
	return n;
}

/* -- Verifying -------------------------------------------------------------------------------------------------------------------- */

/* The columns by which it is found have to be what the certificate says: a row under another serial number would be hidden. */
static int
check_columns(struct db_stmt *row, const struct ca_entry *r, struct err *err)
{
	struct facts f;
	bool same;

	facts_of(&f, r->cert);
	same = text_is(db_text(row, 8), f.serial) && text_is(db_text(row, 9), cert_subject(r->cert)) &&
	       text_is(db_text(row, 10), f.fingerprint) && text_is(db_text(row, 11), f.key) &&
	       db_int(row, 12) == cert_not_after(r->cert);
	facts_clear(&f);
	return same ? 0
		    : err_set(err, ERR_BROKEN, "the journal's entry %lld is found by something else than its certificate",
			      (long long)r->sequence);
}

static int
verify_row(struct db_stmt *row, int64_t n, uint8_t head[static DIGEST_SHA256_LEN], struct err *err)
{
	char issuer[HEX_LEN];
	OWN(ca_entry) r = read_row(row, issuer, err);
	size_t len;
	const void *digest = db_blob(row, 7, &len);

	if (!r)
		return -1;
	if (r->sequence != n)
		return err_set(err, ERR_BROKEN, "the journal's entry %lld is missing", (long long)n);
	if (check_digest(r, issuer, head, digest, len, err) < 0 || check_columns(row, r, err) < 0)
		return -1;
	memcpy(head, digest, len);
	return 0;
}

/* The chains that are given out with certificates: each begins with what its rows name, and was issued by what follows. */
static int
check_chain(const char *fingerprint, const char *pem, struct err *err)
{
	struct certs chain = { 0 };
	struct err unreadable = ERR_INIT;
	char first[HEX_LEN] = "";
	bool good = pem && certs_parse(&chain, pem, strlen(pem), CHAIN_MAX, &unreadable) == 0;

	if (good)
		put_hex(first, cert_sha256(chain.item[0]));
	good = good && text_is(first, fingerprint);
	for (size_t i = 0; good && i + 1 < chain.n; i++)
		good = cert_is_issued_by(chain.item[i], chain.item[i + 1]);
	certs_clear(&chain);
	return good ? 0 : err_set(err, ERR_BROKEN, "the journal's issuer %.64s is not as it was written", fingerprint);
}

static int
check_issuers(struct ca_journal *j, struct err *err)
{
	struct db_stmt *row = db_query(j->db, err,
		"SELECT fingerprint, chain FROM issuer UNION SELECT issuer, NULL FROM issued"
		" WHERE issuer NOT IN (SELECT fingerprint FROM issuer)",
		"");
	int more = row ? db_next(row, err) : -1;

	for (; more > 0; more = more > 0 ? db_next(row, err) : -1)
		if (check_chain(db_text(row, 0) ? db_text(row, 0) : "", db_text(row, 1), err) < 0)
			more = -1;
	if (row)
		db_done(row);
	return more < 0 ? -1 : 0;
}

/* In pieces, so that who issues meanwhile does not wait for all of it. */
static int
verify_some(struct ca_journal *j, int64_t *n, uint8_t head[static DIGEST_SHA256_LEN], struct err *err)
{
	struct db_stmt *row = db_query(j->db, err,
		"SELECT " COLUMNS
		", serial, subject, fingerprint, key, not_after FROM issued WHERE sequence > ? ORDER BY sequence LIMIT "
		"1000",
		"i", *n);
	int more = row ? db_next(row, err) : -1, done = 0;

	for (; more > 0 && done == 0; more = done == 0 ? db_next(row, err) : -1) {
		done = verify_row(row, *n + 1, head, err);
		*n += done == 0;
	}
	if (row)
		db_done(row);
	return more < 0 ? -1 : 0;
}

int
ca_journal_verify(struct ca_journal *j, struct ca_journal_finding *out, struct err *err)
{
	uint8_t head[DIGEST_SHA256_LEN] = { 0 };
	int64_t n = 0, before;
	int done;

	pthread_mutex_lock(&j->lock);
	done = check_issuers(j, err);
	pthread_mutex_unlock(&j->lock);
	if (done < 0)
		return -1;
	do {
		before = n;
		pthread_mutex_lock(&j->lock);
		done = verify_some(j, &n, head, err);
		pthread_mutex_unlock(&j->lock);
	} while (done == 0 && n > before);
	if (done < 0)
		return -1;
	out->n = n;
	put_hex(out->head, head);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "ca/csr_story.h"
#include "store/db.h"

static struct made root;

static struct ca_journal *
open_journal(const char *path)
{
	struct err err = ERR_INIT;
	struct ca_journal *j = ca_journal_open(path, &err);

	if (!j)
		fail_msg("%s", err.text);
	return j;
}

/* One more for this device, at STORY_NOW, under a fresh key unless there is one. */
static struct ca_entry *
record_of(const char *requester, const char *request, struct key *key)
{
	struct err err = ERR_INIT;
	struct ca_entry *r = NEW(ca_entry);
	struct certs *issuer = NEW(certs);
	OWN(key) fresh = key ? key_ref(key) : key_generate(KEY_EC_P256, &err);
	struct profile profile = {
		.kind = ISSUE_DEVICE, .common_name = requester, .not_before = STORY_NOW, .not_after = STORY_NOW + 30 * STORY_DAY
	};

	if (!root.cert)
		root = story_root("root");
	certs_add(issuer, root.cert);
	*r = (struct ca_entry){ .profile = mem_text("line"),
		.requester = mem_text(requester),
		.request = mem_text(request),
		.issued = STORY_NOW,
		.issuer = issuer,
		.cert = issue_cert(&profile, key_pkey(fresh), &(struct issuer){ root.cert, root.key }, &err) };
	CHECK(r->cert);
	return r;
}

static void
record_clear(struct ca_entry *r)
{
	struct certs *issuer = (struct certs *)(uintptr_t)r->issuer;

	certs_clear(issuer);
	mem_free(issuer);
	ca_entry_free(r);
}

/* Adds one, and returns its certificate. */
static struct cert *
add(struct ca_journal *j, const char *requester, const char *request, bool once, enum ca_added wanted)
{
	struct ca_entry *r = record_of(requester, request, NULL);
	struct err err = ERR_INIT;
	struct cert *cert;

	r->once = once;
	CHECK_OK(ca_journal_add(j, &r, 1, &err), err);
	CHECK_INT(r->added, wanted);
	cert = cert_ref(r->cert);
	record_clear(r);
	return cert;
}

static void
add_some(struct ca_journal *j, int n)
{
	for (int i = 0; i < n; i++) {
		OWN_TEXT who = mem_textf("dev%d", i);

		cert_free(add(j, who, "R", false, CA_ADDED));
	}
}

static void
hex_of(char out[static 65], const struct cert *cert)
{
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02X", cert_sha256(cert)[i]);
}

TEST("what was added is found by fingerprint, serial, subject and requester, with its chain, after a restart too")
{
	OWN_TEXT path = story_path("journal");
	struct ca_journal *j = open_journal(path);
	OWN(cert) cert = add(j, "dev1", "R1", false, CA_ADDED);
	struct err err = ERR_INIT;
	char fingerprint[65];
	OWN_TEXT serial = cert_serial_hex(cert);

	hex_of(fingerprint, cert);
	for (int i = 0; i < 2; i++) {
		static const enum ca_journal_key keys[] = { CA_BY_FINGERPRINT, CA_BY_SERIAL, CA_BY_SUBJECT, CA_BY_REQUESTER };
		const char *values[] = { fingerprint, serial, "CN=dev1", "dev1" };

		for (size_t k = 0; k < COUNT(keys); k++) {
			OWN(ca_entry) r = NULL;

			CHECK_OK(ca_journal_find(j, keys[k], values[k], &r, &err), err);
			CHECK(r && cert_is_same(r->cert, cert));
			CHECK_INT(r->sequence, 1);
			CHECK_STR(r->profile, "line");
			CHECK_INT(r->chain.n, 1);
			CHECK(cert_is_same(r->chain.item[0], root.cert));
		}
		ca_journal_close(j);
		j = open_journal(path);
	}
	{
		OWN(ca_entry) none = NULL;

		CHECK_OK(ca_journal_find(j, CA_BY_SUBJECT, "CN=dev2", &none, &err), err);
		CHECK(!none);
		CHECK_INT(ca_journal_last_issued(j, STORY_NOW), STORY_NOW);
	}
	ca_journal_close(j);
}

/* The same certificate by another CA, with the number and all. */
static struct cert *
cert_by(const struct cert *cert, const struct made *ca)
{
	X509 *x509 = X509_dup(cert_x509(cert));
	struct cert *other;

	CHECK(X509_set_issuer_name(x509, X509_get_subject_name(cert_x509(ca->cert))) == 1);
	CHECK(X509_sign(x509, key_pkey(ca->key), EVP_sha256()) > 0);
	other = cert_from_x509(x509);
	X509_free(x509);
	return other;
}

TEST("of two CAs that have given the same serial number each finds its own certificate, and a third one none")
{
	OWN_TEXT path = story_path("numbers.db");
	struct ca_journal *j = open_journal(path);
	OWN(cert) first = add(j, "dev1", "AA", false, CA_ADDED);
	struct made other = story_root("other root"), third = story_root("third root");
	struct certs issuer = { .item = &other.cert, .n = 1 };
	OWN(ca_entry) r = NEW(ca_entry);
	OWN_TEXT serial = cert_serial_hex(first);
	const struct cert *cas[] = { root.cert, other.cert, third.cert }, *wanted[] = { first, NULL, NULL };
	struct err err = ERR_INIT;

	*r = (struct ca_entry){ .profile = mem_text("line"),
		.requester = mem_text("dev1"),
		.request = mem_text("BB"),
		.issued = STORY_NOW,
		.issuer = &issuer,
		.cert = cert_by(first, &other) };
	wanted[1] = r->cert;
	CHECK_OK(ca_journal_add(j, &r, 1, &err), err);
	for (size_t i = 0; i < COUNT(cas); i++) {
		OWN(ca_entry) found = NULL;
		OWN(ca_entry) another = NULL;

		CHECK_OK(ca_journal_find_of_ca(j, cas[i], serial, &found, &err), err);
		CHECK(wanted[i] ? found && cert_is_same(found->cert, wanted[i]) : !found);
		CHECK_OK(ca_journal_find_of_another(j, cas[i], serial, &another, &err), err);
		CHECK(another && !cert_is_same_ca(another->chain.item[0], cas[i]));
	}
	ca_journal_close(j);
	made_clear(&other);
	made_clear(&third);
}

TEST("the same request asked once more gives the certificate that is there until two thirds of its life are over")
{
	OWN_TEXT path = story_path("journal");
	struct ca_journal *j = open_journal(path);
	OWN(cert) first = add(j, "dev1", "R1", true, CA_ADDED);
	OWN(cert) again = add(j, "dev1", "R1", true, CA_WAS_THERE);
	OWN(cert) other = add(j, "dev1", "R2", true, CA_ADDED);
	OWN(cert) renewed = add(j, "dev1", "R1", false, CA_ADDED);
	OWN(ca_entry) fresh = NULL;
	OWN(ca_entry) old = NULL;
	struct certs issuer = { .item = &root.cert, .n = 1 };
	struct ca_again wanted = { "dev1", "R1", "line", &issuer };
	struct err err = ERR_INIT;

	CHECK(cert_is_same(first, again) && !cert_is_same(first, other) && !cert_is_same(first, renewed));
	CHECK_OK(ca_journal_find_again(j, &wanted, STORY_NOW + 20 * STORY_DAY - 1, &fresh, &err), err);
	CHECK(fresh && cert_is_same(fresh->cert, renewed)); /* the newest */
	CHECK_OK(ca_journal_find_again(j, &wanted, STORY_NOW + 20 * STORY_DAY, &old, &err), err);
	CHECK(!old);
	wanted.requester = "dev2";
	CHECK_OK(ca_journal_find_again(j, &wanted, STORY_NOW, &old, &err), err);
	CHECK(!old);
	ca_journal_close(j);
}

TEST("entries of a clock that was ahead don't count once they are excused, by who has the journal open too, after a restart too; "
     "later ones do, and what has not begun is not given again")
{
	OWN_TEXT path = story_path("journal");
	struct ca_journal *j = open_journal(path), *reader;
	const int64_t before = STORY_NOW - 400 * STORY_DAY;
	struct err err = ERR_INIT;
	int64_t n, latest;

	cert_free(add(j, "dev1", "R1", true, CA_ADDED));
	CHECK_INT(ca_journal_last_issued(j, before), STORY_NOW);
	reader = ca_journal_open_reader(path, &err);
	CHECK_OK(ca_journal_latest(reader, &n, &latest, &err), err);
	CHECK_INT(n, 1);
	CHECK_INT(latest, STORY_NOW);
	ca_journal_close(reader);
	CHECK_INT(ca_journal_excused(path).n, 0);
	CHECK_OK(ca_journal_excuse(path, &(struct ca_journal_excuse){ n, before }, &err), err);
	CHECK_INT(ca_journal_excused(path).n, 1);
	for (int i = 0; i < 2; i++) {
		CHECK_INT(ca_journal_last_issued(j, before - STORY_DAY),
			before); /* a clock that falls back from there is wrong again */
		CHECK_INT(ca_journal_last_issued(j, before), before);
		ca_journal_close(j);
		j = open_journal(path);
	}
	{
		struct ca_again again = { "dev1", "R1", "line", &(struct certs){ .item = &root.cert, .n = 1 } };
		OWN(ca_entry) found = NULL;

		CHECK_OK(ca_journal_find_again(j, &again, before, &found, &err), err);
		CHECK(!found);
	}
	cert_free(add(j, "dev2", "R2", true, CA_ADDED));
	CHECK_INT(ca_journal_last_issued(j, before), STORY_NOW);
	ca_journal_close(j);
}

TEST("atk-20: a key for which another requester has a valid certificate is refused, and nothing of it is written")
{
	OWN_TEXT path = story_path("journal");
	struct ca_journal *j = open_journal(path);
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	struct ca_entry *a = record_of("dev1", "R1", key), *b = record_of("dev2", "R2", key), *c = record_of("dev1", "R3", key);
	struct ca_journal_finding found;

	CHECK_OK(ca_journal_add(j, (struct ca_entry *[]){ a, b, c }, 3, &err), err);
	CHECK_INT(a->added, CA_ADDED);
	CHECK_INT(b->added, CA_KEY_TAKEN);
	CHECK_STR(b->taken_by, "dev1");
	CHECK_INT(c->added, CA_ADDED); /* its own */
	CHECK_OK(ca_journal_verify(j, &found, &err), err);
	CHECK_INT(found.n, 2);
	record_clear(b);
	b = record_of("dev2", "R4", key);
	b->issued = STORY_NOW + 31 * STORY_DAY;
	CHECK_OK(ca_journal_add(j, &b, 1, &err), err);
	CHECK_INT(b->added, CA_ADDED); /* the other's has ended */
	record_clear(a);
	record_clear(b);
	record_clear(c);
	ca_journal_close(j);
}

TEST("many records are one transaction: all of them are there, or none")
{
	OWN_TEXT path = story_path("journal");
	struct ca_journal *j = open_journal(path);
	struct err err = ERR_INIT;
	struct ca_entry *r[] = { record_of("a", "1", NULL), record_of("b", "2", NULL), record_of("a", "3", NULL) };
	struct ca_journal_finding found;

	cert_free(r[2]->cert);
	r[2]->cert = cert_ref(r[0]->cert); /* the same serial number */
	CHECK(ca_journal_add(j, r, 3, &err) < 0);
	CHECK_OK(ca_journal_verify(j, &found, &err), err);
	CHECK_INT(found.n, 0);
	CHECK_OK(ca_journal_add(j, r, 2, &err), err);
	CHECK_INT(r[1]->sequence, 2);
	CHECK_OK(ca_journal_verify(j, &found, &err), err);
	CHECK_INT(found.n, 2);
	for (size_t i = 0; i < COUNT(r); i++)
		record_clear(r[i]);
	ca_journal_close(j);
}

TEST("the database itself refuses to change or to delete an entry")
{
	OWN_TEXT path = story_path("journal");
	struct ca_journal *j = open_journal(path);
	struct err err = ERR_INIT;
	struct db *db;

	add_some(j, 2);
	ca_journal_close(j);
	db = db_open(path, (const char *[]){ "", "" }, 2, &err);
	CHECK(db);
	CHECK(db_run(db, &err, "UPDATE issued SET requester = 'dev9'", "") < 0);
	CHECK_CONTAINS(err.text, "append-only");
	CHECK(db_run(db, &err, "DELETE FROM issued", "") < 0);
	CHECK_CONTAINS(err.text, "append-only");
	CHECK(db_run(db, &err, "UPDATE issuer SET chain = ''", "") < 0);
	CHECK_CONTAINS(err.text, "append-only");
	CHECK(db_run(db, &err, "DELETE FROM issuer", "") < 0);
	CHECK_CONTAINS(err.text, "append-only");
	db_close(db);
}

/* Somebody with the file in hand, who takes the triggers away first. */
static void
tamper(const char *path, const char *sql)
{
	struct err err = ERR_INIT;
	struct db *db = db_open(path, (const char *[]){ "", "" }, 2, &err);

	CHECK(db);
	CHECK_OK(db_run(db, &err, "DROP TRIGGER issued_stays", ""), err);
	CHECK_OK(db_run(db, &err, "DROP TRIGGER issued_remains", ""), err);
	CHECK_OK(db_run(db, &err, "DROP TRIGGER issuer_stays", ""), err);
	CHECK_OK(db_run(db, &err, "DROP TRIGGER issuer_remains", ""), err);
	CHECK_OK(db_run(db, &err, sql, ""), err);
	db_close(db);
}

TEST("what was changed, removed or moved afterwards is found, with the number of the entry")
{
	static const struct {
		const char *sql, *said;
	} cases[] = {
		{ "UPDATE issued SET requester = 'dev9' WHERE sequence = 2", "entry 2 is not as it was written" },
		{ "UPDATE issued SET issued = issued + 1 WHERE sequence = 4", "entry 4 is not as it was written" },
		{ "UPDATE issued SET certificate = (SELECT certificate FROM issued WHERE sequence = 1) WHERE sequence = 3",
			"entry 3 is not as it was written" },
		{ "UPDATE issued SET serial = '00' WHERE sequence = 3", "entry 3 is found by something else" },
		{ "UPDATE issued SET subject = 'CN=x' WHERE sequence = 1", "entry 1 is found by something else" },
		{ "DELETE FROM issued WHERE sequence = 3", "entry 3 is missing" },
		{ "DELETE FROM issued WHERE sequence = 1", "entry 1 is missing" },
		{ "UPDATE issued SET certificate = x'00' WHERE sequence = 2", "entry 2 holds no certificate" },
		{ "UPDATE issued SET digest = x'00' WHERE sequence = 2", "entry 2 is not as it was written" },
		{ "UPDATE issuer SET chain = 'junk'", "issuer " },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		OWN_TEXT path = story_path("journal");
		struct ca_journal *j = open_journal(path);
		struct ca_journal_finding found;
		struct err err = ERR_INIT;

		add_some(j, 4);
		CHECK_OK(ca_journal_verify(j, &found, &err), err);
		CHECK_INT(found.n, 4);
		CHECK_INT(strlen(found.head), 64);
		ca_journal_close(j);
		tamper(path, cases[i].sql);
		j = ca_journal_open_reader(path, &err);
		CHECK(j);
		if (ca_journal_verify(j, &found, &err) == 0)
			fail_msg("not found: %s", cases[i].sql);
		CHECK_CONTAINS(err.text, cases[i].said);
		ca_journal_close(j);
	}
}

TEST("an end that was cut off shows in the last digest")
{
	OWN_TEXT path = story_path("journal");
	struct ca_journal *j = open_journal(path);
	struct ca_journal_finding before, after;
	struct err err = ERR_INIT;

	add_some(j, 3);
	CHECK_OK(ca_journal_verify(j, &before, &err), err);
	ca_journal_close(j);
	tamper(path, "DELETE FROM issued WHERE sequence = 3");
	j = ca_journal_open_reader(path, &err);
	CHECK_OK(ca_journal_verify(j, &after, &err), err);
	CHECK_INT(after.n, 2);
	CHECK(strcmp(before.head, after.head) != 0);
	ca_journal_close(j);
}

TEST("atk-30: a second writer is refused while the first one has the journal, a reader is not")
{
	OWN_TEXT path = story_path("journal");
	struct ca_journal *j = open_journal(path), *reader;
	struct err err = ERR_INIT;

	CHECK(!ca_journal_open(path, &err));
	CHECK_ERR(err, ERR_CONFLICT, "in use by another process");
	err = (struct err)ERR_INIT;
	reader = ca_journal_open_reader(path, &err);
	CHECK(reader);
	ca_journal_close(reader);
	ca_journal_close(j);
	ca_journal_close(open_journal(path));
}

static void
count_record(void *arg, const struct ca_entry *r)
{
	int64_t *next = arg;

	CHECK_INT(r->sequence, ++*next);
}

TEST("a list goes on behind the last one that was told")
{
	OWN_TEXT path = story_path("journal");
	struct ca_journal *j = open_journal(path);
	struct err err = ERR_INIT;
	int64_t next = 0;

	add_some(j, 5);
	CHECK_INT(ca_journal_list(j, 0, 3, count_record, &next, &err), 3);
	CHECK_INT(ca_journal_list(j, next, 3, count_record, &next, &err), 2);
	CHECK_INT(ca_journal_list(j, next, 3, count_record, &next, &err), 0);
	ca_journal_close(j);
}

#define THREADS 4
#define EACH 8

static void *
add_many(void *arg)
{
	for (int i = 0; i < EACH; i++)
		cert_free(add(arg, "dev", "R", true, i < 0 ? CA_ADDED : CA_WAS_THERE));
	return NULL;
}

TEST("of many threads with one request no second certificate is written")
{
	OWN_TEXT path = story_path("journal");
	struct ca_journal *j = open_journal(path);
	pthread_t threads[THREADS];
	struct ca_journal_finding found;
	struct err err = ERR_INIT;

	cert_free(add(j, "dev", "R", true, CA_ADDED));
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, add_many, j) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK_OK(ca_journal_verify(j, &found, &err), err);
	CHECK_INT(found.n, 1);
	ca_journal_close(j);
}

TEST("what was added is there after a kill")
{
	OWN_TEXT path = story_path("journal");
	struct ca_journal_finding found;
	struct err err = ERR_INIT;
	struct ca_journal *j;
	int status;
	pid_t child = fork();

	if (child == 0) {
		add_some(open_journal(path), 3);
		raise(SIGKILL);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	j = open_journal(path);
	CHECK_OK(ca_journal_verify(j, &found, &err), err);
	CHECK_INT(found.n, 3);
	cert_free(add(j, "dev9", "R", false, CA_ADDED));
	CHECK_OK(ca_journal_verify(j, &found, &err), err);
	CHECK_INT(found.n, 4);
	ca_journal_close(j);
}

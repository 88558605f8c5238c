/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/ca_crl.h"

#include "base/clock.h"
#include "ca/csr_story.h"
#include "pki/revocations.h"

static struct ca_revoked *
open_store(void)
{
	OWN_TEXT path = story_path("revoked.db");
	struct err err = ERR_INIT;
	struct ca_revoked *r = ca_revoked_open(path, &err);

	if (!r)
		fail_msg("%s", err.text);
	return r;
}

/* As the journal has it. */
static struct ca_entry *
issue(const struct ca_signer *signer, const char *name)
{
	struct ca_entry *e = NEW(ca_entry);
	struct profile profile = {
		.kind = ISSUE_DEVICE, .common_name = name, .not_before = STORY_NOW - 60, .not_after = STORY_NOW + 30 * STORY_DAY
	};
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);

	e->requester = mem_text(name);
	e->cert = ca_signer_sign(signer, &profile, key_pkey(key), &err);
	certs_add(&e->chain, ca_signer_chain(signer)->item[0]);
	return e;
}

static struct revocations *
read_list(struct ca_revoked *r, struct ca_journal *j, const struct ca_signer *signer, int64_t now)
{
	CLEAR(buf) der = BUF_INIT(CA_CRL_MAX_BYTES);
	struct revocations *set = revocations_new();
	struct err err = ERR_INIT;

	CHECK_OK(ca_crl_make(&der, signer, r, j, now, CA_CRL_DAYS * STORY_DAY, &err), err);
	CHECK_OK(revocations_add(set, der.data, der.len, ca_signer_chain(signer), &err), err);
	return set;
}

static void
write_down(struct ca_journal *j, const struct ca_signer *signer, struct ca_entry *e)
{
	struct err err = ERR_INIT;

	e->profile = mem_text("devices");
	e->request = mem_text("none");
	e->issuer = ca_signer_chain(signer);
	e->issued = STORY_NOW;
	CHECK_OK(ca_journal_add(j, &e, 1, &err), err);
}

static struct ca_journal *
open_journal(void)
{
	OWN_TEXT path = story_path("issued.db");
	struct err err = ERR_INIT;
	struct ca_journal *j = ca_journal_open(path, &err);

	if (!j)
		fail_msg("%s", err.text);
	return j;
}

TEST("what was revoked is in the list of its own CA, once, whether it has ended or not")
{
	OWN(ca_signer) signer = story_signer();
	OWN(ca_signer) other = story_signer();
	OWN(ca_entry) bad = issue(signer, "dev-1");
	OWN(ca_entry) good = issue(signer, "dev-2");
	struct ca_journal *j = open_journal();
	struct ca_revoked *r = open_store();
	struct err err = ERR_INIT;
	int64_t n;

	write_down(j, signer, bad);
	CHECK_OK(ca_revoked_add(r, bad, CRL_KEY_COMPROMISE, STORY_NOW, &err), err);
	CHECK(ca_revoked_add(r, bad, CRL_SUPERSEDED, STORY_NOW, &err) < 0);
	CHECK_ERR(err, ERR_CONFLICT, "dev-1");
	CHECK_OK(ca_revoked_count(r, &n, &err), err);
	CHECK_INT(n, 1);
	for (int i = 0; i < 2; i++) {
		OWN(revocations) set = read_list(r, j, signer, STORY_NOW + i * 365 * (int64_t)STORY_DAY);
		OWN(revocations) others = read_list(r, j, other, STORY_NOW);

		CHECK(revocations_have(set, bad->cert) && !revocations_have(set, good->cert));
		CHECK_INT(revocations_count(others), 0);
	}
	ca_journal_close(j);
	ca_revoked_close(r);
}

TEST("a CA whose certificate was renewed has what it revoked before in its list, and one of the same name with another key has not")
{
	OWN_TEXT cert_path = story_path("ca.cert.pem");
	OWN_TEXT key_path = story_path("ca.key.pem");
	OWN_TEXT renewed_path = story_path("renewed.cert.pem");
	OWN(ca_signer) before = NULL;
	OWN(ca_signer) renewed = NULL;
	OWN(ca_signer) twin = story_signer();
	OWN(ca_entry) bad = NULL;
	struct ca_journal *j = open_journal();
	struct ca_revoked *r = open_store();
	struct err err = ERR_INIT;

	CHECK_OK(ca_signer_make(cert_path, key_path, "plant CA", STORY_NOW, &err), err);
	CHECK_OK(ca_signer_make(renewed_path, key_path, "plant CA", STORY_NOW + STORY_DAY, &err),
		err); /* with the key that is there */
	before = ca_signer_load(cert_path, key_path, NULL, &err);
	renewed = ca_signer_load(renewed_path, key_path, NULL, &err);
	bad = issue(before, "dev-1");
	write_down(j, before, bad);
	CHECK_OK(ca_revoked_add(r, bad, CRL_KEY_COMPROMISE, STORY_NOW, &err), err);
	{
		OWN(revocations) set = read_list(r, j, renewed, STORY_NOW + 2 * STORY_DAY);
		OWN(revocations) others = read_list(r, j, twin, STORY_NOW);

		CHECK(revocations_have(set, bad->cert));
		CHECK_INT(revocations_count(others), 0);
	}
	ca_journal_close(j);
	ca_revoked_close(r);
}

TEST("the set that a server asks has what was revoked of all CAs of the journal, without a key of theirs; a CA that the journal "
     "lost is a failure, not an empty set")
{
	OWN_TEXT path = story_path("issued.db");
	OWN_TEXT empty = story_path("empty.db");
	OWN(ca_signer) signer = story_signer();
	OWN(ca_signer) other = story_signer();
	OWN(ca_entry) bad = issue(signer, "dev-1");
	OWN(ca_entry) good = issue(signer, "dev-2");
	OWN(ca_entry) bad_too = issue(other, "dev-3");
	OWN(revocations) set = revocations_new();
	OWN(revocations) torn = revocations_new();
	struct err err = ERR_INIT;
	struct ca_journal *j = ca_journal_open(path, &err);
	struct ca_revoked *r = open_store();

	write_down(j, signer, bad);
	write_down(j, signer, good);
	write_down(j, other, bad_too);
	CHECK_OK(ca_revoked_add(r, bad, CRL_KEY_COMPROMISE, STORY_NOW, &err), err);
	CHECK_OK(ca_revoked_add(r, bad_too, CRL_UNSPECIFIED, STORY_NOW, &err), err);
	CHECK_OK(ca_crl_set(set, r, j, &err), err);
	CHECK(revocations_have(set, bad->cert) && revocations_have(set, bad_too->cert) && !revocations_have(set, good->cert));
	CHECK_INT(revocations_count(set), 2);
	ca_journal_close(j);

	j = ca_journal_open(empty, &err);
	CHECK(ca_crl_set(torn, r, j, &err) < 0);
	CHECK_ERR(err, ERR_BROKEN, "no issuer");
	ca_journal_close(j);
	ca_revoked_close(r);
}

TEST("the numbers of a CA's lists grow, over restarts too")
{
	OWN_TEXT path = story_path("revoked.db");
	struct err err = ERR_INIT;
	int64_t number;

	for (int i = 1; i <= 3; i++) {
		struct ca_revoked *r = ca_revoked_open(path, &err);

		CHECK_OK(ca_revoked_number(r, "A", &number, &err), err);
		CHECK_INT(number, i);
		ca_revoked_close(r);
	}
}

struct row {
	int n;
};

static void
take(void *arg, const struct ca_revocation *one)
{
	struct row *row = arg;

	CHECK_STR(one->requester, "dev-1");
	CHECK_INT(one->reason, CRL_SUPERSEDED);
	row->n++;
}

TEST("who asks about a number hears when and why it was revoked")
{
	OWN(ca_signer) signer = story_signer();
	OWN(ca_entry) bad = issue(signer, "dev-1");
	struct ca_revoked *r = open_store();
	struct ca_revocation found;
	struct err err = ERR_INIT;
	struct row row = { 0 };

	CHECK_OK(ca_revoked_add(r, bad, CRL_SUPERSEDED, STORY_NOW, &err), err);
	CHECK_OK(ca_revoked_each(r, NULL, take, &row, &err), err);
	CHECK_INT(row.n, 1);
	CHECK_OK(ca_revoked_find(r, "ANOTHER", "00", &found, &err), err);
	CHECK_INT(found.when, 0);
	ca_revoked_close(r);
}

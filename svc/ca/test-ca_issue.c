/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/csr_story.h"

struct office {
	struct ca_signer *signer;
	struct ca_journal *journal;
	struct ca_desk desk;
	struct ca_profile profile;
};

static struct office
open_office(void)
{
	OWN_TEXT path = story_path("journal");
	struct err err = ERR_INIT;
	struct office o = {
		.signer = story_signer(), .journal = ca_journal_open(path, &err), .profile = ca_profile_of("line", CA_DEVICE)
	};

	CHECK(o.journal);
	o.desk = (struct ca_desk){ .signer = o.signer, .journal = o.journal };
	return o;
}

static void
office_clear(struct office *o)
{
	ca_journal_close(o->journal);
	ca_signer_free(o->signer);
}

static int64_t
n_issued(const struct office *o)
{
	struct ca_journal_finding found;
	struct err err = ERR_INIT;

	CHECK_OK(ca_journal_verify(o->journal, &found, &err), err);
	return found.n;
}

TEST("a certificate is given out with its chain, is of its profile, and stands in the journal")
{
	CLEAR(office) o = open_office();
	OWN(csr) csr = wish_csr((struct wish){ .common_name = "dev1", .alg = KEY_EC_P384 });
	struct ca_request request = { .csr = csr, .profile = &o.profile, .requester.id = "dev1" };
	OWN(verdict) v = verdict_new("ca", "", "dev1");
	struct err err = ERR_INIT;
	OWN(ca_entry) r = ca_issue(&o.desk, &request, STORY_NOW, v, &err);

	CHECK_ACCEPTED(v);
	CHECK(r && r->added == CA_ADDED);
	CHECK_STR(cert_common_name(r->cert), "dev1");
	CHECK(!cert_is_ca(r->cert) && cert_may_client(r->cert) && !cert_may_serve(r->cert));
	CHECK_INT(cert_not_after(r->cert), STORY_NOW + 30 * (int64_t)STORY_DAY);
	CHECK_INT(r->chain.n, 1);
	CHECK(cert_is_issued_by(r->cert, r->chain.item[0]));
	CHECK(X509_get_signature_nid(cert_x509(r->cert)) == NID_ecdsa_with_SHA384);
	CHECK_INT(n_issued(&o), 1);
}

TEST("asked once, a request gives one certificate however often it comes; asked to renew, a new one each time")
{
	CLEAR(office) o = open_office();
	OWN(csr) csr = wish_csr((struct wish){ .common_name = "dev1" });
	struct ca_request request = { .csr = csr, .profile = &o.profile, .requester.id = "dev1", .once = true };
	struct err err = ERR_INIT;

	for (int i = 0; i < 3; i++) {
		OWN(verdict) v = verdict_new("ca", "", "dev1");
		OWN(ca_entry) r = ca_issue(&o.desk, &request, STORY_NOW + i, v, &err);

		CHECK(r && r->added == (i == 0 ? CA_ADDED : CA_WAS_THERE));
		CHECK_INT(r->chain.n, 1);
	}
	CHECK_INT(n_issued(&o), 1);
	request.once = false;
	for (int i = 0; i < 2; i++) {
		OWN(verdict) v = verdict_new("ca", "", "dev1");
		OWN(ca_entry) r = ca_issue(&o.desk, &request, STORY_NOW, v, &err);

		CHECK(r && r->added == CA_ADDED);
	}
	CHECK_INT(n_issued(&o), 3);
}

TEST("asked once, what another profile or another CA has issued for the same request is not given out again")
{
	CLEAR(office) o = open_office();
	OWN(csr) csr = wish_csr((struct wish){ .common_name = "dev1" });
	struct ca_profile brief = ca_profile_of("brief", CA_DEVICE);
	struct ca_signer *first = o.signer, *second = story_signer();
	const struct ca_desk desks[] = { { first, o.journal, NULL }, { first, o.journal, NULL }, { second, o.journal, NULL } };
	const struct ca_profile *profiles[] = { &o.profile, &brief, &brief };
	struct err err = ERR_INIT;

	brief.lifetime_s = 7 * (int64_t)STORY_DAY;
	for (size_t i = 0; i < COUNT(desks); i++) {
		struct ca_request request = { .csr = csr, .profile = profiles[i], .requester.id = "dev1", .once = true };
		OWN(verdict) v = verdict_new("ca", "", "dev1");
		OWN(ca_entry) r = ca_issue(&desks[i], &request, STORY_NOW, v, &err);

		CHECK(r && r->added == CA_ADDED);
		CHECK_INT(cert_not_after(r->cert), STORY_NOW + profiles[i]->lifetime_s);
		CHECK(cert_is_same(r->chain.item[0], ca_signer_chain(desks[i].signer)->item[0]));
	}
	CHECK_INT(n_issued(&o), COUNT(desks));
	ca_signer_free(second);
}

TEST("what is refused is neither signed nor written, and another's key is refused at the last step")
{
	CLEAR(office) o = open_office();
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	OWN(csr) own = wish_csr((struct wish){ .common_name = "dev1", .key = key_pkey(key) });
	OWN(csr) copied = wish_csr((struct wish){ .common_name = "dev2", .key = key_pkey(key) });
	struct ca_request request = { .csr = own, .profile = &o.profile, .requester.id = "dev1" };
	OWN(verdict) good = verdict_new("ca", "", "dev1");
	OWN(verdict) wrong = verdict_new("ca", "", "dev2");
	OWN(verdict) taken = verdict_new("ca", "", "dev2");
	OWN(ca_entry) r = ca_issue(&o.desk, &request, STORY_NOW, good, &err);

	CHECK(r);
	request.requester.id = "dev2";
	CHECK(!ca_issue(&o.desk, &request, STORY_NOW, wrong, &err));
	CHECK_CAUSE(wrong, CSR_WRONG_NAME);
	request.csr = copied;
	CHECK(!ca_issue(&o.desk, &request, STORY_NOW, taken, &err));
	CHECK_REASON(taken, CSR_KEY_TAKEN, "CN=dev2");
	CHECK_INT(err.kind, ERR_NONE);
	CHECK_INT(n_issued(&o), 1);
}

TEST("prepared on many workers, added together: one transaction for all that waits")
{
	CLEAR(office) o = open_office();
	struct ca_entry *made[8];
	struct err err = ERR_INIT;

	for (size_t i = 0; i < COUNT(made); i++) {
		OWN_TEXT name = mem_textf("dev%zu", i);
		OWN(csr) csr = wish_csr((struct wish){ .common_name = name });
		struct ca_request request = { .csr = csr, .profile = &o.profile, .requester.id = name };
		OWN(verdict) v = verdict_new("ca", "", name);

		made[i] = ca_issue_prepare(&o.desk, &request, STORY_NOW, v, &err);
		CHECK(made[i]);
	}
	CHECK_INT(n_issued(&o), 0);
	CHECK_OK(ca_journal_add(o.journal, made, COUNT(made), &err), err);
	CHECK_INT(n_issued(&o), COUNT(made));
	for (size_t i = 0; i < COUNT(made); i++)
		ca_entry_free(made[i]);
}

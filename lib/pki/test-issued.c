/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/issued.h"
#include "pki/story.h"
#include "t_verdict.h"

/* A device that asked for a certificate, and a CA below a root that may give it one. */
struct fixture {
	struct made root, ca;
	struct key *key;
	struct csr *csr;
	struct certs answer, cas, chain;
	struct verdict *v;
};

static void
begin(struct fixture *f)
{
	struct err err = ERR_INIT;
	CLEAR(buf) pem = BUF_INIT(65536);

	*f = (struct fixture){ .root = story_root("Root") };
	f->ca = story_intermediate("Issuing CA", &f->root);
	f->key = key_generate(KEY_EC_P256, &err);
	CHECK_OK(issue_csr(&pem, f->key, "EdgeGateway", NULL, 0, &err), err);
	f->csr = csr_parse(buf_text(&pem), pem.len, &err);
	f->v = verdict_new("certd", "Is this the certificate that was asked for?", "est.local");
	certs_add(&f->cas, f->root.cert);
	certs_add(&f->cas, f->ca.cert);
}

static void
end(struct fixture *f)
{
	verdict_free(f->v);
	certs_clear(&f->chain);
	certs_clear(&f->answer);
	certs_clear(&f->cas);
	csr_free(f->csr);
	key_free(f->key);
	made_clear(&f->ca);
	made_clear(&f->root);
}

/* The CA answers with such a certificate. */
static void
answer(struct fixture *f, struct profile profile, const struct key *key, const struct made *by)
{
	struct err err = ERR_INIT;
	OWN(cert) cert = NULL;

	profile.common_name = profile.common_name ? profile.common_name : "EdgeGateway";
	profile.not_before = profile.not_before ? profile.not_before : STORY_NOW - ISSUE_BACKDATE_S;
	profile.not_after = profile.not_after ? profile.not_after : STORY_NOW + STORY_DAY;
	cert = issue_cert(&profile, key_pkey(key), &(struct issuer){ .cert = by->cert, .key = by->key }, &err);
	if (!cert)
		fail_msg("%s", err.text);
	certs_add(&f->answer, cert);
}

static void
judge(struct fixture *f, enum issued_use use)
{
	issued_judge(&f->chain, f->v,
		&(struct issued_query){ .csr = f->csr, .use = use, .answer = &f->answer, .cas = &f->cas, .now = STORY_NOW });
}

static void
refused(struct fixture *f, enum issued_use use, enum reason reason)
{
	judge(f, use);
	CHECK_CAUSE(f->v, reason);
	end(f);
}

TEST("a device certificate is accepted, and its chain is put in order whatever the order of the answer")
{
	struct fixture f;

	begin(&f);
	certs_add(&f.answer, f.root.cert);
	certs_add(&f.answer, f.ca.cert);
	answer(&f, (struct profile){ .kind = ISSUE_DEVICE }, f.key, &f.ca);
	judge(&f, ISSUED_CLIENT);
	CHECK(verdict_accepted(f.v));
	CHECK_INT(f.chain.n, 3);
	CHECK(cert_matches_key(f.chain.item[0], f.key));
	CHECK(cert_is_same(f.chain.item[1], f.ca.cert));
	CHECK(cert_is_same(f.chain.item[2], f.root.cert));
	end(&f);
}

TEST("the roots of a roll-over stay behind the chain, and what belongs to nothing is left out")
{
	struct fixture f;
	CLEAR(made) next = story_root("Next root");
	CLEAR(made) stranger = story_root("Stranger");

	begin(&f);
	certs_add(&f.cas, next.cert);
	answer(&f, (struct profile){ .kind = ISSUE_DEVICE }, f.key, &f.ca);
	certs_add(&f.answer, stranger.cert);
	judge(&f, ISSUED_CLIENT);
	CHECK(verdict_accepted(f.v));
	CHECK_INT(f.chain.n, 4);
	CHECK(cert_is_same(f.chain.item[3], next.cert));
	end(&f);
}

TEST("a server that names only its issuing CA is enough")
{
	struct fixture f;

	begin(&f);
	certs_clear(&f.cas);
	f.cas = (struct certs){ 0 };
	certs_add(&f.cas, f.ca.cert);
	answer(&f, (struct profile){ .kind = ISSUE_DEVICE }, f.key, &f.ca);
	judge(&f, ISSUED_CLIENT);
	CHECK(verdict_accepted(f.v));
	CHECK_INT(f.chain.n, 2);
	end(&f);
}

TEST("a certificate for another key is refused")
{
	struct fixture f;
	struct err err = ERR_INIT;
	OWN(key) other = key_generate(KEY_EC_P256, &err);

	begin(&f);
	answer(&f, (struct profile){ .kind = ISSUE_DEVICE }, other, &f.ca);
	refused(&f, ISSUED_CLIENT, KEY_MISMATCH);
}

TEST("a certificate for another name is refused")
{
	struct fixture f;

	begin(&f);
	answer(&f, (struct profile){ .kind = ISSUE_DEVICE, .common_name = "EdgeGateway2" }, f.key, &f.ca);
	refused(&f, ISSUED_CLIENT, NAME_MISMATCH);
}

TEST("a leaf where a CA was asked for is refused, and a CA where a leaf was")
{
	struct fixture f;

	begin(&f);
	answer(&f, (struct profile){ .kind = ISSUE_DEVICE }, f.key, &f.ca);
	refused(&f, ISSUED_CA, CERT_NOT_CA);
	begin(&f);
	answer(&f, (struct profile){ .kind = ISSUE_EDGE_CA, .path_len = 0 }, f.key, &f.ca);
	refused(&f, ISSUED_CLIENT, CERT_LEAF_IS_CA);
	begin(&f);
	answer(&f, (struct profile){ .kind = ISSUE_EDGE_CA, .path_len = 0 }, f.key, &f.ca);
	judge(&f, ISSUED_CA);
	CHECK(verdict_accepted(f.v));
	end(&f);
}

TEST("a certificate for servers only is refused where a client's was asked for")
{
	struct fixture f;

	begin(&f);
	answer(&f, (struct profile){ .kind = ISSUE_SERVER, .names = { "EdgeGateway" }, .n_names = 1 }, f.key, &f.ca);
	refused(&f, ISSUED_CLIENT, CERT_NO_CLIENT_AUTH);
}

TEST("a certificate that has ended or not begun is refused")
{
	struct fixture f;

	begin(&f);
	answer(&f, (struct profile){ .kind = ISSUE_DEVICE, .not_after = STORY_NOW - 1 }, f.key, &f.ca);
	refused(&f, ISSUED_CLIENT, CERT_EXPIRED);
	begin(&f);
	answer(&f, (struct profile){ .kind = ISSUE_DEVICE, .not_before = STORY_NOW + 60 }, f.key, &f.ca);
	refused(&f, ISSUED_CLIENT, CERT_NOT_YET_VALID);
}

TEST("a certificate under a CA that the server does not name is refused, even when it sends that CA along")
{
	struct fixture f;
	CLEAR(made) stranger = story_root("Stranger");

	begin(&f);
	answer(&f, (struct profile){ .kind = ISSUE_DEVICE }, f.key, &stranger);
	certs_add(&f.answer, stranger.cert);
	judge(&f, ISSUED_CLIENT);
	CHECK(!verdict_accepted(f.v));
	end(&f);
}

TEST("what a request wishes stands in it: the rights of an Edge CA, a client's use, a subject as it was, the digest")
{
	struct err err = ERR_INIT;
	CLEAR(buf) first = BUF_INIT(65536);
	CLEAR(buf) second = BUF_INIT(65536);
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	OWN(csr) ca = NULL;
	OWN(csr) again = NULL;

	CHECK_OK(issue_csr_wish(&first, key, &(struct csr_wish){ .common_name = "aziot-edge CA d", .use = CSR_USE_EDGE_CA }, &err),
		err);
	ca = csr_parse(buf_text(&first), first.len, &err);
	CHECK(csr_asks_ca(ca));
	CHECK_OK(issue_csr_wish(&second, key,
			 &(struct csr_wish){ .subject = csr_subject(ca), .use = CSR_USE_CLIENT, .digest_bits = 384 }, &err),
		err);
	again = csr_parse(buf_text(&second), second.len, &err);
	CHECK(!csr_asks_ca(again) && csr_is_signed_safely(again));
	CHECK_STR(csr_common_name(again), "aziot-edge CA d");
}

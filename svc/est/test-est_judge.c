/* SPDX-License-Identifier: Apache-2.0 */
#include "est/est_judge.h"

#include "auth/password.h"
#include "est/est_story.h"
#include "pki/crl.h"
#include "wire/codec.h"

/* An EST server with one label, one user and one one-time password. */
struct desk {
	struct est_story story;
	struct made factory;
	struct est_config *config;
	struct est_store *store;
	struct est_visit visit;
};

static void
put_people(struct est_store *store)
{
	CLEAR(est_user) line = { .name = mem_text("line") };
	CLEAR(est_one_time) one = { .id = mem_text("dev-8"), .label = mem_text("*"), .until = STORY_NOW + 60 };
	CLEAR(est_one_time) other = { .id = mem_text("dev-9"), .label = mem_text("servers"), .until = STORY_NOW + 60 };
	char digest[EST_DIGEST_LEN];
	struct err err = ERR_INIT;

	line.hash = password_hash("correct horse", &err);
	est_names_add(&line.may, "dev-*");
	CHECK_OK(est_store_put_user(store, &line, &err), err);
	est_one_time_digest(digest, "once");
	CHECK_OK(est_store_put_one_time(store, digest, &one, &err), err);
	est_one_time_digest(digest, "elsewhere");
	CHECK_OK(est_store_put_one_time(store, digest, &other, &err), err);
}

static struct desk
desk_new(const char *rules)
{
	struct desk d = { .story = est_story_new(), .factory = story_root("factory CA") };
	OWN_TEXT label = mem_textf("[[label]]\nprofile = \"device\"\n%s", rules);
	OWN_TEXT path = file_join(d.story.dir, "est.db");
	struct err err = ERR_INIT;

	est_story_save_cert(&d.story, "factory.pem", d.factory.cert);
	d.config = est_story_config(&d.story, label);
	d.store = est_store_open(path, &err);
	put_people(d.store);
	d.visit = (struct est_visit){ .label = est_config_label(d.config, ""), .now = STORY_NOW };
	return d;
}

static void
desk_clear(struct desk *d)
{
	est_store_close(d->store);
	est_config_free(d->config);
	made_clear(&d->factory);
	est_story_clear(&d->story);
}

static struct verdict *
judge(struct desk *d, struct est_who *who, const struct made *shown, const char *authorization)
{
	struct certs peer = { 0 };
	struct verdict *v = verdict_new("est", "May it have a certificate?", "test");
	struct err err = ERR_INIT;

	if (shown)
		certs_add(&peer, shown->cert);
	CHECK_OK(est_judge_who(v, who, &d->visit, &(struct est_credentials){ &peer, authorization }, d->store, &err), err);
	certs_clear(&peer);
	return v;
}

static void
is_let_in(struct desk *d, const struct made *shown, const char *authorization, enum est_by by, const char *name)
{
	CLEAR(est_who) who = { 0 };
	OWN(verdict) v = judge(d, &who, shown, authorization);

	if (!verdict_accepted(v))
		fail_msg("%s", reason_row(verdict_cause(v))->code);
	CHECK_INT(who.by, by);
	CHECK_STR(who.name, name);
}

static void
is_refused(struct desk *d, const struct made *shown, const char *authorization, enum reason reason)
{
	CLEAR(est_who) who = { 0 };
	OWN(verdict) v = judge(d, &who, shown, authorization);

	story_cause(v, reason);
}

static char *
basic(const char *name_and_password)
{
	CLEAR(buf) text = BUF_INIT(4096);

	buf_puts(&text, "Basic ");
	base64_encode(&text, name_and_password, strlen(name_and_password));
	return buf_take_text(&text);
}

TEST("who shows the CA's own certificate is its common name, and may have what the label gives to that name")
{
	CLEAR(desk) d = desk_new("may = [\"{id}\", \"{id}.plant.test\"]\n");
	struct made device = story_device("dev-1", &d.story.ca);
	CLEAR(est_who) who = { 0 };
	OWN(verdict) v = judge(&d, &who, &device, NULL);

	CHECK(verdict_accepted(v) && who.by == EST_BY_CURRENT);
	CHECK(est_names_hold(&who.may, "dev-1") && est_names_hold(&who.may, "dev-1.plant.test") &&
		!est_names_hold(&who.may, "dev-2"));
	is_refused(&d, NULL, NULL, EST_NO_CREDENTIALS);
	made_clear(&device);
}

TEST("atk-20: what an Edge CA below the CA has issued, a CA itself, and a name that is a pattern are nobody here")
{
	CLEAR(desk) d = desk_new("");
	struct made edge =
		story_make((struct profile){ .kind = ISSUE_EDGE_CA, .common_name = "dev-1", .path_len = 0 }, &d.story.ca);
	struct made forged = story_device("dev-2", &edge), star = story_device("*", &d.story.ca),
		    server = story_server("dev-3", &d.story.ca);
	struct certs peer = { 0 };
	CLEAR(est_who) who = { 0 };
	OWN(verdict) v = verdict_new("est", "", "test");
	struct err err = ERR_INIT;

	certs_add(&peer, forged.cert);
	certs_add(&peer, edge.cert);
	CHECK_OK(est_judge_who(v, &who, &d.visit, &(struct est_credentials){ &peer, NULL }, d.store, &err), err);
	CHECK(!verdict_accepted(v));
	is_refused(&d, &star, NULL, EST_PATTERN_NAME);
	is_refused(&d, &edge, NULL, CERT_LEAF_IS_CA);
	is_refused(&d, &server, NULL, CERT_NO_CLIENT_AUTH);
	certs_clear(&peer);
	made_clear(&edge);
	made_clear(&forged);
	made_clear(&star);
	made_clear(&server);
}

TEST("a bootstrap certificate enrolls for the names of its label and renews nothing")
{
	CLEAR(desk) d = desk_new("bootstrap = \"factory.pem\"\nbootstrap_may = [\"dev-*\"]\n");
	struct made other = story_root("other CA");
	struct made device = story_device("serial-77", &d.factory), stranger = story_device("serial-77", &other);

	is_let_in(&d, &device, NULL, EST_BY_BOOTSTRAP, "serial-77");
	is_refused(&d, &stranger, NULL, TRUST_UNKNOWN_ISSUER);
	d.visit.renewing = true;
	is_refused(&d, &device, NULL, EST_NOT_RENEWABLE);
	made_clear(&device);
	made_clear(&stranger);
	made_clear(&other);
}

TEST("an expired certificate renews itself until its label's days are over, to the second, and never enrolls")
{
	CLEAR(desk) d = desk_new("expired_days = 2\nbootstrap = \"plant.pem\"\n");
	struct made device = story_device("dev-1", &d.story.ca);
	int64_t end = cert_not_after(device.cert);

	d.visit.now = end;
	is_refused(&d, &device, NULL, CERT_EXPIRED);
	d.visit.renewing = true;
	is_let_in(&d, &device, NULL, EST_BY_CURRENT, "dev-1");
	d.visit.now = end + 2 * STORY_DAY - 1;
	is_let_in(&d, &device, NULL, EST_BY_CURRENT, "dev-1");
	d.visit.now = end + 2 * STORY_DAY;
	is_refused(&d, &device, NULL, CERT_EXPIRED);
	made_clear(&device);
}

TEST("a label that takes passwords judges one before any certificate, and one that takes none looks at none")
{
	CLEAR(desk) d = desk_new("passwords = true\n");
	CLEAR(desk) deaf = desk_new("");
	struct made device = story_device("dev-1", &d.story.ca);
	OWN_TEXT good = basic("line:correct horse");
	OWN_TEXT wrong = basic("line:correct horsf");
	OWN_TEXT nobody = basic("nobody:correct horse");

	is_let_in(&d, NULL, good, EST_BY_USER, "line");
	is_let_in(&d, &device, good, EST_BY_USER, "line");
	is_refused(&d, NULL, wrong, EST_WRONG_PASSWORD);
	is_refused(&d, &device, wrong, EST_WRONG_PASSWORD);
	is_refused(&d, NULL, nobody, EST_WRONG_PASSWORD);
	is_refused(&d, NULL, "Bearer abc", EST_WRONG_PASSWORD);
	is_refused(&deaf, NULL, good, EST_NO_CREDENTIALS);
	made_clear(&device);
}

TEST("a renewal is asked for by the certificate alone, whatever password comes with it")
{
	CLEAR(desk) d = desk_new("passwords = true\n");
	struct made device = story_device("dev-1", &d.story.ca);
	OWN_TEXT good = basic("line:correct horse");
	OWN_TEXT wrong = basic("line:x");

	d.visit.renewing = true;
	is_let_in(&d, &device, wrong, EST_BY_CURRENT, "dev-1");
	is_refused(&d, NULL, good, EST_NO_CREDENTIALS);
	made_clear(&device);
}

TEST("atk-19: a one-time password is for one name, in its time, under its label, and not when it was spent")
{
	CLEAR(desk) d = desk_new("passwords = true\n");
	OWN_TEXT once = basic("whoever:once");
	OWN_TEXT elsewhere = basic(":elsewhere");
	char digest[EST_DIGEST_LEN];
	struct est_spending spending = { .digest = digest };
	struct err err = ERR_INIT;

	is_let_in(&d, NULL, once, EST_BY_ONE_TIME, "dev-8");
	is_let_in(&d, NULL, once, EST_BY_ONE_TIME, "dev-8"); /* it is judged, not spent */
	is_refused(&d, NULL, elsewhere, EST_ONE_TIME_USED);
	d.visit.now = STORY_NOW + 60;
	is_refused(&d, NULL, once, EST_ONE_TIME_USED);
	d.visit.now = STORY_NOW;
	est_one_time_digest(digest, "once");
	CHECK_OK(est_store_spend(d.store, (struct est_spending *[]){ &spending }, 1, STORY_NOW, &err), err);
	CHECK(spending.got);
	is_refused(&d, NULL, once, EST_ONE_TIME_USED);
}

TEST("of the request's names a claim has those that the requester may have")
{
	OWN(csr) csr = wish_csr((struct wish){ .common_name = "dev-1",
		.extensions = { "subjectAltName", "DNS:dev-1.plant.test,DNS:hub.test" },
		.alg = KEY_EC_P256 });
	CLEAR(est_names) may = { 0 };
	CLEAR(est_claim) claim = { 0 };
	CLEAR(est_claim) none = { 0 };

	est_names_add(&may, "*.plant.test");
	est_claim_make(&none, &may, csr);
	CHECK(!none.id && none.n == 1);
	CHECK_STR(none.names[0], "dev-1.plant.test");
	est_names_add(&may, "dev-1");
	est_claim_make(&claim, &may, csr);
	CHECK_STR(claim.id, "dev-1");
}

TEST("a chain that held is not gone through again while it is in its time, and is refused the second it ends, or when it is "
     "revoked meanwhile")
{
	CLEAR(desk) d = desk_new("");
	struct made device = story_device("dev-1", &d.story.ca), other = story_device("dev-1", &d.story.ca);
	struct certs cas = { .item = &d.story.ca.cert, .n = 1 };
	OWN(revocations) revoked = revocations_new();
	OWN(crl) crl = crl_new(1, STORY_NOW, STORY_NOW + STORY_DAY);
	CLEAR(buf) der = BUF_INIT(65536);
	OWN_TEXT serial = cert_serial_hex(device.cert);
	struct err err = ERR_INIT;

	is_let_in(&d, &device, NULL, EST_BY_CURRENT, "dev-1");
	is_let_in(&d, &device, NULL, EST_BY_CURRENT, "dev-1");
	d.visit.now = cert_not_after(device.cert);
	is_refused(&d, &device, NULL, CERT_EXPIRED);
	d.visit.now = cert_not_before(device.cert) - 1;
	is_refused(&d, &device, NULL, CERT_NOT_YET_VALID);
	d.visit.now = STORY_NOW;
	CHECK_OK(crl_add(crl, serial, STORY_NOW, CRL_UNSPECIFIED, &err), err);
	CHECK_OK(crl_sign(crl, d.story.ca.cert, d.story.ca.key, &der, &err), err);
	CHECK_OK(revocations_add(revoked, der.data, der.len, &cas, &err), err);
	d.visit.revoked = revoked;
	is_refused(&d, &device, NULL, CERT_REVOKED);
	is_let_in(&d, &other, NULL, EST_BY_CURRENT, "dev-1");
	made_clear(&device);
	made_clear(&other);
}

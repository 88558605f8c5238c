/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/provisioning/credential.h"

#include "base/clock.h"
#include "ca/csr_story.h"
#include "hub/provisioning/provisioned_device.h"
#include "wire/codec.h"
#include "wire/json.h"

#define OTHER "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static char *
csr_base64(const char *name)
{
	CLEAR(buf) der = BUF_INIT(65536);
	struct buf text = BUF_INIT(65536);

	wish_der(&der, &(struct wish){ .common_name = name });
	base64_encode(&text, der.data, der.len);
	return buf_take_text(&text);
}

static int
read_body(struct credential *out, json_t *body_take, struct err *err)
{
	OWN_LIB(json_t) body = body_take;

	CHECK(body != NULL);
	return credential_read(out, body, err);
}

/* -- What the device asks for ----------------------------------------------------------------------------------------------------- */

TEST("a register without a CSR, or with null for one, asks for no certificate")
{
	struct credential c;
	struct err err = ERR_INIT;

	CHECK_OK(read_body(&c, json_object(), &err), err);
	CHECK(!c.csr);
	CHECK_OK(read_body(&c, json_pack("{s:n, s:n}", "csr", "clientCertificateCsr"), &err), err);
	CHECK(!c.csr);
}

TEST("csr is the base64 of DER; the older spelling takes PEM, too, and is remembered")
{
	OWN_TEXT text = csr_base64("dev1");
	OWN_TEXT pem = mem_textf("-----BEGIN CERTIFICATE REQUEST-----\n%s\n-----END CERTIFICATE REQUEST-----\n", text);
	struct credential c;
	struct err err = ERR_INIT;

	CHECK_OK(read_body(&c, json_pack("{s:s}", "csr", text), &err), err);
	CHECK(!c.is_pem);
	CHECK_STR(csr_common_name(c.csr), "dev1");
	credential_clear(&c);
	CHECK_OK(read_body(&c, json_pack("{s:s}", "clientCertificateCsr", text), &err), err);
	CHECK(c.is_pem);
	credential_clear(&c);
	CHECK_OK(read_body(&c, json_pack("{s:s}", "clientCertificateCsr", pem), &err), err);
	CHECK(c.is_pem && c.csr);
	credential_clear(&c);
	CHECK(read_body(&c, json_pack("{s:s}", "csr", pem), &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "csr is PEM");
	err = (struct err)ERR_INIT;
	CHECK(read_body(&c, json_pack("{s:s, s:s}", "csr", text, "clientCertificateCsr", text), &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "the same wish");
}

TEST("a CSR that is no text, no base64, no PKCS #10 or too long is refused in words, and leaves nothing")
{
	struct {
		json_t *csr;
		const char *said;
	} cases[] = { { json_integer(7), "csr" }, { json_object(), "csr" }, { json_string(""), "PKCS #10" },
		{ json_string("%%"), "base64" }, { json_string("MII="), "PKCS #10" } };
	OWN_TEXT long_one = mem_new(20001);
	struct credential c;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;

		CHECK(read_body(&c, json_pack("{s:o}", "csr", cases[i].csr), &err) < 0);
		CHECK_CONTAINS(err.text, cases[i].said);
		CHECK(!c.csr);
	}
	{
		struct err err = ERR_INIT;

		memset(long_one, 'A', 20000);
		CHECK(read_body(&c, json_pack("{s:s}", "csr", long_one), &err) < 0);
		CHECK_ERR(err, ERR_LIMIT, "more than");
	}
}

/* -- Issuing ---------------------------------------------------------------------------------------------------------------------- */

struct office {
	struct issuing issuing;
	struct ca_profile policies[1];
};

static void
office_open(struct office *o)
{
	OWN_TEXT path = story_path("journal");
	struct err err = ERR_INIT;

	clock_set_for_test(STORY_NOW);
	o->policies[0] = ca_profile_of("line", CA_DEVICE);
	o->issuing = (struct issuing){
		.signer = story_signer(), .journal = ca_journal_open(path, &err), .policies = o->policies, .n_policies = 1
	};
	CHECK(o->issuing.journal);
	o->issuing.desk = (struct ca_desk){ .signer = o->issuing.signer, .journal = o->issuing.journal };
}

static void
office_clear(struct office *o)
{
	ca_journal_close(o->issuing.journal);
	ca_signer_free(o->issuing.signer);
}

static struct enrollment *
enrollment_with(const char *policy)
{
	struct enrollment *e = enrollment_new("plant", true);

	e->wishes = policy ? json_pack("{s:s}", "credentialPolicyName", policy) : json_object();
	return e;
}

static bool
issue(const struct issuing *issuing, const char *policy, struct registration *r, enum reason *why)
{
	OWN(enrollment) e = enrollment_with(policy);
	OWN(verdict) v = verdict_new("hub", "", "dev1");
	OWN_TEXT text = csr_base64("dev1");
	struct credential c;
	struct err err = ERR_INIT;
	bool done;

	CHECK_OK(read_body(&c, json_pack("{s:s}", "csr", text), &err), err);
	done = credential_issue(issuing, e, "dev1", &c, r, v, &err);
	CHECK_INT(err.kind, ERR_NONE);
	*why = verdict_cause(v);
	credential_clear(&c);
	return done;
}

TEST("without a CA, without a policy's name, or with one that is not there nothing is issued, for its own reason")
{
	CLEAR(office) o = { 0 };
	OWN(registration) r = NEW(registration);
	enum reason why;

	office_open(&o);
	CHECK(!issue(NULL, "line", r, &why));
	CHECK_INT(why, CA_ABSENT);
	CHECK(!issue(&o.issuing, NULL, r, &why));
	CHECK_INT(why, CREDENTIAL_POLICY_UNKNOWN);
	CHECK(!issue(&o.issuing, "LINE", r, &why));
	CHECK_INT(why, CREDENTIAL_POLICY_UNKNOWN);
	CHECK(!r->issued);
}

TEST("what was issued is told to the device once it is assigned, leaf to root, and PEM to who asked in the older spelling")
{
	CLEAR(office) o = { 0 };
	OWN(registration) r = NEW(registration);
	OWN_LIB(json_t) early = json_object();
	OWN_LIB(json_t) state = json_object();
	struct err err = ERR_INIT;
	enum reason why;

	office_open(&o);
	CHECK(issue(&o.issuing, "line", r, &why));
	CHECK_INT(strlen(r->issued), 64);
	CHECK_OK(credential_tell(&o.issuing, r, early, &err), err);
	CHECK_INT(json_object_size(early), 0);
	r->assigned = true;
	r->issued_pem = true;
	CHECK_OK(credential_tell(&o.issuing, r, state, &err), err);
	CHECK_INT(json_array_size(json_object_get(state, "issuedCertificateChain")), 2);
	CHECK_CONTAINS(json_string_value(json_object_get(state, "issuedClientCertificate")), "-----BEGIN CERTIFICATE-----");
	mem_free(r->issued);
	r->issued = mem_text(OTHER);
	CHECK(credential_tell(&o.issuing, r, state, &err) < 0);
	CHECK_ERR(err, ERR_BROKEN, OTHER);
}

/* -- The device ------------------------------------------------------------------------------------------------------------------- */

TEST("a device with an issued certificate is let in by that alone, whatever the enrollment's own credential is")
{
	OWN(enrollment) e = enrollment_with("line");
	OWN(registration) r = NEW(registration);
	OWN(identity) device = NULL;

	e->proof = ENROLLMENT_BY_KEY;
	secret_set(&e->keys[0], "0123456789abcdef", 16);
	secret_set(&e->keys[1], "fedcba9876543210", 16);
	r->id = mem_text("dev1");
	r->device_id = mem_text("dev1");
	r->issued = mem_text(OTHER);
	device = provisioned_device(e, r);
	CHECK_INT(device->auth, IDENTITY_AUTH_THUMBPRINT);
	CHECK_STR(device->thumbprints[0], OTHER);
	CHECK(!device->thumbprints[1]);
	CHECK_INT(device->keys[0].len, 0);
}

TEST("in a linked hub the thumbprint that is there goes into the other slot, once")
{
	OWN(identity) wanted = identity_new("dev1", NULL);
	OWN(identity) there = identity_new("dev1", NULL);
	OWN(identity) both = NULL;
	OWN(identity) again = NULL;

	credential_trust(wanted, OTHER);
	there->auth = IDENTITY_AUTH_THUMBPRINT;
	there->thumbprints[0] = mem_text("B1");
	both = credential_beside(wanted, there);
	CHECK_STR(both->thumbprints[0], OTHER);
	CHECK_STR(both->thumbprints[1], "B1");
	again = credential_beside(wanted, both);
	CHECK_STR(again->thumbprints[0], OTHER);
	CHECK_STR(again->thumbprints[1], "B1");
}

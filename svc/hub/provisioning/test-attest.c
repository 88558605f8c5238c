/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/provisioning/attest.h"

#include "base/mem.h"
#include "hub/provisioning/tpm_secret.h"
#include "pki/story.h"
#include "t_verdict.h"
#include "wire/codec.h"
#include "wire/sas.h"
#include "wire/tpm_story.h"

#define SCOPE "0ne0badcafe"
#define GROUPS_MAX 4

/* Somebody at the door of the provisioning service. */
struct arrival {
	const char *scope, *id;
	struct certs chain;
	char *token;
	struct attest_tpm tpm;
	bool by_mqtt;
	struct enrollment *individual, *groups[GROUPS_MAX];
	size_t n_groups;
	struct revocations *revoked;
	int64_t now;
};

static void
arrival_clear(struct arrival *a)
{
	certs_clear(&a->chain);
	mem_free(a->token);
	attest_tpm_clear(&a->tpm);
	enrollment_free(a->individual);
	revocations_free(a->revoked);
	for (size_t i = 0; i < a->n_groups; i++)
		enrollment_free(a->groups[i]);
}

static struct arrival
arrival_of(const char *id)
{
	return (struct arrival){ .scope = SCOPE, .id = id, .now = STORY_NOW };
}

static void
show(struct arrival *a, const struct made *leaf, const struct made *between)
{
	certs_add(&a->chain, leaf->cert);
	if (between)
		certs_add(&a->chain, between->cert);
}

static struct enrollment *
add_group(struct arrival *a, const char *id, enum enrollment_proof proof)
{
	struct enrollment *group = enrollment_new(id, true);

	group->proof = proof;
	a->groups[a->n_groups++] = group;
	return group;
}

static struct enrollment *
add_ca_group(struct arrival *a, const char *id, const struct made *ca)
{
	struct enrollment *group = add_group(a, id, ENROLLMENT_BY_CA);

	group->certs[0] = cert_ref(ca->cert);
	return group;
}

static struct enrollment *
set_individual(struct arrival *a, enum enrollment_proof proof)
{
	a->individual = enrollment_new(a->id, false);
	a->individual->proof = proof;
	return a->individual;
}

static void
set_key(struct secret *key, const char *text)
{
	secret_set(key, text, strlen(text));
}

static char *
token_for(const char *resource, const struct secret *key, int64_t expiry, const char *policy)
{
	struct buf text = BUF_INIT(SAS_TOKEN_MAX);

	sas_sign(&text, resource, expiry, policy, key);
	return buf_take_text(&text);
}

/* As SDKs make it, for an hour. */
static void
show_token(struct arrival *a, const struct secret *key)
{
	OWN_TEXT resource = mem_textf(SCOPE "/registrations/%s", a->id);

	a->token = token_for(resource, key, STORY_NOW + 3600, "registration");
}

static const struct enrollment *
decide(const struct arrival *a, struct verdict **verdict)
{
	struct attest_claim claim = { .id_scope = SCOPE, .given_scope = a->scope, .registration_id = a->id };
	struct attest_evidence evidence = { .chain = &a->chain, .token = a->token, .tpm = a->by_mqtt ? NULL : &a->tpm };
	struct attest_records records = {
		.revoked = a->revoked,
		.individual = a->individual,
		.groups = (const struct enrollment *const *)a->groups,
		.n_groups = a->n_groups,
	};
	const struct enrollment *matched;

	*verdict = attest_decide(&claim, &evidence, &records, a->now, &matched);
	return matched;
}

static void
let_in(const struct arrival *a, const struct enrollment *by)
{
	OWN(verdict) v = NULL;
	const struct enrollment *matched = decide(a, &v);

	CHECK_ACCEPTED(v);
	CHECK(matched == by);
}

static void
refused(const struct arrival *a, enum reason reason)
{
	OWN(verdict) v = NULL;
	const struct enrollment *matched = decide(a, &v);

	CHECK_CAUSE(v, reason);
	CHECK(matched == NULL);
}

/* -- Individual certificates ---------------------------------------------------------------------------------------------------- */

TEST("the enrolled certificate registers, from either slot, whoever signed it")
{
	CLEAR(made) old = story_device("dev1", NULL);
	CLEAR(made) renewed = story_device("dev1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_individual(&a, ENROLLMENT_BY_CERT);

	e->certs[0] = cert_ref(old.cert);
	e->certs[1] = cert_ref(renewed.cert);
	show(&a, &renewed, NULL);
	let_in(&a, e);
}

TEST("another certificate of the same name is not the enrolled one")
{
	CLEAR(made) enrolled = story_device("dev1", NULL);
	CLEAR(made) impostor = story_device("dev1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");

	set_individual(&a, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(enrolled.cert);
	show(&a, &impostor, NULL);
	refused(&a, ENROLLMENT_CERT_DIFFERS);
}

TEST("an individual enrollment is not got past with a certificate of a group")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) enrolled = story_device("dev1", NULL);
	CLEAR(made) other = story_device("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev1");

	set_individual(&a, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(enrolled.cert);
	add_ca_group(&a, "plant", &root);
	show(&a, &other, NULL);
	refused(&a, ENROLLMENT_CERT_DIFFERS);
}

TEST("the enrolled certificate is refused when its CN is another registration id")
{
	CLEAR(made) leaf = story_device("dev2", NULL);
	CLEAR(arrival) a = arrival_of("dev1");

	set_individual(&a, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(leaf.cert);
	show(&a, &leaf, NULL);
	refused(&a, NAME_CN_MISMATCH);
}

TEST("the CN is compared by bytes: another case is another name")
{
	CLEAR(made) leaf = story_device("DEV1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");

	set_individual(&a, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(leaf.cert);
	show(&a, &leaf, NULL);
	refused(&a, NAME_CN_MISMATCH);
}

TEST("the enrolled certificate is refused after its end, and before its beginning")
{
	CLEAR(made) leaf = story_device("dev1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");

	set_individual(&a, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(leaf.cert);
	show(&a, &leaf, NULL);
	a.now = STORY_NOW + 31 * STORY_DAY;
	refused(&a, CERT_EXPIRED);
	a.now = STORY_NOW - 2 * STORY_DAY;
	refused(&a, CERT_NOT_YET_VALID);
}

/* By who issued it. */
static void
be_revoked(struct arrival *a, const struct made *issuer, const struct made *what)
{
	OWN_TEXT serial = cert_serial(what->cert);
	struct err err = ERR_INIT;
	char *to = serial;

	for (const char *from = serial; *from; from++)
		if (*from != ':')
			*to++ = *from;
	*to = '\0';
	revocations_free(a->revoked);
	a->revoked = revocations_new();
	CHECK_OK(revocations_put(a->revoked, issuer->cert, serial, &err), err);
}

TEST("a certificate that is revoked registers nobody, enrolled itself or by its CA, nor does one below a CA that is")
{
	CLEAR(made) root = story_root("factory");
	CLEAR(made) between = story_intermediate("line 7", &root);
	CLEAR(made) other = story_device("dev2", &root);
	CLEAR(made) leaf = story_device("dev1", &between);
	CLEAR(made) own = story_device("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(arrival) enrolled = arrival_of("dev1");
	struct enrollment *group = add_ca_group(&a, "group", &root);

	show(&a, &leaf, &between);
	be_revoked(&a, &root, &other);
	let_in(&a, group);
	be_revoked(&a, &between, &leaf);
	refused(&a, CERT_REVOKED);
	be_revoked(&a, &root, &between);
	refused(&a, CERT_REVOKED);
	set_individual(&enrolled, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(own.cert);
	show(&enrolled, &own, NULL);
	let_in(&enrolled, enrolled.individual);
	be_revoked(&enrolled, &root, &own);
	refused(&enrolled, CERT_REVOKED);
}

TEST("a server's certificate does not register a device, enrolled or not")
{
	CLEAR(made) leaf = story_server("dev1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");

	set_individual(&a, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(leaf.cert);
	show(&a, &leaf, NULL);
	refused(&a, CERT_NO_CLIENT_AUTH);
}

TEST("a disabled individual enrollment refuses, and no group is tried in its place")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_individual(&a, ENROLLMENT_BY_CERT);

	e->certs[0] = cert_ref(leaf.cert);
	e->enabled = false;
	add_ca_group(&a, "plant", &root);
	show(&a, &leaf, NULL);
	refused(&a, ENROLLMENT_DISABLED);
}

/* -- Groups by CA ---------------------------------------------------------------------------------------------------------------- */

TEST("a leaf registers by the group of the CA that issued it")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *group = add_ca_group(&a, "plant", &root);

	show(&a, &leaf, NULL);
	let_in(&a, group);
}

TEST("the nearest CA on the way up answers, also when the root has a group that stands before it")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("line 3", &root);
	CLEAR(made) leaf = story_device("dev1", &ca);
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *near;

	add_ca_group(&a, "plant", &root);
	near = add_ca_group(&a, "line-3", &ca);
	show(&a, &leaf, &ca);
	let_in(&a, near);
}

TEST("the root's group answers for a leaf whose intermediate was sent")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("line 3", &root);
	CLEAR(made) leaf = story_device("dev1", &ca);
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *group = add_ca_group(&a, "plant", &root);

	show(&a, &leaf, &ca);
	let_in(&a, group);
}

TEST("a leaf without its intermediate finds no group")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("line 3", &root);
	CLEAR(made) leaf = story_device("dev1", &ca);
	CLEAR(arrival) a = arrival_of("dev1");

	add_ca_group(&a, "plant", &root);
	show(&a, &leaf, NULL);
	refused(&a, ENROLLMENT_UNKNOWN);
}

TEST("a disabled group refuses, and the enabled group of the root above is not tried")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("line 3", &root);
	CLEAR(made) leaf = story_device("dev1", &ca);
	CLEAR(arrival) a = arrival_of("dev1");

	add_ca_group(&a, "plant", &root);
	add_ca_group(&a, "line-3", &ca)->enabled = false;
	show(&a, &leaf, &ca);
	refused(&a, ENROLLMENT_DISABLED);
}

TEST("the secondary CA of a group counts like the primary one")
{
	CLEAR(made) old = story_root("root");
	CLEAR(made) fresh = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &fresh);
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *group = add_ca_group(&a, "plant", &old);

	group->certs[1] = cert_ref(fresh.cert);
	show(&a, &leaf, NULL);
	let_in(&a, group);
}

TEST("a CA of the same name with another key vouches for nothing")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) imposter = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &imposter);
	CLEAR(arrival) a = arrival_of("dev1");

	add_ca_group(&a, "plant", &root);
	show(&a, &leaf, &imposter);
	refused(&a, ENROLLMENT_UNKNOWN);
}

TEST("a leaf that was made an issuer by its owner does not vouch for another")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) mine = story_device("dev1", &root);
	CLEAR(made) forged =
		story_crooked((struct crooked){ .common_name = "dev2", .extensions = { "extendedKeyUsage", "clientAuth" } }, &mine);
	CLEAR(arrival) a = arrival_of("dev2");

	add_ca_group(&a, "plant", &root);
	show(&a, &forged, &mine);
	{
		OWN(verdict) v = NULL;

		CHECK(decide(&a, &v) == NULL);
		CHECK(!verdict_accepted(v));
	}
}

TEST("the CA's own certificate is no device's")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev1");

	add_ca_group(&a, "plant", &root);
	show(&a, &ca, NULL);
	refused(&a, CERT_LEAF_IS_CA);
}

TEST("a group's device is refused under another registration id than its CN")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev2");

	add_ca_group(&a, "plant", &root);
	show(&a, &leaf, NULL);
	refused(&a, NAME_CN_MISMATCH);
}

TEST("a certificate with two CNs, or with NUL in it, has no name to register by")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) two = story_crooked((struct crooked){ .common_name = "dev1", .second_name = "dev2" }, &root);
	CLEAR(made) nul = story_crooked((struct crooked){ .common_name = "dev1\0.evil", .common_name_len = 10 }, &root);
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(arrival) b = arrival_of("dev1");

	add_ca_group(&a, "plant", &root);
	show(&a, &two, NULL);
	refused(&a, NAME_CN_MISMATCH);
	add_ca_group(&b, "plant", &root);
	show(&b, &nul, NULL);
	refused(&b, NAME_CN_MISMATCH);
}

TEST("a leaf is refused once its group's CA has expired")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	CLEAR(arrival) a = arrival_of("dev1");

	add_ca_group(&a, "plant", &root);
	show(&a, &leaf, NULL);
	a.now = STORY_NOW + 31 * STORY_DAY;
	refused(&a, CERT_EXPIRED);
}

/* -- Keys ------------------------------------------------------------------------------------------------------------------------ */

TEST("the key of a device under a group's key is the one that SDKs derive")
{
	static const char group_text[] = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
	CLEAR(buf) bytes = BUF_INIT(128);
	CLEAR(buf) text = BUF_INIT(128);
	CLEAR(secret) group = { 0 };
	CLEAR(secret) derived = { 0 };

	CHECK(base64_decode(&bytes, group_text, strlen(group_text), BASE64_STRICT));
	secret_set(&group, bytes.data, bytes.len);
	attest_derive_key(&derived, &group, "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6");
	base64_encode(&text, derived.bytes, derived.len);
	CHECK_STR(buf_text(&text), "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
}

TEST("a token of either key of the individual enrollment registers")
{
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(arrival) b = arrival_of("dev1");

	set_key(&set_individual(&a, ENROLLMENT_BY_KEY)->keys[0], "primary key of dev1");
	show_token(&a, &a.individual->keys[0]);
	let_in(&a, a.individual);
	set_key(&set_individual(&b, ENROLLMENT_BY_KEY)->keys[1], "secondary key of dev1");
	show_token(&b, &b.individual->keys[1]);
	let_in(&b, b.individual);
}

TEST("a token of a derived key registers by its group, the secondary key included")
{
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(secret) derived = { 0 };
	struct enrollment *group;

	set_key(&add_group(&a, "other", ENROLLMENT_BY_KEY)->keys[0], "key of another group");
	group = add_group(&a, "plant", ENROLLMENT_BY_KEY);
	set_key(&group->keys[1], "secondary key of the plant");
	attest_derive_key(&derived, &group->keys[1], "dev1");
	show_token(&a, &derived);
	let_in(&a, group);
}

TEST("the group's own key, not derived, opens nothing")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *group = add_group(&a, "plant", ENROLLMENT_BY_KEY);

	set_key(&group->keys[0], "key of the plant");
	show_token(&a, &group->keys[0]);
	refused(&a, ENROLLMENT_UNKNOWN);
}

TEST("a key derived for one device opens no other")
{
	CLEAR(arrival) a = arrival_of("dev2");
	CLEAR(secret) derived = { 0 };
	struct enrollment *group = add_group(&a, "plant", ENROLLMENT_BY_KEY);

	set_key(&group->keys[0], "key of the plant");
	attest_derive_key(&derived, &group->keys[0], "dev1");
	show_token(&a, &derived);
	refused(&a, ENROLLMENT_UNKNOWN);
}

TEST("a token of a disabled group is refused as that")
{
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(secret) derived = { 0 };
	struct enrollment *group = add_group(&a, "plant", ENROLLMENT_BY_KEY);

	group->enabled = false;
	set_key(&group->keys[0], "key of the plant");
	attest_derive_key(&derived, &group->keys[0], "dev1");
	show_token(&a, &derived);
	refused(&a, ENROLLMENT_DISABLED);
}

TEST("a token signed with another key is refused")
{
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(secret) wrong = { 0 };

	set_key(&set_individual(&a, ENROLLMENT_BY_KEY)->keys[0], "primary key of dev1");
	set_key(&wrong, "another key");
	show_token(&a, &wrong);
	refused(&a, SAS_BAD_SIGNATURE);
}

TEST("an enrollment without keys is not opened by the empty key")
{
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(secret) some = { 0 };

	set_individual(&a, ENROLLMENT_BY_KEY);
	set_key(&some, "x");
	show_token(&a, &some);
	refused(&a, SAS_BAD_SIGNATURE);
}

TEST("a token for another registration, for all of them, for another scope or another policy is refused")
{
	static const struct {
		const char *resource, *policy;
		enum reason reason;
	} rows[] = {
		{ SCOPE "/registrations/dev2", "registration", SAS_WRONG_RESOURCE },
		{ SCOPE "/registrations/dev", "registration", SAS_WRONG_RESOURCE },
		{ SCOPE "/registrations", "registration", SAS_WRONG_RESOURCE },
		{ SCOPE, "registration", SAS_WRONG_RESOURCE },
		{ "0neffffffff/registrations/dev1", "registration", SAS_WRONG_RESOURCE },
		{ SCOPE "/registrations/dev1", "provisioningserviceowner", SAS_UNKNOWN_POLICY },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEAR(arrival) a = arrival_of("dev1");
		struct enrollment *e = set_individual(&a, ENROLLMENT_BY_KEY);

		set_key(&e->keys[0], "primary key of dev1");
		a.token = token_for(rows[i].resource, &e->keys[0], STORY_NOW + 3600, rows[i].policy);
		refused(&a, rows[i].reason);
	}
}

TEST("a token is good without skn, and over once its time has come")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_individual(&a, ENROLLMENT_BY_KEY);

	set_key(&e->keys[0], "primary key of dev1");
	a.token = token_for(SCOPE "/registrations/dev1", &e->keys[0], STORY_NOW + 60, NULL);
	let_in(&a, e);
	a.now = STORY_NOW + 60;
	refused(&a, SAS_EXPIRED);
}

/* -- What does not fit together ---------------------------------------------------------------------------------------------------- */

TEST("a certificate for an enrollment by key, and a token for one by certificate, are refused as the wrong proof")
{
	CLEAR(made) leaf = story_device("dev1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(arrival) b = arrival_of("dev1");
	CLEAR(secret) key = { 0 };

	set_key(&set_individual(&a, ENROLLMENT_BY_KEY)->keys[0], "primary key of dev1");
	show(&a, &leaf, NULL);
	refused(&a, ENROLLMENT_WRONG_PROOF);
	set_individual(&b, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(leaf.cert);
	set_key(&key, "some key");
	show_token(&b, &key);
	show(&b, &leaf, NULL);
	refused(&b, ENROLLMENT_WRONG_PROOF);
}

TEST("another id scope, a malformed id, nothing shown, and half a token are refused each by its name")
{
	CLEAR(arrival) scope = arrival_of("dev1");
	CLEAR(arrival) id = arrival_of("dev1/../dev2");
	CLEAR(arrival) nothing = arrival_of("dev1");
	CLEAR(arrival) half = arrival_of("dev1");

	scope.scope = "0neffffffff";
	refused(&scope, ID_SCOPE_UNKNOWN);
	refused(&id, REGISTRATION_ID_INVALID);
	refused(&nothing, DEVICE_NO_CREDENTIAL);
	half.token = mem_text("SharedAccessSignature sr=x");
	refused(&half, SAS_MALFORMED);
}

/* -- TPMs ------------------------------------------------------------------------------------------------------------------------- */

static struct enrollment *
set_tpm(struct arrival *a, const char *ek, const char *srk)
{
	struct enrollment *e = set_individual(a, ENROLLMENT_BY_TPM);

	set_key(&e->keys[0], "the secret of this enrollment, that nobody else has");
	e->endorsement_key = mem_text(ek);
	e->storage_root_key = mem_text(srk);
	return e;
}

static void
say(struct arrival *a, const char *ek, const char *srk)
{
	attest_tpm_clear(&a->tpm);
	a->tpm = (struct attest_tpm){ .endorsement_key = mem_text(ek), .storage_root_key = mem_text(srk) };
}

/* A token that the challenge of this time and this storage root key was answered with. */
static void
answer_challenge(struct arrival *a, const char *srk, int64_t given)
{
	struct secret key = { 0 };

	tpm_challenge_key(&key, a->individual, srk, given, 0);
	mem_free(a->token);
	show_token(a, &key);
}

static void
challenged(const struct arrival *a, enum reason reason)
{
	struct attest_claim claim = { .id_scope = SCOPE, .given_scope = a->scope, .registration_id = a->id };
	struct attest_evidence evidence = { .tpm = &a->tpm };
	struct attest_records records = { .individual = a->individual };
	OWN(verdict) v = attest_challenge(&claim, &evidence, &records, a->now);

	if (reason == OK)
		CHECK_ACCEPTED(v);
	else
		CHECK_CAUSE(v, reason);
}

TEST("the enrolled TPM is challenged, and let in by the key of its challenge")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, NULL);

	say(&a, STORY_EK, STORY_SRK);
	challenged(&a, OK);
	answer_challenge(&a, STORY_SRK, STORY_NOW);
	let_in(&a, e);
}

TEST("a device that asks how it goes does not say again which TPM it has: the key that signs does")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, STORY_SRK);

	answer_challenge(&a, STORY_SRK, STORY_NOW);
	let_in(&a, e);
}

TEST("a challenge is answered in its window and in the next one, and not after that, nor before it was given")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, NULL);
	int64_t begin = STORY_NOW - STORY_NOW % TPM_CHALLENGE_WINDOW_S;

	say(&a, STORY_EK, STORY_SRK);
	answer_challenge(&a, STORY_SRK, begin);
	a.now = begin + 2 * TPM_CHALLENGE_WINDOW_S - 1;
	let_in(&a, e);
	a.now = begin + 2 * TPM_CHALLENGE_WINDOW_S;
	refused(&a, TPM_CHALLENGE_UNANSWERED);
	a.now = begin - 1;
	refused(&a, TPM_CHALLENGE_UNANSWERED);
}

TEST("the key of a challenge is of one id, one endorsement key, one storage root key and one enrollment")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, NULL);
	struct secret keys[5] = { 0 };

	tpm_challenge_key(&keys[0], e, STORY_SRK, STORY_NOW, 0);
	tpm_challenge_key(&keys[1], e, STORY_SRK_P256, STORY_NOW, 0);
	mem_free(e->id);
	e->id = mem_text("dev2");
	tpm_challenge_key(&keys[2], e, STORY_SRK, STORY_NOW, 0);
	mem_free(e->id);
	e->id = mem_text("DEV1");
	tpm_challenge_key(&keys[3], e, STORY_SRK, STORY_NOW, 0);
	CHECK_MEM(keys[3].bytes, keys[0].bytes, keys[0].len); /* in any case */
	e->keys[0].bytes[0] ^= 1;
	tpm_challenge_key(&keys[3], e, STORY_SRK, STORY_NOW, 0);
	mem_free(e->endorsement_key);
	e->endorsement_key = mem_text(STORY_EK_P256);
	e->keys[0].bytes[0] ^= 1;
	tpm_challenge_key(&keys[4], e, STORY_SRK, STORY_NOW, 0);
	for (size_t i = 0; i < COUNT(keys); i++)
		for (size_t k = 0; k < i; k++)
			CHECK(memcmp(keys[i].bytes, keys[k].bytes, keys[i].len) != 0);
}

TEST("a TPM with another endorsement key is neither challenged nor let in")
{
	CLEAR(arrival) a = arrival_of("dev1");

	set_tpm(&a, STORY_EK, NULL);
	say(&a, STORY_EK_P256, STORY_SRK);
	challenged(&a, TPM_ENDORSEMENT_KEY_DIFFERS);
	answer_challenge(&a, STORY_SRK, STORY_NOW);
	refused(&a, TPM_ENDORSEMENT_KEY_DIFFERS);
	say(&a, "not a key", STORY_SRK);
	challenged(&a, TPM_ENDORSEMENT_KEY_DIFFERS);
}

TEST("a storage root key that is enrolled is the only one")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, STORY_SRK);

	say(&a, STORY_EK, STORY_SRK_P256);
	challenged(&a, TPM_STORAGE_ROOT_KEY_DIFFERS);
	answer_challenge(&a, STORY_SRK_P256, STORY_NOW);
	refused(&a, TPM_STORAGE_ROOT_KEY_DIFFERS);
	say(&a, STORY_EK, STORY_SRK);
	challenged(&a, OK);
	answer_challenge(&a, STORY_SRK, STORY_NOW);
	let_in(&a, e);
}

TEST("nothing is wrapped for what is no storage root key")
{
	static const char *const unfit[] = { NULL, "", "AAAA", STORY_EK };
	CLEAR(arrival) a = arrival_of("dev1");

	set_tpm(&a, STORY_EK, NULL);
	for (size_t i = 0; i < COUNT(unfit); i++) {
		say(&a, STORY_EK, unfit[i]);
		challenged(&a, TPM_STORAGE_ROOT_KEY_UNFIT);
	}
}

TEST("a token that another key signed, or that is for another id or out of date, answers no challenge")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, NULL);
	struct secret key = { 0 }, hub[2] = { 0 };

	say(&a, STORY_EK, STORY_SRK);
	tpm_hub_keys(hub, e, STORY_SRK);
	show_token(&a, &hub[0]);
	refused(&a, TPM_CHALLENGE_UNANSWERED);
	mem_free(a.token);
	show_token(&a, &e->keys[0]);
	refused(&a, TPM_CHALLENGE_UNANSWERED);
	tpm_challenge_key(&key, e, STORY_SRK, STORY_NOW, 0);
	mem_free(a.token);
	a.token = token_for(SCOPE "/registrations/dev2", &key, STORY_NOW + 60, "registration");
	refused(&a, SAS_WRONG_RESOURCE);
	mem_free(a.token);
	a.token = token_for(SCOPE "/registrations/dev1", &key, STORY_NOW - 1, "registration");
	refused(&a, SAS_EXPIRED);
}

TEST("over MQTT no TPM is let in, with what token ever")
{
	CLEAR(arrival) a = arrival_of("dev1");

	set_tpm(&a, STORY_EK, STORY_SRK);
	answer_challenge(&a, STORY_SRK, STORY_NOW);
	a.by_mqtt = true;
	refused(&a, TPM_NEEDS_HTTPS);
}

TEST("a disabled enrollment of a TPM, another scope and an id that is none get no challenge")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, NULL);

	say(&a, STORY_EK, STORY_SRK);
	e->enabled = false;
	challenged(&a, ENROLLMENT_DISABLED);
	answer_challenge(&a, STORY_SRK, STORY_NOW);
	refused(&a, ENROLLMENT_DISABLED);
	e->enabled = true;
	a.scope = "0ne00000000";
	challenged(&a, ID_SCOPE_UNKNOWN);
	a.scope = SCOPE;
	a.id = "a b";
	challenged(&a, REGISTRATION_ID_INVALID);
}

TEST("a certificate does not stand in for the enrolled TPM")
{
	CLEAR(made) leaf = story_device("dev1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");

	set_tpm(&a, STORY_EK, STORY_SRK);
	show(&a, &leaf, NULL);
	refused(&a, ENROLLMENT_WRONG_PROOF);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The decision about a registration (attest.h).  The order is that of the questions: is it for this service, which enrollment answers for it, may that one be
 * used, and does what was shown hold. */
#include "hub/provisioning/attest.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/tpm_secret.h"
#include "pki/chain.h"
#include "wire/codec.h"
#include "wire/sas.h"
#include "wire/tpm_public.h"

#define LEVELS_MAX 8 /* certificates above the leaf, as in pki/chain */
#define TOKEN_POLICY "registration"

struct walk {
	struct verdict *v;
	const struct attest_claim *claim;
	const struct attest_evidence *evidence;
	const struct attest_records *records;
	int64_t now;
};

static bool
refuse(struct walk *w, enum reason reason, const char *what, const char *wanted, const char *found)
{
	verdict_fail(w->v, reason, what, w->claim->registration_id, wanted, found);
	return false;
}

static bool
check_claim(struct walk *w)
{
	if (!text_is(w->claim->given_scope, w->claim->id_scope))
		return refuse(w, ID_SCOPE_UNKNOWN, "id scope", w->claim->id_scope, w->claim->given_scope);
	if (!enrollment_id_is_valid(w->claim->registration_id))
		return refuse(w, REGISTRATION_ID_INVALID, "registration id",
			"1 to 128 letters, digits and -._: with a letter, digit or - at the end", w->claim->registration_id);
	return true;
}

static bool
check_enabled(struct walk *w, const struct enrollment *enrollment)
{
	if (!enrollment->enabled)
		return refuse(w, ENROLLMENT_DISABLED, "enrollment", "enabled", enrollment->id);
	verdict_pass(w->v, "enrollment", enrollment->id, "enabled", enrollment->is_group ? "a group" : "an individual one");
	return true;
}

/* -- Certificates ----------------------------------------------------------------------------------------------------------------- */

static bool
is_same_cert(const struct cert *a, const struct cert *b)
{
	return a && b && memcmp(cert_sha256(a), cert_sha256(b), DIGEST_SHA256_LEN) == 0;
}

static bool
check_common_name(struct walk *w, const struct cert *leaf)
{
	const char *cn = cert_common_name(leaf);
	OWN_TEXT uri = cert_find_uri(leaf, "azureiot://");

	if (!cn || strlen(cn) > ENROLLMENT_COMMON_NAME_MAX || !text_is(cn, w->claim->registration_id)) {
		verdict_fail(w->v, NAME_CN_MISMATCH, "common name", cert_subject(leaf), w->claim->registration_id,
			cn ? cn : "not exactly one readable CN");
		return false;
	}
	/* A module's identity certificate has the bare module id as its CN (auth/decide.c): it is no device's. */
	if (uri && strstr(uri, "/modules/")) {
		verdict_fail(w->v, NAME_OF_MODULE, "subjectAltName", cert_subject(leaf), "a device's certificate", uri);
		return false;
	}
	verdict_pass(w->v, "common name", cert_subject(leaf), w->claim->registration_id, cn);
	return true;
}

/* The certificate itself was enrolled: no chain is built, it may be self-signed or anybody's. */
static void
check_own_cert(struct walk *w, const struct cert *leaf)
{
	OWN_TEXT kind = cert_key_text(leaf);

	validity_check(w->v, leaf, w->now);
	if (!cert_may_client(leaf))
		verdict_fail(
			w->v, CERT_NO_CLIENT_AUTH, "purpose", cert_subject(leaf), "clientAuth", "an extendedKeyUsage without it");
	if (!cert_has_acceptable_key(leaf))
		verdict_fail(w->v, CERT_WEAK_KEY, "key", cert_subject(leaf),
			"EC P-256, P-384, P-521, Ed25519, or RSA of 2048 bits or more", kind);
}

/* What the operator gave as the group's CA is trusted for this group, and for nothing else (atk-07). */
static void
check_chain_to(struct walk *w, const struct enrollment *enrollment, const struct cert *leaf)
{
	struct certs roots = { 0 };
	struct err err = ERR_INIT;
	OWN(anchors) anchors = NULL;

	if (!enrollment->certs[0] && !enrollment->certs[1]) {
		refuse(w, CA_NOT_VERIFIED, "enrollment", "a verified CA of the name that it refers to", "none");
		return;
	}
	for (int i = 0; i < 2; i++)
		if (enrollment->certs[i])
			certs_add(&roots, enrollment->certs[i]);
	anchors = anchors_new(&roots, &err);
	certs_clear(&roots);
	if (!anchors) {
		refuse(w, CERT_MALFORMED, "enrollment", "a CA certificate", err.text);
		return;
	}
	chain_verify(w->v, anchors,
		&(struct chain_query){ .leaf = leaf,
			.untrusted = w->evidence->chain,
			.purpose = CHAIN_CLIENT,
			.now = w->now,
			.partial = true,
			.refuse_ca_leaf = true,
			.anchors_name = enrollment->id });
}

static const struct enrollment *
group_that_signed(const struct walk *w, const struct cert *cert)
{
	for (size_t i = 0; i < w->records->n_groups; i++) {
		const struct enrollment *group = w->records->groups[i];

		if (group->proof != ENROLLMENT_BY_CA)
			continue;
		for (int k = 0; k < 2; k++)
			if (group->certs[k] && cert_is_issued_by(cert, group->certs[k]))
				return group;
	}
	return NULL;
}

static const struct cert *
issuer_that_was_sent(const struct walk *w, const struct cert *cert)
{
	for (size_t i = 1; i < w->evidence->chain->n; i++) {
		const struct cert *other = w->evidence->chain->item[i];

		if (!is_same_cert(other, cert) && cert_is_issued_by(cert, other))
			return other;
	}
	return NULL;
}

/* The group whose CA is met first on the way up from the leaf. */
static const struct enrollment *
find_ca_group(const struct walk *w)
{
	const struct cert *at = w->evidence->chain->item[0];
	const struct enrollment *group = NULL;

	for (int level = 0; at && !group && level < LEVELS_MAX; level++) {
		group = group_that_signed(w, at);
		at = group ? NULL : issuer_that_was_sent(w, at);
	}
	return group;
}

static const struct enrollment *
judge_group_cert(struct walk *w, const struct cert *leaf)
{
	const struct enrollment *group = find_ca_group(w);

	if (!group) {
		verdict_fail(w->v, ENROLLMENT_UNKNOWN, "enrollment", cert_subject(leaf), "a group whose CA issued this certificate",
			"none");
		return NULL;
	}
	if (check_enabled(w, group) && check_common_name(w, leaf))
		check_chain_to(w, group, leaf);
	return group;
}

static void
judge_own_cert(struct walk *w, const struct enrollment *enrollment, const struct cert *leaf)
{
	char found[CERT_FINGERPRINT_LEN];

	if (enrollment->proof == ENROLLMENT_BY_CA) {
		if (check_common_name(w, leaf))
			check_chain_to(w, enrollment, leaf);
		return;
	}
	if (enrollment->proof != ENROLLMENT_BY_CERT) {
		refuse(w, ENROLLMENT_WRONG_PROOF, "credential", "what the enrollment asks for", "a certificate");
		return;
	}
	if (!is_same_cert(enrollment->certs[0], leaf) && !is_same_cert(enrollment->certs[1], leaf)) {
		verdict_fail(w->v, ENROLLMENT_CERT_DIFFERS, "certificate", cert_subject(leaf),
			"the enrollment's primary or secondary certificate", cert_fingerprint(leaf, found));
		return;
	}
	if (check_common_name(w, leaf))
		check_own_cert(w, leaf);
}

static void
check_not_revoked(struct walk *w, const struct cert *cert)
{
	OWN_TEXT serial = NULL;

	if (!cert || !revocations_have(w->records->revoked, cert))
		return;
	serial = cert_serial(cert);
	verdict_fail(w->v, CERT_REVOKED, "revocation", cert_subject(cert), "not revoked", serial);
}

/* Who is below a CA that was revoked is revoked with it; of a certificate that was enrolled itself nobody looked at those above. */
static void
check_revocation(struct walk *w, const struct enrollment *enrollment)
{
	const struct certs *chain = w->evidence->chain;
	size_t n = enrollment->proof == ENROLLMENT_BY_CA ? chain->n : 1;

	for (size_t i = 0; i < n; i++)
		check_not_revoked(w, chain->item[i]);
	for (int k = 0; k < 2 && enrollment->proof == ENROLLMENT_BY_CA; k++)
		if (enrollment->certs[k] && cert_is_issued_by(chain->item[n - 1], enrollment->certs[k]))
			check_not_revoked(w, enrollment->certs[k]);
}

static const struct enrollment *
judge_cert(struct walk *w)
{
	const struct cert *leaf = w->evidence->chain->item[0];
	const struct enrollment *by = w->records->individual;
	OWN_TEXT line = cert_line(leaf);

	verdict_add_chain(w->v, line);
	if (!by)
		by = judge_group_cert(w, leaf);
	else if (check_enabled(w, by))
		judge_own_cert(w, by, leaf);
	if (by && verdict_accepted(w->v))
		check_revocation(w, by);
	return by;
}

/* -- Tokens ----------------------------------------------------------------------------------------------------------------------- */

void
attest_derive_key(struct secret *out, const struct secret *group_key, const char *registration_id)
{
	uint8_t mac[DIGEST_SHA256_LEN];

	secret_clear(out);
	if (group_key->len == 0)
		return;
	digest_hmac_sha256(group_key->bytes, group_key->len, registration_id, strlen(registration_id), mac);
	secret_set(out, mac, sizeof(mac));
	mem_wipe(mac, sizeof(mac));
}

/* The token is for exactly this registration: one for the whole scope is none. */
static bool
check_token(struct walk *w, const struct sas_token *token)
{
	struct sas_audience audience = { .host = w->claim->id_scope };
	OWN_TEXT path = mem_textf("registrations/%s", w->claim->registration_id);
	OWN_TEXT wanted = mem_textf("%s/%s", w->claim->id_scope, path);
	char until[CLOCK_TEXT_LEN];

	if (token->policy && !text_is(token->policy, TOKEN_POLICY))
		return refuse(w, SAS_UNKNOWN_POLICY, "token policy", TOKEN_POLICY, token->policy);
	if (!sas_resource_covers(token, &audience, path) || sas_resource_covers(token, &audience, "registrations"))
		return refuse(w, SAS_WRONG_RESOURCE, "token resource", wanted, token->resource);
	if (token->expiry <= w->now)
		return refuse(w, SAS_EXPIRED, "token expiry", "a time to come", clock_text(token->expiry, until));
	verdict_pass(w->v, "token", w->claim->registration_id, wanted, token->resource);
	return true;
}

/* Which key of it signed: 0, 1, or -1 for none. */
static int
key_that_signed(const struct walk *w, const struct enrollment *enrollment, const struct sas_token *token)
{
	struct secret derived = { 0 };
	int found = -1;

	for (int i = 0; i < 2 && found < 0; i++) {
		const struct secret *key = &enrollment->keys[i];

		if (enrollment->is_group) {
			attest_derive_key(&derived, key, w->claim->registration_id);
			key = &derived;
		}
		if (sas_signature_matches(token, key))
			found = i;
	}
	secret_clear(&derived);
	return found;
}

static void
pass_signature(struct walk *w, const struct enrollment *enrollment, int key)
{
	verdict_pass(w->v, key == 0 ? "primary key" : "secondary key", enrollment->id, "the signature of an enrolled key", "it is");
}

/* -- TPMs ------------------------------------------------------------------------------------------------------------------------- */

void
attest_tpm_clear(struct attest_tpm *tpm)
{
	mem_free(tpm->endorsement_key);
	mem_free(tpm->storage_root_key);
	*tpm = (struct attest_tpm){ 0 };
}

/* By the name that the TPM itself has for it. */
static char *
line_of(const char *base64)
{
	struct buf line = BUF_INIT(128);
	struct tpm_public key;
	struct err err = ERR_INIT;

	if (!base64)
		return mem_text("none");
	if (tpm_public_parse(&key, base64, &err) < 0)
		return mem_text(err.text);
	buf_puts(&line, "the key of name ");
	hex_encode(&line, key.name, TPM_NAME_LEN, false);
	return buf_take_text(&line);
}

static bool
check_same_key(struct walk *w, enum reason reason, const char *what, const char *enrolled, const char *shown)
{
	OWN_TEXT wanted = line_of(enrolled);
	OWN_TEXT found = line_of(shown);

	if (!text_is(enrolled, shown))
		return refuse(w, reason, what, wanted, found);
	verdict_pass(w->v, what, w->claim->registration_id, wanted, "it is");
	return true;
}

static bool
check_storage_root_key(struct walk *w, const char *shown)
{
	OWN_TEXT found = line_of(shown);
	struct tpm_public key;
	struct err err = ERR_INIT;

	if (!shown || tpm_public_parse(&key, shown, &err) < 0 || !tpm_public_may_be_parent(&key))
		return refuse(w, TPM_STORAGE_ROOT_KEY_UNFIT, "storage root key", "a key that others can be kept under", found);
	return true;
}

static const char *
storage_root_key_of(const struct walk *w, const struct enrollment *enrollment)
{
	const char *shown = w->evidence->tpm->storage_root_key;

	return shown ? shown : enrollment->storage_root_key;
}

/* Asked how it goes, a device does not say what TPM it has: then the key that signs does. */
static bool
check_tpm(struct walk *w, const struct enrollment *enrollment)
{
	const char *ek = w->evidence->tpm->endorsement_key, *srk = storage_root_key_of(w, enrollment);

	if (ek && !check_same_key(w, TPM_ENDORSEMENT_KEY_DIFFERS, "endorsement key", enrollment->endorsement_key, ek))
		return false;
	if (enrollment->storage_root_key &&
		!check_same_key(w, TPM_STORAGE_ROOT_KEY_DIFFERS, "storage root key", enrollment->storage_root_key, srk))
		return false;
	return check_storage_root_key(w, srk);
}

static bool
is_answered(const struct walk *w, const struct enrollment *enrollment, const struct sas_token *token)
{
	struct secret key = { 0 };
	bool found = false;

	for (int age = 0; age < TPM_CHALLENGE_WINDOWS && !found; age++) {
		tpm_challenge_key(&key, enrollment, storage_root_key_of(w, enrollment), w->now, age);
		found = sas_signature_matches(token, &key);
	}
	secret_clear(&key);
	return found;
}

static void
judge_tpm_token(struct walk *w, const struct enrollment *enrollment, const struct sas_token *token)
{
	if (!w->evidence->tpm)
		refuse(w, TPM_NEEDS_HTTPS, "credential", "a challenge over HTTPS", "another way");
	else if (check_tpm(w, enrollment) && !is_answered(w, enrollment, token))
		refuse(w, TPM_CHALLENGE_UNANSWERED, "token signature", "the key of a challenge", "another key");
	else if (verdict_accepted(w->v))
		verdict_pass(w->v, "token signature", enrollment->id, "the key of a challenge", "it is");
}

struct verdict *
attest_challenge(
	const struct attest_claim *claim, const struct attest_evidence *evidence, const struct attest_records *records, int64_t now)
{
	OWN_TEXT question = mem_textf("May the TPM of %s be challenged?", claim->registration_id);
	struct walk w = {
		.v = verdict_new("provisioning", question, claim->registration_id),
		.claim = claim,
		.evidence = evidence,
		.records = records,
		.now = now,
	};

	if (check_claim(&w) && check_enabled(&w, records->individual))
		check_tpm(&w, records->individual);
	return w.v;
}

/* -- Tokens of an enrollment ------------------------------------------------------------------------------------------------------ */

static void
judge_own_token(struct walk *w, const struct enrollment *enrollment, const struct sas_token *token)
{
	int key;

	if (enrollment->proof == ENROLLMENT_BY_TPM) {
		judge_tpm_token(w, enrollment, token);
		return;
	}
	if (enrollment->proof != ENROLLMENT_BY_KEY) {
		refuse(w, ENROLLMENT_WRONG_PROOF, "credential", "what the enrollment asks for", "a shared access signature");
		return;
	}
	key = key_that_signed(w, enrollment, token);
	if (key < 0)
		refuse(w, SAS_BAD_SIGNATURE, "token signature", "the signature of the primary or secondary key", "of neither");
	else
		pass_signature(w, enrollment, key);
}

/* A token does not name its group: the one whose key signed it answers. */
static const struct enrollment *
judge_group_token(struct walk *w, const struct sas_token *token)
{
	for (size_t i = 0; i < w->records->n_groups; i++) {
		const struct enrollment *group = w->records->groups[i];
		int key = group->proof == ENROLLMENT_BY_KEY ? key_that_signed(w, group, token) : -1;

		if (key < 0)
			continue;
		if (check_enabled(w, group))
			pass_signature(w, group, key);
		return group;
	}
	refuse(w, ENROLLMENT_UNKNOWN, "enrollment", "one of this id, or a group whose key signed the token", "none");
	return NULL;
}

static const struct enrollment *
judge_token(struct walk *w)
{
	const struct enrollment *individual = w->records->individual;
	struct err err = ERR_INIT;
	OWN(sas_token) token = sas_parse(w->evidence->token, &err);

	if (!token) {
		refuse(w, SAS_MALFORMED, "token", "SharedAccessSignature sr=...&sig=...&se=...&skn=registration", err.text);
		return NULL;
	}
	if (!check_token(w, token))
		return NULL;
	if (!individual)
		return judge_group_token(w, token);
	if (check_enabled(w, individual))
		judge_own_token(w, individual, token);
	return individual;
}

/* -- All of it -------------------------------------------------------------------------------------------------------------------- */

/* A token is judged before a certificate, as everywhere (auth/decide.c). */
static const struct enrollment *
judge(struct walk *w)
{
	if (!check_claim(w))
		return NULL;
	if (w->evidence->token && *w->evidence->token)
		return judge_token(w);
	if (w->evidence->chain && w->evidence->chain->n > 0)
		return judge_cert(w);
	refuse(w, DEVICE_NO_CREDENTIAL, "credential", "a certificate or a token", "neither");
	return NULL;
}

struct verdict *
attest_decide(const struct attest_claim *claim, const struct attest_evidence *evidence, const struct attest_records *records,
	int64_t now, const struct enrollment **matched)
{
	OWN_TEXT question = mem_textf("May %s register?", claim->registration_id);
	struct walk w = {
		.v = verdict_new("provisioning", question, claim->registration_id),
		.claim = claim,
		.evidence = evidence,
		.records = records,
		.now = now,
	};
	const struct enrollment *found = judge(&w);

	*matched = verdict_accepted(w.v) ? found : NULL;
	return w.v;
}

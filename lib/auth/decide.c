/* SPDX-License-Identifier: Apache-2.0 */
/* The decision about a device.  The order of the checks is the order in which people ask: who is it, may it at all, did it show
 * what it is registered for, and does what it showed hold.  The first of these that fails ends the walk.  Of a certificate all
 * is told that is wrong with it, because that is cheap and spares its owner a second round; a token is not spent an HMAC on
 * unless the rest of it holds. */
#include <string.h>

#include "auth/decide.h"
#include "auth/on_behalf.h"
#include "auth/thumbprint.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/text.h"

struct walk {
	struct verdict *v;
	const struct auth_claim *claim;
	const struct auth_evidence *evidence;
	const struct auth_records *records;
	const struct auth_policy *policy;
	int64_t now;
	char *name; /* "dev" or "dev/mod" */
};

static bool
refuse(struct walk *w, enum reason reason, const char *what, const char *wanted, const char *found)
{
	verdict_fail(w->v, reason, what, w->name, wanted, found);
	return false;
}

/* Whatever the caller looked up: a record of somebody else proves nothing about this one (atk-18). */
static bool
is_record_of(const struct identity *record, const struct auth_claim *claim)
{
	return record && text_is(record->device_id, claim->device_id) && text_is(record->module_id, claim->module_id);
}

static bool
check_known(struct walk *w)
{
	const struct identity *target = w->records->target;
	const char *why;

	if (!target && w->records->is_elsewhere)
		return refuse(w, DEVICE_OUT_OF_SCOPE, "record", "a device below this gateway", "another gateway's, or none's");
	if (!target && w->records->may_be_known)
		return refuse(w, RECORD_MISSING, "record", "a registered identity", "none here, and the hub can't be asked");
	if (!is_record_of(target, w->claim))
		return refuse(w, w->claim->module_id ? MODULE_UNKNOWN : DEVICE_UNKNOWN, "record", "a registered identity", "none");
	verdict_pass(w->v, "record", w->name, "a registered identity", target->generation_id);
	why = target->status_reason;
	if (!target->enabled)
		return refuse(w, DEVICE_DISABLED, "status", "enabled", why && *why ? why : "disabled");
	verdict_pass(w->v, "status", w->name, "enabled", "enabled");
	return true;
}

static bool
showed_token(const struct walk *w)
{
	return w->evidence->token && *w->evidence->token;
}

/* A module's device, where that may stand for it.  Not for $edgeHub: who is let in as that may speak for all that is below it. */
static const struct identity *
device_of(const struct walk *w)
{
	const struct identity *device = w->records->device;

	if (!w->claim->module_id || text_is(w->claim->module_id, ON_BEHALF_MODULE) || !device || device->module_id ||
		!text_is(device->device_id, w->claim->device_id))
		return NULL;
	return device;
}

static bool
has_keys(const struct identity *record)
{
	return record && record->enabled && record->auth == IDENTITY_AUTH_SAS;
}

static bool
takes_token(const struct walk *w)
{
	enum identity_auth auth = w->records->target->auth;

	return auth == IDENTITY_AUTH_SAS || (auth != IDENTITY_AUTH_NONE && has_keys(device_of(w)));
}

static const char *
wanted_evidence(enum identity_auth auth)
{
	static const char *const words[] = {
		[IDENTITY_AUTH_NONE] = "nothing: it may not connect",
		[IDENTITY_AUTH_SAS] = "a shared access signature",
		[IDENTITY_AUTH_THUMBPRINT] = "a certificate with a registered thumbprint",
		[IDENTITY_AUTH_CA] = "a certificate of a registered CA",
	};

	return words[auth];
}

/* A token is judged before a certificate: devices with a key may show any certificate beside it, and the other way round is
 * refused (hub 8). */
static bool
check_evidence_kind(struct walk *w)
{
	enum identity_auth auth = w->records->target->auth;
	bool token = showed_token(w), certificate = w->evidence->chain && w->evidence->chain->n > 0;

	if (!token && !certificate)
		return refuse(w, DEVICE_NO_CREDENTIAL, "credential", wanted_evidence(auth), "neither a certificate nor a token");
	if (token ? !takes_token(w) : auth == IDENTITY_AUTH_NONE || auth == IDENTITY_AUTH_SAS)
		return refuse(w, DEVICE_WRONG_AUTH_TYPE, "credential", wanted_evidence(auth),
			token ? "a shared access signature" : "a certificate");
	return true;
}

/* -- Certificates ---------------------------------------------------------------------------------------------------------- */

static void
check_key(struct walk *w, const struct cert *leaf)
{
	EVP_PKEY *key = X509_get0_pubkey(cert_x509(leaf));
	OWN_TEXT found = NULL;

	if (key && key_is_acceptable(key))
		return;
	found = cert_key_text(leaf);
	verdict_fail(w->v, CERT_WEAK_KEY, "key", cert_subject(leaf), "EC P-256, P-384, P-521, Ed25519, or RSA of 2048 bits or more",
		found);
}

static bool
is_sha1(const char *slot)
{
	return slot && strlen(slot) == 2 * DIGEST_SHA1_LEN;
}

/* What the slots hold and what the certificate has, in one form (thumbprint.h): so that whoever reads it sees whether it is a letter or another certificate. */
static void
thumbprint_differs(struct walk *w, const struct cert *leaf)
{
	char *const *slots = w->records->target->thumbprints;
	OWN_TEXT wanted = mem_textf("%s or %s", slots[0] ? slots[0] : "(empty)", slots[1] ? slots[1] : "(empty)");
	OWN_TEXT sha256 = thumbprint_sha256(leaf);
	OWN_TEXT sha1 = thumbprint_sha1(leaf);
	OWN_TEXT both = mem_textf("%s, by SHA-1 %s", sha256, sha1);

	verdict_fail(w->v, THUMBPRINT_MISMATCH, "thumbprint", cert_subject(leaf), wanted,
		is_sha1(slots[0]) || is_sha1(slots[1]) ? both : sha256);
}

static void
check_thumbprint(struct walk *w, const struct cert *leaf)
{
	static const char *const names[] = { "primary thumbprint", "secondary thumbprint" };
	char *const *slots = w->records->target->thumbprints;
	enum thumbprint_match match = THUMBPRINT_DIFFERS;
	size_t i = 0;

	while (i < 2 && (match = thumbprint_compare(slots[i], leaf)) == THUMBPRINT_DIFFERS)
		i++;
	if (match == THUMBPRINT_DIFFERS) {
		thumbprint_differs(w, leaf);
		return;
	}
	if (match == THUMBPRINT_IS_SHA1 && w->policy->refuse_sha1_thumbprints) {
		verdict_fail(w->v, THUMBPRINT_SHA1_REFUSED, names[i], cert_subject(leaf), "a SHA-256 thumbprint", slots[i]);
		return;
	}
	verdict_pass(w->v, names[i], cert_subject(leaf), slots[i], slots[i]);
	if (match == THUMBPRINT_IS_SHA1)
		verdict_note(w->v, THUMBPRINT_SHA1, names[i], cert_subject(leaf), "a SHA-256 thumbprint", slots[i]);
}

/* Only the digest, the dates and the key count: no chain is built, so the certificate may be self-signed or anybody's. */
static void
judge_thumbprint(struct walk *w)
{
	const struct cert *leaf = w->evidence->chain->item[0];
	OWN_TEXT line = cert_line(leaf);

	verdict_add_chain(w->v, line);
	validity_check(w->v, leaf, w->now);
	check_thumbprint(w, leaf);
	check_key(w, leaf);
}

/* The CN of a module's certificate is "device/module" (hub 8); no device id has a "/", so the two never meet.  But the identity certificates that an edge device
 * makes for its modules have the bare module id there, and the module's whole name as a URI: a device of that name is somebody else. */
static bool
check_no_module(struct walk *w, const struct cert *leaf)
{
	OWN_TEXT uri = cert_find_uri(leaf, "azureiot://");

	if (w->claim->module_id || !uri || !strstr(uri, "/modules/"))
		return true;
	verdict_fail(w->v, NAME_OF_MODULE, "subjectAltName", cert_subject(leaf), "a device's certificate", uri);
	return false;
}

static void
judge_ca_signed(struct walk *w)
{
	const struct cert *leaf = w->evidence->chain->item[0];
	const char *cn = cert_common_name(leaf);
	const struct authority *authority;

	if (!text_is(cn, w->name)) {
		verdict_fail(w->v, NAME_CN_MISMATCH, "common name", cert_subject(leaf), w->name,
			cn ? cn : "not exactly one readable CN");
		return;
	}
	verdict_pass(w->v, "common name", cert_subject(leaf), w->name, cn);
	if (!check_no_module(w, leaf))
		return;
	if (!w->records->device_cas) {
		verdict_fail(w->v, TRUST_UNKNOWN_ISSUER, "chain", cert_subject(leaf), "a registered CA", "there is none");
		return;
	}
	authority = authorities_verify(w->v, w->records->device_cas, w->evidence->chain, w->records->target, w->now);
	if (w->records->vouched)
		*w->records->vouched = authority;
}

static void
check_revocation(struct walk *w, const struct cert *cert)
{
	OWN_TEXT serial = NULL;

	if (!revocations_have(w->records->revoked, cert))
		return;
	serial = cert_serial(cert);
	verdict_fail(w->v, CERT_REVOKED, "revocation", cert_subject(cert), "not revoked", serial);
}

/* Who is below a CA that was revoked is revoked with it; beside a thumbprint only the certificate itself was looked at. */
static void
judge_revocation(struct walk *w, bool by_thumbprint)
{
	const struct certs *chain = w->evidence->chain;

	for (size_t i = 0; i < (by_thumbprint ? 1 : chain->n); i++)
		check_revocation(w, chain->item[i]);
	if (w->records->vouched && *w->records->vouched)
		check_revocation(w, (*w->records->vouched)->cert);
}

/* -- Tokens ---------------------------------------------------------------------------------------------------------------- */

static bool
check_token_time(struct walk *w, const struct sas_token *token)
{
	char until[CLOCK_TEXT_LEN], at[CLOCK_TEXT_LEN];
	OWN_TEXT found = mem_textf("until %s, now is %s", clock_text(token->expiry, until), clock_text(w->now, at));

	if (token->expiry <= w->now)
		return refuse(w, SAS_EXPIRED, "token expiry", "a time to come", found);
	if (w->policy->max_token_life_s > 0 && token->expiry - w->now > w->policy->max_token_life_s)
		return refuse(w, SAS_TOO_LONG_LIVED, "token expiry", "a shorter life", found);
	verdict_pass(w->v, "token expiry", w->name, "a time to come", found);
	return true;
}

/* For exactly that one: a token for the whole hub or for all devices is a policy's. */
static bool
is_for(const struct walk *w, const struct sas_token *token, const char *device_id, const char *module_id)
{
	const struct sas_audience *audience = &w->claim->audience;
	OWN_TEXT above = module_id ? mem_textf("devices/%s/modules", device_id) : mem_text("devices");
	OWN_TEXT path = mem_textf("%s/%s", above, module_id ? module_id : device_id);

	return sas_resource_covers(token, audience, path) && !sas_resource_covers(token, audience, above);
}

/* A token for a device is no module's, but where its device may stand for it; one for a module is never its device's. */
static bool
check_token_resource(struct walk *w, const struct sas_token *token, const struct identity *owner, const struct identity *device)
{
	OWN_TEXT wanted = mem_textf("%s/devices/%s%s%s", w->claim->audience.host, owner->device_id,
		owner->module_id ? "/modules/" : "", owner->module_id ? owner->module_id : "");

	if (token->policy)
		return refuse(w, SAS_WRONG_RESOURCE, "token resource", wanted, "a token of a shared access policy");
	if (!is_for(w, token, owner->device_id, owner->module_id) && !(device && is_for(w, token, device->device_id, NULL)))
		return refuse(w, SAS_WRONG_RESOURCE, "token resource", wanted, token->resource);
	verdict_pass(w->v, "token resource", w->name, wanted, token->resource);
	return true;
}

static bool
is_signed_by(struct walk *w, const struct sas_token *token, const struct identity *signer, const char *const slots[static 2])
{
	OWN_TEXT name = identity_name(signer->device_id, signer->module_id);

	for (size_t i = 0; i < 2; i++) {
		if (!sas_signature_matches(token, &signer->keys[i]))
			continue;
		verdict_pass(w->v, slots[i], name, "the signature of a registered key", "it is");
		if (w->records->signer)
			*w->records->signer = signer;
		return true;
	}
	return false;
}

static void
check_token_signature(struct walk *w, const struct sas_token *token, const struct identity *owner, const struct identity *device)
{
	static const char *const own[] = { "primary key", "secondary key" };
	static const char *const of_device[] = { "primary key of its device", "secondary key of its device" };

	if (has_keys(owner) && is_signed_by(w, token, owner, own))
		return;
	if (has_keys(device) && is_signed_by(w, token, device, of_device))
		return;
	refuse(w, SAS_BAD_SIGNATURE, "token signature",
		has_keys(device) ? "the signature of the primary or secondary key, its own or its device's"
				 : "the signature of the primary or secondary key",
		"of neither");
}

/* device: may stand for the owner; NULL: nobody may. */
static void
judge_token(struct walk *w, const struct identity *owner, const struct identity *device)
{
	struct err err = ERR_INIT;
	OWN(sas_token) token = sas_parse(w->evidence->token, &err);

	if (!token)
		refuse(w, SAS_MALFORMED, "token", "SharedAccessSignature sr=...&sig=...&se=...", err.text);
	else if (check_token_time(w, token) && check_token_resource(w, token, owner, device))
		check_token_signature(w, token, owner, device);
}

/* -- All of it ------------------------------------------------------------------------------------------------------------- */

static void
judge_on_behalf(struct walk *w)
{
	if (!on_behalf_check(w->v, w->claim, w->records))
		return;
	if (showed_token(w))
		judge_token(w, w->records->actor, NULL);
	else
		refuse(w, DEVICE_NO_CREDENTIAL, "gateway's token", "a shared access signature of the gateway", "none");
}

static void
judge(struct walk *w)
{
	if (!check_known(w))
		return;
	if (w->claim->auth_chain) {
		judge_on_behalf(w);
		return;
	}
	if (!check_evidence_kind(w))
		return;
	if (showed_token(w)) {
		judge_token(w, w->records->target, device_of(w));
		return;
	}
	switch (w->records->target->auth) {
	case IDENTITY_AUTH_THUMBPRINT:
		judge_thumbprint(w);
		judge_revocation(w, true);
		break;
	case IDENTITY_AUTH_CA:
		judge_ca_signed(w);
		judge_revocation(w, false);
		break;
	case IDENTITY_AUTH_SAS:
	case IDENTITY_AUTH_NONE:
		break;
	}
}

struct verdict *
auth_decide(const char *who, const struct auth_claim *claim, const struct auth_evidence *evidence,
	const struct auth_records *records, const struct auth_policy *policy, int64_t now)
{
	OWN_TEXT name = identity_name(claim->device_id, claim->module_id);
	OWN_TEXT question = mem_textf("Is this really %s?", name);
	struct walk w = {
		.v = verdict_new(who, question, name),
		.claim = claim,
		.evidence = evidence,
		.records = records,
		.policy = policy,
		.now = now,
		.name = name,
	};

	judge(&w);
	return w.v;
}

int64_t
auth_token_expiry(const char *text)
{
	struct err err = ERR_INIT;
	OWN(sas_token) token = text && *text ? sas_parse(text, &err) : NULL;

	return token ? token->expiry : 0;
}

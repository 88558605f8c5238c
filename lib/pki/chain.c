/* SPDX-License-Identifier: Apache-2.0 */
/* Chains.  OpenSSL builds the path and checks it at security level 2; every error it meets becomes a check of the verdict (the callback goes on, so a chain that is
 * both expired and unknown shows both).  Then come the rules that OpenSSL does not have:
 *
 *  - names only from the SAN (name.c), and no wildcard name below a CA that excludes DNS names: the wildcard covers what is excluded and is not seen
 *    to (CVE-2025-61727); permitted names are safe, because there a wildcard must lie within them;
 *  - no DNS name that begins with a dot: some take it for every name below;
 *  - keys of accepted kinds and sizes, in every certificate of the chain;
 *  - whoever issues, the root included, is a version 3 CA with CA:TRUE and, where keyUsage is given, keyCertSign (OpenSSL lets roots do without);
 *  - where anchors need not be self-signed, a leaf in the store is still no anchor (OpenSSL would take any certificate there);
 *  - a leaf that is a CA is refused when the caller says so.
 *
 * X509_V_FLAG_X509_STRICT is not used: it refuses roots as `openssl req -x509` makes them. */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/text.h"
#include "pki/anchors.h"
#include "pki/chain.h"
#include "pki/chain_words.h"

#define DEFAULT_DEPTH 8
#define SECURITY_LEVEL 2

struct error_row {
	int error;
	enum reason reason;
};

static const struct error_row error_rows[] = {
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, TRUST_SELF_SIGNED },
	{ X509_V_ERR_CERT_UNTRUSTED, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_CERT_SIGNATURE_FAILURE, TRUST_BAD_SIGNATURE },
	{ X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE, TRUST_BAD_SIGNATURE },
	{ X509_V_ERR_SUBJECT_ISSUER_MISMATCH, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_AKID_SKID_MISMATCH, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_CERT_NOT_YET_VALID, CERT_NOT_YET_VALID },
	{ X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, CERT_NOT_YET_VALID },
	{ X509_V_ERR_CERT_HAS_EXPIRED, CERT_EXPIRED },
	{ X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD, CERT_EXPIRED },
	{ X509_V_ERR_CERT_REVOKED, CERT_REVOKED },
	{ X509_V_ERR_UNABLE_TO_GET_CRL, CERT_CRL_MISSING },
	{ X509_V_ERR_CRL_HAS_EXPIRED, CERT_CRL_MISSING },
	{ X509_V_ERR_CRL_NOT_YET_VALID, CERT_CRL_MISSING },
	{ X509_V_ERR_CRL_SIGNATURE_FAILURE, CERT_CRL_MISSING },
	{ X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, CERT_CRL_MISSING },
	{ X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, CERT_CRL_MISSING },
	{ X509_V_ERR_DIFFERENT_CRL_SCOPE, CERT_CRL_MISSING },
	{ X509_V_ERR_INVALID_CA, CERT_NOT_CA },
	{ X509_V_ERR_INVALID_NON_CA, CERT_LEAF_IS_CA },
	{ X509_V_ERR_KEYUSAGE_NO_CERTSIGN, CERT_NOT_CA },
	{ X509_V_ERR_PATH_LENGTH_EXCEEDED, CERT_PATH_TOO_LONG },
	{ X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE, CERT_KEY_USAGE },
	{ X509_V_ERR_CERT_CHAIN_TOO_LONG, CHAIN_TOO_LONG },
	{ X509_V_ERR_EE_KEY_TOO_SMALL, CERT_WEAK_KEY },
	{ X509_V_ERR_CA_KEY_TOO_SMALL, CERT_WEAK_KEY },
	{ X509_V_ERR_CA_MD_TOO_WEAK, CERT_WEAK_SIGNATURE },
	{ X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, CERT_CRITICAL_EXTENSION },
	{ X509_V_ERR_PERMITTED_VIOLATION, CERT_NAME_CONSTRAINT },
	{ X509_V_ERR_EXCLUDED_VIOLATION, CERT_NAME_CONSTRAINT },
	{ X509_V_ERR_SUBTREE_MINMAX, CERT_NAME_CONSTRAINT },
	{ X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE, CERT_NAME_CONSTRAINT },
	{ X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX, CERT_NAME_CONSTRAINT },
	{ X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, CERT_NAME_CONSTRAINT },
	{ X509_V_ERR_INVALID_POLICY_EXTENSION, CERT_POLICY },
	{ X509_V_ERR_NO_EXPLICIT_POLICY, CERT_POLICY },
};

struct walk {
	struct verdict *verdict;
	const struct anchors *anchors;
	const struct chain_query *query;
	size_t first; /* the verdict's checks from here on are ours */
};

/* One finding a subject and reason: OpenSSL tells some of them twice. */
static bool
is_known(const struct walk *walk, enum reason reason, const char *subject)
{
	for (size_t i = walk->first; i < walk->verdict->n_checks; i++) {
		const struct check *c = &walk->verdict->checks[i];

		if (!c->passed && c->reason == reason && text_is(c->subject, subject))
			return true;
	}
	return false;
}

static void
refuse(struct walk *walk, enum reason reason, const char *what, const struct cert *cert, const char *wanted, const char *found)
{
	const char *subject = cert ? cert_subject(cert) : "";

	if (!is_known(walk, reason, subject))
		verdict_fail(walk->verdict, reason, what, subject, wanted, found);
}

static bool
has_refused(const struct walk *walk)
{
	for (size_t i = walk->first; i < walk->verdict->n_checks; i++)
		if (!walk->verdict->checks[i].passed)
			return true;
	return false;
}

/* The purpose of a certificate fails for its extendedKeyUsage, its keyUsage, or because it is no CA: say which. */
static enum reason
purpose_reason(const struct walk *walk, const struct cert *cert, int depth)
{
	bool server = walk->query->purpose == CHAIN_SERVER;

	if (cert && walk->query->purpose != CHAIN_ANY && !(server ? cert_may_serve(cert) : cert_may_client(cert)))
		return server ? CERT_NO_SERVER_AUTH : CERT_NO_CLIENT_AUTH;
	return cert && depth > 0 && !cert_is_ca(cert) ? CERT_NOT_CA : CERT_KEY_USAGE;
}

static enum reason
reason_of(const struct walk *walk, int error, const struct cert *cert, int depth)
{
	if (error == X509_V_ERR_INVALID_PURPOSE)
		return purpose_reason(walk, cert, depth);
	for (size_t i = 0; i < COUNT(error_rows); i++)
		if (error_rows[i].error == error)
			return error_rows[i].reason;
	return CERT_INVALID;
}

static void
check_key(struct walk *walk, const struct cert *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert_x509(cert));
	OWN_TEXT kind = cert_key_text(cert);

	if (!key || !key_is_acceptable(key))
		refuse(walk, CERT_WEAK_KEY, "key", cert, "EC P-256, P-384, P-521, Ed25519, or RSA of 2048 bits or more", kind);
}

static void
refuse_for(struct walk *walk, enum reason reason, const struct cert *cert, int error)
{
	CLEAR(chain_words) words = chain_words_for(walk->anchors, walk->query, reason, cert, error);

	bool is_purpose = reason == CERT_NO_SERVER_AUTH || reason == CERT_NO_CLIENT_AUTH;

	refuse(walk, reason, is_purpose ? "purpose" : "chain", cert, words.wanted, words.found);
}

static int
on_error(int ok, X509_STORE_CTX *ctx)
{
	struct walk *walk = X509_STORE_CTX_get_app_data(ctx);
	X509 *x509 = X509_STORE_CTX_get_current_cert(ctx);
	int error = X509_STORE_CTX_get_error(ctx);
	OWN(cert) cert = NULL;
	enum reason reason;

	if (ok)
		return 1;
	cert = x509 ? cert_from_x509(x509) : NULL;
	reason = reason_of(walk, error, cert, X509_STORE_CTX_get_error_depth(ctx));
	if (cert && (reason == CERT_EXPIRED || reason == CERT_NOT_YET_VALID) && !validity_is_good(cert, walk->query->now)) {
		if (!is_known(walk, reason, cert_subject(cert)))
			validity_check(walk->verdict, cert, walk->query->now);
		return 1;
	}
	if (cert && reason == CERT_WEAK_KEY)
		check_key(walk, cert);
	refuse_for(walk, reason, cert, error);
	return 1;
}

static STACK_OF(X509) * stack_of(const struct certs *certs)
{
	STACK_OF(X509) *stack = sk_X509_new_null();

	for (size_t i = 0; certs && i < certs->n; i++)
		sk_X509_push(stack, cert_x509(certs->item[i]));
	return stack;
}

static void
set_params(X509_STORE_CTX *ctx, const struct anchors *anchors, const struct chain_query *query)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	/* Names are checked in name.c; here this keeps name constraints on DNS names away from a CN that only looks like one. */
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	X509_VERIFY_PARAM_set_time(param, (time_t)query->now);
	X509_VERIFY_PARAM_set_depth(param, query->max_depth == CHAIN_NO_INTERMEDIATES ? 0
					   : query->max_depth > 0		      ? query->max_depth
										      : DEFAULT_DEPTH);
	X509_VERIFY_PARAM_set_flags(
		param, X509_V_FLAG_TRUSTED_FIRST | (query->partial ? X509_V_FLAG_PARTIAL_CHAIN : 0) |
			       (anchors_have_crls(anchors) ? X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL : 0));
	if (query->purpose != CHAIN_ANY)
		X509_VERIFY_PARAM_set_purpose(
			param, query->purpose == CHAIN_SERVER ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
	X509_STORE_CTX_set_verify_cb(ctx, on_error);
}

/* A DNS name in the SAN that begins with this. */
static bool
has_dns_name(const struct cert *leaf, char first)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert_x509(leaf), NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		found = found || (name->type == GEN_DNS && name->d.dNSName->length > 0 && name->d.dNSName->data[0] == first);
	}
	GENERAL_NAMES_free(names);
	return found;
}

static bool
excludes_dns_names(const struct cert *cert)
{
	NAME_CONSTRAINTS *constraints = X509_get_ext_d2i(cert_x509(cert), NID_name_constraints, NULL, NULL);
	bool found = false;

	for (int i = 0; constraints && i < sk_GENERAL_SUBTREE_num(constraints->excludedSubtrees); i++)
		found = found || sk_GENERAL_SUBTREE_value(constraints->excludedSubtrees, i)->base->type == GEN_DNS;
	NAME_CONSTRAINTS_free(constraints);
	return found;
}

static void
check_extensions(struct walk *walk, const struct cert *cert)
{
	if (X509_get_extension_flags(cert_x509(cert)) & EXFLAG_INVALID)
		refuse(walk, CERT_INVALID, "extensions", cert, "", "an extension that cannot be read, or stands there twice");
}

static void
check_issuing(struct walk *walk, const struct cert *cert)
{
	X509 *x509 = cert_x509(cert);

	if (X509_get_version(x509) < X509_VERSION_3)
		refuse(walk, CERT_NOT_CA, "chain", cert, "an X.509 version 3 CA certificate",
			"version 1 or 2, which cannot say CA:TRUE");
	else if (!cert_is_ca(cert))
		refuse(walk, CERT_NOT_CA, "chain", cert, "CA:TRUE", "no CA:TRUE");
	else if (!(X509_get_key_usage(x509) & KU_KEY_CERT_SIGN)) /* all bits are set where there is no keyUsage */
		refuse(walk, CERT_NOT_CA, "chain", cert, "keyUsage keyCertSign", "keyUsage without it");
}

static void
add_missing(struct walk *walk, const struct cert *cert)
{
	OWN_TEXT line = mem_textf("%s  (missing)", cert_issuer(cert));

	verdict_add_chain(walk->verdict, line);
}

static struct cert *
find_cert(const struct certs *certs, const X509 *x509)
{
	for (size_t i = 0; certs && i < certs->n; i++)
		if (cert_x509(certs->item[i]) == x509)
			return cert_ref(certs->item[i]);
	return NULL;
}

/* The links of a chain are the X509 that we were given or those of the anchors: each was read already. */
static struct cert *
chain_link(const struct walk *walk, X509 *x509)
{
	struct cert *cert = find_cert(walk->query->untrusted, x509);

	if (!cert)
		cert = find_cert(anchors_certs(walk->anchors), x509);
	return cert ? cert : cert_from_x509(x509);
}

/* Adds the lines of the chain and the rules that each of its certificates has to keep. */
static void
check_chain(struct walk *walk, X509_STORE_CTX *ctx)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
	bool excluded = false;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		OWN(cert) cert = chain_link(walk, sk_X509_value(chain, i));
		OWN_TEXT line = cert_line(cert);

		verdict_add_chain(walk->verdict, line);
		check_key(walk, cert);
		check_extensions(walk, cert);
		if (i > 0)
			check_issuing(walk, cert);
		excluded = excluded || (i > 0 && excludes_dns_names(cert));
		if (i + 1 == sk_X509_num(chain) && !cert_is_self_issued(cert) &&
			is_known(walk, TRUST_UNKNOWN_ISSUER, cert_subject(cert)))
			add_missing(walk, cert);
	}
	if (excluded && has_dns_name(walk->query->leaf, '*'))
		refuse(walk, NAME_WILDCARD, "name", walk->query->leaf, "full names", "a wildcard below a CA that excludes names");
}

static void
check_leaf(struct walk *walk, X509_STORE_CTX *ctx)
{
	const struct chain_query *q = walk->query;
	bool alone = sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) == 1;

	if (q->partial && alone && !cert_is_self_issued(q->leaf) && !cert_is_ca(q->leaf))
		refuse(walk, CERT_NOT_CA, "anchor", q->leaf, "an issuer among the trusted certificates", "only itself");
	if (q->must_sign && !(X509_get_key_usage(cert_x509(q->leaf)) & KU_DIGITAL_SIGNATURE))
		refuse(walk, CERT_KEY_USAGE, "keyUsage", q->leaf, "digitalSignature", "keyUsage without it");
	if (has_dns_name(q->leaf, '.'))
		refuse(walk, CERT_INVALID, "names", q->leaf, "DNS names of full labels (RFC 5280 4.2.1.6)",
			"one that begins with a dot");
}

/* What OpenSSL found is in the verdict already; this says what it did not find, or that it did not get so far. */
static void
conclude(struct walk *walk, X509_STORE_CTX *ctx, int ok)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
	OWN(cert) root = NULL;

	if (has_refused(walk))
		return;
	if (ok != 1 || sk_X509_num(chain) == 0) {
		refuse(walk, CERT_INVALID, "chain", walk->query->leaf, "",
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
		return;
	}
	root = chain_link(walk, sk_X509_value(chain, sk_X509_num(chain) - 1));
	verdict_pass(walk->verdict, "chain", cert_subject(walk->query->leaf), "a trusted root", cert_subject(root));
	validity_check(walk->verdict, walk->query->leaf, walk->query->now);
	if (walk->query->purpose != CHAIN_ANY)
		verdict_pass(walk->verdict, "purpose", cert_subject(walk->query->leaf), "",
			walk->query->purpose == CHAIN_SERVER ? "may be used by a server" : "may be used by a client");
}

void
chain_verify(struct verdict *v, const struct anchors *anchors, const struct chain_query *query)
{
	struct walk walk = { .verdict = v, .anchors = anchors, .query = query, .first = v->n_checks };
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *untrusted = stack_of(query->untrusted);
	int ok = 0;

	/* First, because a CA's certificate has no keyUsage for TLS either, and that says less. */
	if (query->refuse_ca_leaf && cert_is_ca(query->leaf))
		refuse(&walk, CERT_LEAF_IS_CA, "leaf", query->leaf, "CA:FALSE", "CA:TRUE");
	if (X509_STORE_CTX_init(ctx, anchors_store(anchors), cert_x509(query->leaf), untrusted) == 1) {
		X509_STORE_CTX_set_app_data(ctx, &walk);
		set_params(ctx, anchors, query);
		ok = X509_verify_cert(ctx);
	}
	check_chain(&walk, ctx);
	check_leaf(&walk, ctx);
	conclude(&walk, ctx, ok);
	if (query->host)
		name_check(v, query->leaf, query->host);
	sk_X509_free(untrusted);
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
}

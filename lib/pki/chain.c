/* SPDX-License-Identifier: Apache-2.0 */
/* Chains.  OpenSSL builds the path and checks it at security level 2; every error it meets becomes a check of the verdict (the callback goes on, so a chain that is
 * both expired and unknown shows both).  Then come the rules that OpenSSL does not have:
 *
 *  - names only from the SAN (name.c), and no wildcard name under a CA with name constraints (it would step around them, CVE-2025-61727);
 *  - keys of accepted kinds and sizes, in every certificate of the chain;
 *  - where anchors need not be self-signed: the anchor must be a CA within its own dates (OpenSSL would take any certificate in the store);
 *  - CA certificates of version 1 are none;
 *  - a leaf that is a CA is refused when the caller says so.
 *
 * X509_V_FLAG_X509_STRICT is not used: it refuses roots as `openssl req -x509` makes them. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "pki/anchors.h"
#include "pki/chain.h"

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
	const struct chain_query *query;
};

static enum reason
reason_of(int error, const struct walk *walk)
{
	if (error == X509_V_ERR_INVALID_PURPOSE)
		return walk->query->purpose == CHAIN_SERVER ? CERT_NO_SERVER_AUTH : walk->query->purpose == CHAIN_CLIENT ? CERT_NO_CLIENT_AUTH : CERT_KEY_USAGE;
	for (size_t i = 0; i < COUNT(error_rows); i++)
		if (error_rows[i].error == error)
			return error_rows[i].reason;
	return CERT_INVALID;
}

/* The purpose of a certificate fails for its extendedKeyUsage, its keyUsage, or because it is no CA: say which. */
static enum reason
purpose_reason(const struct cert *cert, int depth, const struct walk *walk)
{
	bool server = walk->query->purpose == CHAIN_SERVER;

	if (walk->query->purpose != CHAIN_ANY && !(server ? cert_may_serve(cert) : cert_may_client(cert)))
		return server ? CERT_NO_SERVER_AUTH : CERT_NO_CLIENT_AUTH;
	return depth > 0 && !cert_is_ca(cert) ? CERT_NOT_CA : CERT_KEY_USAGE;
}

static int
on_error(int ok, X509_STORE_CTX *ctx)
{
	struct walk *walk = X509_STORE_CTX_get_app_data(ctx);
	X509 *x509 = X509_STORE_CTX_get_current_cert(ctx);
	int error = X509_STORE_CTX_get_error(ctx), depth = X509_STORE_CTX_get_error_depth(ctx);
	OWN(cert) cert = NULL;
	enum reason reason;

	if (ok)
		return 1;
	cert = x509 ? cert_from_x509(x509) : NULL;
	reason = reason_of(error, walk);
	if (cert && (reason == CERT_EXPIRED || reason == CERT_NOT_YET_VALID))
		validity_check(walk->verdict, cert, walk->query->now);
	else
		verdict_fail(walk->verdict, cert && error == X509_V_ERR_INVALID_PURPOSE ? purpose_reason(cert, depth, walk) : reason, "chain", cert ? cert_subject(cert) : "",
			reason == TRUST_UNKNOWN_ISSUER && cert ? cert_issuer(cert) : "", X509_verify_cert_error_string(error));
	return 1;
}

static STACK_OF(X509) *
stack_of(const struct certs *certs)
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
	X509_VERIFY_PARAM_set_time(param, (time_t)query->now);
	X509_VERIFY_PARAM_set_depth(param, query->max_depth > 0 ? query->max_depth : DEFAULT_DEPTH);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_TRUSTED_FIRST | (query->partial ? X509_V_FLAG_PARTIAL_CHAIN : 0) |
		(anchors_have_crls(anchors) ? X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL : 0));
	if (query->purpose != CHAIN_ANY)
		X509_VERIFY_PARAM_set_purpose(param, query->purpose == CHAIN_SERVER ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
	X509_STORE_CTX_set_verify_cb(ctx, on_error);
}

static bool
has_wildcard(const struct cert *leaf)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert_x509(leaf), NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		found = found || (name->type == GEN_DNS && name->d.dNSName->length > 0 && name->d.dNSName->data[0] == '*');
	}
	GENERAL_NAMES_free(names);
	return found;
}

/* What OpenSSL does not look at, for the certificate at depth i of the built chain. */
static void
check_element(struct walk *walk, const struct cert *cert, int i, int n)
{
	EVP_PKEY *key = X509_get0_pubkey(cert_x509(cert));
	bool anchor = i == n - 1;

	if (!key || !key_is_acceptable(key))
		verdict_fail(walk->verdict, CERT_WEAK_KEY, "key", cert_subject(cert), "EC P-256, P-384, P-521, Ed25519, or RSA of 2048 bits or more", "another kind or size of key");
	if (i > 0 && X509_get_version(cert_x509(cert)) < X509_VERSION_3 && !(anchor && cert_is_self_issued(cert)))
		verdict_fail(walk->verdict, CERT_NOT_CA, "version", cert_subject(cert), "an X.509 v3 CA certificate", "version 1 or 2");
	if (i == 0 || !anchor || !walk->query->partial)
		return;
	if (!cert_is_ca(cert))
		verdict_fail(walk->verdict, CERT_NOT_CA, "anchor", cert_subject(cert), "CA:TRUE", "no CA");
	if (walk->query->now < cert_not_before(cert) || walk->query->now >= cert_not_after(cert))
		validity_check(walk->verdict, cert, walk->query->now);
}

static void
check_chain(struct walk *walk, X509_STORE_CTX *ctx)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
	bool constrained = false;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		OWN(cert) cert = cert_from_x509(sk_X509_value(chain, i));
		OWN_TEXT line = cert_line(cert);

		verdict_add_chain(walk->verdict, line);
		check_element(walk, cert, i, sk_X509_num(chain));
		constrained = constrained || (i > 0 && X509_get_ext_by_NID(cert_x509(cert), NID_name_constraints, -1) >= 0);
	}
	if (constrained && has_wildcard(walk->query->leaf))
		verdict_fail(walk->verdict, NAME_WILDCARD, "wildcard", cert_subject(walk->query->leaf), "full names", "a wildcard under name constraints");
}

static void
check_leaf(struct walk *walk)
{
	const struct cert *leaf = walk->query->leaf;

	if (walk->query->refuse_ca_leaf && cert_is_ca(leaf))
		verdict_fail(walk->verdict, CERT_LEAF_IS_CA, "leaf", cert_subject(leaf), "CA:FALSE", "CA:TRUE");
	if (walk->query->host)
		name_check(walk->verdict, leaf, walk->query->host);
}

static const char *
anchor_text(X509_STORE_CTX *ctx, char **line)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
	OWN(cert) root = cert_from_x509(sk_X509_value(chain, sk_X509_num(chain) - 1));

	*line = mem_text(cert_subject(root));
	return *line;
}

void
chain_verify(struct verdict *v, const struct anchors *anchors, const struct chain_query *query)
{
	struct walk walk = { .verdict = v, .query = query };
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *untrusted = stack_of(query->untrusted);
	size_t before = v->n_checks;
	int ok = 0;

	if (X509_STORE_CTX_init(ctx, anchors_store(anchors), cert_x509(query->leaf), untrusted) == 1) {
		X509_STORE_CTX_set_app_data(ctx, &walk);
		set_params(ctx, anchors, query);
		ok = X509_verify_cert(ctx);
	}
	if (ok == 1 && verdict_accepted(v)) {
		OWN_TEXT line = NULL;

		verdict_pass(v, "chain", cert_subject(query->leaf), "a trusted root", anchor_text(ctx, &line));
		validity_check(v, query->leaf, query->now);
	} else if (ok != 1 && v->n_checks == before) {
		verdict_fail(v, CERT_INVALID, "chain", cert_subject(query->leaf), "", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	}
	check_chain(&walk, ctx);
	check_leaf(&walk);
	sk_X509_free(untrusted);
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
}

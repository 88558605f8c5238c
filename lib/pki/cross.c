/* SPDX-License-Identifier: Apache-2.0 */
/* Cross certificates (RFC 4210 4.4): one root signed by another, so that who trusts the second can follow a chain to the first.  It is the root's own certificate with another issuer: name, key,
 * key id and constraints stay, or what the root has issued would not find it.  An extension says
 * that it is one: without, any intermediate CA could make itself a root of the same name and say that its own certificate vouches for that. */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "pki/issue.h"
#include "pki/issue_inside.h"

/* Of our own, made from a UUID (X.667): what no CA puts into a certificate that somebody asks it for. */
#define CROSS_OID "2.25.156539324659788683946581912606855776350"

bool
cert_is_cross(const struct cert *cert)
{
	ASN1_OBJECT *oid = OBJ_txt2obj(CROSS_OID, 1);
	bool yes = oid && X509_get_ext_by_OBJ(cert_x509(cert), oid, -1) >= 0;

	ASN1_OBJECT_free(oid);
	return yes;
}

static bool
set_mark(X509 *x509)
{
	static const uint8_t nothing[] = { 0x05, 0x00 };
	ASN1_OBJECT *oid = OBJ_txt2obj(CROSS_OID, 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *mark = NULL;
	bool done;

	if (oid && value && ASN1_OCTET_STRING_set(value, nothing, sizeof(nothing)))
		mark = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, value);
	done = mark && X509_add_ext(x509, mark, -1);
	X509_EXTENSION_free(mark);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(oid);
	return done;
}

static int
check(const struct cert *root, const struct issuer *issuer, struct err *err)
{
	if (!cert_is_ca(root) || !cert_is_self_issued(root))
		return err_set(err, ERR_INVALID, "%s is no root", cert_subject(root));
	if (cert_is_same(root, issuer->cert) || cert_not_after(issuer->cert) <= cert_not_before(root) ||
		cert_not_after(root) <= cert_not_before(issuer->cert))
		return err_set(
			err, ERR_INVALID, "%s and %s are never valid together", cert_subject(root), cert_subject(issuer->cert));
	if (!cert_is_ca(issuer->cert) || cert_path_len(issuer->cert) == 0)
		return err_set(err, ERR_INVALID, "%s may issue no CA: its path length is 0", cert_subject(issuer->cert));
	if (!cert_matches_key(issuer->cert, issuer->key))
		return err_set(err, ERR_INVALID, "the key does not belong to %s", cert_subject(issuer->cert));
	return 0;
}

/* As long as both are. */
static bool
set_dates(X509 *x509, const struct cert *root, const struct cert *by)
{
	int64_t from = cert_not_before(root) > cert_not_before(by) ? cert_not_before(root) : cert_not_before(by);
	int64_t until = cert_not_after(root) < cert_not_after(by) ? cert_not_after(root) : cert_not_after(by);

	return ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)from) && ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)until);
}

static bool
set_issuer(X509 *x509, X509 *by)
{
	X509_EXTENSION *key_id = NULL;
	X509V3_CTX ctx;
	int at = X509_get_ext_by_NID(x509, NID_authority_key_identifier, -1);
	bool done;

	if (at >= 0)
		X509_EXTENSION_free(X509_delete_ext(x509, at));
	if (!X509_set_issuer_name(x509, X509_get_subject_name(by)))
		return false;
	if (!X509_get0_subject_key_id(by))
		return true;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, by, x509, NULL, NULL, 0);
	key_id = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid");
	done = key_id && X509_add_ext(x509, key_id, -1);
	X509_EXTENSION_free(key_id);
	return done;
}

struct cert *
issue_cross(const struct cert *root, const struct issuer *issuer, struct err *err)
{
	struct cert *cert = NULL;
	X509 *x509;

	if (check(root, issuer, err) < 0)
		return NULL;
	x509 = X509_dup(cert_x509(root));
	if (x509 && set_dates(x509, root, issuer->cert) && set_issuer(x509, cert_x509(issuer->cert)) && set_mark(x509)) {
		issue_set_serial(x509);
		if (X509_sign(x509, key_pkey(issuer->key), issue_digest(key_pkey(issuer->key))) > 0)
			cert = cert_from_x509(x509);
	}
	X509_free(x509);
	ERR_clear_error();
	return cert ? cert : err_null(err, ERR_BROKEN, "%s can't be signed by %s", cert_subject(root), cert_subject(issuer->cert));
}

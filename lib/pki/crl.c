/* SPDX-License-Identifier: Apache-2.0 */
/* Making revocation lists (crl.h). */
#include "pki/crl.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/text.h"

struct crl {
	X509_CRL *x509;
	int64_t number;
};

static const struct {
	enum crl_reason reason;
	const char *name;
} reasons[] = {
	{ CRL_UNSPECIFIED, "unspecified" },
	{ CRL_KEY_COMPROMISE, "keyCompromise" },
	{ CRL_AFFILIATION_CHANGED, "affiliationChanged" },
	{ CRL_SUPERSEDED, "superseded" },
	{ CRL_CESSATION, "cessationOfOperation" },
	{ CRL_WITHDRAWN, "privilegeWithdrawn" },
};

const char *
crl_reason_name(enum crl_reason reason)
{
	for (size_t i = 0; i < COUNT(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].name;
	return reasons[0].name;
}

bool
crl_reason_parse(const char *name, enum crl_reason *out)
{
	for (size_t i = 0; i < COUNT(reasons); i++)
		if (text_is_nocase(reasons[i].name, name)) {
			*out = reasons[i].reason;
			return true;
		}
	return false;
}

static int
failure(struct err *err, const char *what)
{
	if (key_remote_failure(err))
		return err_wrap(err, "%s", what);
	ERR_clear_error();
	return err_set(err, ERR_BROKEN, "%s", what);
}

struct crl *
crl_new(int64_t number, int64_t this_update, int64_t next_update)
{
	struct crl *crl = NEW(crl);
	ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)this_update), *until = ASN1_TIME_set(NULL, (time_t)next_update);

	crl->number = number;
	crl->x509 = X509_CRL_new();
	X509_CRL_set_version(crl->x509, X509_CRL_VERSION_2);
	X509_CRL_set1_lastUpdate(crl->x509, from);
	X509_CRL_set1_nextUpdate(crl->x509, until);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	return crl;
}

void
crl_free(struct crl *crl)
{
	if (!crl)
		return;
	X509_CRL_free(crl->x509);
	mem_free(crl);
}

static ASN1_INTEGER *
number_of(const char *hex)
{
	BIGNUM *bn = NULL;
	ASN1_INTEGER *number = BN_hex2bn(&bn, hex) == (int)strlen(hex) ? BN_to_ASN1_INTEGER(bn, NULL) : NULL;

	BN_free(bn);
	return number;
}

/* RFC 5280 5.3.1: unspecified is not said. */
static bool
put_reason(X509_REVOKED *entry, enum crl_reason reason)
{
	ASN1_ENUMERATED *value;
	bool done;

	if (reason == CRL_UNSPECIFIED)
		return true;
	value = ASN1_ENUMERATED_new();
	done = ASN1_ENUMERATED_set(value, (long)reason) == 1 && X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, value, 0, 0) == 1;
	ASN1_ENUMERATED_free(value);
	return done;
}

int
crl_add(struct crl *crl, const char *serial, int64_t when, enum crl_reason reason, struct err *err)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_INTEGER *number = number_of(serial);
	ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)when);
	bool done = number && time && X509_REVOKED_set_serialNumber(entry, number) == 1 &&
		    X509_REVOKED_set_revocationDate(entry, time) == 1 && put_reason(entry, reason) &&
		    X509_CRL_add0_revoked(crl->x509, entry) == 1;

	ASN1_INTEGER_free(number);
	ASN1_TIME_free(time);
	if (done)
		return 0;
	X509_REVOKED_free(entry);
	return failure(err, "an entry of a revocation list");
}

static bool
put_extensions(struct crl *crl, const struct cert *ca)
{
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	AUTHORITY_KEYID *keyid = AUTHORITY_KEYID_new();
	const ASN1_OCTET_STRING *of_ca = X509_get0_subject_key_id(cert_x509(ca));
	bool done = ASN1_INTEGER_set_int64(number, crl->number) == 1 &&
		    X509_CRL_add1_ext_i2d(crl->x509, NID_crl_number, number, 0, 0) == 1;

	keyid->keyid = of_ca ? ASN1_OCTET_STRING_dup(of_ca) : NULL;
	if (done && of_ca)
		done = X509_CRL_add1_ext_i2d(crl->x509, NID_authority_key_identifier, keyid, 0, 0) == 1;
	ASN1_INTEGER_free(number);
	AUTHORITY_KEYID_free(keyid);
	return done;
}

/* As strong as the key: issue.c. */
static const EVP_MD *
digest_for(const EVP_PKEY *signer)
{
	if (EVP_PKEY_is_a(signer, "ED25519"))
		return NULL;
	return EVP_PKEY_is_a(signer, "EC") && EVP_PKEY_get_bits(signer) >= 384 ? EVP_sha384() : EVP_sha256();
}

int
crl_sign(struct crl *crl, const struct cert *ca, const struct key *key, struct buf *out, struct err *err)
{
	uint8_t *der = NULL;
	int len = -1;

	if (!cert_matches_key(ca, key))
		return err_set(err, ERR_INVALID, "the key does not belong to the CA certificate %s", cert_subject(ca));
	X509_CRL_set_issuer_name(crl->x509, X509_get_subject_name(cert_x509(ca)));
	X509_CRL_sort(crl->x509);
	if (put_extensions(crl, ca) && X509_CRL_sign(crl->x509, key_pkey(key), digest_for(key_pkey(key))) > 0)
		len = i2d_X509_CRL(crl->x509, &der);
	if (len > 0)
		buf_put(out, der, (size_t)len);
	OPENSSL_free(der);
	return len > 0 && !out->failed ? 0 : failure(err, "signing a revocation list");
}

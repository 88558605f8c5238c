/* SPDX-License-Identifier: Apache-2.0 */
/* A CSR is a wish, not a fact.  This file reads one, proves that the sender holds the key, and answers questions about the wish; whether and how it is granted
 * is the profile's business (issue.c). */
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "pki/alternative_names.h"
#include "pki/csr_plain.h"
#include "pki/issue.h"
#include "wire/pem.h"

#define CSR_MAX 32768
#define KEY_MAX 4096 /* by which one with another key and signature may be longer */

struct csr {
	X509_REQ *req; /* without its key and signature, where it was a plain one */
	EVP_PKEY *key;
	struct buf der;	     /* as it was given */
	struct buf key_info; /* its SubjectPublicKeyInfo; empty where the key is OpenSSL's reading of it */
	char *common_name;
	uint8_t sha256[DIGEST_SHA256_LEN];
};

static char *
first_common_name(const X509_NAME *name)
{
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1), len;
	uint8_t *utf8 = NULL;
	char *text = NULL;

	if (at < 0)
		return NULL;
	len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (len > 0 && !memchr(utf8, 0, (size_t)len))
		text = mem_textn((char *)utf8, (size_t)len);
	OPENSSL_free(utf8);
	return text;
}

static struct csr *
csr_of(X509_REQ *req_take, EVP_PKEY *key_take, const uint8_t *der, size_t len)
{
	struct csr *csr = NEW(csr);

	csr->req = req_take;
	csr->key = key_take;
	csr->der = (struct buf)BUF_INIT(CSR_MAX + KEY_MAX);
	csr->key_info = (struct buf)BUF_INIT(CSR_MAX);
	buf_put(&csr->der, der, len);
	csr->common_name = first_common_name(X509_REQ_get_subject_name(req_take));
	digest_sha256(der, len, csr->sha256);
	return csr;
}

static X509_REQ *
read_der(const uint8_t *der, size_t len, struct err *err)
{
	const uint8_t *at = der;
	X509_REQ *req = len <= CSR_MAX ? d2i_X509_REQ(NULL, &at, (long)len) : NULL;

	if (req && at == der + len)
		return req;
	X509_REQ_free(req);
	ERR_clear_error();
	return err_null(err, ERR_INVALID, "not a certificate signing request (PKCS #10)");
}

/* As OpenSSL reads it, key and all. */
static struct csr *
read_any(const uint8_t *der, size_t len, bool *verified, struct err *err)
{
	X509_REQ *req = read_der(der, len, err);
	EVP_PKEY *key = req ? X509_REQ_get_pubkey(req) : NULL;

	if (!req)
		return NULL;
	if (!key) {
		X509_REQ_free(req);
		ERR_clear_error();
		return err_null(err, ERR_INVALID, "not a certificate signing request (PKCS #10)");
	}
	*verified = key_is_acceptable(key) && X509_REQ_verify(req, key) == 1;
	ERR_clear_error();
	return csr_of(req, key, der, len);
}

static struct csr *
read_plain(const uint8_t *der, size_t len, bool *verified)
{
	struct csr_plain plain;
	struct csr *csr;

	if (len > CSR_MAX || !csr_plain_read(&plain, der, len))
		return NULL;
	*verified = csr_plain_verify(&plain);
	csr = csr_of(plain.req, plain.key, der, len);
	buf_put(&csr->key_info, plain.key_info, plain.key_info_len);
	return csr;
}

struct csr *
csr_from_der(const uint8_t *der, size_t len, struct err *err)
{
	bool verified = false;
	OWN(csr) csr = read_plain(der, len, &verified);

	if (!csr)
		csr = read_any(der, len, &verified, err);
	if (!csr)
		return NULL;
	if (!key_is_acceptable(csr->key))
		return err_null(err, ERR_INVALID, "CSR with a key of a kind or size that is not accepted");
	if (!verified)
		return err_null(err, ERR_INVALID, "CSR failed to be verified with its public key");
	return GIVE(csr);
}

/* Its DER with another key, signed by that; 0: it can't be. */
static int
sign_anew(X509_REQ *req, EVP_PKEY *pkey, uint8_t **der)
{
	if (X509_REQ_set_pubkey(req, pkey) != 1 ||
		X509_REQ_sign(req, pkey, EVP_PKEY_is_a(pkey, "ED25519") ? NULL : EVP_sha256()) <= 0)
		return 0;
	return i2d_X509_REQ(req, der);
}

struct csr *
csr_from_der_for(const uint8_t *der, size_t len, const struct key *key, struct err *err)
{
	X509_REQ *req = read_der(der, len, err);
	uint8_t *anew = NULL;
	int anew_len = req ? sign_anew(req, key_pkey(key), &anew) : 0;
	struct csr *csr = NULL;

	if (anew_len > 0) {
		EVP_PKEY_up_ref(key_pkey(key));
		csr = csr_of(req, key_pkey(key), anew, (size_t)anew_len);
		digest_sha256(der, len, csr->sha256); /* of what was asked */
	} else if (req) {
		X509_REQ_free(req);
		(void)err_set(err, ERR_BROKEN, "the request can't be signed with the key that was made for it");
	}
	OPENSSL_free(anew);
	ERR_clear_error();
	return csr;
}

struct csr *
csr_parse(const char *text, size_t len, struct err *err)
{
	struct csr *csr = NULL;
	struct pem pem;
	int found;

	pem_init(&pem, text, len);
	while ((found = pem_next(&pem, err)) > 0)
		if (slice_is(pem.label, "CERTIFICATE REQUEST") || slice_is(pem.label, "NEW CERTIFICATE REQUEST"))
			break;
	if (found > 0)
		csr = csr_from_der(pem.der.data, pem.der.len, err);
	else if (found == 0)
		err_set(err, ERR_INVALID, "there is no PEM certificate request in it");
	pem_clear(&pem);
	return csr;
}

void
csr_free(struct csr *csr)
{
	if (!csr)
		return;
	X509_REQ_free(csr->req);
	EVP_PKEY_free(csr->key);
	buf_clear(&csr->der);
	buf_clear(&csr->key_info);
	mem_free(csr->common_name);
	mem_free(csr);
}

const char *
csr_common_name(const struct csr *csr)
{
	return csr->common_name;
}

X509_NAME *
csr_subject(const struct csr *csr)
{
	return X509_REQ_get_subject_name(csr->req);
}

void
csr_put_der(const struct csr *csr, struct buf *out)
{
	buf_put(out, csr->der.data, csr->der.len);
}

EVP_PKEY *
csr_public_key(const struct csr *csr)
{
	return csr->key;
}

size_t
csr_names(const struct csr *csr, char **out, size_t max)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr->req);
	size_t n = alternative_names(extensions, out, max);

	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return n;
}

size_t
csr_count_names(const struct csr *csr)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr->req);
	size_t n = alternative_names_count(extensions);

	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return n;
}

size_t
csr_count_common_names(const struct csr *csr)
{
	const X509_NAME *name = X509_REQ_get_subject_name(csr->req);
	size_t n = 0;

	for (int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1); at >= 0;
		at = X509_NAME_get_index_by_NID(name, NID_commonName, at))
		n++;
	return n;
}

#define CHALLENGE_MAX 255 /* PKCS #9 pkcs-9-ub-challengePassword */

enum csr_challenge
csr_find_challenge(const struct csr *csr, char **out)
{
	int at = X509_REQ_get_attr_by_NID(csr->req, NID_pkcs9_challengePassword, -1);
	X509_ATTRIBUTE *attribute = at < 0 ? NULL : X509_REQ_get_attr(csr->req, at);
	ASN1_TYPE *value = attribute ? X509_ATTRIBUTE_get0_type(attribute, 0) : NULL;
	int kind = value ? ASN1_TYPE_get(value) : V_ASN1_UNDEF, len;
	const uint8_t *text;

	if (at < 0)
		return CSR_NO_CHALLENGE;
	if (X509_REQ_get_attr_by_NID(csr->req, NID_pkcs9_challengePassword, at) >= 0 || X509_ATTRIBUTE_count(attribute) != 1 ||
		(kind != V_ASN1_PRINTABLESTRING && kind != V_ASN1_UTF8STRING && kind != V_ASN1_T61STRING &&
			kind != V_ASN1_IA5STRING))
		return CSR_CROOKED_CHALLENGE;
	len = ASN1_STRING_length(value->value.asn1_string);
	text = ASN1_STRING_get0_data(value->value.asn1_string);
	if (len > CHALLENGE_MAX || memchr(text, 0, (size_t)len))
		return CSR_CROOKED_CHALLENGE;
	*out = mem_textn((const char *)text, (size_t)len);
	return CSR_CHALLENGE;
}

bool
csr_wants_encryption(const struct csr *csr)
{
	static const char *const ids[] = { "1.2.840.113549.1.9.16.2.37", "1.2.840.113549.1.9.16.2.54" };
	bool wants = false;

	for (size_t i = 0; i < COUNT(ids); i++) {
		ASN1_OBJECT *id = OBJ_txt2obj(ids[i], 1);

		wants |= X509_REQ_get_attr_by_OBJ(csr->req, id, -1) >= 0;
		ASN1_OBJECT_free(id);
	}
	return wants;
}

static bool
has_subject_of(const struct csr *csr, const struct cert *cert)
{
	const uint8_t *asked, *given;
	size_t n_asked, n_given;

	return X509_NAME_get0_der(X509_REQ_get_subject_name(csr->req), &asked, &n_asked) == 1 &&
	       X509_NAME_get0_der(X509_get_subject_name(cert_x509(cert)), &given, &n_given) == 1 && n_asked == n_given &&
	       memcmp(asked, given, n_asked) == 0;
}

bool
csr_is_named_as(const struct csr *csr, const struct cert *cert)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr->req);
	int at = X509v3_get_ext_by_NID(extensions, NID_subject_alt_name, -1), of;
	const ASN1_OCTET_STRING *asked = at < 0 ? NULL : X509_EXTENSION_get_data(X509v3_get_ext(extensions, at));
	bool twice = at >= 0 && X509v3_get_ext_by_NID(extensions, NID_subject_alt_name, at) >= 0, same;

	of = X509_get_ext_by_NID(cert_x509(cert), NID_subject_alt_name, -1);
	if (of < 0 || !asked)
		same = of < 0 && !asked;
	else
		same = ASN1_OCTET_STRING_cmp(asked, X509_EXTENSION_get_data(X509_get_ext(cert_x509(cert), of))) == 0;
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	ERR_clear_error();
	return same && !twice && has_subject_of(csr, cert);
}

const uint8_t *
csr_sha256(const struct csr *csr)
{
	return csr->sha256;
}

/* why: -1 when there is none, -2 when there are several; what is there and can't be read is NULL with another one. */
static bool
constraints_ask_ca(const STACK_OF(X509_EXTENSION) * extensions)
{
	int why = -1;
	BASIC_CONSTRAINTS *found = X509V3_get_d2i(extensions, NID_basic_constraints, &why, NULL);
	bool asks = found ? found->ca != 0 : why != -1;

	BASIC_CONSTRAINTS_free(found);
	return asks;
}

static void
put_der(struct buf *out, uint8_t *der_take, int len)
{
	if (len > 0)
		buf_put(out, der_take, (size_t)len);
	else
		out->failed = out->failed || len < 0;
	OPENSSL_free(der_take);
}

/* Three values of DER, so that none can be taken for a part of another. */
static void
put_wish(struct buf *out, const struct csr *csr)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr->req);
	uint8_t *der = NULL;
	int len;

	if (csr->key_info.len > 0) {
		buf_put(out, csr->key_info.data, csr->key_info.len);
	} else {
		len = i2d_PUBKEY(csr->key, &der);
		put_der(out, der, len);
	}
	der = NULL;
	len = i2d_X509_NAME(csr_subject(csr), &der);
	put_der(out, der, len);
	der = NULL;
	len = extensions ? i2d_X509_EXTENSIONS(extensions, &der) : 0;
	put_der(out, der, len);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	ERR_clear_error();
}

void
csr_wish_sha256(const struct csr *csr, uint8_t out[static DIGEST_SHA256_LEN])
{
	CLEAR(buf) wish = BUF_INIT(CSR_MAX);

	put_wish(&wish, csr);
	if (wish.failed)
		memcpy(out, csr_sha256(csr),
			DIGEST_SHA256_LEN); /* what can't be told apart from others is this very request alone */
	else
		digest_sha256(wish.data, wish.len, out);
}

bool
csr_wishes_same(const struct csr *a, const struct csr *b)
{
	uint8_t of_a[DIGEST_SHA256_LEN], of_b[DIGEST_SHA256_LEN];

	csr_wish_sha256(a, of_a);
	csr_wish_sha256(b, of_b);
	return memcmp(of_a, of_b, sizeof(of_a)) == 0;
}

static bool
usage_asks_ca(const STACK_OF(X509_EXTENSION) * extensions)
{
	enum { KEY_CERT_SIGN = 5, CRL_SIGN = 6 }; /* RFC 5280 4.2.1.3 */
	int why = -1;
	ASN1_BIT_STRING *found = X509V3_get_d2i(extensions, NID_key_usage, &why, NULL);
	bool asks = found ? ASN1_BIT_STRING_get_bit(found, KEY_CERT_SIGN) || ASN1_BIT_STRING_get_bit(found, CRL_SIGN) : why != -1;

	ASN1_BIT_STRING_free(found);
	return asks;
}

bool
csr_asks_ca(const struct csr *csr)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr->req);
	bool asks = constraints_ask_ca(extensions) || usage_asks_ca(extensions);

	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	ERR_clear_error();
	return asks;
}

bool
csr_is_signed_safely(const struct csr *csr)
{
	static const int safe[] = { NID_sha256, NID_sha384, NID_sha512, NID_sha3_256, NID_sha3_384, NID_sha3_512 };
	int algorithm = X509_REQ_get_signature_nid(csr->req), digest = NID_undef;

	if (algorithm == NID_ED25519)
		return true;
	if (algorithm == NID_rsassaPss || !OBJ_find_sigid_algs(algorithm, &digest, NULL))
		return false;
	for (size_t i = 0; i < COUNT(safe); i++)
		if (digest == safe[i])
			return true;
	return false;
}

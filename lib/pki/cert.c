/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate, read once: its dates, names and digests are taken when it is made, so that questions about it are look-ups. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "pki/alternative_names.h"
#include "pki/cert.h"
#include "wire/pem.h"

#define CERT_PEM_MAX (128 * 1024)

struct cert {
	X509 *x509;
	char *subject, *issuer, *common_name;
	int64_t not_before, not_after;
	uint8_t sha256[DIGEST_SHA256_LEN], sha1[DIGEST_SHA1_LEN];
	atomic_int n_refs;
};

static char *
name_text(const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;

	X509_NAME_print_ex(bio, name, 0,
		(XN_FLAG_ONELINE | XN_FLAG_DN_REV | XN_FLAG_SEP_CPLUS_SPC) & ~(unsigned long)XN_FLAG_SPC_EQ &
			~(unsigned long)ASN1_STRFLGS_ESC_MSB & ~(unsigned long)XN_FLAG_DN_REV);
	len = BIO_get_mem_data(bio, &data);
	text = mem_textn(data, (size_t)len);
	BIO_free(bio);
	return text;
}

/* atk-03: exactly one CN, as UTF-8 without NUL; anything else is no name. */
static char *
only_common_name(const X509_NAME *name)
{
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1), len;
	uint8_t *utf8 = NULL;
	char *text = NULL;

	if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
		return NULL;
	len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (len > 0 && !memchr(utf8, 0, (size_t)len) && text_is_utf8((char *)utf8, (size_t)len))
		text = mem_textn((char *)utf8, (size_t)len);
	OPENSSL_free(utf8);
	return text;
}

static int64_t
time_of(const ASN1_TIME *t, int64_t otherwise)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return otherwise;
	return (int64_t)timegm(&tm);
}

struct cert *
cert_from_x509(X509 *x509)
{
	struct cert *cert = NEW(cert);
	unsigned int len;

	X509_up_ref(x509);
	cert->x509 = x509;
	cert->n_refs = 1;
	cert->subject = name_text(X509_get_subject_name(x509));
	cert->issuer = name_text(X509_get_issuer_name(x509));
	cert->common_name = only_common_name(X509_get_subject_name(x509));
	/* Dates that cannot be read are dates that are never valid. */
	cert->not_before = time_of(X509_get0_notBefore(x509), INT64_MAX);
	cert->not_after = time_of(X509_get0_notAfter(x509), INT64_MIN);
	X509_digest(x509, EVP_sha256(), cert->sha256, &len);
	X509_digest(x509, EVP_sha1(), cert->sha1, &len);
	return cert;
}

struct cert *
cert_from_der(const uint8_t *der, size_t len, struct err *err)
{
	const uint8_t *at = der;
	X509 *x509 = len <= PEM_BLOCK_MAX ? d2i_X509(NULL, &at, (long)len) : NULL;
	struct cert *cert;

	if (!x509 || at != der + len) {
		X509_free(x509);
		ERR_clear_error();
		return err_null(err, ERR_INVALID, "not an X.509 certificate");
	}
	cert = cert_from_x509(x509);
	X509_free(x509);
	return cert;
}

/* Into the next element when it is of this tag, or past it. */
static bool
step(const uint8_t **at, const uint8_t *end, int tag, bool into)
{
	const uint8_t *content = *at;
	long len = 0;
	int found = 0, class = 0;

	if (content >= end || (ASN1_get_object(&content, &len, &found, &class, end - content) & 0x80) || found != tag)
		return false;
	*at = into ? content : content + len;
	return true;
}

bool
cert_read_not_after(const uint8_t *der, size_t len, int64_t *out)
{
	const uint8_t *at = der, *end = der + len;
	ASN1_TIME *time = NULL;
	bool good = step(&at, end, V_ASN1_SEQUENCE, true) && step(&at, end, V_ASN1_SEQUENCE, true);

	if (good && at < end && *at == 0xa0)
		good = step(&at, end, 0, false); /* the version */
	good = good && step(&at, end, V_ASN1_INTEGER, false) && step(&at, end, V_ASN1_SEQUENCE, false) &&
	       step(&at, end, V_ASN1_SEQUENCE, false) && step(&at, end, V_ASN1_SEQUENCE, true) &&
	       (step(&at, end, V_ASN1_UTCTIME, false) || step(&at, end, V_ASN1_GENERALIZEDTIME, false));
	time = good ? d2i_ASN1_TIME(NULL, &at, end - at) : NULL;
	*out = time ? time_of(time, INT64_MIN) : INT64_MIN;
	ASN1_TIME_free(time);
	ERR_clear_error();
	return *out != INT64_MIN;
}

struct cert *
cert_ref(struct cert *cert)
{
	if (cert)
		cert->n_refs++;
	return cert;
}

void
cert_free(struct cert *cert)
{
	if (!cert || --cert->n_refs > 0)
		return;
	X509_free(cert->x509);
	mem_free(cert->subject);
	mem_free(cert->issuer);
	mem_free(cert->common_name);
	mem_free(cert);
}

X509 *
cert_x509(const struct cert *cert)
{
	return cert->x509;
}

const uint8_t *
cert_sha256(const struct cert *cert)
{
	return cert->sha256;
}

const uint8_t *
cert_sha1(const struct cert *cert)
{
	return cert->sha1;
}

int64_t
cert_not_before(const struct cert *cert)
{
	return cert->not_before;
}

int64_t
cert_not_after(const struct cert *cert)
{
	return cert->not_after;
}

const char *
cert_subject(const struct cert *cert)
{
	return cert->subject;
}

const char *
cert_issuer(const struct cert *cert)
{
	return cert->issuer;
}

const char *
cert_common_name(const struct cert *cert)
{
	return cert->common_name;
}

bool
cert_is_same(const struct cert *a, const struct cert *b)
{
	return mem_equal_ct(a->sha256, b->sha256, sizeof(a->sha256));
}

bool
cert_is_same_ca(const struct cert *a, const struct cert *b)
{
	EVP_PKEY *key = X509_get0_pubkey(a->x509), *other = X509_get0_pubkey(b->x509);
	bool same = X509_NAME_cmp(X509_get_subject_name(a->x509), X509_get_subject_name(b->x509)) == 0 && key && other &&
		    EVP_PKEY_eq(key, other) == 1;

	ERR_clear_error();
	return same;
}

bool
cert_is_ca(const struct cert *cert)
{
	return (X509_get_extension_flags(cert->x509) & EXFLAG_CA) != 0;
}

long
cert_path_len(const struct cert *cert)
{
	return X509_get_pathlen(cert->x509);
}

bool
cert_is_self_issued(const struct cert *cert)
{
	return X509_NAME_cmp(X509_get_subject_name(cert->x509), X509_get_issuer_name(cert->x509)) == 0;
}

static bool
may(const struct cert *cert, uint32_t use)
{
	/* Without the extension every bit is set. */
	return (X509_get_extended_key_usage(cert->x509) & (use | XKU_ANYEKU)) != 0;
}

bool
cert_may_serve(const struct cert *cert)
{
	return may(cert, XKU_SSL_SERVER);
}

bool
cert_may_client(const struct cert *cert)
{
	return may(cert, XKU_SSL_CLIENT);
}

char *
cert_find_uri(const struct cert *cert, const char *start)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert->x509, NID_subject_alt_name, NULL, NULL);
	char *found = NULL;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const ASN1_IA5STRING *uri = name->type == GEN_URI ? name->d.uniformResourceIdentifier : NULL;
		size_t len = uri ? (size_t)ASN1_STRING_length(uri) : 0;

		if (len >= strlen(start) && memcmp(ASN1_STRING_get0_data(uri), start, strlen(start)) == 0)
			found = mem_textn((const char *)ASN1_STRING_get0_data(uri), len);
	}
	GENERAL_NAMES_free(names);
	return found;
}

size_t
cert_alternative_names(const struct cert *cert, char **out, size_t max)
{
	return alternative_names(X509_get0_extensions(cert->x509), out, max);
}

size_t
cert_count_alternative_names(const struct cert *cert)
{
	return alternative_names_count(X509_get0_extensions(cert->x509));
}

char *
cert_names(const struct cert *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert->x509, NID_subject_alt_name, NULL, NULL);
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		if (i > 0)
			BIO_puts(bio, ", ");
		GENERAL_NAME_print(bio, sk_GENERAL_NAME_value(names, i));
	}
	len = BIO_get_mem_data(bio, &data);
	text = mem_textn(data, (size_t)len);
	for (char *at = text; *at; at++)
		if (*at == '\n' || *at == '\r')
			*at = '.'; /* as OpenSSL shows every other control character: the text stays one line */
	BIO_free(bio);
	GENERAL_NAMES_free(names);
	return text;
}

char *
cert_key_text(const struct cert *cert)
{
	EVP_PKEY *public_key = X509_get0_pubkey(cert->x509);
	char text[KEY_DESCRIBE_LEN] = "unknown";

	if (public_key)
		key_pkey_describe(public_key, text);
	return mem_text(text);
}

bool
cert_matches_key(const struct cert *cert, const struct key *key)
{
	EVP_PKEY *public_key = X509_get0_pubkey(cert->x509);

	return public_key && EVP_PKEY_eq(public_key, key_pkey(key)) == 1;
}

void
cert_put_pem(const struct cert *cert, struct buf *out)
{
	uint8_t *der = NULL;
	int len = i2d_X509(cert->x509, &der);

	if (len > 0)
		pem_put(out, "CERTIFICATE", der, (size_t)len);
	else
		out->failed = true;
	OPENSSL_free(der);
}

char *
cert_pem(const struct cert *cert)
{
	struct buf pem = BUF_INIT(CERT_PEM_MAX);

	if (!cert)
		return NULL;
	cert_put_pem(cert, &pem);
	return buf_take_text(&pem);
}

const char *
cert_fingerprint(const struct cert *cert, char out[static CERT_FINGERPRINT_LEN])
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < DIGEST_SHA256_LEN; i++) {
		out[3 * i] = digits[cert->sha256[i] >> 4];
		out[3 * i + 1] = digits[cert->sha256[i] & 15];
		out[3 * i + 2] = ':';
	}
	out[CERT_FINGERPRINT_LEN - 1] = '\0';
	return out;
}

char *
cert_line(const struct cert *cert)
{
	char until[CLOCK_TEXT_LEN], fingerprint[CERT_FINGERPRINT_LEN];

	return mem_textf("%s  (until %.10s, SHA-256 %.11s…)", *cert->subject ? cert->subject : "(no subject)",
		clock_text(cert->not_after, until), cert_fingerprint(cert, fingerprint));
}

bool
cert_has_acceptable_key(const struct cert *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert->x509);

	return key && key_is_acceptable(key);
}

bool
cert_is_issued_by(const struct cert *cert, const struct cert *issuer)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer->x509);
	bool is = key && X509_check_issued(issuer->x509, cert->x509) == X509_V_OK && X509_verify(cert->x509, key) == 1;

	ERR_clear_error();
	return is;
}

int
cert_version(const struct cert *cert)
{
	return (int)X509_get_version(cert->x509) + 1;
}

void
cert_put_der(const struct cert *cert, struct buf *out)
{
	uint8_t *der = NULL;
	int len = i2d_X509(cert->x509, &der);

	if (len > 0)
		buf_put(out, der, (size_t)len);
	else
		out->failed = true;
	OPENSSL_free(der);
}

void
cert_key_sha256(const struct cert *cert, uint8_t out[static DIGEST_SHA256_LEN])
{
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert->x509), &der);

	digest_sha256(der, len > 0 ? (size_t)len : 0, out);
	OPENSSL_free(der);
}

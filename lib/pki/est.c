/* SPDX-License-Identifier: Apache-2.0 */
/* CMS, base64 and white space. */
#include <ctype.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pkcs7.h>

#include "base/mem.h"
#include "pki/est.h"
#include "wire/codec.h"
#include "wire/pem.h"

#define LINE 64

/* -- base64 --------------------------------------------------------------------------------------------------------------------------- */

void
est_put_der(struct buf *out, const void *der, size_t len)
{
	CLEAR(buf) text = BUF_INIT(2 * EST_BODY_MAX);

	base64_encode(&text, der, len);
	out->failed |= text.failed;
	for (size_t at = 0; at < text.len; at += LINE) {
		buf_put(out, text.data + at, text.len - at < LINE ? text.len - at : LINE);
		buf_putc(out, '\n');
	}
	buf_wipe(&text); /* it may have been a key */
}

static bool
is_pem(const char *text, size_t len)
{
	static const char begin[] = "-----BEGIN ";

	while (len > 0 && isspace((unsigned char)*text)) {
		text++;
		len--;
	}
	return len >= sizeof(begin) - 1 && memcmp(text, begin, sizeof(begin) - 1) == 0;
}

static int
take_pem(struct buf *der, const char *label, const char *text, size_t len, struct err *err)
{
	struct pem pem;
	int found;

	pem_init(&pem, text, len);
	found = pem_next(&pem, err);
	if (found > 0 && !slice_is(pem.label, label))
		found = err_set(
			err, ERR_INVALID, "a PEM block %.*s, where %s was expected", (int)pem.label.len, pem.label.text, label);
	if (found > 0)
		buf_put(der, pem.der.data, pem.der.len);
	pem_clear(&pem);
	return found > 0 ? 0 : -1;
}

/* Without the white space that may stand anywhere (RFC 8951 3.1). */
static bool
take_base64(struct buf *der, const char *text, size_t len)
{
	CLEAR(buf) bare = BUF_INIT(EST_BODY_MAX);

	for (size_t i = 0; i < len; i++)
		if (!isspace((unsigned char)text[i]))
			buf_putc(&bare, text[i]);
	return bare.len > 0 && base64_decode(der, buf_text(&bare), bare.len, BASE64_STRICT);
}

int
est_take_der(struct buf *der, const char *label, const void *body, size_t len, struct err *err)
{
	const char *text = body;

	if (len > EST_BODY_MAX)
		return err_set(err, ERR_LIMIT, "larger than %d bytes", EST_BODY_MAX);
	if (is_pem(text, len))
		return take_pem(der, label, text, len, err);
	if (take_base64(der, text, len))
		return 0;
	if (len == 0 || text[0] != 0x30) /* a sequence */
		return err_set(err, ERR_INVALID, "neither base64 nor DER");
	buf_put(der, body, len);
	return 0;
}

/* -- Certificates ------------------------------------------------------------------------------------------------------------------------ */

static PKCS7 *
new_signed_data(void)
{
	PKCS7 *cms = PKCS7_new();

	if (cms && PKCS7_set_type(cms, NID_pkcs7_signed) == 1 && PKCS7_content_new(cms, NID_pkcs7_data) == 1) {
		PKCS7_set_detached(cms, 1);
		return cms;
	}
	PKCS7_free(cms);
	return NULL;
}

static bool
add_certs(PKCS7 *cms, const struct certs *certs)
{
	for (size_t i = 0; i < certs->n; i++)
		if (PKCS7_add_certificate(cms, cert_x509(certs->item[i])) != 1)
			return false;
	return true;
}

int
est_put_certs(struct buf *out, const struct certs *certs, struct err *err)
{
	PKCS7 *cms = new_signed_data();
	uint8_t *der = NULL;
	int len = cms && add_certs(cms, certs) ? i2d_PKCS7(cms, &der) : -1;

	PKCS7_free(cms);
	ERR_clear_error();
	if (len > 0)
		est_put_der(out, der, (size_t)len);
	OPENSSL_free(der);
	return len > 0 && !out->failed ? 0 : err_set(err, ERR_LIMIT, "the certificates could not be put into one message");
}

static STACK_OF(X509) * certs_of(PKCS7 *cms)
{
	return cms && PKCS7_type_is_signed(cms) && cms->d.sign ? cms->d.sign->cert : NULL;
}

static int
check_certs(PKCS7 *cms, struct err *err)
{
	int n = sk_X509_num(certs_of(cms));

	if (!cms)
		return err_set(err, ERR_INVALID, "not a CMS message (PKCS #7)");
	if (n <= 0)
		return err_set(err, ERR_INVALID, "a CMS message without certificates");
	return n <= EST_CERTS_MAX ? 0 : err_set(err, ERR_LIMIT, "more than %d certificates", EST_CERTS_MAX);
}

int
est_take_certs(struct certs *out, const void *body, size_t len, struct err *err)
{
	CLEAR(buf) der = BUF_INIT(EST_BODY_MAX);
	const uint8_t *at;
	PKCS7 *cms;
	int done;

	if (est_take_der(&der, "PKCS7", body, len, err) < 0)
		return -1;
	at = der.data;
	cms = d2i_PKCS7(NULL, &at, (long)der.len);
	if (cms && at != der.data + der.len) {
		PKCS7_free(cms);
		cms = NULL;
	}
	ERR_clear_error();
	done = check_certs(cms, err);
	for (int i = 0; done == 0 && i < sk_X509_num(certs_of(cms)); i++) {
		OWN(cert) cert = cert_from_x509(sk_X509_value(certs_of(cms), i));

		certs_add(out, cert);
	}
	PKCS7_free(cms);
	return done;
}

/* -- Requests ---------------------------------------------------------------------------------------------------------------------------- */

struct csr *
est_take_csr(const void *body, size_t len, struct err *err)
{
	CLEAR(buf) der = BUF_INIT(EST_BODY_MAX);

	if (est_take_der(&der, "CERTIFICATE REQUEST", body, len, err) < 0)
		return NULL;
	return csr_from_der(der.data, der.len, err);
}

struct csr *
est_take_csr_for(const void *body, size_t len, const struct key *key, struct err *err)
{
	CLEAR(buf) der = BUF_INIT(EST_BODY_MAX);

	if (est_take_der(&der, "CERTIFICATE REQUEST", body, len, err) < 0)
		return NULL;
	return csr_from_der_for(der.data, der.len, key, err);
}

int
est_put_key(struct buf *out, const struct key *key, struct err *err)
{
	PKCS8_PRIV_KEY_INFO *info = key_is_remote(key) ? NULL : EVP_PKEY2PKCS8(key_pkey(key));
	uint8_t *der = NULL;
	int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : 0;

	PKCS8_PRIV_KEY_INFO_free(info);
	ERR_clear_error();
	if (len <= 0)
		return err_set(err, ERR_DENIED, "the private key can't be told: it does not leave the place where it is");
	est_put_der(out, der, (size_t)len);
	OPENSSL_clear_free(der, (size_t)len);
	return 0;
}

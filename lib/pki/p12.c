/* SPDX-License-Identifier: Apache-2.0 */
/* Writing PKCS #12 (p12.h). */
#include "pki/p12.h"

#include <string.h>

#include <openssl/pkcs12.h>

#include "base/text.h"

/* RFC 7292 knows no better protection of the key than many rounds: so many take a tenth of a second, and all readers accept them. */
#define ROUNDS 100000

static int
check(const struct certs *chain, const struct key *key, const char *password, struct err *err)
{
	size_t len = strlen(password);

	if (!cert_matches_key(chain->item[0], key))
		return err_set(err, ERR_INVALID, "the key is not that of %s", cert_subject(chain->item[0]));
	if (key_is_remote(key))
		return err_set(err, ERR_DENIED, "the key can't leave where it is");
	if (len == 0 || len > P12_PASSWORD_MAX || !text_is_utf8(password, len))
		return err_set(err, ERR_INVALID, "a password has 1 to %d bytes, in UTF-8", P12_PASSWORD_MAX);
	return 0;
}

static PKCS12 *
make(const struct certs *chain, const struct key *key, const char *password)
{
	STACK_OF(X509) *above = sk_X509_new_null();
	PKCS12 *p12;

	for (size_t i = 1; i < chain->n; i++)
		sk_X509_push(above, cert_x509(chain->item[i]));
	p12 = PKCS12_create(password, cert_common_name(chain->item[0]), key_pkey(key), cert_x509(chain->item[0]), above, 0, 0,
		ROUNDS, ROUNDS, 0);
	sk_X509_free(above);
	return p12;
}

int
p12_put(struct buf *out, const struct certs *chain, const struct key *key, const char *password, struct err *err)
{
	uint8_t *der = NULL;
	PKCS12 *p12;
	int len;

	if (check(chain, key, password, err) < 0)
		return -1;
	p12 = make(chain, key, password);
	len = p12 ? i2d_PKCS12(p12, &der) : -1;
	if (len > 0)
		buf_put(out, der, (size_t)len);
	OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
	PKCS12_free(p12);
	return len > 0 && !out->failed ? 0 : err_set(err, ERR_BROKEN, "PKCS #12 can't be made of %s", cert_subject(chain->item[0]));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and reading PKCS #12 (p12.h). */
#include "pki/p12.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/pkcs12.h>

#include "base/mem.h"
#include "base/text.h"

/* RFC 7292 knows no better protection of the key than many rounds: so many take a tenth of a second, and all readers accept them. */
#define ROUNDS 100000
#define DEPTH_MAX 4 /* bags in bags, of who reads */

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

/* -- Reading ------------------------------------------------------------------------------------------------------------------------- */

/* SEQUENCE, then INTEGER 3 (RFC 7292 4): no certificate begins so, nor does PEM. */
bool
p12_is(const struct buf *bytes)
{
	static const uint8_t version[] = { 0x02, 0x01, 0x03 };
	struct rd in = rd_over(bytes->data, bytes->len);
	uint8_t len;

	if (rd_u8(&in) != 0x30)
		return false;
	len = rd_u8(&in);
	if (len >= 0x80)
		(void)rd_bytes(&in, len & 0x7f);
	for (size_t i = 0; i < COUNT(version); i++)
		if (rd_u8(&in) != version[i])
			return false;
	return !in.bad;
}

struct reading {
	const char *password;
	int password_len;
	struct certs *own, *others;
	size_t max;
	struct err *err;
};

static int
refuse(const struct reading *r, enum err_kind kind, const char *why)
{
	return r->err->kind == ERR_NONE ? err_set(r->err, kind, "PKCS #12: %s", why) : -1;
}

static bool
is_of(const X509_ALGOR *alg, int nid)
{
	return OBJ_obj2nid(alg->algorithm) == nid;
}

/* Whoever made the file chooses how long we compute before a wrong password is noticed.  PBMAC1's parameters are like those of PBES2: how the key is derived, and what it is for. */
static bool
has_few_rounds(const X509_ALGOR *alg)
{
	const ASN1_TYPE *parameter = alg->parameter;
	PBE2PARAM *pbe2 = NULL;
	PBKDF2PARAM *kdf = NULL;
	PBEPARAM *pbe = NULL;
	int64_t rounds = 0;
	bool few = false;

	if (!parameter || parameter->type != V_ASN1_SEQUENCE)
		return false;
	if (is_of(alg, NID_pbes2) || is_of(alg, NID_pbmac1)) {
		pbe2 = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), parameter);
		kdf = pbe2 ? ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), pbe2->keyfunc->parameter) : NULL;
		few = kdf && ASN1_INTEGER_get_int64(&rounds, kdf->iter) == 1 && rounds <= P12_ROUNDS_MAX;
	} else {
		pbe = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), parameter);
		few = pbe && ASN1_INTEGER_get_int64(&rounds, pbe->iter) == 1 && rounds <= P12_ROUNDS_MAX;
	}
	PBE2PARAM_free(pbe2);
	PBKDF2PARAM_free(kdf);
	PBEPARAM_free(pbe);
	return few;
}

static int
take_cert(const struct reading *r, const PKCS12_SAFEBAG *bag)
{
	X509 *x509 = PKCS12_SAFEBAG_get1_cert(bag);
	OWN(cert) cert = x509 ? cert_from_x509(x509) : NULL;

	X509_free(x509);
	if (!cert)
		return refuse(r, ERR_INVALID, "a certificate in it can't be read");
	if (r->own->n + r->others->n == r->max)
		return refuse(r, ERR_LIMIT, "there are too many certificates in it");
	certs_add(PKCS12_SAFEBAG_get0_attr(bag, NID_localKeyID) ? r->own : r->others, cert);
	return 0;
}

static int
take_bags(const struct reading *r, const STACK_OF(PKCS12_SAFEBAG) * bags, int depth)
{
	if (depth > DEPTH_MAX)
		return refuse(r, ERR_LIMIT, "bags in bags in bags");
	for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags); i++) {
		const PKCS12_SAFEBAG *bag = sk_PKCS12_SAFEBAG_value(bags, i);
		int nid = PKCS12_SAFEBAG_get_nid(bag);

		if (nid == NID_certBag && PKCS12_SAFEBAG_get_bag_nid(bag) == NID_x509Certificate && take_cert(r, bag) < 0)
			return -1;
		if (nid == NID_safeContentsBag && take_bags(r, PKCS12_SAFEBAG_get0_safes(bag), depth + 1) < 0)
			return -1;
	}
	return 0;
}

static int
take_safe(const struct reading *r, PKCS7 *safe)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	int done;

	if (PKCS7_type_is_data(safe)) {
		bags = PKCS12_unpack_p7data(safe);
	} else if (PKCS7_type_is_encrypted(safe)) {
		if (!has_few_rounds(safe->d.encrypted->enc_data->algorithm))
			return refuse(r, ERR_LIMIT,
				"it is encrypted with more rounds than any program has a reason for, or in no known way");
		bags = PKCS12_unpack_p7encdata(safe, r->password, r->password_len);
	} else {
		return 0; /* for the holder of a key: nothing that we could read */
	}
	if (!bags)
		return refuse(r, ERR_INVALID,
			"it can't be decrypted: another password, or an encryption that is not read any more (openssl pkcs12 "
			"-legacy "
			"reads RC2)");
	done = take_bags(r, bags, 0);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return done;
}

static int
take_safes(const struct reading *r, const PKCS12 *p12)
{
	STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(p12);
	int done = safes ? 0 : refuse(r, ERR_INVALID, "its content can't be read");

	for (int i = 0; done == 0 && i < sk_PKCS7_num(safes); i++)
		done = take_safe(r, sk_PKCS7_value(safes, i));
	sk_PKCS7_pop_free(safes, PKCS7_free);
	return done;
}

/* RFC 9579: the rounds are in other places, and libraries before OpenSSL 3.4 take any password for a wrong one. */
static int
check_pbmac1(const struct reading *r, const X509_ALGOR *alg)
{
	if (!has_few_rounds(alg))
		return refuse(r, ERR_LIMIT,
			"its password is checked with more rounds than any program has a reason for, or in no known way");
	if (OPENSSL_version_major() == 3 && OPENSSL_version_minor() < 4)
		return refuse(r, ERR_INVALID,
			"its password is checked by PBMAC1 (RFC 9579), which needs OpenSSL 3.4, and an older one is in use here: "
			"make the file "
			"without (openssl pkcs12 -export without -pbmac1_pbkdf2)");
	return 0;
}

/* Whether the password is right is known before anything is decrypted.  Some programs take none for "", others for NULL. */
static int
check_mac(struct reading *r, PKCS12 *p12)
{
	const ASN1_INTEGER *rounds = NULL;
	const X509_ALGOR *alg = NULL;
	int64_t n = 1;

	if (!PKCS12_mac_present(p12))
		return 0;
	PKCS12_get0_mac(NULL, &alg, NULL, &rounds, p12);
	if (is_of(alg, NID_pbmac1) && check_pbmac1(r, alg) < 0)
		return -1;
	if (rounds && (ASN1_INTEGER_get_int64(&n, rounds) != 1 || n > P12_ROUNDS_MAX))
		return refuse(r, ERR_LIMIT, "its password is checked with more rounds than any program has a reason for");
	if (PKCS12_verify_mac(p12, r->password, r->password_len))
		return 0;
	if (r->password_len == 0 && PKCS12_verify_mac(p12, NULL, 0)) {
		r->password = NULL;
		return 0;
	}
	return refuse(r, ERR_DENIED, r->password_len == 0 ? "it has a password" : "it has another password");
}

static PKCS12 *
decode(const struct buf *bytes)
{
	const uint8_t *at = bytes->data;
	PKCS12 *p12 = d2i_PKCS12(NULL, &at, (long)bytes->len);

	if (p12 && at == bytes->data + bytes->len)
		return p12;
	PKCS12_free(p12);
	return NULL;
}

int
p12_take_certs(struct certs *out, const struct buf *bytes, const char *password, size_t max, struct err *err)
{
	CLEAR(certs) own = { 0 };
	CLEAR(certs) others = { 0 };
	struct reading r = { password, (int)strnlen(password, P12_PASSWORD_MAX), &own, &others, max, err };
	PKCS12 *p12 = decode(bytes);
	int done = p12 ? check_mac(&r, p12) : refuse(&r, ERR_INVALID, "it is damaged, or cut off");

	if (done == 0)
		done = take_safes(&r, p12);
	if (done == 0 && own.n + others.n == 0)
		done = refuse(&r, ERR_INVALID, "there is no certificate in it");
	for (size_t i = 0; done == 0 && i < own.n; i++)
		certs_add(out, own.item[i]);
	for (size_t i = 0; done == 0 && i < others.n; i++)
		certs_add(out, others.item[i]);
	PKCS12_free(p12);
	ERR_clear_error();
	return done;
}

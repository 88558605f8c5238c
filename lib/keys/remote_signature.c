/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures with a remote key: digest and RSA padding are made here, the private operation elsewhere.  Covers what TLS 1.2 and 1.3, CSRs and certificates
 * ask for: ECDSA, RSA with PKCS #1 v1.5 and PSS (RFC 8017 9.1 and 9.2), Ed25519, whose private operation takes the whole message (RFC 8032). */
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "keys/remote_key.h"

#define BLOCK_MAX 2048 /* bytes: RSA of 16384 bits */
#define SALT_MAX 128

struct signing {
	struct remote_key *key;
	EVP_MD *md;
	EVP_MD_CTX *digest;
	int padding;  /* RSA_PKCS1_PADDING or RSA_PKCS1_PSS_PADDING */
	int salt_len; /* -1: as long as the digest */
};

static void *
sign_newctx(void *provider, const char *propq)
{
	struct signing *s = NEW(signing);

	(void)provider;
	(void)propq;
	s->padding = RSA_PKCS1_PADDING;
	s->salt_len = RSA_PSS_SALTLEN_DIGEST;
	return s;
}

static void
sign_freectx(void *ctx)
{
	struct signing *s = ctx;

	if (!s)
		return;
	remote_key_free(s->key);
	EVP_MD_CTX_free(s->digest);
	EVP_MD_free(s->md);
	mem_free(s);
}

static void *
sign_dupctx(void *ctx)
{
	struct signing *s = ctx, *copy = sign_newctx(NULL, NULL);

	*copy = *s;
	if (s->key)
		remote_key_ref(s->key);
	if (s->md)
		EVP_MD_up_ref(s->md);
	copy->digest = NULL;
	if (s->digest) {
		copy->digest = EVP_MD_CTX_new();
		if (EVP_MD_CTX_copy_ex(copy->digest, s->digest) != 1) {
			sign_freectx(copy);
			return NULL;
		}
	}
	return copy;
}

static int
use_digest(struct signing *s, const char *name)
{
	EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);

	if (!md)
		return 0;
	EVP_MD_free(s->md);
	s->md = md;
	return 1;
}

static int
set_padding(struct signing *s, const OSSL_PARAM *p)
{
	int padding = 0;

	if (p->data_type == OSSL_PARAM_UTF8_STRING)
		padding = text_is(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS)	     ? RSA_PKCS1_PSS_PADDING
			  : text_is(p->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) ? RSA_PKCS1_PADDING
									     : 0;
	else if (!OSSL_PARAM_get_int(p, &padding))
		return 0;
	if (padding != RSA_PKCS1_PADDING && padding != RSA_PKCS1_PSS_PADDING)
		return 0;
	s->padding = padding;
	return 1;
}

static int
set_salt_len(struct signing *s, const OSSL_PARAM *p)
{
	int64_t len;

	if (p->data_type != OSSL_PARAM_UTF8_STRING)
		return OSSL_PARAM_get_int(p, &s->salt_len);
	if (text_is(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST))
		len = RSA_PSS_SALTLEN_DIGEST;
	else if (!text_to_i64(p->data, 0, SALT_MAX, &len))
		return 0;
	s->salt_len = (int)len;
	return 1;
}

/* MGF1 with another digest than the message's is legal and used by nobody: refused, because what is not set must not be signed. */
static int
check_mgf1(const struct signing *s, const OSSL_PARAM *p)
{
	return p->data_type == OSSL_PARAM_UTF8_STRING && s->md && EVP_MD_is_a(s->md, p->data);
}

static int
sign_set_params(void *ctx, const OSSL_PARAM params[])
{
	struct signing *s = ctx;
	const OSSL_PARAM *p;

	if (!params)
		return 1;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_DIGEST);
	if (p && (p->data_type != OSSL_PARAM_UTF8_STRING || !use_digest(s, p->data)))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (p && !set_padding(s, p))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST);
	if (p && !check_mgf1(s, p))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	return !p || set_salt_len(s, p);
}

static const OSSL_PARAM *
sign_settable(void *ctx, void *provider)
{
	static const OSSL_PARAM settable[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)ctx;
	(void)provider;
	return settable;
}

/* The AlgorithmIdentifier that X.509 writes next to the signature. */
static int
put_algorithm_id(const struct signing *s, OSSL_PARAM *p)
{
	int md = s->md ? EVP_MD_get_type(s->md) : NID_undef, nid = NID_undef;
	X509_ALGOR *algorithm;
	uint8_t *der = NULL;
	int len, ok;

	if (s->key->is_rsa)
		nid = md == NID_sha256	 ? NID_sha256WithRSAEncryption
		      : md == NID_sha384 ? NID_sha384WithRSAEncryption
		      : md == NID_sha512 ? NID_sha512WithRSAEncryption
					 : NID_undef;
	else
		nid = md == NID_sha256	 ? NID_ecdsa_with_SHA256
		      : md == NID_sha384 ? NID_ecdsa_with_SHA384
		      : md == NID_sha512 ? NID_ecdsa_with_SHA512
					 : NID_undef;
	if (nid == NID_undef || s->padding == RSA_PKCS1_PSS_PADDING)
		return 0;
	algorithm = X509_ALGOR_new();
	X509_ALGOR_set0(algorithm, OBJ_nid2obj(nid), s->key->is_rsa ? V_ASN1_NULL : V_ASN1_UNDEF, NULL);
	len = i2d_X509_ALGOR(algorithm, &der);
	ok = len > 0 && OSSL_PARAM_set_octet_string(p, der, (size_t)len);
	OPENSSL_free(der);
	X509_ALGOR_free(algorithm);
	return ok;
}

static int
sign_get_params(void *ctx, OSSL_PARAM params[])
{
	struct signing *s = ctx;
	OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID);

	if (p && !put_algorithm_id(s, p))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_DIGEST);
	return !p || OSSL_PARAM_set_utf8_string(p, s->md ? EVP_MD_get0_name(s->md) : "");
}

static const OSSL_PARAM *
sign_gettable(void *ctx, void *provider)
{
	static const OSSL_PARAM gettable[] = {
		OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)ctx;
	(void)provider;
	return gettable;
}

static int
use_key(struct signing *s, void *handle)
{
	struct remote_key **key = handle;

	if (!key)
		return s->key != NULL;
	remote_key_ref(*key);
	remote_key_free(s->key);
	s->key = *key;
	return 1;
}

static int
sign_init(void *ctx, void *handle, const OSSL_PARAM params[])
{
	return use_key(ctx, handle) && sign_set_params(ctx, params);
}

static int
digest_sign_init(void *ctx, const char *md_name, void *handle, const OSSL_PARAM params[])
{
	struct signing *s = ctx;

	if (!use_key(s, handle) || !use_digest(s, md_name && *md_name ? md_name : "SHA256") || !sign_set_params(s, params))
		return 0;
	if (!s->digest)
		s->digest = EVP_MD_CTX_new();
	return EVP_DigestInit_ex2(s->digest, s->md, NULL);
}

static int
digest_sign_update(void *ctx, const unsigned char *data, size_t len)
{
	struct signing *s = ctx;

	return EVP_DigestUpdate(s->digest, data, len);
}

/* RFC 8017 B.2.1: mask the bytes at out with MGF1 of seed. */
static int
mask(const EVP_MD *md, uint8_t *out, size_t len, const uint8_t *seed, size_t seed_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t block[EVP_MAX_MD_SIZE], counter[4];
	size_t h = (size_t)EVP_MD_get_size(md);
	int ok = 1;

	for (size_t at = 0; at < len && ok; at += h) {
		uint32_t i = (uint32_t)(at / h);

		for (int b = 0; b < 4; b++)
			counter[b] = (uint8_t)(i >> (24 - 8 * b));
		ok = EVP_DigestInit_ex2(ctx, md, NULL) && EVP_DigestUpdate(ctx, seed, seed_len) &&
		     EVP_DigestUpdate(ctx, counter, 4) && EVP_DigestFinal_ex(ctx, block, NULL);
		for (size_t b = 0; b < h && at + b < len && ok; b++)
			out[at + b] ^= block[b];
	}
	EVP_MD_CTX_free(ctx);
	return ok;
}

/* RFC 8017 9.1.1: EMSA-PSS into a block as long as the modulus. */
static int
encode_pss(const struct signing *s, uint8_t *block, size_t len, const uint8_t *hash, size_t h)
{
	static const uint8_t zeros[8];
	size_t salt_len = s->salt_len >= 0 ? (size_t)s->salt_len : h, db_len;
	size_t bits = (size_t)EVP_PKEY_get_bits(s->key->public_half) - 1, em_len = (bits + 7) / 8;
	uint8_t salt[SALT_MAX], *em = block + (len - em_len), *digest;
	EVP_MD_CTX *ctx;
	int ok;

	if (salt_len > sizeof(salt) || em_len < h + salt_len + 2)
		return 0;
	memset(block, 0, len);
	db_len = em_len - h - 1;
	digest = em + db_len;
	random_bytes(salt, salt_len);
	ctx = EVP_MD_CTX_new();
	ok = EVP_DigestInit_ex2(ctx, s->md, NULL) && EVP_DigestUpdate(ctx, zeros, sizeof(zeros)) &&
	     EVP_DigestUpdate(ctx, hash, h) && EVP_DigestUpdate(ctx, salt, salt_len) && EVP_DigestFinal_ex(ctx, digest, NULL);
	EVP_MD_CTX_free(ctx);
	em[db_len - salt_len - 1] = 1;
	memcpy(em + db_len - salt_len, salt, salt_len);
	ok = ok && mask(s->md, em, db_len, digest, h);
	em[0] &= (uint8_t)(0xff >> (8 * em_len - bits));
	em[em_len - 1] = 0xbc;
	return ok;
}

/* RFC 8017 9.2: EMSA-PKCS1-v1_5; DigestInfo comes from X509_SIG. */
static int
encode_pkcs1(const struct signing *s, uint8_t *block, size_t len, const uint8_t *hash, size_t h)
{
	X509_SIG *info = X509_SIG_new();
	X509_ALGOR *algorithm;
	ASN1_OCTET_STRING *digest;
	uint8_t *der = NULL;
	int der_len;

	X509_SIG_getm(info, &algorithm, &digest);
	X509_ALGOR_set0(algorithm, OBJ_nid2obj(EVP_MD_get_type(s->md)), V_ASN1_NULL, NULL);
	ASN1_OCTET_STRING_set(digest, hash, (int)h);
	der_len = i2d_X509_SIG(info, &der);
	X509_SIG_free(info);
	if (der_len <= 0 || (size_t)der_len + 11 > len) {
		OPENSSL_free(der);
		return 0;
	}
	memset(block, 0xff, len);
	block[0] = 0;
	block[1] = 1;
	block[len - (size_t)der_len - 1] = 0;
	memcpy(block + len - der_len, der, (size_t)der_len);
	OPENSSL_free(der);
	return 1;
}

/* The sentence of the other side goes into OpenSSL's queue, where the caller of libssl or libcrypto looks for it; once as OpenSSL's own failures stand there, once with its kind for
 * key_remote_failure. */
static int
ask(const struct signing *s, const uint8_t *tbs, size_t len, uint8_t *sig, size_t *sig_len)
{
	struct err err = ERR_INIT;

	if (s->key->ops->sign(s->key->arg, tbs, len, sig, sig_len, &err) == 0)
		return 1;
	ERR_raise_data(ERR_LIB_PROV, ERR_R_OPERATION_FAIL, "%s", err.text);
	ERR_raise_data(ERR_LIB_USER, (int)err.kind, "%s", err.text);
	return 0;
}

bool
key_remote_failure(struct err *err)
{
	const char *text = NULL;
	int flags = 0;
	unsigned long code;

	while ((code = ERR_get_error_all(NULL, NULL, NULL, &text, &flags)) != 0)
		if (ERR_GET_LIB(code) == ERR_LIB_USER && (flags & ERR_TXT_STRING)) {
			(void)err_set(err, (enum err_kind)ERR_GET_REASON(code), "%s", text);
			ERR_clear_error();
			return true;
		}
	return false;
}

static int
sign_digest(struct signing *s, uint8_t *sig, size_t *sig_len, size_t size, const uint8_t *hash, size_t h)
{
	size_t needed = (size_t)EVP_PKEY_get_size(s->key->public_half);
	uint8_t block[BLOCK_MAX];
	int padded;

	if (!sig) {
		*sig_len = needed;
		return 1;
	}
	if (size < needed || needed > sizeof(block))
		return 0;
	*sig_len = size;
	if (!s->key->is_rsa)
		return ask(s, hash, h, sig, sig_len);
	padded = s->padding == RSA_PKCS1_PSS_PADDING ? encode_pss(s, block, needed, hash, h)
						     : encode_pkcs1(s, block, needed, hash, h);
	return padded && ask(s, block, needed, sig, sig_len);
}

static int
sign_sign(void *ctx, unsigned char *sig, size_t *sig_len, size_t size, const unsigned char *tbs, size_t len)
{
	struct signing *s = ctx;

	if (s->key->is_rsa && (!s->md || len != (size_t)EVP_MD_get_size(s->md)))
		return 0;
	return sign_digest(s, sig, sig_len, size, tbs, len);
}

static int
digest_sign_final(void *ctx, unsigned char *sig, size_t *sig_len, size_t size)
{
	struct signing *s = ctx;
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned int h = 0;

	if (sig && !EVP_DigestFinal_ex(s->digest, hash, &h))
		return 0;
	return sign_digest(s, sig, sig_len, size, hash, h);
}

const OSSL_DISPATCH remote_signature[] = {
	{ OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))sign_newctx },
	{ OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))sign_freectx },
	{ OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))sign_dupctx },
	{ OSSL_FUNC_SIGNATURE_SIGN_INIT, (void (*)(void))sign_init },
	{ OSSL_FUNC_SIGNATURE_SIGN, (void (*)(void))sign_sign },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))digest_sign_init },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, (void (*)(void))digest_sign_update },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, (void (*)(void))digest_sign_final },
	{ OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, (void (*)(void))sign_get_params },
	{ OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, (void (*)(void))sign_gettable },
	{ OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (void (*)(void))sign_set_params },
	{ OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (void (*)(void))sign_settable },
	{ 0, NULL },
};

/* -- Ed25519: no digest, no padding, and all of the message at once --------------------------------------------------------------------------- */

#define ED25519_SIGNATURE_LEN 64

static int
eddsa_init(void *ctx, const char *md_name, void *handle, const OSSL_PARAM params[])
{
	(void)params;
	return (!md_name || !*md_name) && use_key(ctx, handle);
}

static int
eddsa_sign(void *ctx, unsigned char *sig, size_t *sig_len, size_t size, const unsigned char *message, size_t len)
{
	struct signing *s = ctx;

	if (!sig) {
		*sig_len = ED25519_SIGNATURE_LEN;
		return 1;
	}
	*sig_len = size;
	return size >= ED25519_SIGNATURE_LEN && ask(s, message, len, sig, sig_len);
}

/* RFC 8410 3: an AlgorithmIdentifier without parameters. */
static int
eddsa_get_params(void *ctx, OSSL_PARAM params[])
{
	static const uint8_t id[] = { 0x30, 5, 6, 3, 0x2b, 0x65, 0x70 };
	OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID);

	(void)ctx;
	return !p || OSSL_PARAM_set_octet_string(p, id, sizeof(id));
}

const OSSL_DISPATCH remote_eddsa[] = {
	{ OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))sign_newctx },
	{ OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))sign_freectx },
	{ OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))sign_dupctx },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))eddsa_init },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (void (*)(void))eddsa_sign },
	{ OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, (void (*)(void))eddsa_get_params },
	{ OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, (void (*)(void))sign_gettable },
	{ 0, NULL },
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Private operations and public parameters, as the keys service offers them. */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "base/mem.h"
#include "base/text.h"
#include "keys/key_raw.h"

#define SIGNATURE_MAX 2048
#define ED25519_LEN 32

bool
key_raw_is_rsa(const struct key *key)
{
	return EVP_PKEY_is_a(key_pkey(key), "RSA");
}

static int
private_operation(const struct key *key, int padding, const void *data, size_t len, struct buf *out, struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key_pkey(key), NULL);
	uint8_t result[SIGNATURE_MAX];
	size_t result_len = sizeof(result);
	bool good = ctx && EVP_PKEY_sign_init(ctx) == 1 && (padding == 0 || EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1) &&
		    EVP_PKEY_sign(ctx, result, &result_len, data, len) == 1;

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	if (!good)
		return err_set(err, ERR_INVALID, "the key can't do this with %zu bytes", len);
	buf_put(out, result, result_len);
	return 0;
}

/* RFC 8017 9.2 without the hash: 00 01 FF... 00 and the block. */
static int
pad_pkcs1(uint8_t *out, size_t size, const void *data, size_t len, struct err *err)
{
	if (len + 11 > size)
		return err_set(err, ERR_INVALID, "the key can't do this with %zu bytes", len);
	memset(out, 0xff, size);
	out[0] = 0;
	out[1] = 1;
	out[size - len - 1] = 0;
	memcpy(out + size - len, data, len);
	return 0;
}

/* The key is in a token or a TPM, which is asked as it is: its own failures are told, not OpenSSL's. */
static int
remote_operation(const struct key *key, int padding, const void *data, size_t len, struct buf *out, struct err *err)
{
	uint8_t block[SIGNATURE_MAX], result[SIGNATURE_MAX];
	size_t size = (size_t)EVP_PKEY_get_size(key_pkey(key)), result_len = sizeof(result);

	if (size > sizeof(block))
		return err_set(err, ERR_LIMIT, "a key of %zu bytes", size);
	if (padding == RSA_NO_PADDING && len != size)
		return err_set(err, ERR_INVALID, "the key can't do this with %zu bytes", len);
	if (padding == RSA_PKCS1_PADDING) {
		if (pad_pkcs1(block, size, data, len, err) < 0)
			return -1;
		data = block;
		len = size;
	}
	if (key_remote_sign(key, data, len, result, &result_len, err) < 0)
		return -1;
	buf_put(out, result, result_len);
	return 0;
}

static int
operation(const struct key *key, int padding, const void *data, size_t len, struct buf *out, struct err *err)
{
	return key_is_remote(key) ? remote_operation(key, padding, data, len, out, err)
				  : private_operation(key, padding, data, len, out, err);
}

int
key_raw_ecdsa(const struct key *key, const void *digest, size_t len, struct buf *sig, struct err *err)
{
	if (!EVP_PKEY_is_a(key_pkey(key), "EC"))
		return err_set(err, ERR_INVALID, "not an EC key");
	if (len < 20 || len > 64)
		return err_set(err, ERR_INVALID, "a digest has 20 to 64 bytes, not %zu", len);
	return operation(key, 0, digest, len, sig, err);
}

static bool
is_ed25519(const struct key *key)
{
	return EVP_PKEY_is_a(key_pkey(key), "ED25519");
}

static int
sign_message(const struct key *key, const void *message, size_t len, struct buf *sig, struct err *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t result[ED25519_LEN * 2];
	size_t result_len = sizeof(result);
	bool good = EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, key_pkey(key), NULL) == 1 &&
		    EVP_DigestSign(ctx, result, &result_len, message, len) == 1;

	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	if (!good)
		return err_set(err, ERR_BROKEN, "signing by Ed25519 failed");
	buf_put(sig, result, result_len);
	return 0;
}

int
key_raw_eddsa(const struct key *key, const void *message, size_t len, struct buf *sig, struct err *err)
{
	if (!is_ed25519(key))
		return err_set(err, ERR_INVALID, "not an Ed25519 key");
	if (len == 0)
		message = "";
	return key_is_remote(key) ? remote_operation(key, 0, message, len, sig, err) : sign_message(key, message, len, sig, err);
}

int
key_raw_rsa(const struct key *key, enum key_raw_padding padding, const void *block, size_t len, struct buf *out, struct err *err)
{
	if (!key_raw_is_rsa(key))
		return err_set(err, ERR_INVALID, "not an RSA key");
	return operation(key, padding == KEY_RAW_PKCS1 ? RSA_PKCS1_PADDING : RSA_NO_PADDING, block, len, out, err);
}

static int
put_curve_oid(const EVP_PKEY *pkey, struct buf *out, struct err *err)
{
	char name[64];
	const ASN1_OBJECT *oid;

	if (EVP_PKEY_get_group_name(pkey, name, sizeof(name), NULL) != 1)
		return err_set(err, ERR_INVALID, "not an EC key");
	oid = OBJ_nid2obj(OBJ_txt2nid(name));
	buf_put(out, OBJ_get0_data(oid), OBJ_length(oid));
	return 0;
}

/* compressed: 2 or 3 by the parity of y, then x. */
static int
put_point(const EVP_PKEY *pkey, bool compressed, struct buf *out, struct err *err)
{
	uint8_t point[256];
	size_t len = 0;

	if (!EVP_PKEY_is_a(pkey, "EC") ||
		EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) != 1 || len < 3)
		return err_set(err, ERR_INVALID, "not an EC key");
	if (point[0] != 4 || !compressed) {
		buf_put(out, point, len);
		return 0;
	}
	buf_put_u8(out, point[len - 1] & 1 ? 3 : 2);
	buf_put(out, point + 1, (len - 1) / 2);
	return 0;
}

static int
put_number(const EVP_PKEY *pkey, const char *name, struct buf *out, struct err *err)
{
	BIGNUM *number = NULL;
	uint8_t bytes[SIGNATURE_MAX];
	int len;

	if (EVP_PKEY_get_bn_param(pkey, name, &number) != 1 || BN_num_bytes(number) > (int)sizeof(bytes)) {
		BN_free(number);
		return err_set(err, ERR_INVALID, "not an RSA key");
	}
	len = BN_bn2bin(number, bytes);
	buf_put(out, bytes, (size_t)len);
	BN_free(number);
	return 0;
}

static int
put_ed25519(const EVP_PKEY *pkey, struct buf *out, struct err *err)
{
	uint8_t point[ED25519_LEN];
	size_t len = sizeof(point);

	if (!EVP_PKEY_is_a(pkey, "ED25519") ||
		EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) != 1)
		return err_set(err, ERR_INVALID, "not an Ed25519 key");
	buf_put(out, point, len);
	return 0;
}

int
key_raw_parameter(const struct key *key, const char *name, struct buf *out, struct err *err)
{
	EVP_PKEY *pkey = key_pkey(key);

	if (text_is(name, "algorithm")) {
		buf_puts(out, key_raw_is_rsa(key) ? "RSA" : is_ed25519(key) ? "EdDSA" : "ECDSA");
		return 0;
	}
	if (text_is(name, "ed25519-point"))
		return put_ed25519(pkey, out, err);
	if (text_is(name, "ec-curve-oid"))
		return put_curve_oid(pkey, out, err);
	if (text_is(name, "ec-point"))
		return put_point(pkey, true, out, err);
	if (text_is(name, "ec-public-point"))
		return put_point(pkey, false, out, err);
	if (text_is(name, "rsa-modulus"))
		return put_number(pkey, OSSL_PKEY_PARAM_RSA_N, out, err);
	if (text_is(name, "rsa-exponent"))
		return put_number(pkey, OSSL_PKEY_PARAM_RSA_E, out, err);
	return err_set(err, ERR_INVALID, "there is no key parameter '%.40s'", name);
}

const char *const *
key_raw_public_names(const struct key *key)
{
	static const char *const ec[] = { "ec-curve-oid", "ec-public-point" }, *const rsa[] = { "rsa-modulus", "rsa-exponent" },
				 *const ed25519[] = { "ed25519-point", NULL };

	return key_raw_is_rsa(key) ? rsa : is_ed25519(key) ? ed25519 : ec;
}

static EVP_PKEY *
public_from(const char *type, OSSL_PARAM *params, struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	if (!pkey)
		return err_null(err, ERR_INVALID, "not the parameters of an %s key", type);
	return pkey;
}

EVP_PKEY *
key_raw_public_ec(const void *curve_oid, size_t oid_len, const void *point, size_t point_len, struct err *err)
{
	ASN1_OBJECT *oid = NULL;
	OWN_TEXT group = NULL;
	uint8_t der[64] = { 6 };
	const uint8_t *at = der;

	if (oid_len == 0 || oid_len > sizeof(der) - 2)
		return err_null(err, ERR_INVALID, "not the OID of a curve");
	der[1] = (uint8_t)oid_len;
	memcpy(der + 2, curve_oid, oid_len);
	oid = d2i_ASN1_OBJECT(NULL, &at, (long)oid_len + 2);
	group = mem_text(oid && OBJ_obj2nid(oid) != NID_undef ? OBJ_nid2sn(OBJ_obj2nid(oid)) : "");
	ASN1_OBJECT_free(oid);
	return public_from("EC",
		(OSSL_PARAM[]){ OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
			OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point, point_len),
			OSSL_PARAM_END },
		err);
}

EVP_PKEY *
key_raw_public_rsa(const void *modulus, size_t modulus_len, const void *exponent, size_t exponent_len, struct err *err)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_bin2bn(modulus, (int)modulus_len, NULL), *e = BN_bin2bn(exponent, (int)exponent_len, NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;

	if (OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		params = OSSL_PARAM_BLD_to_param(builder);
	pkey = params ? public_from("RSA", params, err) : err_null(err, ERR_INVALID, "not the parameters of an RSA key");
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	BN_free(n);
	BN_free(e);
	return pkey;
}

EVP_PKEY *
key_raw_public_ed25519(const void *point, size_t len, struct err *err)
{
	EVP_PKEY *pkey = len == ED25519_LEN ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, point, len) : NULL;

	return pkey ? pkey : err_null(err, ERR_INVALID, "not the parameters of an Ed25519 key");
}

void
key_raw_free_public(EVP_PKEY *pkey)
{
	EVP_PKEY_free(pkey);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Signing with a pair in a token: as OpenSSL has it on this side, as PKCS #11 has it on the other. */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

#include "base/mem.h"
#include "keys/pkcs11_pair.h"

#define SIGNATURE_MAX 2048

struct signature {
	struct pkcs11_pair *pair;
	CK_MECHANISM_TYPE mechanism;
	const uint8_t *data;
	size_t len;
	uint8_t *out;
	CK_ULONG out_len;
};

static int
sign_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	struct signature *s = arg;
	CK_MECHANISM mechanism = { s->mechanism, NULL, 0 };
	CK_ULONG size = s->out_len, len = size;
	CK_RV rv;

	if (s->pair->generation != t->generation && pkcs11_pair_find_again(t, s->pair, err) < 0)
		return -1;
	rv = t->module->f->C_SignInit(t->session, &mechanism, s->pair->private);
	if (pkcs11_module_lost_object(rv)) {
		if (pkcs11_pair_find_again(t, s->pair, err) < 0) /* another program has deleted it, perhaps to make it anew */
			return -1;
		rv = t->module->f->C_SignInit(t->session, &mechanism, s->pair->private);
	}
	if (rv == CKR_OK)
		rv = t->module->f->C_Sign(t->session, (CK_BYTE *)(uintptr_t)s->data, s->len, s->out, &len);
	if (rv != CKR_OK)
		return pkcs11_module_fail(err, rv, "signing");
	s->out_len = len;
	return 0;
}

/* The token gives r and s one after the other. */
static int
encode_ecdsa(const uint8_t *raw, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	ECDSA_SIG *numbers = ECDSA_SIG_new();
	uint8_t *at = sig;
	int der_len;

	ECDSA_SIG_set0(numbers, BN_bin2bn(raw, (int)len / 2, NULL), BN_bin2bn(raw + len / 2, (int)len / 2, NULL));
	der_len = i2d_ECDSA_SIG(numbers, NULL);
	if (der_len > 0 && (size_t)der_len <= *sig_len)
		der_len = i2d_ECDSA_SIG(numbers, &at);
	else
		der_len = 0;
	ECDSA_SIG_free(numbers);
	if (der_len <= 0 || len == 0 || len % 2 != 0)
		return err_set(err, ERR_BROKEN, "the token's signature has %zu bytes", len);
	*sig_len = (size_t)der_len;
	return 0;
}

static int
sign_ecdsa(struct pkcs11_pair *pair, const uint8_t *digest, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	uint8_t raw[SIGNATURE_MAX];
	size_t order = ((size_t)EVP_PKEY_get_bits(pair->public_half) + 7) / 8;
	/* ECDSA takes the first bits of a digest that is longer than the order; not every token does that itself. */
	struct signature s = { .pair = pair,
		.mechanism = CKM_ECDSA,
		.data = digest,
		.len = len < order ? len : order,
		.out = raw,
		.out_len = sizeof(raw) };

	return pkcs11_token_do(pair->token, sign_step, &s, err) < 0 ? -1 : encode_ecdsa(raw, s.out_len, sig, sig_len, err);
}

/* The block without 00 01 FF... 00, where it has that: every token makes that padding, raw RSA not every one. */
static size_t
padding_len(const uint8_t *block, size_t len)
{
	size_t i = 2;

	if (len < 11 || block[0] != 0 || block[1] != 1)
		return 0;
	while (i < len && block[i] == 0xff)
		i++;
	return i >= 10 && i < len && block[i] == 0 ? i + 1 : 0;
}

static int
sign_rsa(struct pkcs11_pair *pair, const uint8_t *block, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	size_t padding = padding_len(block, len);
	struct signature s = { .pair = pair,
		.mechanism = padding ? CKM_RSA_PKCS : CKM_RSA_X_509,
		.data = block + padding,
		.len = len - padding,
		.out = sig,
		.out_len = *sig_len };

	if (pkcs11_token_do(pair->token, sign_step, &s, err) < 0)
		return -1;
	*sig_len = s.out_len;
	return 0;
}

static int
sign_eddsa(struct pkcs11_pair *pair, const uint8_t *message, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	struct signature s = { .pair = pair, .mechanism = CKM_EDDSA, .data = message, .len = len, .out = sig, .out_len = *sig_len };

	if (pkcs11_token_do(pair->token, sign_step, &s, err) < 0)
		return -1;
	*sig_len = s.out_len;
	return 0;
}

static int
pair_sign(void *arg, const uint8_t *tbs, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	struct pkcs11_pair *pair = arg;

	if (pair->is_eddsa)
		return sign_eddsa(pair, tbs, len, sig, sig_len, err);
	return pair->is_rsa ? sign_rsa(pair, tbs, len, sig, sig_len, err) : sign_ecdsa(pair, tbs, len, sig, sig_len, err);
}

static void
pair_release(void *arg)
{
	pkcs11_pair_free(arg);
}

static const struct key_remote_ops pair_ops = { pair_sign, pair_release };

struct key *
pkcs11_pair_key(struct pkcs11_pair *pair_take, struct err *err)
{
	return key_remote_new(pair_take->public_half, &pair_ops, pair_take, err);
}

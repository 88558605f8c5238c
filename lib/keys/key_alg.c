/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of keys by their names in configuration, and which of them are accepted from others. */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>

#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "keys/key.h"

static const char *const names[] = { "ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096", "ed25519" };

const char *
key_alg_name(enum key_alg alg)
{
	return names[alg];
}

bool
key_alg_parse(const char *name, enum key_alg *alg)
{
	for (size_t i = 0; i < COUNT(names); i++) {
		if (!text_is(names[i], name))
			continue;
		*alg = (enum key_alg)i;
		return true;
	}
	return false;
}

static size_t
add(enum key_alg out[static KEY_ALGS], size_t n, enum key_alg alg)
{
	for (size_t i = 0; i < n; i++)
		if (out[i] == alg)
			return n;
	out[n] = alg;
	return n + 1;
}

size_t
key_alg_list(const char *list, enum key_alg out[static KEY_ALGS])
{
	struct slice rest = slice_of(list), word;
	enum key_alg alg;
	bool more = true;
	size_t n = 0;

	while (more) {
		OWN_TEXT name = NULL;

		more = slice_cut(&rest, ':', &word);
		name = slice_text(word);
		if (key_alg_parse(name, &alg))
			n = add(out, n, alg);
		if (text_is(name, "*") || (!more && n == 0))
			n = add(out, add(out, n, KEY_EC_P256), KEY_RSA_2048);
	}
	return n;
}

enum key_alg
key_alg_prefer(const char *list)
{
	enum key_alg algs[KEY_ALGS];

	key_alg_list(list, algs);
	return algs[0];
}

bool
key_is_acceptable(const EVP_PKEY *pkey)
{
	char curve[64] = "";

	if (EVP_PKEY_is_a(pkey, "RSA"))
		return EVP_PKEY_get_bits(pkey) >= 2048 && EVP_PKEY_get_bits(pkey) <= 16384;
	if (EVP_PKEY_is_a(pkey, "ED25519"))
		return true;
	if (!EVP_PKEY_is_a(pkey, "EC") || EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), NULL) != 1)
		return false;
	return text_is(curve, "prime256v1") || text_is(curve, "secp384r1") || text_is(curve, "secp521r1");
}

static bool
ec_alg(const EVP_PKEY *pkey, enum key_alg *alg)
{
	char curve[64] = "";
	int is_explicit = 0;

	if (EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) == 1 && is_explicit)
		return false;
	if (EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), NULL) != 1)
		return false;
	*alg = text_is(curve, "secp384r1") ? KEY_EC_P384 : KEY_EC_P256;
	return *alg == KEY_EC_P384 || text_is(curve, "prime256v1");
}

/* 65537 is what everybody uses; below it signatures were forged. */
static bool
rsa_alg(const EVP_PKEY *pkey, enum key_alg *alg)
{
	BIGNUM *exponent = NULL;
	bool large = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 && BN_num_bits(exponent) > 16;
	int bits = EVP_PKEY_get_bits(pkey);

	BN_free(exponent);
	*alg = bits == 2048 ? KEY_RSA_2048 : bits == 3072 ? KEY_RSA_3072 : KEY_RSA_4096;
	return large && (bits == 2048 || bits == 3072 || bits == 4096);
}

bool
key_pkey_alg(const EVP_PKEY *pkey, enum key_alg *alg)
{
	if (EVP_PKEY_is_a(pkey, "EC"))
		return ec_alg(pkey, alg);
	if (EVP_PKEY_is_a(pkey, "RSA"))
		return rsa_alg(pkey, alg);
	*alg = KEY_ED25519;
	return EVP_PKEY_is_a(pkey, "ED25519");
}

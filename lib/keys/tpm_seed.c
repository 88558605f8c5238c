/* SPDX-License-Identifier: Apache-2.0 */
/* RSA-OAEP and one-pass ECDH (tpm_seed.h). */
#include "keys/tpm_seed.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/mem.h"
#include "base/random.h"
#include "keys/key_raw.h"

#define POINT_LEN (1 + 2 * TPM_P256_LEN)

static void
put_tpm2b(struct buf *out, const void *data, size_t len)
{
	buf_put_u16(out, (uint16_t)len);
	buf_put(out, data, len);
}

/* -- RSA ---------------------------------------------------------------------------------------------------------------------------- */

static bool
set_oaep(EVP_PKEY_CTX *ctx, const char *label)
{
	size_t len = strlen(label) + 1;
	char *copy = OPENSSL_strdup(label);

	if (copy && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1 &&
		EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, (int)len) == 1)
		return true; /* the label is the context's */
	OPENSSL_free(copy);
	return false;
}

static int
send_rsa(struct buf *out, const uint8_t *seed, const struct tpm_public *to, const char *label, struct err *err)
{
	static const uint8_t exponent[] = { 1, 0, 1 };
	EVP_PKEY *pkey = key_raw_public_rsa(to->modulus, TPM_RSA_LEN, exponent, sizeof(exponent), err);
	EVP_PKEY_CTX *ctx = pkey ? EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL) : NULL;
	uint8_t secret[TPM_RSA_LEN];
	size_t len = sizeof(secret);
	bool good = ctx && EVP_PKEY_encrypt_init(ctx) == 1 && set_oaep(ctx, label) &&
		    EVP_PKEY_encrypt(ctx, secret, &len, seed, TPM_SEED_LEN) == 1;

	EVP_PKEY_CTX_free(ctx);
	key_raw_free_public(pkey);
	ERR_clear_error();
	if (!good)
		return err_set(err, ERR_INVALID, "nothing can be encrypted for the TPM's RSA key");
	put_tpm2b(out, secret, len);
	return 0;
}

/* -- P-256 -------------------------------------------------------------------------------------------------------------------------- */

static bool
agree(uint8_t z[static TPM_P256_LEN], EVP_PKEY *mine, EVP_PKEY *theirs)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, mine, NULL);
	size_t len = TPM_P256_LEN;
	bool good = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, theirs) == 1 &&
		    EVP_PKEY_derive(ctx, z, &len) == 1 && len == TPM_P256_LEN;

	EVP_PKEY_CTX_free(ctx);
	return good;
}

/* KDFe (TPM 2.0 Part 1, "Key Derivation Function for ECDH"): one round gives all that is needed. */
static void
kdf_e(uint8_t seed[static TPM_SEED_LEN], const uint8_t *z, const char *label, const uint8_t *their_x, const uint8_t *my_x)
{
	struct buf text = BUF_INIT(256);

	buf_put_u32(&text, 1);
	buf_put(&text, z, TPM_P256_LEN);
	buf_put(&text, label, strlen(label) + 1);
	buf_put(&text, my_x, TPM_P256_LEN);
	buf_put(&text, their_x, TPM_P256_LEN);
	digest_sha256(text.data, text.len, seed);
	buf_wipe(&text);
}

/* TPM2B_ENCRYPTED_SECRET holds a TPMS_ECC_POINT here: the ephemeral public half. */
static void
put_point(struct buf *out, const uint8_t point[static POINT_LEN])
{
	buf_put_u16(out, 2 * (2 + TPM_P256_LEN));
	put_tpm2b(out, point + 1, TPM_P256_LEN);
	put_tpm2b(out, point + 1 + TPM_P256_LEN, TPM_P256_LEN);
}

static int
send_p256(struct buf *out, uint8_t *seed, const struct tpm_public *to, const char *label, struct err *err)
{
	static const uint8_t oid[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
	EVP_PKEY *theirs = key_raw_public_ec(oid, sizeof(oid), to->point, sizeof(to->point), err);
	EVP_PKEY *mine = theirs ? EVP_EC_gen("P-256") : NULL;
	uint8_t z[TPM_P256_LEN], point[POINT_LEN];
	size_t len = 0;
	bool good = mine && agree(z, mine, theirs) &&
		    EVP_PKEY_get_octet_string_param(mine, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) == 1 &&
		    len == POINT_LEN;

	if (good) {
		kdf_e(seed, z, label, to->point + 1, point + 1);
		put_point(out, point);
	}
	EVP_PKEY_free(mine);
	key_raw_free_public(theirs);
	mem_wipe(z, sizeof(z));
	ERR_clear_error();
	return good ? 0 : err_set(err, ERR_INVALID, "the TPM's key is no point of NIST P-256");
}

int
tpm_seed_send(struct buf *out, uint8_t seed[static TPM_SEED_LEN], const struct tpm_public *to, const char *label, struct err *err)
{
	if (to->kind == TPM_PUBLIC_P256)
		return send_p256(out, seed, to, label, err);
	random_bytes(seed, TPM_SEED_LEN);
	return send_rsa(out, seed, to, label, err);
}

int
tpm_seed_check(const struct tpm_public *to, struct err *err)
{
	CLEAR(buf) out = BUF_INIT(2 + TPM_RSA_LEN);
	uint8_t seed[TPM_SEED_LEN];

	return tpm_seed_send(&out, seed, to, "IDENTITY", err);
}

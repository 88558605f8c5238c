/* SPDX-License-Identifier: Apache-2.0 */
/* Inside out: the object, its inner wrapper, its outer one, and the credential (tpm_wrap.h). */
#include "keys/tpm_wrap.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/mem.h"
#include "base/random.h"
#include "keys/tpm_seed.h"

#define PART_MAX 512

/* TPM 2.0 Part 2: TPM_ALG_ID, TPMA_OBJECT. */
enum numbers {
	ALG_HMAC = 0x0005,
	ALG_KEYEDHASH = 0x0008,
	ALG_SHA256 = 0x000b,
	USER_WITH_AUTH = 1 << 6,
	NO_DA = 1 << 10, /* nobody can lock it out by guessing: there is nothing to guess */
	SIGN = 1 << 18,
};

static void
put_tpm2b(struct buf *out, const void *data, size_t len)
{
	buf_put_u16(out, (uint16_t)len);
	buf_put(out, data, len);
}

static void
put_sized(struct buf *out, const struct buf *part)
{
	put_tpm2b(out, part->data, part->len);
	out->failed = out->failed || part->failed;
}

/* -- Protected storage --------------------------------------------------------------------------------------------------------------- */

void
tpm_kdf_a(void *out, size_t len, const void *key, size_t key_len, const char *label, const void *context, size_t context_len)
{
	CLEAR(buf) text = BUF_INIT(PART_MAX);
	uint8_t mac[DIGEST_SHA256_LEN];

	buf_put_u32(&text, 1);
	buf_put(&text, label, strlen(label) + 1);
	buf_put(&text, context, context_len);
	buf_put_u32(&text, (uint32_t)len * 8);
	digest_hmac_sha256(key, key_len, text.data, text.len, mac);
	memcpy(out, mac, len < sizeof(mac) ? len : sizeof(mac));
	mem_wipe(mac, sizeof(mac));
}

/* AES-128-CFB from an IV of zeros: each key encrypts one text. */
static int
encrypt(struct buf *out, const uint8_t key[static TPM_AES_LEN], const struct buf *text, struct err *err)
{
	static const uint8_t zeros[TPM_AES_LEN];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *to = buf_extend(out, text->len);
	int n = 0;
	bool good = to && !text->failed && EVP_EncryptInit_ex(ctx, EVP_aes_128_cfb128(), NULL, key, zeros) == 1 &&
		    EVP_EncryptUpdate(ctx, to, &n, text->data, (int)text->len) == 1 && (size_t)n == text->len;

	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return good ? 0 : err_set(err, ERR_BROKEN, "AES-128-CFB failed");
}

static void
sign(uint8_t mac[static DIGEST_SHA256_LEN], const uint8_t *seed, const struct buf *text, const uint8_t *name)
{
	CLEAR(buf) all = BUF_INIT(PART_MAX);
	uint8_t key[DIGEST_SHA256_LEN];

	tpm_kdf_a(key, sizeof(key), seed, TPM_SEED_LEN, "INTEGRITY", NULL, 0);
	buf_put(&all, text->data, text->len);
	buf_put(&all, name, TPM_NAME_LEN);
	digest_hmac_sha256(key, sizeof(key), all.data, all.len, mac);
	mem_wipe(key, sizeof(key));
}

int
tpm_protect(struct buf *out, const uint8_t seed[static DIGEST_SHA256_LEN], const uint8_t name[static TPM_NAME_LEN],
	const struct buf *text, struct err *err)
{
	CLEAR(buf) hidden = BUF_INIT(PART_MAX);
	uint8_t key[TPM_AES_LEN], mac[DIGEST_SHA256_LEN];
	int done;

	tpm_kdf_a(key, sizeof(key), seed, TPM_SEED_LEN, "STORAGE", name, TPM_NAME_LEN);
	done = encrypt(&hidden, key, text, err);
	mem_wipe(key, sizeof(key));
	if (done < 0)
		return -1;
	sign(mac, seed, &hidden, name);
	put_tpm2b(out, mac, sizeof(mac));
	buf_put(out, hidden.data, hidden.len);
	return 0;
}

/* What only the owner of `to` finds, followed by the seed that it needs: both sized. */
static int
put_protected(struct buf *out, const struct tpm_public *to, const char *label, const uint8_t *name, const struct buf *text,
	struct err *err)
{
	CLEAR(buf) secret = BUF_INIT(PART_MAX);
	CLEAR(buf) hidden = BUF_INIT(PART_MAX);
	uint8_t seed[TPM_SEED_LEN];
	int done = tpm_seed_send(&secret, seed, to, label, err);

	if (done == 0)
		done = tpm_protect(&hidden, seed, name, text, err);
	mem_wipe(seed, sizeof(seed));
	put_sized(out, &hidden);
	buf_put(out, secret.data, secret.len);
	return done;
}

/* -- The object ---------------------------------------------------------------------------------------------------------------------- */

/* TPMT_PUBLIC; `unique` ties it to the sensitive part. */
static void
put_public(struct buf *out, const uint8_t obfuscation[static DIGEST_SHA256_LEN], const struct secret *key)
{
	struct buf both = BUF_INIT(DIGEST_SHA256_LEN + SECRET_MAX);
	uint8_t unique[DIGEST_SHA256_LEN];

	buf_put(&both, obfuscation, DIGEST_SHA256_LEN);
	buf_put(&both, key->bytes, key->len);
	digest_sha256(both.data, both.len, unique);
	buf_wipe(&both);
	buf_put_u16(out, ALG_KEYEDHASH);
	buf_put_u16(out, ALG_SHA256);
	buf_put_u32(out, USER_WITH_AUTH | NO_DA | SIGN);
	put_tpm2b(out, NULL, 0); /* no policy: so nobody may duplicate it */
	buf_put_u16(out, ALG_HMAC);
	buf_put_u16(out, ALG_SHA256);
	put_tpm2b(out, unique, sizeof(unique));
}

/* TPM2B_SENSITIVE; the authorisation is empty. */
static void
put_sensitive(struct buf *out, const uint8_t obfuscation[static DIGEST_SHA256_LEN], const struct secret *key)
{
	struct buf area = BUF_INIT(PART_MAX);

	buf_put_u16(&area, ALG_KEYEDHASH);
	put_tpm2b(&area, NULL, 0);
	put_tpm2b(&area, obfuscation, DIGEST_SHA256_LEN);
	put_tpm2b(&area, key->bytes, key->len);
	put_sized(out, &area);
	buf_wipe(&area);
}

static void
name_of(uint8_t name[static TPM_NAME_LEN], const struct buf *public_area)
{
	name[0] = ALG_SHA256 >> 8;
	name[1] = ALG_SHA256 & 0xff;
	digest_sha256(public_area->data, public_area->len, name + 2);
}

/* The inner wrapper: a digest over the sensitive part and the object's name, and both encrypted. */
static int
wrap_inner(struct buf *out, const uint8_t inner_key[static TPM_AES_LEN], const struct buf *sensitive, const uint8_t *name,
	struct err *err)
{
	struct buf text = BUF_INIT(PART_MAX), plain = BUF_INIT(PART_MAX);
	uint8_t digest[DIGEST_SHA256_LEN];
	int done;

	buf_put(&text, sensitive->data, sensitive->len);
	buf_put(&text, name, TPM_NAME_LEN);
	digest_sha256(text.data, text.len, digest);
	put_tpm2b(&plain, digest, sizeof(digest));
	buf_put(&plain, sensitive->data, sensitive->len);
	done = encrypt(out, inner_key, &plain, err);
	buf_wipe(&text);
	buf_wipe(&plain);
	return done;
}

/* The last three parts. */
static int
put_object(struct buf *out, const uint8_t inner_key[static TPM_AES_LEN], const struct tpm_public *parent, const struct secret *key,
	struct err *err)
{
	CLEAR(buf) area = BUF_INIT(PART_MAX);
	CLEAR(buf) inner = BUF_INIT(PART_MAX);
	struct buf sensitive = BUF_INIT(PART_MAX);
	uint8_t obfuscation[DIGEST_SHA256_LEN], name[TPM_NAME_LEN];
	int done;

	random_bytes(obfuscation, sizeof(obfuscation));
	put_public(&area, obfuscation, key);
	put_sensitive(&sensitive, obfuscation, key);
	name_of(name, &area);
	done = wrap_inner(&inner, inner_key, &sensitive, name, err);
	buf_wipe(&sensitive);
	if (done == 0)
		done = put_protected(out, parent, "DUPLICATE", name, &inner, err);
	put_sized(out, &area);
	return done;
}

/* -- All of it ----------------------------------------------------------------------------------------------------------------------- */

int
tpm_wrap_key(struct buf *out, const struct tpm_public *endorsement_key, const struct tpm_public *storage_root_key,
	const struct secret *key, struct err *err)
{
	struct buf credential = BUF_INIT(PART_MAX);
	uint8_t inner_key[TPM_AES_LEN];
	int done;

	random_bytes(inner_key, sizeof(inner_key));
	put_tpm2b(&credential, inner_key, sizeof(inner_key));
	done = put_protected(out, endorsement_key, "IDENTITY", storage_root_key->name, &credential, err);
	if (done == 0)
		done = put_object(out, inner_key, storage_root_key, key, err);
	buf_wipe(&credential);
	mem_wipe(inner_key, sizeof(inner_key));
	if (done == 0 && out->failed)
		return err_set(err, ERR_BROKEN, "the wrapped key does not fit");
	return done;
}

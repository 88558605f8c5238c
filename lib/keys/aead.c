/* SPDX-License-Identifier: Apache-2.0 */
/* AES-256-GCM. */
#include <openssl/evp.h>

#include "base/mem.h"
#include "keys/aead.h"

#define TAG_LEN 16
#define AEAD_MAX (4 * 1024 * 1024)

enum version { VERSION_TAG_FIRST = 1, VERSION_TAG_LAST = 2 };

struct call {
	const struct secret *key;
	const void *iv, *aad;
	size_t iv_len, aad_len;
};

static EVP_CIPHER_CTX *
start(const struct call *c, int encrypt, size_t len, struct err *err)
{
	EVP_CIPHER_CTX *ctx;
	int ignored;

	if (c->key->len != 32 || c->iv_len == 0 || c->iv_len > 1024 || c->aad_len > AEAD_MAX || len > AEAD_MAX)
		return err_null(err, ERR_INVALID,
			"AES-256-GCM takes a key of 32 bytes, an IV of 1 to 1024 bytes and at most %d bytes of data", AEAD_MAX);
	ctx = EVP_CIPHER_CTX_new();
	if (EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL, encrypt) != 1 ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IVLEN, (int)c->iv_len, NULL) != 1 ||
		EVP_CipherInit_ex(ctx, NULL, NULL, c->key->bytes, c->iv, encrypt) != 1 ||
		(c->aad_len > 0 && EVP_CipherUpdate(ctx, NULL, &ignored, c->aad, (int)c->aad_len) != 1)) {
		EVP_CIPHER_CTX_free(ctx);
		return err_null(err, ERR_BROKEN, "AES-256-GCM failed to start");
	}
	return ctx;
}

int
aead_encrypt(struct buf *out, const struct secret *key, const void *iv, size_t iv_len, const void *aad, size_t aad_len,
	const void *data, size_t len, struct err *err)
{
	EVP_CIPHER_CTX *ctx = start(&(struct call){ key, iv, aad, iv_len, aad_len }, 1, len, err);
	uint8_t *text, tag[TAG_LEN];
	int n = 0, last = 0;
	bool good;

	if (!ctx)
		return -1;
	text = mem_new(len + TAG_LEN);
	good = EVP_CipherUpdate(ctx, text, &n, data, (int)len) == 1 && EVP_CipherFinal_ex(ctx, text + n, &last) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, tag) == 1;
	if (good) {
		buf_put_u8(out, VERSION_TAG_LAST);
		buf_put(out, text, (size_t)(n + last));
		buf_put(out, tag, TAG_LEN);
	}
	EVP_CIPHER_CTX_free(ctx);
	mem_free(text);
	return good && !out->failed ? 0 : err_set(err, ERR_BROKEN, "AES-256-GCM failed");
}

int
aead_decrypt(struct buf *out, const struct secret *key, const void *iv, size_t iv_len, const void *aad, size_t aad_len,
	const void *data, size_t len, struct err *err)
{
	const uint8_t *blob = data, *text, *tag;
	uint8_t *plain, tag_copy[TAG_LEN];
	size_t text_len;
	EVP_CIPHER_CTX *ctx;
	int n = 0, last = 0;
	bool good;

	if (len < 1 + TAG_LEN || (blob[0] != VERSION_TAG_FIRST && blob[0] != VERSION_TAG_LAST))
		return err_set(err, ERR_INVALID, "not something that was encrypted here");
	text_len = len - 1 - TAG_LEN;
	text = blob + 1 + (blob[0] == VERSION_TAG_FIRST ? TAG_LEN : 0);
	tag = blob[0] == VERSION_TAG_FIRST ? blob + 1 : blob + 1 + text_len;
	ctx = start(&(struct call){ key, iv, aad, iv_len, aad_len }, 0, text_len, err);
	if (!ctx)
		return -1;
	for (int i = 0; i < TAG_LEN; i++)
		tag_copy[i] = tag[i];
	plain = mem_new(text_len + TAG_LEN);
	good = EVP_CipherUpdate(ctx, plain, &n, text, (int)text_len) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag_copy) == 1 &&
	       EVP_CipherFinal_ex(ctx, plain + n, &last) == 1;
	if (good)
		buf_put(out, plain, (size_t)(n + last));
	EVP_CIPHER_CTX_free(ctx);
	mem_wipe(plain, text_len);
	mem_free(plain);
	if (!good)
		return err_set(err, ERR_DENIED, "decryption failed: another key, IV or identity, or the data was changed");
	return out->failed ? err_set(err, ERR_LIMIT, "the plain text is larger than its buffer") : 0;
}

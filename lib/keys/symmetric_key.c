/* SPDX-License-Identifier: Apache-2.0 */
/* Symmetric keys: one set of operations for bytes that are here, others from a back end. */
#include "base/digest.h"
#include "base/mem.h"
#include "keys/aead.h"
#include "keys/symmetric_key.h"

struct symmetric_key {
	const struct symmetric_key_ops *ops;
	void *arg;
	struct secret secret; /* arg of those whose bytes are here */
};

static int
secret_hmac(void *arg, const void *data, size_t len, uint8_t out[static SYMMETRIC_MAC_LEN], struct err *err)
{
	const struct secret *secret = arg;

	(void)err;
	digest_hmac_sha256(secret->bytes, secret->len, data, len, out);
	return 0;
}

static int
secret_encrypt(void *arg, const struct symmetric_message *m, struct buf *out, struct err *err)
{
	return aead_encrypt(out, arg, m->iv, m->iv_size, m->aad, m->aad_size, m->data, m->size, err);
}

static int
secret_decrypt(void *arg, const struct symmetric_message *m, struct buf *out, struct err *err)
{
	return aead_decrypt(out, arg, m->iv, m->iv_size, m->aad, m->aad_size, m->data, m->size, err);
}

static const struct symmetric_key_ops secret_ops = { secret_hmac, secret_encrypt, secret_decrypt, NULL };

struct symmetric_key *
symmetric_key_from_secret(const struct secret *secret)
{
	struct symmetric_key *key = NEW(symmetric_key);

	key->ops = &secret_ops;
	key->arg = &key->secret;
	secret_set(&key->secret, secret->bytes, secret->len);
	return key;
}

struct symmetric_key *
symmetric_key_remote(const struct symmetric_key_ops *ops, void *arg)
{
	struct symmetric_key *key = NEW(symmetric_key);

	key->ops = ops;
	key->arg = arg;
	return key;
}

struct symmetric_key *
symmetric_key_derive(const struct symmetric_key *base, const void *data, size_t len, struct err *err)
{
	struct secret derived = { .len = SYMMETRIC_MAC_LEN };
	struct symmetric_key *key = NULL;

	if (symmetric_key_hmac(base, data, len, derived.bytes, err) == 0)
		key = symmetric_key_from_secret(&derived);
	secret_clear(&derived);
	return key;
}

void
symmetric_key_free(struct symmetric_key *key)
{
	if (!key)
		return;
	if (key->ops->release)
		key->ops->release(key->arg);
	secret_clear(&key->secret);
	mem_free(key);
}

int
symmetric_key_hmac(
	const struct symmetric_key *key, const void *data, size_t len, uint8_t out[static SYMMETRIC_MAC_LEN], struct err *err)
{
	return key->ops->hmac(key->arg, data, len, out, err);
}

int
symmetric_key_encrypt(const struct symmetric_key *key, const struct symmetric_message *m, struct buf *out, struct err *err)
{
	return key->ops->encrypt(key->arg, m, out, err);
}

int
symmetric_key_decrypt(const struct symmetric_key *key, const struct symmetric_message *m, struct buf *out, struct err *err)
{
	return key->ops->decrypt(key->arg, m, out, err);
}

const struct secret *
symmetric_key_bytes(const struct symmetric_key *key)
{
	return key->ops == &secret_ops ? &key->secret : NULL;
}

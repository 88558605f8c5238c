/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A symmetric key and what the keys service does with it (edge-services 1.1), wherever it lies: its bytes may be here, or in a token that does the work itself. */

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"

#define SYMMETRIC_MAC_LEN 32 /* HMAC-SHA256 */

struct symmetric_key;

/* AES-GCM's input (aead.h): `data` is what is encrypted, or the blob that is opened. */
struct symmetric_message {
	const void *iv, *aad, *data;
	size_t iv_size, aad_size, size; /* pkcs11.h takes names like iv_len away */
};

struct symmetric_key_ops {
	int (*hmac)(void *arg, const void *data, size_t len, uint8_t out[static SYMMETRIC_MAC_LEN], struct err *err);
	int (*encrypt)(void *arg, const struct symmetric_message *m, struct buf *out, struct err *err);
	int (*decrypt)(void *arg, const struct symmetric_message *m, struct buf *out, struct err *err);
	void (*release)(void *arg);
};

struct symmetric_key *symmetric_key_from_secret(const struct secret *secret); /* copied */
/* The key owns arg from now on. */
struct symmetric_key *symmetric_key_remote(const struct symmetric_key_ops *ops, void *arg);
/* The key that `base` makes of data (edge-services 7.1).  Its bytes are here, whatever base is. */
struct symmetric_key *symmetric_key_derive(const struct symmetric_key *base, const void *data, size_t len, struct err *err);
void symmetric_key_free(struct symmetric_key *key);
OWN_DEFINE(symmetric_key);

int symmetric_key_hmac(
	const struct symmetric_key *key, const void *data, size_t len, uint8_t out[static SYMMETRIC_MAC_LEN], struct err *err);
int symmetric_key_encrypt(const struct symmetric_key *key, const struct symmetric_message *m, struct buf *out, struct err *err);
int symmetric_key_decrypt(const struct symmetric_key *key, const struct symmetric_message *m, struct buf *out, struct err *err);
const struct secret *symmetric_key_bytes(const struct symmetric_key *key); /* NULL: they are elsewhere */

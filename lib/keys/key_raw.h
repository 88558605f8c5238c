/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the keys service does with key pairs (edge-services 1.1): private operations on digests and blocks, and public halves as parameters, in both directions. */

#include <stdint.h>

#include "base/buf.h"
#include "keys/key.h"

enum key_raw_padding { KEY_RAW_NO_PADDING, KEY_RAW_PKCS1 };

/* ECDSA over a digest: DER ECDSA-Sig-Value. */
int key_raw_ecdsa(const struct key *key, const void *digest, size_t len, struct buf *sig, struct err *err);
/* Ed25519 over a message: 64 bytes. */
int key_raw_eddsa(const struct key *key, const void *message, size_t len, struct buf *sig, struct err *err);
/* The RSA private operation on a block, with PKCS #1 type 1 padding or with none. */
int key_raw_rsa(
	const struct key *key, enum key_raw_padding padding, const void *block, size_t len, struct buf *out, struct err *err);

/* "algorithm" gives "ECDSA", "RSA" or "EdDSA" as text; "ec-curve-oid", "ec-point" (compressed), "rsa-modulus", "rsa-exponent", "ed25519-point" give bytes, and so does "ec-public-point", which
 * isn't compressed and so costs the reader no square root. */
int key_raw_parameter(const struct key *key, const char *name, struct buf *out, struct err *err);
/* The names of those that make this key's public half: two, or one and NULL. */
#define KEY_RAW_PUBLIC_MAX 2
const char *const *key_raw_public_names(const struct key *key);
/* Public halves from such parameters.  The caller owns the result. */
EVP_PKEY *key_raw_public_ec(const void *curve_oid, size_t oid_len, const void *point, size_t point_len, struct err *err);
EVP_PKEY *key_raw_public_rsa(const void *modulus, size_t modulus_len, const void *exponent, size_t exponent_len, struct err *err);
EVP_PKEY *key_raw_public_ed25519(const void *point, size_t len, struct err *err);
void key_raw_free_public(EVP_PKEY *pkey);
bool key_raw_is_rsa(const struct key *key);

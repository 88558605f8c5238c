/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* AES-256-GCM as the keys service offers it (edge-services 9.4): the blob is 0x02, ciphertext, 16 bytes of tag; the older 0x01, tag, ciphertext is
 * taken for decryption.  The IV may have any length from 1 byte. */

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

int aead_encrypt(struct buf *out, const struct secret *key, const void *iv, size_t iv_len, const void *aad, size_t aad_len,
	const void *data, size_t len, struct err *err);
int aead_decrypt(struct buf *out, const struct secret *key, const void *iv, size_t iv_len, const void *aad, size_t aad_len,
	const void *data, size_t len, struct err *err);

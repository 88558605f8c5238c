/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* SHA-256, SHA-1 (only for old thumbprints), HMAC-SHA256, CRC-32C. */

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SHA256_LEN 32
#define DIGEST_SHA1_LEN 20

void digest_sha256(const void *data, size_t len, uint8_t out[static DIGEST_SHA256_LEN]);
void digest_sha1(const void *data, size_t len, uint8_t out[static DIGEST_SHA1_LEN]);
void digest_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[static DIGEST_SHA256_LEN]);
uint32_t digest_crc32c(uint32_t crc, const void *data, size_t len); /* start with 0 */

/* SPDX-License-Identifier: Apache-2.0 */
/* Digests.  The algorithms are fetched once: on OpenSSL 3 an implicit fetch costs as much as hashing a small message. */
#include <assert.h>
#include <endian.h>
#include <pthread.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/digest.h"

static EVP_MD *md_sha256, *md_sha1;
static uint32_t crc_table[8][256];
static uint32_t (*crc_step)(uint32_t crc, const uint8_t *at, size_t len);
static pthread_once_t md_once = PTHREAD_ONCE_INIT, crc_once = PTHREAD_ONCE_INIT;

static void
fetch_digests(void)
{
	md_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	md_sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	assert(md_sha256 && md_sha1);
}

static void
digest(const EVP_MD *md, const void *data, size_t len, uint8_t *out)
{
	int ok = EVP_Digest(data, len, out, NULL, md, NULL);

	assert(ok == 1);
}

void
digest_sha256(const void *data, size_t len, uint8_t out[static DIGEST_SHA256_LEN])
{
	pthread_once(&md_once, fetch_digests);
	digest(md_sha256, data, len, out);
}

void
digest_sha1(const void *data, size_t len, uint8_t out[static DIGEST_SHA1_LEN])
{
	pthread_once(&md_once, fetch_digests);
	digest(md_sha1, data, len, out);
}

void
digest_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[static DIGEST_SHA256_LEN])
{
	unsigned int out_len = DIGEST_SHA256_LEN;
	const uint8_t *mac;

	pthread_once(&md_once, fetch_digests);
	assert(key_len <= INT32_MAX);
	mac = HMAC(md_sha256, key_len ? key : "", (int)key_len, data, len, out, &out_len);
	assert(mac && out_len == DIGEST_SHA256_LEN);
}

/* CRC-32C (Castagnoli), reflected polynomial; eight tables take eight bytes a step, and x86-64 has an instruction for it. */
static void
make_crc_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78 : c >> 1;
		crc_table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int t = 1; t < 8; t++)
			crc_table[t][i] = crc_table[t - 1][i] >> 8 ^ crc_table[0][crc_table[t - 1][i] & 0xff];
}

static uint32_t
crc_by_table(uint32_t crc, const uint8_t *at, size_t len)
{
	for (; len >= 8; len -= 8, at += 8) {
		uint64_t w;

		memcpy(&w, at, 8);
		w = le64toh(w) ^ crc;
		crc = 0;
		for (int t = 0; t < 8; t++)
			crc ^= crc_table[7 - t][w >> (8 * t) & 0xff];
	}
	for (; len > 0; len--)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *at++) & 0xff];
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t
crc_by_instruction(uint32_t crc, const uint8_t *at, size_t len)
{
	uint64_t wide = crc, w;

	for (; len >= 8; len -= 8, at += 8) {
		memcpy(&w, at, 8);
		wide = __builtin_ia32_crc32di(wide, w);
	}
	crc = (uint32_t)wide;
	for (; len > 0; len--)
		crc = __builtin_ia32_crc32qi(crc, *at++);
	return crc;
}
#endif

static void
choose_crc(void)
{
	make_crc_table();
	crc_step = crc_by_table;
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		crc_step = crc_by_instruction;
#endif
}

uint32_t
digest_crc32c(uint32_t crc, const void *data, size_t len)
{
	pthread_once(&crc_once, choose_crc);
	return ~crc_step(~crc, data, len);
}

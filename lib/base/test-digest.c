/* SPDX-License-Identifier: Apache-2.0 */
/* The source is included because both ways to a CRC must be tried, whatever this processor has. */
#include "digest.c"

#include "base/mem.h"
#include "t.h"

static const char *
hex(const uint8_t *bytes, size_t len)
{
	static char text[65];

	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return text;
}

TEST("SHA-256 and SHA-1 give the digests of FIPS 180")
{
	uint8_t out[DIGEST_SHA256_LEN];

	digest_sha256("abc", 3, out);
	CHECK_STR(hex(out, DIGEST_SHA256_LEN), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest_sha256(NULL, 0, out);
	CHECK_STR(hex(out, DIGEST_SHA256_LEN), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digest_sha1("abc", 3, out);
	CHECK_STR(hex(out, DIGEST_SHA1_LEN), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST("HMAC-SHA-256 gives the values of RFC 4231")
{
	uint8_t key[131], out[DIGEST_SHA256_LEN];

	memset(key, 0x0b, 20);
	digest_hmac_sha256(key, 20, "Hi There", 8, out);
	CHECK_STR(hex(out, sizeof(out)), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	digest_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out);
	CHECK_STR(hex(out, sizeof(out)), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	digest_hmac_sha256(key, sizeof(key), "Test Using Larger Than Block-Size Key - Hash Key First", 54, out);
	CHECK_STR(hex(out, sizeof(out)), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST("HMAC of nothing under an empty key is a value too")
{
	uint8_t out[DIGEST_SHA256_LEN];

	digest_hmac_sha256(NULL, 0, NULL, 0, out);
	CHECK_STR(hex(out, sizeof(out)), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void
fill(uint8_t bytes[32], int first, int step)
{
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t)(first + i * step);
}

TEST("CRC-32C gives the values of RFC 3720")
{
	uint8_t bytes[32];

	CHECK_INT(digest_crc32c(0, "123456789", 9), 0xe3069283);
	fill(bytes, 0, 0);
	CHECK_INT(digest_crc32c(0, bytes, 32), 0x8a9136aa);
	fill(bytes, 0xff, 0);
	CHECK_INT(digest_crc32c(0, bytes, 32), 0x62a8ab43);
	fill(bytes, 0, 1);
	CHECK_INT(digest_crc32c(0, bytes, 32), 0x46dd794e);
	fill(bytes, 31, -1);
	CHECK_INT(digest_crc32c(0, bytes, 32), 0x113fdb5c);
	CHECK_INT(digest_crc32c(0, NULL, 0), 0);
}

TEST("a CRC goes on from the one of what came before, wherever that was cut")
{
	static const char text[] = "the quick brown fox jumps over the lazy dog";
	size_t len = sizeof(text) - 1;
	uint32_t whole = digest_crc32c(0, text, len);

	for (size_t cut = 0; cut <= len; cut++)
		CHECK_INT(digest_crc32c(digest_crc32c(0, text, cut), text + cut, len - cut), whole);
}

TEST("the tables and the instruction agree at every length and alignment")
{
	uint8_t bytes[96];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 151 + 17);
	digest_crc32c(0, NULL, 0); /* makes the tables */
	for (size_t from = 0; from < 8; from++)
		for (size_t len = 0; len <= sizeof(bytes) - from; len++)
			CHECK_INT(~crc_by_table(~0u, bytes + from, len), digest_crc32c(0, bytes + from, len));
}

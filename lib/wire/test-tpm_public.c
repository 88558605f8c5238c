/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/codec.h"
#include "wire/tpm_public.h"
#include "wire/tpm_story.h"

static void
decoded(struct tpm_public *out, const char *base64)
{
	struct err err = ERR_INIT;

	CHECK_OK(tpm_public_parse(out, base64, &err), err);
}

static void
has_name(const struct tpm_public *key, const char *hex)
{
	struct buf text = BUF_INIT(128);

	hex_encode(&text, key->name, TPM_NAME_LEN, false);
	CHECK_STR(buf_text(&text), hex);
	buf_clear(&text);
}

TEST("keys of both kinds are read, and have the name that the TPM gave them")
{
	struct tpm_public key;

	decoded(&key, STORY_EK);
	CHECK_INT(key.kind, TPM_PUBLIC_RSA);
	has_name(&key, "000bacfaa3fc9c2fb3de169ba3fa4ccd0e5f7ca5b62e300a158e16f851f4b7e14fbf");
	decoded(&key, STORY_SRK);
	CHECK_INT(key.modulus[0], 0xa6);
	CHECK_INT(key.modulus[TPM_RSA_LEN - 1], 0x7f);
	has_name(&key, "000bc62e3896fb270591835188be223bba0148375e8c7e346b4b96b5410c5684f1ee");
	decoded(&key, STORY_EK_P256);
	CHECK_INT(key.kind, TPM_PUBLIC_P256);
	has_name(&key, "000bf279b4b964fad657ac9711b901e986071620219e52615243862456db245e12eb");
	decoded(&key, STORY_SRK_P256);
	CHECK_INT(key.point[0], 4);
	CHECK_INT(key.point[1], 0x02);
	CHECK_INT(key.point[64], 0xf6);
	has_name(&key, "000b9de1f22dfdfe2898c0e8294fcf72b968edf67cddd8c4984427ff4ce27045ebaa");
}

TEST("a storage root key may be a parent; an endorsement key, used by policy, may not")
{
	struct tpm_public key;

	decoded(&key, STORY_SRK);
	CHECK(tpm_public_may_be_parent(&key));
	decoded(&key, STORY_SRK_P256);
	CHECK(tpm_public_may_be_parent(&key));
	decoded(&key, STORY_EK);
	CHECK(!tpm_public_may_be_parent(&key));
}

static struct buf
bytes_of(const char *base64)
{
	struct buf bytes = BUF_INIT(1024);

	CHECK(base64_decode(&bytes, base64, strlen(base64), BASE64_STRICT));
	return bytes;
}

static void
not_decoded(const void *data, size_t len, const char *part)
{
	struct tpm_public key;
	struct err err = ERR_INIT;

	CHECK(tpm_public_decode(&key, data, len, &err) < 0);
	CHECK_CONTAINS(err.text, part);
}

TEST("a key that is cut anywhere, or has something behind it, is none")
{
	static const char *const keys[] = { STORY_EK, STORY_EK_P256 };

	for (size_t i = 0; i < COUNT(keys); i++) {
		struct buf bytes = bytes_of(keys[i]);

		for (size_t len = 0; len < bytes.len; len++)
			not_decoded(bytes.data, len, "TPM2B_PUBLIC");
		/* The length in front fits what was cut. */
		for (size_t len = 2; len < bytes.len; len++) {
			bytes.data[0] = (uint8_t)((len - 2) >> 8);
			bytes.data[1] = (uint8_t)(len - 2);
			not_decoded(bytes.data, len, "TPM2B_PUBLIC");
		}
		bytes.data[0] = (uint8_t)((bytes.len - 2) >> 8);
		bytes.data[1] = (uint8_t)(bytes.len - 2);
		buf_put_u8(&bytes, 0);
		not_decoded(bytes.data, bytes.len, "length");
		buf_clear(&bytes);
	}
}

TEST("another algorithm, size, curve or attribute is refused, whichever field has it")
{
	static const struct {
		const char *key;
		size_t at;
		uint8_t value;
		const char *part;
	} rows[] = {
		{ STORY_EK, 3, 0x08, "RSA 2048" },    /* a keyed hash */
		{ STORY_EK, 3, 0x23, "RSA 2048" },    /* RSA's fields under the name of ECC */
		{ STORY_EK, 5, 0x0c, "SHA-256" },     /* named by SHA-384 */
		{ STORY_EK, 6, 0x80, "attributes" },  /* a reserved one */
		{ STORY_EK, 7, 0x07, "attributes" },  /* signs, too */
		{ STORY_EK, 7, 0x02, "attributes" },  /* not restricted */
		{ STORY_EK, 9, 0xb0, "attributes" },  /* not bound to its TPM */
		{ STORY_EK, 9, 0xa2, "attributes" },  /* nor to its parent */
		{ STORY_EK, 9, 0x92, "attributes" },  /* made elsewhere */
		{ STORY_EK, 11, 0x1f, "RSA 2048" },   /* a policy of 31 bytes */
		{ STORY_EK, 45, 0x26, "RSA 2048" },   /* protects by Camellia */
		{ STORY_EK, 46, 0x01, "RSA 2048" },   /* AES-256 */
		{ STORY_EK, 49, 0x44, "RSA 2048" },   /* ECB */
		{ STORY_EK, 51, 0x15, "RSA 2048" },   /* a scheme */
		{ STORY_EK, 52, 0x0c, "RSA 2048" },   /* 3072 bits */
		{ STORY_EK, 57, 0x03, "RSA 2048" },   /* exponent 3 */
		{ STORY_EK, 58, 0x02, "RSA 2048" },   /* a longer modulus than there is */
		{ STORY_EK, 60, 0x38, "RSA 2048" },   /* a modulus of 2047 bits */
		{ STORY_EK, 315, 0xd6, "RSA 2048" },  /* an even one */
		{ STORY_EK_P256, 53, 0x04, "P-256" }, /* P-384 */
		{ STORY_EK_P256, 55, 0x20, "P-256" }, /* a KDF */
		{ STORY_EK_P256, 57, 0x21, "P-256" }, /* x of 33 bytes */
		{ STORY_EK_P256, 57, 0x00, "P-256" }, /* x of none */
		{ STORY_EK_P256, 91, 0x1f, "P-256" }, /* y a byte short of what is there */
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf bytes = bytes_of(rows[i].key);

		CHECK(bytes.data[rows[i].at] != rows[i].value);
		bytes.data[rows[i].at] = rows[i].value;
		not_decoded(bytes.data, bytes.len, rows[i].part);
		buf_clear(&bytes);
	}
}

TEST("an exponent that is written out, and a coordinate without its zeros, are the same as without")
{
	struct buf rsa = bytes_of(STORY_EK), p256 = bytes_of(STORY_EK_P256);
	struct tpm_public key;
	struct err err = ERR_INIT;

	rsa.data[55] = 1;
	rsa.data[57] = 1;
	CHECK_OK(tpm_public_decode(&key, rsa.data, rsa.len, &err), err);
	/* x loses its first byte: 31 are left. */
	memmove(p256.data + 58, p256.data + 59, p256.len - 59);
	p256.data[1]--;
	p256.data[57]--;
	CHECK_OK(tpm_public_decode(&key, p256.data, p256.len - 1, &err), err);
	CHECK_INT(key.point[1], 0);
	CHECK_MEM(key.point + 2, p256.data + 58, 31);
	buf_clear(&rsa);
	buf_clear(&p256);
}

TEST("text is strict base64 of a bounded length")
{
	char *huge = mem_new(1 << 20);
	struct tpm_public key;
	struct err err = ERR_INIT;

	memset(huge, 'A', (1 << 20) - 1);
	CHECK(tpm_public_parse(&key, huge, &err) < 0);
	CHECK_CONTAINS(err.text, "more than");
	mem_free(huge);
	err = (struct err)ERR_INIT;
	CHECK(tpm_public_parse(&key, " " STORY_SRK_P256, &err) < 0);
	CHECK_CONTAINS(err.text, "base64");
	err = (struct err)ERR_INIT;
	CHECK(tpm_public_parse(&key, "", &err) < 0);
}

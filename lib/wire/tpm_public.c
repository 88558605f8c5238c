/* SPDX-License-Identifier: Apache-2.0 */
/* TPMT_PUBLIC, field by field (tpm_public.h). */
#include "wire/tpm_public.h"

#include <string.h>

#include "base/own.h"
#include "wire/codec.h"

/* TPM 2.0 Part 2: TPM_ALG_ID, TPM_ECC_CURVE. */
enum numbers {
	ALG_RSA = 0x0001,
	ALG_AES = 0x0006,
	ALG_SHA256 = 0x000b,
	ALG_NULL = 0x0010,
	ALG_ECC = 0x0023,
	ALG_CFB = 0x0043,
	CURVE_P256 = 0x0003,
	AES_BITS = 128,
	RSA_BITS = 8 * TPM_RSA_LEN,
	RSA_EXPONENT = 65537,
};

/* TPM 2.0 Part 2: TPMA_OBJECT. */
enum attributes {
	FIXED_TPM = 1 << 1,
	ST_CLEAR = 1 << 2,
	FIXED_PARENT = 1 << 4,
	SENSITIVE_DATA_ORIGIN = 1 << 5,
	USER_WITH_AUTH = 1 << 6,
	ADMIN_WITH_POLICY = 1 << 7,
	NO_DA = 1 << 10,
	RESTRICTED = 1 << 16,
	DECRYPT = 1 << 17,

	NEEDED = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED | DECRYPT,
	POSSIBLE = NEEDED | ST_CLEAR | USER_WITH_AUTH | ADMIN_WITH_POLICY | NO_DA,
};

/* A field that can have one value only. */
static void
expect_u16(struct rd *in, uint16_t wanted)
{
	if (rd_u16(in) != wanted)
		in->bad = true;
}

static void
read_policy(struct rd *in)
{
	struct slice policy = rd_slice16(in);

	if (policy.len != 0 && policy.len != DIGEST_SHA256_LEN)
		in->bad = true;
}

/* What is under such a key is protected by AES-128-CFB; TPMT_SYM_DEF_OBJECT, and no other scheme. */
static void
read_protection(struct rd *in)
{
	expect_u16(in, ALG_AES);
	expect_u16(in, AES_BITS);
	expect_u16(in, ALG_CFB);
	expect_u16(in, ALG_NULL);
}

static void
read_rsa(struct tpm_public *out, struct rd *in)
{
	uint32_t exponent;
	struct slice modulus;

	expect_u16(in, RSA_BITS);
	exponent = rd_u32(in);
	modulus = rd_slice16(in);
	if (in->bad || modulus.len != TPM_RSA_LEN || (exponent != 0 && exponent != RSA_EXPONENT)) {
		in->bad = true;
		return;
	}
	out->kind = TPM_PUBLIC_RSA;
	memcpy(out->modulus, modulus.text, TPM_RSA_LEN);
	if (!(out->modulus[0] & 0x80) || !(out->modulus[TPM_RSA_LEN - 1] & 1))
		in->bad = true;
}

/* Some TPMs leave out zeros in front. */
static void
read_coordinate(uint8_t out[static TPM_P256_LEN], struct rd *in)
{
	struct slice number = rd_slice16(in);

	if (in->bad || number.len == 0 || number.len > TPM_P256_LEN)
		in->bad = true;
	else
		memcpy(out + TPM_P256_LEN - number.len, number.text, number.len);
}

static void
read_ecc(struct tpm_public *out, struct rd *in)
{
	expect_u16(in, CURVE_P256);
	expect_u16(in, ALG_NULL);
	out->kind = TPM_PUBLIC_P256;
	out->point[0] = 4;
	read_coordinate(out->point + 1, in);
	read_coordinate(out->point + 1 + TPM_P256_LEN, in);
}

static void
read_area(struct tpm_public *out, struct rd *in)
{
	uint16_t type = rd_u16(in);

	expect_u16(in, ALG_SHA256);
	out->attributes = rd_u32(in);
	read_policy(in);
	read_protection(in);
	if (type == ALG_RSA)
		read_rsa(out, in);
	else if (type == ALG_ECC)
		read_ecc(out, in);
	else
		in->bad = true;
}

static void
set_name(struct tpm_public *out, const uint8_t *area, size_t len)
{
	out->name[0] = ALG_SHA256 >> 8;
	out->name[1] = ALG_SHA256 & 0xff;
	digest_sha256(area, len, out->name + 2);
}

int
tpm_public_decode(struct tpm_public *out, const void *data, size_t len, struct err *err)
{
	struct rd whole = rd_over(data, len);
	struct slice area = rd_slice16(&whole);
	struct rd in = rd_over(area.text, area.len);

	*out = (struct tpm_public){ 0 };
	if (whole.bad || rd_left(&whole) > 0 || len > TPM_PUBLIC_MAX)
		return err_set(err, ERR_INVALID, "not a TPM2B_PUBLIC: its length is not that of what follows");
	read_area(out, &in);
	if (in.bad || rd_left(&in) > 0)
		return err_set(err, ERR_INVALID,
			"not the TPM2B_PUBLIC of a storage key of RSA 2048 or NIST P-256 with SHA-256 and AES-128-CFB");
	if ((out->attributes & NEEDED) != NEEDED || (out->attributes & ~(uint32_t)POSSIBLE) != 0)
		return err_set(err, ERR_INVALID,
			"the TPM's key is not a restricted decryption key that stays in its TPM (attributes 0x%08x)",
			out->attributes);
	set_name(out, (const uint8_t *)area.text, area.len);
	return 0;
}

int
tpm_public_parse(struct tpm_public *out, const char *base64, struct err *err)
{
	CLEAR(buf) bytes = BUF_INIT(TPM_PUBLIC_MAX);
	size_t len = strnlen(base64, TPM_PUBLIC_TEXT_MAX + 1);

	if (len > TPM_PUBLIC_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "a TPM2B_PUBLIC of more than %d characters", TPM_PUBLIC_TEXT_MAX);
	if (!base64_decode(&bytes, base64, len, BASE64_STRICT))
		return err_set(err, ERR_INVALID, "not the base64 of a TPM2B_PUBLIC");
	return tpm_public_decode(out, bytes.data, bytes.len, err);
}

bool
tpm_public_may_be_parent(const struct tpm_public *key)
{
	return (key->attributes & (USER_WITH_AUTH | ADMIN_WITH_POLICY)) == USER_WITH_AUTH;
}

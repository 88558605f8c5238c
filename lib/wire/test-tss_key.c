/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/pem.h"
#include "wire/tss_key.h"

static struct tss_key
example(size_t public_len, size_t private_len)
{
	struct tss_key key = {
		.type = TSS_KEY_LOADABLE, .parent = TSS_KEY_OWNER, .public_len = public_len, .private_len = private_len
	};

	memset(key.public_blob, 'p', public_len);
	memset(key.private_blob, 's', private_len);
	return key;
}

static int
parse_der_text(struct tss_key *out, const void *der, size_t len, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(65536);

	*err = (struct err)ERR_INIT;
	pem_put(&pem, "TSS2 PRIVATE KEY", der, len);
	return tss_key_parse(out, buf_text(&pem), pem.len, err);
}

TEST("a TPM key is written and read as the same, whatever its parts' sizes and its parent")
{
	static const size_t sizes[] = { 1, 100, 127, 128, 200, 255, 256, 1000, TSS_KEY_BLOB_MAX };
	static const uint32_t parents[] = { TSS_KEY_OWNER, 0x81000001, 0x81ffffff };

	for (size_t i = 0; i < COUNT(sizes); i++)
		for (size_t p = 0; p < COUNT(parents); p++) {
			struct tss_key key = example(sizes[i], sizes[COUNT(sizes) - 1 - i]), back = { 0 };
			CLEAR(buf) pem = BUF_INIT(65536);
			struct err err = ERR_INIT;

			key.parent = parents[p];
			key.type = i % 2 ? TSS_KEY_SEALED : TSS_KEY_LOADABLE;
			tss_key_put_pem(&key, &pem);
			CHECK(tss_key_is(buf_text(&pem), pem.len));
			CHECK_OK(tss_key_parse(&back, buf_text(&pem), pem.len, &err), err);
			CHECK_INT(back.type, key.type);
			CHECK_INT(back.parent, key.parent);
			CHECK_INT(back.public_len, key.public_len);
			CHECK_INT(back.private_len, key.private_len);
			CHECK_MEM(back.public_blob, key.public_blob, key.public_len);
			CHECK_MEM(back.private_blob, key.private_blob, key.private_len);
		}
}

TEST("a key without the word about its password has none; one that says that it has one is refused")
{
	static const uint8_t silent[] = { 0x30, 20, 6, 6, 0x67, 0x81, 5, 10, 1, 3, 2, 4, 0x40, 0, 0, 1, 4, 1, 'p', 4, 1, 's' };
	static const uint8_t no[] = { 0x30, 25, 6, 6, 0x67, 0x81, 5, 10, 1, 3, 0xa0, 3, 1, 1, 0, 2, 4, 0x40, 0, 0, 1, 4, 1, 'p', 4,
		1, 's' };
	struct tss_key key;
	struct err err;

	CHECK_OK(parse_der_text(&key, silent, sizeof(silent), &err), err);
	CHECK_INT(key.parent, TSS_KEY_OWNER);
	CHECK(parse_der_text(&key, no, sizeof(no), &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "has a password");
}

TEST("policies, imports, other parents and other types are refused by name")
{
	static const struct {
		uint8_t der[40];
		size_t len;
		const char *why;
	} cases[] = {
		{ { 0x30, 22, 6, 6, 0x67, 0x81, 5, 10, 1, 3, 0xa1, 0, 2, 4, 0x40, 0, 0, 1, 4, 1, 'p', 4, 1, 's' }, 24, "policy" },
		{ { 0x30, 22, 6, 6, 0x67, 0x81, 5, 10, 1, 3, 0xa2, 0, 2, 4, 0x40, 0, 0, 1, 4, 1, 'p', 4, 1, 's' }, 24, "imported" },
		{ { 0x30, 20, 6, 6, 0x67, 0x81, 5, 10, 1, 3, 2, 4, 0x40, 0, 0, 7, 4, 1, 'p', 4, 1, 's' }, 22, "parent 0x40000007" },
		{ { 0x30, 20, 6, 6, 0x67, 0x81, 5, 10, 1, 4, 2, 4, 0x40, 0, 0, 1, 4, 1, 'p', 4, 1, 's' }, 22, "neither" },
		{ { 0x30, 20, 6, 6, 0x67, 0x81, 5, 10, 1, 3, 2, 4, 0x80, 0, 0, 1, 4, 1, 'p', 4, 1, 's' }, 22, "malformed" },
		{ { 0x30, 19, 6, 6, 0x67, 0x81, 5, 10, 1, 3, 2, 4, 0x40, 0, 0, 1, 4, 0, 4, 1, 's' }, 21, "malformed" },
		{ { 0x30, 21, 6, 6, 0x67, 0x81, 5, 10, 1, 3, 2, 4, 0x40, 0, 0, 1, 4, 1, 'p', 4, 1, 's', 0 }, 23, "malformed" },
		{ { 0x30, 20, 6, 6, 0x67, 0x81, 5, 10, 1, 3, 2, 4, 0x40, 0, 0, 1, 4, 1, 'p', 4, 1, 's', 0 }, 23, "neither" },
		{ { 0x30, 0x80 }, 2, "neither" },
		{ { 0x30, 0x81, 1, 0 }, 4, "neither" },
		{ { 0 }, 1, "neither" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct tss_key key;
		struct err err;

		CHECK(parse_der_text(&key, cases[i].der, cases[i].len, &err) < 0);
		CHECK_ERR(err, ERR_INVALID, cases[i].why);
	}
}

TEST("no key that is cut off anywhere is taken, and no other PEM")
{
	struct tss_key key = example(200, 200), back;
	CLEAR(buf) pem = BUF_INIT(65536);
	struct err err = ERR_INIT;

	tss_key_put_pem(&key, &pem);
	for (size_t len = 0; len + 30 < pem.len; len++)
		CHECK(tss_key_parse(&back, buf_text(&pem), len, &(struct err)ERR_INIT) < 0);
	CHECK(!tss_key_is("-----BEGIN PRIVATE KEY-----", 27));
	buf_reset(&pem);
	pem_put(&pem, "PRIVATE KEY", "x", 1);
	CHECK(tss_key_parse(&back, buf_text(&pem), pem.len, &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "no TSS2 PRIVATE KEY");
}

TEST("a persistent key is named by its handle, in full and in range")
{
	static const char *const bad[] = { "tpm:", "tpm:handle=", "tpm:handle=0x", "tpm:handle=0x8100000", "tpm:handle=0x810000011",
		"tpm:handle=81000001", "tpm:handle=0x80000001", "tpm:handle=0x82000000", "tpm:handle=0x8100000g",
		"tpm:0x81000001" };
	uint32_t handle = 0;
	struct err err = ERR_INIT;

	CHECK(tss_key_is_uri("tpm:handle=0x81000001") && !tss_key_is_uri("/tpm:handle=0x81000001"));
	CHECK_OK(tss_key_parse_uri("tpm:handle=0x810000Af", &handle, &err), err);
	CHECK_INT(handle, 0x810000afu);
	for (size_t i = 0; i < COUNT(bad); i++) {
		err = (struct err)ERR_INIT;
		CHECK(tss_key_parse_uri(bad[i], &handle, &err) < 0);
		CHECK_ERR(err, ERR_INVALID, "tpm:handle=0x81");
	}
}

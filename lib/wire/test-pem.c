/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/pem.h"

#define BLOCK "-----BEGIN THING-----\nAQID\n-----END THING-----\n"

static struct pem
pem_over(const char *text)
{
	struct pem pem;

	pem_init(&pem, text, strlen(text));
	return pem;
}

TEST("blocks come one by one, with their line and label; text between them is overlooked")
{
	struct pem pem = pem_over("subject=CN = x\n" BLOCK "\n\nmore\r\n-----BEGIN X Y-----\r\nAQ==\r\n-----END X Y-----");
	struct err err = ERR_INIT;

	CHECK_INT(pem_next(&pem, &err), 1);
	CHECK_INT(pem.line, 2);
	CHECK(slice_is(pem.label, "THING"));
	CHECK_INT(pem.der.len, 3);
	CHECK_MEM(pem.der.data, "\1\2\3", 3);
	CHECK_INT(pem_next(&pem, &err), 1);
	CHECK_INT(pem.line, 8);
	CHECK(slice_is(pem.label, "X Y"));
	CHECK_INT(pem.der.len, 1);
	CHECK_INT(pem_next(&pem, &err), 0);
	pem_clear(&pem);
}

TEST("an encrypted key is told as such and not decoded")
{
	struct pem pem = pem_over("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "
				  "AES-128-CBC,00\n\nAQID\n-----END EC PRIVATE KEY-----\n");
	struct err err = ERR_INIT;

	CHECK_INT(pem_next(&pem, &err), 1);
	CHECK(pem.encrypted);
	CHECK_INT(pem.der.len, 0);
	pem_clear(&pem);
}

struct refused {
	const char *text, *why;
};

TEST("a broken block is a failure that names its line")
{
	static const struct refused cases[] = {
		{ "-----BEGIN A-----\nAQID\n", "line 1: a PEM block without its END" },
		{ "-----BEGIN A-----\nAQID\n-----END B-----\n", "line 3: END of another block than the BEGIN at line 1" },
		{ "-----BEGIN A-----\nAQID\n" BLOCK, "line 3: a block begins inside another" },
		{ "\n-----BEGIN A-----\nAQ*D\n-----END A-----\n", "line 2: a PEM block that is not base64" },
		{ "-----BEGIN A-----\nAQI\n-----END A-----\n", "not base64" },
		{ "-----BEGIN A-----\nAQID\nx: y\n-----END A-----\n", "not base64" },
		{ "-----BEGIN A-----\n-----END A-----\n", "an empty PEM block" },
		{ "x\n-----BEGIN A----\nAQID\n-----END A-----\n", "line 2: a BEGIN line that does not end" },
		{ "----BEGIN A-----\nAQID\n-----END A-----\n", "line 3: END of a PEM block without its BEGIN" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct pem pem = pem_over(cases[i].text);
		struct err err = ERR_INIT;

		CHECK_INT(pem_next(&pem, &err), -1);
		CHECK_ERR(err, ERR_INVALID, cases[i].why);
		pem_clear(&pem);
	}
}

TEST("a block above the ceiling is refused, not cut")
{
	CLEAR(buf) text = BUF_INIT(PEM_BLOCK_MAX * 2);
	struct err err = ERR_INIT;
	struct pem pem;

	buf_puts(&text, "-----BEGIN A-----\n");
	for (int i = 0; i <= PEM_BLOCK_MAX / 64; i++)
		buf_puts(&text, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
	buf_puts(&text, "-----END A-----\n");
	pem_init(&pem, buf_text(&text), text.len);
	CHECK_INT(pem_next(&pem, &err), -1);
	CHECK_ERR(err, ERR_LIMIT, "line 1");
	pem_clear(&pem);
}

TEST("nothing at all has no blocks")
{
	struct err err = ERR_INIT;
	struct pem pem;

	pem_init(&pem, NULL, 0);
	CHECK_INT(pem_next(&pem, &err), 0);
	pem_clear(&pem);
}

TEST("what is written has lines of 64 characters and is read back")
{
	uint8_t der[100];
	CLEAR(buf) text = BUF_INIT(4096);
	struct err err = ERR_INIT;
	struct pem pem;

	for (size_t i = 0; i < sizeof(der); i++)
		der[i] = (uint8_t)i;
	pem_put(&text, "CERTIFICATE", der, sizeof(der));
	CHECK_INT(strcspn(buf_text(&text) + strlen("-----BEGIN CERTIFICATE-----\n"), "\n"), 64);
	pem_init(&pem, buf_text(&text), text.len);
	CHECK_INT(pem_next(&pem, &err), 1);
	CHECK_INT(pem.der.len, sizeof(der));
	CHECK_MEM(pem.der.data, der, sizeof(der));
	pem_clear(&pem);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/thumbprint.h"
#include "auth/trial.h"
#include "base/text.h"

#define SHA1_TEXT "0123456789ABCDEF0123456789ABCDEF01234567"
#define SHA256_TEXT "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"

static void
becomes(const char *text, const char *want)
{
	OWN_TEXT got = thumbprint_normalise(text);

	CHECK_STR(got, want);
}

static char *
lower_with(const char *hex, char between)
{
	struct buf text = BUF_INIT(256);

	for (size_t i = 0; hex[i]; i++) {
		if (i > 0 && i % 2 == 0)
			buf_putc(&text, between);
		buf_putc(&text, hex[i] >= 'A' && hex[i] <= 'F' ? (char)(hex[i] - 'A' + 'a') : hex[i]);
	}
	return buf_take_text(&text);
}

TEST("a thumbprint is kept in one spelling, whatever way people write it")
{
	OWN_TEXT colons = lower_with(SHA256_TEXT, ':');
	OWN_TEXT spaces = lower_with(SHA1_TEXT, ' ');
	OWN_TEXT hyphens = lower_with(SHA256_TEXT, '-');

	becomes(SHA256_TEXT, SHA256_TEXT);
	becomes(SHA1_TEXT, SHA1_TEXT);
	becomes(colons, SHA256_TEXT);
	becomes(spaces, SHA1_TEXT);
	becomes(hyphens, SHA256_TEXT);
}

TEST("atk-02: what is no whole digest is no thumbprint")
{
	static const char *const bad[] = {
		"",
		":",
		"0",
		"0123456789ABCDEF0123456789ABCDEF0123456",			   /* 39 */
		SHA1_TEXT "0",							   /* 41 */
		"0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDE", /* 63 */
		SHA256_TEXT "0",						   /* 65 */
		SHA256_TEXT SHA256_TEXT,
		"0123456789ABCDEF0123456789ABCDEF0123456G",
		"0x0123456789ABCDEF0123456789ABCDEF01234567",
		SHA1_TEXT "\n",
	};

	for (size_t i = 0; i < COUNT(bad); i++)
		becomes(bad[i], NULL);
	becomes(NULL, NULL);
}

TEST("atk-02: zeros are nobody's thumbprint")
{
	becomes("0000000000000000000000000000000000000000", NULL);
	becomes("0000000000000000000000000000000000000000000000000000000000000000", NULL);
	becomes("0000000000000000000000000000000000000001", "0000000000000000000000000000000000000001");
}

TEST("a certificate is known by its SHA-256 and by its SHA-1")
{
	CLEAR(made) dev = story_device("dev1", NULL);
	struct buf sha1 = BUF_INIT(64);
	OWN_TEXT sha256 = trial_thumbprint(&dev);
	OWN_TEXT normal = NULL;

	hex_encode(&sha1, cert_sha1(dev.cert), DIGEST_SHA1_LEN, true);
	normal = thumbprint_normalise(buf_text(&sha1));
	CHECK_INT(thumbprint_compare(sha256, dev.cert), THUMBPRINT_IS_SHA256);
	CHECK_INT(thumbprint_compare(normal, dev.cert), THUMBPRINT_IS_SHA1);
	buf_clear(&sha1);
}

TEST("atk-02: an empty slot, the first 40 digits of the SHA-256, and a digest with one other digit match nothing")
{
	CLEAR(made) dev = story_device("dev1", NULL);
	OWN_TEXT sha256 = trial_thumbprint(&dev);
	OWN_TEXT prefix = mem_textn(sha256, 40);

	CHECK_INT(thumbprint_compare(NULL, dev.cert), THUMBPRINT_DIFFERS);
	CHECK_INT(thumbprint_compare("", dev.cert), THUMBPRINT_DIFFERS);
	CHECK_INT(thumbprint_compare(prefix, dev.cert), THUMBPRINT_DIFFERS);
	sha256[63] = sha256[63] == '0' ? '1' : '0';
	CHECK_INT(thumbprint_compare(sha256, dev.cert), THUMBPRINT_DIFFERS);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Thumbprints as people write them, and as they are compared. */
#include <string.h>

#include "auth/thumbprint.h"
#include "base/digest.h"
#include "base/mem.h"
#include "wire/codec.h"

#define HEX_MAX (2 * DIGEST_SHA256_LEN)

char *
thumbprint_normalise(const char *text)
{
	char hex[HEX_MAX + 1];
	uint8_t bytes[DIGEST_SHA256_LEN], any = 0;
	size_t n = 0;

	if (!text)
		return NULL;
	for (; *text; text++) {
		char c = *text >= 'a' && *text <= 'f' ? (char)(*text - 'a' + 'A') : *text;

		if (strchr(" :-\t", c))
			continue;
		if (n == HEX_MAX)
			return NULL;
		hex[n++] = c;
	}
	hex[n] = '\0';
	if ((n != 2 * DIGEST_SHA1_LEN && n != 2 * DIGEST_SHA256_LEN) || !hex_decode(bytes, n / 2, hex, n))
		return NULL;
	for (size_t i = 0; i < n / 2; i++)
		any |= bytes[i];
	return any ? mem_text(hex) : NULL; /* all zero is nobody's */
}

static char *
form(const uint8_t *digest, size_t len)
{
	struct buf hex = BUF_INIT(HEX_MAX + 1);

	hex_encode(&hex, digest, len, true);
	return buf_take_text(&hex);
}

char *
thumbprint_sha256(const struct cert *cert)
{
	return form(cert_sha256(cert), DIGEST_SHA256_LEN);
}

char *
thumbprint_sha1(const struct cert *cert)
{
	return form(cert_sha1(cert), DIGEST_SHA1_LEN);
}

enum thumbprint_match
thumbprint_compare(const char *slot, const struct cert *cert)
{
	uint8_t bytes[DIGEST_SHA256_LEN];
	size_t len = slot ? strlen(slot) : 0;

	if (len == 2 * DIGEST_SHA256_LEN && hex_decode(bytes, DIGEST_SHA256_LEN, slot, len) &&
		mem_equal_ct(bytes, cert_sha256(cert), DIGEST_SHA256_LEN))
		return THUMBPRINT_IS_SHA256;
	if (len == 2 * DIGEST_SHA1_LEN && hex_decode(bytes, DIGEST_SHA1_LEN, slot, len) &&
		mem_equal_ct(bytes, cert_sha1(cert), DIGEST_SHA1_LEN))
		return THUMBPRINT_IS_SHA1;
	return THUMBPRINT_DIFFERS;
}

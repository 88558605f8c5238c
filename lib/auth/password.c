/* SPDX-License-Identifier: Apache-2.0 */
/* PBKDF2 with HMAC-SHA256 (password.h). */
#include "auth/password.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "wire/codec.h"

#define SCHEME "pbkdf2-sha256$"
#define ROUNDS 100000
#define ROUNDS_MAX 10000000
#define SALT_LEN 16
#define HASH_LEN 32

struct kept {
	int64_t rounds;
	uint8_t salt[SALT_LEN], hash[HASH_LEN];
};

static bool
derive(uint8_t out[static HASH_LEN], const char *password, const struct kept *kept)
{
	return PKCS5_PBKDF2_HMAC(
		       password, (int)strlen(password), kept->salt, SALT_LEN, (int)kept->rounds, EVP_sha256(), HASH_LEN, out) == 1;
}

static bool
take_bytes(uint8_t *out, size_t len, const char *text, size_t text_len)
{
	CLEAR(buf) bytes = BUF_INIT(64);

	if (!base64_decode(&bytes, text, text_len, BASE64_STRICT) || bytes.len != len)
		return false;
	memcpy(out, bytes.data, len);
	return true;
}

static bool
parse(struct kept *out, const char *text)
{
	char rounds[16];
	const char *salt, *hash;

	if (!text_starts(text, SCHEME))
		return false;
	text += sizeof(SCHEME) - 1;
	salt = strchr(text, '$');
	hash = salt ? strchr(salt + 1, '$') : NULL;
	if (!hash || (size_t)(salt - text) >= sizeof(rounds))
		return false;
	snprintf(rounds, sizeof(rounds), "%.*s", (int)(salt - text), text);
	return text_to_i64(rounds, 1, ROUNDS_MAX, &out->rounds) &&
	       take_bytes(out->salt, SALT_LEN, salt + 1, (size_t)(hash - salt - 1)) &&
	       take_bytes(out->hash, HASH_LEN, hash + 1, strlen(hash + 1));
}

char *
password_hash(const char *password, struct err *err)
{
	struct buf text = BUF_INIT(256);
	struct kept kept = { .rounds = ROUNDS };

	if (!*password || strlen(password) > PASSWORD_MAX)
		return err_null(err, ERR_INVALID, "a password has 1 to %d bytes", PASSWORD_MAX);
	random_bytes(kept.salt, sizeof(kept.salt));
	if (!derive(kept.hash, password, &kept))
		return err_null(err, ERR_BROKEN, "the password could not be hashed");
	buf_putf(&text, SCHEME "%d$", ROUNDS);
	base64_encode(&text, kept.salt, sizeof(kept.salt));
	buf_putc(&text, '$');
	base64_encode(&text, kept.hash, sizeof(kept.hash));
	return buf_take_text(&text);
}

bool
password_fits(const char *password, const char *hash)
{
	struct kept kept = { .rounds = ROUNDS };
	uint8_t found[HASH_LEN];
	bool there = hash && strlen(password) <= PASSWORD_MAX && parse(&kept, hash);

	if (!there)
		kept.rounds = ROUNDS;
	return derive(found, strlen(password) <= PASSWORD_MAX ? password : "", &kept) &&
	       mem_equal_ct(found, kept.hash, sizeof(found)) && there;
}

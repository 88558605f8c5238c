/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "keys/aead.h"
#include "t.h"

static struct secret
secret_of(uint8_t fill)
{
	uint8_t bytes[32];
	struct secret s = { 0 };

	memset(bytes, fill, sizeof(bytes));
	secret_set(&s, bytes, sizeof(bytes));
	return s;
}

TEST("what was encrypted comes back with the same key, IV and identity, and with no other")
{
	struct secret key = secret_of(7), other = secret_of(8);
	struct buf blob = BUF_INIT(1024), plain = BUF_INIT(1024);
	struct err err = ERR_INIT;

	CHECK_OK(aead_encrypt(&blob, &key, "an iv", 5, "module a", 8, "hello", 5, &err), err);
	CHECK_INT(blob.len, 1 + 5 + 16);
	CHECK_INT(blob.data[0], 2);
	CHECK_OK(aead_decrypt(&plain, &key, "an iv", 5, "module a", 8, blob.data, blob.len, &err), err);
	CHECK_STR(buf_text(&plain), "hello");
	CHECK_INT(aead_decrypt(&plain, &other, "an iv", 5, "module a", 8, blob.data, blob.len, &err), -1);
	CHECK_ERR(err, ERR_DENIED, "decryption failed");
	CHECK_INT(aead_decrypt(&plain, &key, "an IV", 5, "module a", 8, blob.data, blob.len, &err), -1);
	CHECK_INT(aead_decrypt(&plain, &key, "an iv", 5, "module b", 8, blob.data, blob.len, &err), -1);
	CHECK_STR(buf_text(&plain), "hello");
	secret_clear(&key);
	secret_clear(&other);
	buf_clear(&blob);
	buf_clear(&plain);
}

TEST("the older form with the tag in front is read too")
{
	struct secret key = secret_of(7);
	struct buf blob = BUF_INIT(1024), old = BUF_INIT(1024), plain = BUF_INIT(1024);
	struct err err = ERR_INIT;

	CHECK_OK(aead_encrypt(&blob, &key, "an iv", 5, "", 0, "hello", 5, &err), err);
	buf_put_u8(&old, 1);
	buf_put(&old, blob.data + 6, 16);
	buf_put(&old, blob.data + 1, 5);
	CHECK_OK(aead_decrypt(&plain, &key, "an iv", 5, "", 0, old.data, old.len, &err), err);
	CHECK_STR(buf_text(&plain), "hello");
	secret_clear(&key);
	buf_clear(&blob);
	buf_clear(&old);
	buf_clear(&plain);
}

TEST("no bit of a blob may change, nor its length")
{
	struct secret key = secret_of(7);
	struct buf blob = BUF_INIT(1024), plain = BUF_INIT(1024);
	struct err err = ERR_INIT;

	CHECK_OK(aead_encrypt(&blob, &key, "an iv", 5, "", 0, "hello", 5, &err), err);
	for (size_t i = 0; i < blob.len * 8; i++) {
		blob.data[i / 8] ^= (uint8_t)(1u << (i % 8));
		CHECK_INT(aead_decrypt(&plain, &key, "an iv", 5, "", 0, blob.data, blob.len, &err), -1);
		blob.data[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
	for (size_t len = 0; len < blob.len; len++)
		CHECK_INT(aead_decrypt(&plain, &key, "an iv", 5, "", 0, blob.data, len, &err), -1);
	CHECK_INT(plain.len, 0);
	secret_clear(&key);
	buf_clear(&blob);
	buf_clear(&plain);
}

TEST("a key or IV of a wrong length is refused before anything is done")
{
	struct secret key = secret_of(7);
	struct buf blob = BUF_INIT(1024);
	struct err err = ERR_INIT;

	CHECK_INT(aead_encrypt(&blob, &key, "", 0, "", 0, "hello", 5, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "IV");
	key.len = 16;
	CHECK_INT(aead_encrypt(&blob, &key, "an iv", 5, "", 0, "hello", 5, &err), -1);
	key.len = 32;
	secret_clear(&key);
}

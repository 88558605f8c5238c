/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"
#include "base/mem.h"
#include "base/text.h"
#include "keyd/key_handle.h"
#include "t.h"
#include "wire/codec.h"

static struct secret
key_of(char fill)
{
	struct secret secret = { .len = 32 };

	memset(secret.bytes, fill, 32);
	return secret;
}

static char *
handle_of(enum key_handle_kind kind, const char *id, const struct secret *key)
{
	char copy[64];
	struct key_handle handle = { .kind = kind, .id = copy };

	snprintf(copy, sizeof(copy), "%s", id);
	return key_handle_format(&handle, key);
}

static char *
pair_handle(const char *id, const struct secret *key)
{
	return handle_of(KEY_HANDLE_PAIR, id, key);
}

TEST("a handle says which key it stands for, and of which kind")
{
	struct secret key = key_of('k');
	struct err err = ERR_INIT;
	OWN_TEXT text = pair_handle("device-id", &key);
	OWN(key_handle) handle = key_handle_parse(text, &key, &err);

	CHECK(text_starts(text, "sr="));
	CHECK_INT(handle->kind, KEY_HANDLE_PAIR);
	CHECK_STR(handle->id, "device-id");
}

TEST("a derived key's handle carries what it is derived with")
{
	struct secret key = key_of('k');
	struct err err = ERR_INIT;
	OWN_TEXT base = handle_of(KEY_HANDLE_KEY, "master", &key);
	struct key_handle derived = { .kind = KEY_HANDLE_DERIVED, .base = base, .data = "m:\0:primary", .data_len = 11 };
	OWN_TEXT text = key_handle_format(&derived, &key);
	OWN(key_handle) handle = key_handle_parse(text, &key, &err);

	CHECK_INT(handle->kind, KEY_HANDLE_DERIVED);
	CHECK_STR(handle->id, "master");
	CHECK_INT(handle->data_len, 11);
	CHECK_MEM(handle->data, "m:\0:primary", 11);
	CHECK_STR(handle->base, base);
}

TEST("a handle is derived from a symmetric key's and from no other, under the same validation key")
{
	struct secret key = key_of('k'), theirs = key_of('x');
	OWN_TEXT pair = handle_of(KEY_HANDLE_PAIR, "device-id", &key);
	OWN_TEXT strange = handle_of(KEY_HANDLE_KEY, "master", &theirs);
	OWN_TEXT base = handle_of(KEY_HANDLE_KEY, "master", &key);
	struct key_handle of_base = { .kind = KEY_HANDLE_DERIVED, .base = base };
	OWN_TEXT nested = key_handle_format(&of_base, &key);
	char none[] = "";
	char *const bases[] = { pair, strange, nested, none };

	for (size_t i = 0; i < COUNT(bases); i++) {
		struct err err = ERR_INIT;
		struct key_handle derived = { .kind = KEY_HANDLE_DERIVED, .base = bases[i] };
		OWN_TEXT text = key_handle_format(&derived, &key);

		CHECK(!key_handle_parse(text, &key, &err));
		CHECK_ERR(err, ERR_INVALID, "invalid handle");
	}
}

TEST("a handle keeps who it was made for, and one of the original, which doesn't say, is read")
{
	/* As the original writes it: key_id and nonce, no more. */
	static const char original[] = "{\"key_id\":{\"KeyPair\":\"device-id\"},\"nonce\":\"AAAA\"}";
	struct secret key = key_of('k');
	struct err err = ERR_INIT;
	char id[] = "device-id", maker[] = "identityd";
	struct key_handle pair = { .kind = KEY_HANDLE_PAIR, .id = id, .maker = maker };
	OWN_TEXT text = key_handle_format(&pair, &key);
	OWN(key_handle) ours = key_handle_parse(text, &key, &err);
	OWN(key_handle) theirs = NULL;
	struct buf old = BUF_INIT(1000);
	uint8_t mac[DIGEST_SHA256_LEN];

	CHECK_STR(ours->maker, "identityd");
	digest_hmac_sha256(key.bytes, key.len, original, strlen(original), mac);
	buf_puts(&old, "sr=");
	base64_encode(&old, original, strlen(original));
	buf_puts(&old, "&sig=");
	base64_encode(&old, mac, sizeof(mac));
	theirs = key_handle_parse(buf_text(&old), &key, &err);
	CHECK_STR(theirs->id, "device-id");
	CHECK(!theirs->maker);
	buf_clear(&old);
}

TEST("atk-16: two handles of one key differ, so that none can be guessed from another")
{
	struct secret key = key_of('k');
	OWN_TEXT one = pair_handle("device-id", &key);
	OWN_TEXT two = pair_handle("device-id", &key);

	CHECK(!text_is(one, two));
}

TEST("atk-16: a handle made under another validation key is refused")
{
	struct secret ours = key_of('k'), theirs = key_of('x');
	struct err err = ERR_INIT;
	OWN_TEXT text = pair_handle("device-id", &theirs);

	CHECK(!key_handle_parse(text, &ours, &err));
	CHECK_ERR(err, ERR_INVALID, "invalid handle");
}

TEST("atk-16: no byte of a handle can be changed, and none be left out")
{
	struct secret key = key_of('k');
	OWN_TEXT text = pair_handle("device-id", &key);
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		struct err err = ERR_INIT;
		OWN_TEXT changed = mem_text(text);

		changed[i] = changed[i] == 'A' ? 'B' : 'A';
		CHECK(!key_handle_parse(changed, &key, &err));
		changed[i] = '\0';
		CHECK(!key_handle_parse(changed, &key, &err));
	}
}

TEST("what is no handle at all is refused without a fuss")
{
	static const char *const texts[] = { "", "sr=", "sr=&sig=", "sig=&sr=", "sr=AAAA&sig=AAAA", "sr=bnVsbA==&sig=", "&&&",
		"sr=!&sig=!", "device-id" };
	struct secret key = key_of('k');
	OWN_TEXT huge = mem_new(20001);

	memset(huge, 'A', 20000);
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct err err = ERR_INIT;

		CHECK(!key_handle_parse(texts[i], &key, &err));
		CHECK_ERR(err, ERR_INVALID, "invalid handle");
	}
	CHECK(!key_handle_parse(huge, &key, &(struct err)ERR_INIT));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Key handles. */
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/rd.h"
#include "keyd/key_handle.h"
#include "wire/codec.h"
#include "wire/json.h"

#define HANDLE_MAX 8192
#define NONCE_LEN 64

static const char *const kind_names[] = { "KeyPair", "Key", "Derived" };

static json_t *
key_id_json(const struct key_handle *handle)
{
	struct buf data = BUF_INIT(HANDLE_MAX);
	json_t *json;

	if (handle->kind != KEY_HANDLE_DERIVED)
		return json_pack("{s:s}", kind_names[handle->kind], handle->id);
	base64_encode(&data, handle->data, handle->data_len);
	json = json_pack("{s:[s,s]}", kind_names[KEY_HANDLE_DERIVED], handle->id, buf_text(&data));
	buf_clear(&data);
	return json;
}

char *
key_handle_format(const struct key_handle *handle, const struct secret *validation_key)
{
	struct buf nonce = BUF_INIT(256), out = BUF_INIT(HANDLE_MAX);
	uint8_t random[NONCE_LEN], mac[DIGEST_SHA256_LEN];
	OWN_LIB(json_t) json = NULL;
	OWN_TEXT text = NULL;

	random_bytes(random, sizeof(random));
	base64_encode(&nonce, random, sizeof(random));
	json = json_pack("{s:o, s:s}", "key_id", key_id_json(handle), "nonce", buf_text(&nonce));
	text = json_line(json);
	digest_hmac_sha256(validation_key->bytes, validation_key->len, text, strlen(text), mac);
	buf_puts(&out, "sr=");
	base64_encode(&out, text, strlen(text));
	buf_puts(&out, "&sig=");
	base64_encode(&out, mac, sizeof(mac));
	buf_clear(&nonce);
	return buf_take_text(&out);
}

static int
take_key_id(struct key_handle *handle, const json_t *key_id)
{
	for (size_t i = 0; i < COUNT(kind_names); i++) {
		const json_t *value = json_object_get(key_id, kind_names[i]);
		const char *id = json_string_value(i == KEY_HANDLE_DERIVED ? json_array_get(value, 0) : value),
			   *data = json_string_value(json_array_get(value, 1));
		struct buf bytes = BUF_INIT(sizeof(handle->data));

		if (!id)
			continue;
		handle->kind = (enum key_handle_kind)i;
		handle->id = mem_text(id);
		if (i != KEY_HANDLE_DERIVED)
			return 0;
		if (!data || !base64_decode(&bytes, data, strlen(data), BASE64_STRICT)) {
			buf_clear(&bytes);
			return -1;
		}
		memcpy(handle->data, bytes.data ? bytes.data : (const uint8_t *)"", bytes.len);
		handle->data_len = bytes.len;
		buf_clear(&bytes);
		return 0;
	}
	return -1;
}

static bool
signature_is_good(struct slice sig, const struct buf *text, const struct secret *validation_key)
{
	struct buf given = BUF_INIT(64);
	uint8_t mac[DIGEST_SHA256_LEN];
	bool good;

	digest_hmac_sha256(validation_key->bytes, validation_key->len, buf_text(text), text->len, mac);
	good = base64_decode(&given, sig.text, sig.len, BASE64_STRICT) && given.len == sizeof(mac) &&
	       mem_equal_ct(given.data, mac, sizeof(mac));
	buf_clear(&given);
	return good;
}

struct key_handle *
key_handle_parse(const char *text, const struct secret *validation_key, struct err *err)
{
	OWN(key_handle) handle = NEW(key_handle);
	struct slice sig = slice_of(text), sr;
	struct buf json_text = BUF_INIT(HANDLE_MAX);
	OWN_LIB(json_t) json = NULL;
	struct err ignored = ERR_INIT;

	if (strlen(text) <= HANDLE_MAX && slice_starts(sig, "sr=") && slice_cut(&sig, '&', &sr) && slice_starts(sig, "sig=") &&
		base64_decode(&json_text, sr.text + 3, sr.len - 3, BASE64_STRICT)) {
		sig = (struct slice){ .text = sig.text + 4, .len = sig.len - 4 };
		if (signature_is_good(sig, &json_text, validation_key))
			json = json_parse(json_text.data, json_text.len, &ignored);
	}
	buf_clear(&json_text);
	if (!json || take_key_id(handle, json_object_get(json, "key_id")) < 0)
		return err_null(err, ERR_INVALID, "parameter \"keyHandle\" has an invalid value");
	return GIVE(handle);
}

void
key_handle_free(struct key_handle *handle)
{
	if (!handle)
		return;
	mem_free(handle->id);
	mem_wipe(handle, sizeof(*handle));
	mem_free(handle);
}

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
	json_t *data;

	if (handle->kind != KEY_HANDLE_DERIVED)
		return json_pack("{s:s}", kind_names[handle->kind], handle->id);
	data = json_array();
	for (size_t i = 0; i < handle->data_len; i++)
		json_array_append_new(data, json_integer(handle->data[i]));
	return json_pack("{s:[s,o]}", kind_names[KEY_HANDLE_DERIVED], handle->base, data);
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
	json = json_pack("{s:o, s:s, s:s*}", "key_id", key_id_json(handle), "nonce", buf_text(&nonce), "by", handle->maker);
	text = json_line(json);
	digest_hmac_sha256(validation_key->bytes, validation_key->len, text, strlen(text), mac);
	buf_puts(&out, "sr=");
	base64_encode(&out, text, strlen(text));
	buf_puts(&out, "&sig=");
	base64_encode(&out, mac, sizeof(mac));
	buf_clear(&nonce);
	return buf_take_text(&out);
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

static json_t *
signed_json(const char *text, const struct secret *validation_key)
{
	struct slice sig = slice_of(text), sr;
	struct buf json_text = BUF_INIT(HANDLE_MAX);
	struct err ignored = ERR_INIT;
	json_t *json = NULL;

	if (strlen(text) <= HANDLE_MAX && slice_starts(sig, "sr=") && slice_cut(&sig, '&', &sr) && slice_starts(sig, "sig=") &&
		base64_decode(&json_text, sr.text + 3, sr.len - 3, BASE64_STRICT)) {
		sig = (struct slice){ .text = sig.text + 4, .len = sig.len - 4 };
		if (signature_is_good(sig, &json_text, validation_key))
			json = json_parse(json_text.data, json_text.len, &ignored);
	}
	buf_clear(&json_text);
	return json;
}

static bool
take_plain(struct key_handle *handle, const json_t *key_id)
{
	for (size_t i = 0; i < KEY_HANDLE_DERIVED; i++) {
		const char *id = json_string_value(json_object_get(key_id, kind_names[i]));

		if (!id)
			continue;
		handle->kind = (enum key_handle_kind)i;
		handle->id = mem_text(id);
		return true;
	}
	return false;
}

static bool
take_data(struct key_handle *handle, const json_t *bytes)
{
	handle->data_len = json_array_size(bytes);
	if (!json_is_array(bytes) || handle->data_len > sizeof(handle->data))
		return false;
	for (size_t i = 0; i < handle->data_len; i++) {
		json_int_t byte = json_integer_value(json_array_get(bytes, i));

		if (byte < 0 || byte > UINT8_MAX)
			return false;
		handle->data[i] = (uint8_t)byte;
	}
	return true;
}

/* A derived key's handle has its base's in it, which is one of a key that is not derived. */
static bool
take_derived(struct key_handle *handle, const json_t *derived, const struct secret *validation_key)
{
	const char *base_text = json_string_value(json_array_get(derived, 0));
	OWN_LIB(json_t) json = base_text ? signed_json(base_text, validation_key) : NULL;
	OWN(key_handle) base = NEW(key_handle);

	if (!json || !take_plain(base, json_object_get(json, "key_id")) || base->kind != KEY_HANDLE_KEY ||
		!take_data(handle, json_array_get(derived, 1)))
		return false;
	handle->kind = KEY_HANDLE_DERIVED;
	handle->id = GIVE(base->id);
	handle->base = mem_text(base_text);
	return true;
}

struct key_handle *
key_handle_parse(const char *text, const struct secret *validation_key, struct err *err)
{
	OWN(key_handle) handle = NEW(key_handle);
	OWN_LIB(json_t) json = signed_json(text, validation_key);
	const json_t *key_id = json_object_get(json, "key_id"), *derived = json_object_get(key_id, kind_names[KEY_HANDLE_DERIVED]);
	const char *maker = json_string_value(json_object_get(json, "by"));

	if (!(derived ? take_derived(handle, derived, validation_key) : take_plain(handle, key_id)))
		return err_null(err, ERR_INVALID, "invalid handle");
	handle->maker = maker ? mem_text(maker) : NULL;
	return GIVE(handle);
}

void
key_handle_free(struct key_handle *handle)
{
	if (!handle)
		return;
	mem_free(handle->id);
	mem_free(handle->maker);
	mem_free(handle->base);
	mem_wipe(handle, sizeof(*handle));
	mem_free(handle);
}

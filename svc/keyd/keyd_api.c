/* SPDX-License-Identifier: Apache-2.0 */
/* The keys service's endpoints (edge-services 1.1).  Every operation, not only the creation of a handle, asks whether the caller may use the key. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "keyd/key_handle.h"
#include "keyd/keyd.h"
#include "keys/key_raw.h"
#include "keys/symmetric_key.h"
#include "wire/codec.h"
#include "wire/json.h"

#define BYTES_MAX (1024 * 1024)

/* -- The caller ------------------------------------------------------------------------------------------------------------------------- */

static struct keyd *
keyd_of(const struct route_call *call)
{
	return ((struct keyd_door *)call->door)->keyd;
}

static const struct principal *
caller_of(const struct route_call *call)
{
	const struct keyd_door *door = call->door;

	if (!call->has_process)
		return NULL;
	if (door->principal)
		return call->process.uid == door->principal->uid ? door->principal : NULL;
	return principals_find(&door->keyd->principals, call->process.uid);
}

/* The user root may everything, but only on the common socket: a role's own socket is for that role. */
static bool
is_root(const struct route_call *call)
{
	const struct keyd_door *door = call->door;

	return !door->principal && call->has_process && call->process.uid == 0;
}

static int
authorize(const struct route_call *call, const char *id, struct err *err)
{
	const struct principal *caller = caller_of(call);

	if (is_root(call) || principal_may(caller, id))
		return 0;
	log_warn(
		"CALLER_NOT_ALLOWED: %s (uid %u) asks for the key %s", caller ? caller->name : "a stranger", call->process.uid, id);
	return err_set(err, ERR_DENIED, "user %u is not authorized to access the key ID", call->process.uid);
}

/* A derived key may also be used, for signing only, by who has "derived:BASE". */
static int
authorize_derived(const struct route_call *call, const char *base, struct err *err)
{
	OWN_TEXT pattern = mem_textf("derived:%s", base);

	return principal_may(caller_of(call), pattern) ? 0 : authorize(call, base, err);
}

/* -- Parameters -------------------------------------------------------------------------------------------------------------------------- */

static int
get_bytes(const json_t *object, const char *name, struct buf *out, struct err *err)
{
	const char *text;

	if (json_get_text(object, name, &text, err) < 0)
		return -1;
	if (!base64_decode(out, text, strlen(text), BASE64_STRICT))
		return err_set(err, ERR_INVALID, "parameter \"%s\" has an invalid value: not base64", name);
	return 0;
}

static json_t *
bytes_answer(const char *name, const void *data, size_t len)
{
	struct buf text = BUF_INIT(BYTES_MAX * 2);
	json_t *json;

	base64_encode(&text, data, len);
	json = json_pack("{s:s}", name, buf_text(&text));
	buf_wipe(&text);
	return json;
}

static int
need_body(const struct route_call *call, struct err *err)
{
	return call->body ? 0 : err_set(err, ERR_INVALID, "missing request body");
}

static struct key_handle *
get_handle(const struct route_call *call, const char *name, struct err *err)
{
	const char *text;
	struct key_handle *handle;

	if (need_body(call, err) < 0 || json_get_text(call->body, name, &text, err) < 0)
		return NULL;
	handle = key_handle_parse(text, &keyd_of(call)->validation_key, err);
	if (handle && (handle->kind == KEY_HANDLE_DERIVED ? authorize_derived(call, handle->id, err)
							  : authorize(call, handle->id, err)) < 0) {
		key_handle_free(handle);
		return NULL;
	}
	return handle;
}

static int
answer_handle(const struct route_call *call, enum key_handle_kind kind, const char *id, json_t **answer)
{
	struct key_handle handle = { .kind = kind, .id = (char *)(uintptr_t)id };
	OWN_TEXT text = key_handle_format(&handle, &keyd_of(call)->validation_key);

	*answer = json_pack("{s:s}", "keyHandle", text);
	return 200;
}

/* -- Making and finding ------------------------------------------------------------------------------------------------------------------ */

/* What the key is for, as enum key_store_usage; -1 with err. */
static int
get_usage(const json_t *body, struct err *err)
{
	const char *usage;
	struct slice rest, word;
	bool more = true;
	int found = 0;

	if (json_get_text(body, "usage", &usage, err) < 0)
		return -1;
	for (rest = slice_of(usage); more;) {
		more = slice_cut(&rest, ',', &word);
		if (slice_is(word, "derive") || slice_is(word, "sign"))
			found |= KEY_STORE_SIGN;
		else if (slice_is(word, "encrypt"))
			found |= KEY_STORE_ENCRYPT;
		else
			return err_set(err, ERR_INVALID, "parameter \"usage\" has an invalid value: derive, sign, encrypt");
	}
	return found;
}

static int
import_bytes(const struct route_call *call, const char *id, int usage, struct err *err)
{
	struct buf bytes = BUF_INIT(SECRET_MAX);
	int status = get_bytes(call->body, "keyBytes", &bytes, err);

	if (status == 0)
		status = key_store_import_symmetric(keyd_of(call)->store, id, usage, bytes.data, bytes.len, err);
	buf_wipe(&bytes);
	return status;
}

static int
create_key(const struct route_call *call, json_t **answer, struct err *err)
{
	OWN(symmetric_key) key = NULL;
	const char *id, *bytes;
	int usage;

	if (need_body(call, err) < 0 || json_get_text(call->body, "keyId", &id, err) < 0)
		return -1;
	usage = get_usage(call->body, err);
	if (usage < 0)
		return -422; /* an enumeration, to the original */
	if (json_find_text(call->body, "keyBytes", &bytes, err) < 0 || authorize(call, id, err) < 0)
		return -1;
	if (bytes)
		return import_bytes(call, id, usage, err) < 0 ? -1 : answer_handle(call, KEY_HANDLE_KEY, id, answer);
	key = key_store_create_symmetric(keyd_of(call)->store, id, usage, err);
	return key ? answer_handle(call, KEY_HANDLE_KEY, id, answer) : -1;
}

static int
load_key(const struct route_call *call, json_t **answer, struct err *err)
{
	OWN(symmetric_key) key = NULL;

	if (authorize(call, call->var[0], err) < 0)
		return -1;
	key = key_store_load_symmetric(keyd_of(call)->store, call->var[0], err);
	return key ? answer_handle(call, KEY_HANDLE_KEY, call->var[0], answer) : -1;
}

static int
create_pair(const struct route_call *call, json_t **answer, struct err *err)
{
	const char *id, *algorithms;
	OWN(key) key = NULL;

	if (need_body(call, err) < 0 || json_get_text(call->body, "keyId", &id, err) < 0 ||
		json_find_text(call->body, "preferredAlgorithms", &algorithms, err) < 0 || authorize(call, id, err) < 0)
		return -1;
	key = key_store_create_pair(keyd_of(call)->store, id, algorithms ? algorithms : "", err);
	return key ? answer_handle(call, KEY_HANDLE_PAIR, id, answer) : -1;
}

static int
load_pair(const struct route_call *call, json_t **answer, struct err *err)
{
	OWN(key) key = NULL;

	if (authorize(call, call->var[0], err) < 0)
		return -1;
	key = key_store_load_pair(keyd_of(call)->store, call->var[0], err);
	return key ? answer_handle(call, KEY_HANDLE_PAIR, call->var[0], answer) : -1;
}

static int
delete_any(const struct route_call *call, enum key_handle_kind kind, int (*delete)(struct key_store *, const char *, struct err *),
	struct err *err)
{
	OWN(key_handle) handle = get_handle(call, "keyHandle", err);

	if (!handle)
		return -1;
	if (handle->kind != kind)
		return err_set(err, ERR_INVALID, "parameter \"keyHandle\" has an invalid value: another kind of key");
	return delete (keyd_of(call)->store, handle->id, err) < 0 ? -1 : 204;
}

static int
delete_key(const struct route_call *call, json_t **answer, struct err *err)
{
	(void)answer;
	return delete_any(call, KEY_HANDLE_KEY, key_store_delete_symmetric, err);
}

static int
delete_pair(const struct route_call *call, json_t **answer, struct err *err)
{
	(void)answer;
	return delete_any(call, KEY_HANDLE_PAIR, key_store_delete_pair, err);
}

static int
move_pair(const struct route_call *call, json_t **answer, struct err *err)
{
	const char *from, *to = call->var[0];

	(void)answer;
	if (need_body(call, err) < 0 || json_get_text(call->body, "from", &from, err) < 0)
		return -1;
	if (text_is(from, to))
		return err_set(err, ERR_INVALID, "source and destination for move are identical");
	if (authorize(call, from, err) < 0 || authorize(call, to, err) < 0)
		return -1;
	return key_store_move_pair(keyd_of(call)->store, from, to, err) < 0 ? -1 : 204;
}

/* -- Using ------------------------------------------------------------------------------------------------------------------------------- */

static struct key *
pair_of(const struct route_call *call, const struct key_handle *handle, struct err *err)
{
	if (handle->kind != KEY_HANDLE_PAIR)
		return err_null(err, ERR_INVALID, "parameter \"keyHandle\" has an invalid value: not a key pair");
	return key_store_load_pair(keyd_of(call)->store, handle->id, err);
}

/* A symmetric key, derived if the handle says so (edge-services 7.1). */
static struct symmetric_key *
symmetric_of(const struct route_call *call, const struct key_handle *handle, struct err *err)
{
	OWN(symmetric_key) base = NULL;

	if (handle->kind == KEY_HANDLE_PAIR)
		return err_null(err, ERR_INVALID, "parameter \"keyHandle\" has an invalid value: a key pair");
	base = key_store_load_symmetric(keyd_of(call)->store, handle->id, err);
	if (!base || handle->kind != KEY_HANDLE_DERIVED)
		return GIVE(base);
	return symmetric_key_derive(base, handle->data, handle->data_len, err);
}

static int
parameter(const struct route_call *call, json_t **answer, struct err *err)
{
	OWN(key_handle) handle = get_handle(call, "keyHandle", err);
	OWN(key) key = handle ? pair_of(call, handle, err) : NULL;
	struct buf value = BUF_INIT(4096);

	if (!key || key_raw_parameter(key, call->var[0], &value, err) < 0)
		return -1;
	if (text_is(call->var[0], "algorithm"))
		*answer = json_pack("{s:s}", "value", buf_text(&value));
	else
		*answer = bytes_answer("value", value.data, value.len);
	buf_clear(&value);
	return 200;
}

static int
derive(const struct route_call *call, json_t **answer, struct err *err)
{
	OWN(key_handle) base = get_handle(call, "baseKeyHandle", err);
	struct key_handle derived = { .kind = KEY_HANDLE_DERIVED };
	struct buf data = BUF_INIT(sizeof(derived.data));
	OWN_TEXT text = NULL;

	if (!base)
		return -1;
	if (base->kind != KEY_HANDLE_KEY)
		return err_set(err, ERR_INVALID,
			"parameter \"baseKeyHandle\" has an invalid value: only from a key that is not derived itself");
	if (authorize(call, base->id, err) < 0 || get_bytes(call->body, "derivationData", &data, err) < 0) {
		buf_clear(&data);
		return -1;
	}
	derived.id = base->id;
	derived.data_len = data.len;
	memcpy(derived.data, buf_text(&data), data.len);
	text = key_handle_format(&derived, &keyd_of(call)->validation_key);
	*answer = json_pack("{s:s}", "keyHandle", text);
	buf_clear(&data);
	return 200;
}

static int
export_derived(const struct route_call *call, json_t **answer, struct err *err)
{
	OWN(key_handle) handle = get_handle(call, "keyHandle", err);
	OWN(symmetric_key) key = NULL;
	const struct secret *bytes;

	if (!handle)
		return -1;
	if (handle->kind != KEY_HANDLE_DERIVED)
		return err_set(err, ERR_INVALID, "parameter \"keyHandle\" has an invalid value: only derived keys may leave");
	if (authorize(call, handle->id, err) < 0)
		return -1;
	key = symmetric_of(call, handle, err);
	bytes = key ? symmetric_key_bytes(key) : NULL;
	if (!bytes)
		return -1;
	*answer = bytes_answer("key", bytes->bytes, bytes->len);
	return 200;
}

static int
sign_hmac(
	const struct route_call *call, const struct key_handle *handle, const json_t *parameters, struct buf *out, struct err *err)
{
	OWN(symmetric_key) key = NULL;
	struct buf message = BUF_INIT(BYTES_MAX);
	uint8_t mac[SYMMETRIC_MAC_LEN];
	int status = get_bytes(parameters, "message", &message, err);

	if (status == 0)
		key = symmetric_of(call, handle, err);
	status = key ? symmetric_key_hmac(key, message.data, message.len, mac, err) : -1;
	if (status == 0)
		buf_put(out, mac, sizeof(mac));
	buf_wipe(&message);
	return status;
}

static int
sign_ecdsa(
	const struct route_call *call, const struct key_handle *handle, const json_t *parameters, struct buf *out, struct err *err)
{
	OWN(key) key = pair_of(call, handle, err);
	struct buf digest = BUF_INIT(64);
	int status = key ? get_bytes(parameters, "digest", &digest, err) : -1;

	if (status == 0)
		status = key_raw_ecdsa(key, digest.data, digest.len, out, err);
	buf_clear(&digest);
	return status;
}

/* Ours: the original has no such keys. */
static int
sign_eddsa(
	const struct route_call *call, const struct key_handle *handle, const json_t *parameters, struct buf *out, struct err *err)
{
	OWN(key) key = pair_of(call, handle, err);
	struct buf message = BUF_INIT(BYTES_MAX);
	int status = key ? get_bytes(parameters, "message", &message, err) : -1;

	if (status == 0)
		status = key_raw_eddsa(key, message.data, message.len, out, err);
	buf_clear(&message);
	return status;
}

static int
sign(const struct route_call *call, json_t **answer, struct err *err)
{
	OWN(key_handle) handle = get_handle(call, "keyHandle", err);
	struct buf signature = BUF_INIT(4096);
	const char *algorithm;
	json_t *parameters;
	int status;

	if (!handle || json_get_text(call->body, "algorithm", &algorithm, err) < 0 ||
		json_find_object(call->body, "parameters", &parameters, err) < 0)
		return -1;
	if (text_is(algorithm, "ECDSA"))
		status = sign_ecdsa(call, handle, parameters, &signature, err);
	else if (text_is(algorithm, "EdDSA"))
		status = sign_eddsa(call, handle, parameters, &signature, err);
	else if (text_is(algorithm, "HMAC-SHA256"))
		status = sign_hmac(call, handle, parameters, &signature, err);
	else
		status = err_set(err, ERR_INVALID, "parameter \"algorithm\" has an invalid value: ECDSA, EdDSA or HMAC-SHA256");
	if (status == 0)
		*answer = bytes_answer("signature", signature.data, signature.len);
	buf_clear(&signature);
	return status < 0 ? -1 : 200;
}

static int
crypt_aead(const struct route_call *call, const struct key_handle *handle, const struct symmetric_message *m, bool encrypt,
	struct buf *out, struct err *err)
{
	OWN(symmetric_key) key = symmetric_of(call, handle, err);

	if (!key)
		return -1;
	return encrypt ? symmetric_key_encrypt(key, m, out, err) : symmetric_key_decrypt(key, m, out, err);
}

static int
aead(const struct route_call *call, const struct key_handle *handle, const json_t *parameters, bool encrypt, struct buf *out,
	struct err *err)
{
	struct buf iv = BUF_INIT(1024), aad = BUF_INIT(4096), data = BUF_INIT(BYTES_MAX);
	int status = 0;

	if (handle->kind == KEY_HANDLE_DERIVED)
		return err_set(err, ERR_INVALID, "parameter \"keyHandle\" has an invalid value: a derived key");
	if (get_bytes(parameters, "iv", &iv, err) < 0 || get_bytes(parameters, "aad", &aad, err) < 0 ||
		get_bytes(call->body, encrypt ? "plaintext" : "ciphertext", &data, err) < 0)
		status = -1;
	else
		status = crypt_aead(call, handle,
			&(struct symmetric_message){ .iv = iv.data,
				.aad = aad.data,
				.data = data.data,
				.iv_size = iv.len,
				.aad_size = aad.len,
				.size = data.len },
			encrypt, out, err);
	buf_clear(&iv);
	buf_clear(&aad);
	buf_wipe(&data);
	return status;
}

/* The original's name for the private operation of RSA. */
static int
rsa_private(const struct route_call *call, const struct key_handle *handle, enum key_raw_padding padding, struct buf *out,
	struct err *err)
{
	OWN(key) key = pair_of(call, handle, err);
	struct buf block = BUF_INIT(4096);
	int status = key ? get_bytes(call->body, "plaintext", &block, err) : -1;

	if (status == 0)
		status = key_raw_rsa(key, padding, block.data, block.len, out, err);
	buf_clear(&block);
	return status;
}

static int
do_crypt(const struct route_call *call, bool encrypt, json_t **answer, struct err *err)
{
	OWN(key_handle) handle = get_handle(call, "keyHandle", err);
	struct buf out = BUF_INIT(BYTES_MAX + 64);
	const char *algorithm;
	json_t *parameters;
	int status;

	if (!handle || json_get_text(call->body, "algorithm", &algorithm, err) < 0 ||
		json_find_object(call->body, "parameters", &parameters, err) < 0)
		return -1;
	if (text_is(algorithm, "AEAD"))
		status = aead(call, handle, parameters, encrypt, &out, err);
	else if (encrypt && text_is(algorithm, "RSA-NO-PADDING"))
		status = rsa_private(call, handle, KEY_RAW_NO_PADDING, &out, err);
	else if (encrypt && text_is(algorithm, "RSA-PKCS1"))
		status = rsa_private(call, handle, KEY_RAW_PKCS1, &out, err);
	else
		status = err_set(err, ERR_INVALID, "parameter \"algorithm\" has an invalid value");
	if (status == 0)
		*answer = bytes_answer(encrypt ? "ciphertext" : "plaintext", out.data, out.len);
	buf_wipe(&out);
	if (status < 0 && err->kind == ERR_DENIED)
		err->kind = ERR_INVALID; /* a failed decryption is about the data, not about the caller */
	return status < 0 ? -1 : 200;
}

static int
encrypt(const struct route_call *call, json_t **answer, struct err *err)
{
	return do_crypt(call, true, answer, err);
}

static int
decrypt(const struct route_call *call, json_t **answer, struct err *err)
{
	return do_crypt(call, false, answer, err);
}

/* "move" of a path that only pairs have. */
static int
move_key(const struct route_call *call, json_t **answer, struct err *err)
{
	(void)call;
	(void)answer;
	return err_set(err, ERR_INVALID, "a parameter has an invalid value: only key pairs are moved");
}

static const struct route routes[] = {
	{ "POST", "/key", "2020-09-01", create_key },
	{ "DELETE", "/key", "2020-09-01", delete_key },
	{ "GET", "/key/{}", "2020-09-01", load_key },
	{ "POST", "/key/{}", "2020-09-01", move_key },
	{ "POST", "/keypair", "2020-09-01", create_pair },
	{ "DELETE", "/keypair", "2020-09-01", delete_pair },
	{ "GET", "/keypair/{}", "2020-09-01", load_pair },
	{ "POST", "/keypair/{}", "2020-09-01", move_pair },
	{ "POST", "/parameters/{}", "2020-09-01", parameter },
	{ "POST", "/derivedkey", "2020-09-01", derive },
	{ "POST", "/derivedkey/export", "2020-09-01", export_derived },
	{ "POST", "/sign", "2020-09-01", sign },
	{ "POST", "/encrypt", "2020-09-01", encrypt },
	{ "POST", "/decrypt", "2020-09-01", decrypt },
};

static const struct route_body bodies[] = {
	{ "POST", "/key", "keyId usage keyBytes?" },
	{ "DELETE", "/key", "keyHandle" },
	{ "POST", "/keypair", "keyId preferredAlgorithms?" },
	{ "DELETE", "/keypair", "keyHandle" },
	{ "POST", "/keypair/{}", "from" },
	{ "POST", "/parameters/{}", "keyHandle" },
	{ "POST", "/derivedkey", "baseKeyHandle derivationData" },
	{ "POST", "/derivedkey/export", "keyHandle" },
	{ "POST", "/sign", "keyHandle algorithm" },
	{ "POST", "/encrypt", "keyHandle algorithm plaintext" },
	{ "POST", "/decrypt", "keyHandle algorithm ciphertext" },
};

static const char *const versions[] = { "2020-09-01", "2021-05-01", NULL };

const struct route_table keyd_routes = {
	.routes = routes,
	.n_routes = COUNT(routes),
	.bodies = bodies,
	.n_bodies = COUNT(bodies),
	.versions = versions,
	.denied_status = 401,
	.missing_status = 400,
	.hide_failures = true,
};

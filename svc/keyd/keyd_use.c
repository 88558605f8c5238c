/* SPDX-License-Identifier: Apache-2.0 */
/* Using keys (edge-services 1.1). */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "keyd/keyd_endpoints.h"
#include "keyd/keyd_request.h"
#include "keys/key_raw.h"
#include "keys/symmetric_key.h"
#include "wire/codec.h"
#include "wire/json.h"

#define WRONG_KEY "mechanism cannot be used with this key type"

static struct key *
pair_of(const struct endpoint_call *call, const struct key_handle *handle, struct err *err)
{
	struct key *key;

	if (handle->kind != KEY_HANDLE_PAIR) {
		(void)keyd_invalid(err, "mechanism", WRONG_KEY);
		return NULL;
	}
	key = key_store_use_pair(keyd_of(call)->store, handle->id, err);
	if (!key)
		(void)keyd_failed(err);
	return key;
}

/* A symmetric key, derived if the handle says so (edge-services 7.1). */
static struct symmetric_key *
symmetric_of(const struct endpoint_call *call, const struct key_handle *handle, struct err *err)
{
	OWN(symmetric_key) base = NULL;

	if (handle->kind == KEY_HANDLE_PAIR) {
		(void)keyd_invalid(err, "mechanism", WRONG_KEY);
		return NULL;
	}
	base = key_store_load_symmetric(keyd_of(call)->store, handle->id, err);
	if (!base)
		(void)keyd_failed(err);
	if (!base || handle->kind != KEY_HANDLE_DERIVED)
		return GIVE(base);
	return symmetric_key_derive(base, handle->data, handle->data_len, err);
}

/* -- Parameters, derivation --------------------------------------------------------------------------------------------------------------- */

static json_t *
parameter_json(const struct key *key, const char *name, struct err *err)
{
	CLEAR(buf) value = BUF_INIT(4096);
	CLEAR(buf) text = BUF_INIT(8192);

	if (key_raw_parameter(key, name, &value, err) < 0)
		return NULL;
	if (text_is(name, "algorithm"))
		return json_string(buf_text(&value));
	base64_encode(&text, value.data, value.len);
	return json_string(buf_text(&text));
}

/* Ours, "public": all of the public half at once, where the original's engine asks three times. */
static json_t *
public_json(const struct key *key, struct err *err)
{
	const char *const *names = key_raw_public_names(key);
	OWN_LIB(json_t) all = json_pack("{s:o*}", "algorithm", parameter_json(key, "algorithm", err));

	for (size_t i = 0; i < KEY_RAW_PUBLIC_MAX && names[i]; i++)
		if (json_object_set_new(all, names[i], parameter_json(key, names[i], err)) < 0)
			return NULL;
	return GIVE(all);
}

int
keyd_parameter(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	OWN(key_handle) handle = keyd_get_handle(call, "keyHandle", KEY_USE, err);
	OWN(key) key = handle ? pair_of(call, handle, err) : NULL;
	const char *name = call->var[0];
	json_t *value;

	if (!key)
		return -1;
	value = text_is(name, "public") ? public_json(key, err) : parameter_json(key, name, err);
	if (!value)
		return keyd_failed(err);
	*answer = json_pack("{s:o}", "value", value);
	return 200;
}

int
keyd_derive(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	OWN(key_handle) base = keyd_get_handle(call, "baseKeyHandle", KEY_OWN, err);
	struct key_handle derived = { 0 };
	CLEAR(buf) data = BUF_INIT(sizeof(derived.data));
	const char *text;
	int status;

	if (!base)
		return -1;
	if (base->kind != KEY_HANDLE_KEY)
		return keyd_invalid(
			err, "handle", base->kind == KEY_HANDLE_DERIVED ? "nested derived keys are not supported" : WRONG_KEY);
	status = keyd_get_bytes(call->body, "derivationData", &data, err);
	if (status < 0 || json_get_text(call->body, "baseKeyHandle", &text, err) < 0)
		return status;
	derived.id = base->id;
	derived.base = (char *)(uintptr_t)text;
	derived.data_len = data.len;
	memcpy(derived.data, buf_text(&data), data.len);
	return keyd_answer_derived(call, &derived, answer);
}

int
keyd_export_derived(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	OWN(key_handle) handle = keyd_get_handle(call, "keyHandle", KEY_OWN, err);
	OWN(symmetric_key) key = NULL;
	const struct secret *bytes;

	if (!handle)
		return -1;
	if (handle->kind != KEY_HANDLE_DERIVED)
		return keyd_invalid(err, "handle", "handle is not for a derived key");
	key = symmetric_of(call, handle, err);
	bytes = key ? symmetric_key_bytes(key) : NULL;
	if (!bytes)
		return -1;
	*answer = keyd_bytes_answer("key", bytes->bytes, bytes->len);
	return 200;
}

/* -- What can be done with a key ---------------------------------------------------------------------------------------------------------- */

/* One algorithm of /sign, /encrypt or /decrypt: what it takes from the request, and what it makes of it. */
struct operation {
	const char *algorithm;
	int (*run)(const struct endpoint_call *call, const struct key_handle *handle, const json_t *parameters, struct buf *out,
		struct err *err);
	bool has_parameters; /* an object that must be there */
};

/* What a key is used for. */
struct use {
	const struct operation *operations;
	size_t n_operations;
	enum key_access access;
	const char *answer; /* the member that has the result */
};

static const struct operation *
find_operation(const struct use *use, const json_t *body, json_t **parameters, struct err *err)
{
	const char *algorithm;

	if (json_get_text(body, "algorithm", &algorithm, err) < 0 || json_find_object(body, "parameters", parameters, err) < 0)
		return NULL;
	for (size_t i = 0; i < use->n_operations; i++) {
		const struct operation *o = &use->operations[i];

		if (!text_is(o->algorithm, algorithm))
			continue;
		if (o->has_parameters && !*parameters)
			return err_null(err, ERR_INVALID, "%s has parameters", algorithm);
		return o;
	}
	return err_null(err, ERR_INVALID, "unknown algorithm '%.40s'", algorithm);
}

/* An algorithm that is not known is a request that the original can't read. */
static int
operate(const struct use *use, const struct endpoint_call *call, json_t **answer, struct err *err)
{
	struct buf out = BUF_INIT(KEYD_BYTES_MAX + 64);
	json_t *parameters = NULL;
	const struct operation *operation;
	OWN(key_handle) handle = NULL;
	int status;

	if (keyd_need_body(call, err) < 0)
		return -1;
	operation = find_operation(use, call->body, &parameters, err);
	if (!operation)
		return -422;
	handle = keyd_get_handle(call, "keyHandle", use->access, err);
	status = handle ? operation->run(call, handle, parameters, &out, err) : -1;
	if (status == 0)
		*answer = keyd_bytes_answer(use->answer, out.data, out.len);
	buf_wipe(&out);
	return status < 0 ? status : 200;
}

static int
sign_hmac(const struct endpoint_call *call, const struct key_handle *handle, const json_t *parameters, struct buf *out,
	struct err *err)
{
	OWN(symmetric_key) key = NULL;
	struct buf message = BUF_INIT(KEYD_BYTES_MAX);
	uint8_t mac[SYMMETRIC_MAC_LEN];
	int status = keyd_get_bytes(parameters, "message", &message, err);

	if (status == 0)
		key = symmetric_of(call, handle, err);
	if (status == 0)
		status = key ? symmetric_key_hmac(key, message.data, message.len, mac, err) : -1;
	if (status == 0)
		buf_put(out, mac, sizeof(mac));
	buf_wipe(&message);
	return status;
}

static int
sign_ecdsa(const struct endpoint_call *call, const struct key_handle *handle, const json_t *parameters, struct buf *out,
	struct err *err)
{
	CLEAR(buf) digest = BUF_INIT(64);
	int status = keyd_get_bytes(parameters, "digest", &digest, err);
	OWN(key) key = status == 0 ? pair_of(call, handle, err) : NULL;

	if (!key)
		return status < 0 ? status : -1;
	return key_raw_ecdsa(key, digest.data, digest.len, out, err) < 0 ? keyd_failed(err) : 0;
}

/* Ours: the original has no such keys. */
static int
sign_eddsa(const struct endpoint_call *call, const struct key_handle *handle, const json_t *parameters, struct buf *out,
	struct err *err)
{
	CLEAR(buf) message = BUF_INIT(KEYD_BYTES_MAX);
	int status = keyd_get_bytes(parameters, "message", &message, err);
	OWN(key) key = status == 0 ? pair_of(call, handle, err) : NULL;

	if (!key)
		return status < 0 ? status : -1;
	return key_raw_eddsa(key, message.data, message.len, out, err) < 0 ? keyd_failed(err) : 0;
}

static const struct operation sign_operations[] = {
	{ "ECDSA", sign_ecdsa, true },
	{ "HMAC-SHA256", sign_hmac, true },
	{ "EdDSA", sign_eddsa, true },
};

int
keyd_sign(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	static const struct use use = { sign_operations, COUNT(sign_operations), KEY_SIGN, "signature" };

	return operate(&use, call, answer, err);
}

/* The signature of a TLS handshake, by a key in a file: it takes less time than to wake somebody who does it.  Everything else may wait for a disk or a token, or takes long. */
int
keyd_sign_now(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	CLEAR(buf) digest = BUF_INIT(64);
	CLEAR(buf) signature = BUF_INIT(256);
	json_t *parameters = NULL;
	const char *algorithm;
	OWN(key_handle) handle = NULL;
	OWN(key) key = NULL;

	if (json_get_text(call->body, "algorithm", &algorithm, err) < 0 || !text_is(algorithm, "ECDSA") ||
		json_find_object(call->body, "parameters", &parameters, err) < 0 ||
		keyd_get_bytes(parameters, "digest", &digest, err) < 0)
		return ENDPOINT_LATER;
	*err = (struct err)ERR_INIT;
	handle = keyd_get_handle(call, "keyHandle", KEY_SIGN, err);
	if (!handle)
		return -1;
	key = handle->kind == KEY_HANDLE_PAIR ? key_store_quick_pair(keyd_of(call)->store, handle->id) : NULL;
	if (!key)
		return ENDPOINT_LATER;
	if (key_raw_ecdsa(key, digest.data, digest.len, &signature, err) < 0)
		return keyd_failed(err);
	*answer = keyd_bytes_answer("signature", signature.data, signature.len);
	return 200;
}

/* -- Encrypting and decrypting ------------------------------------------------------------------------------------------------------------ */

struct aead_input {
	struct buf iv, aad, data;
};

static void
aead_input_clear(struct aead_input *in)
{
	buf_clear(&in->iv);
	buf_clear(&in->aad);
	buf_wipe(&in->data);
}

static int
get_aead_input(struct aead_input *in, const json_t *parameters, const json_t *body, const char *data, struct err *err)
{
	int status = keyd_get_bytes(parameters, "iv", &in->iv, err);

	if (status == 0)
		status = keyd_get_bytes(parameters, "aad", &in->aad, err);
	return status < 0 ? status : keyd_get_bytes(body, data, &in->data, err);
}

/* A decryption that fails is about the data, not about the caller. */
static int
crypt_failed(struct err *err)
{
	if (err->kind == ERR_DENIED)
		err->kind = ERR_INVALID;
	return keyd_failed(err);
}

typedef int aead_function(const struct symmetric_key *key, const struct symmetric_message *m, struct buf *out, struct err *err);

static int
aead(const struct endpoint_call *call, const struct key_handle *handle, const json_t *parameters, const char *data,
	aead_function *function, struct buf *out, struct err *err)
{
	CLEAR(aead_input) in = { .iv = BUF_INIT(1024), .aad = BUF_INIT(4096), .data = BUF_INIT(KEYD_BYTES_MAX) };
	int status = get_aead_input(&in, parameters, call->body, data, err);
	OWN(symmetric_key) key = status == 0 ? symmetric_of(call, handle, err) : NULL;
	const struct symmetric_message m = { .iv = in.iv.data,
		.aad = in.aad.data,
		.data = in.data.data,
		.iv_size = in.iv.len,
		.aad_size = in.aad.len,
		.size = in.data.len };

	if (!key)
		return status < 0 ? status : -1;
	return function(key, &m, out, err) < 0 ? crypt_failed(err) : 0;
}

static int
encrypt_aead(const struct endpoint_call *call, const struct key_handle *handle, const json_t *parameters, struct buf *out,
	struct err *err)
{
	return aead(call, handle, parameters, "plaintext", symmetric_key_encrypt, out, err);
}

static int
decrypt_aead(const struct endpoint_call *call, const struct key_handle *handle, const json_t *parameters, struct buf *out,
	struct err *err)
{
	return aead(call, handle, parameters, "ciphertext", symmetric_key_decrypt, out, err);
}

/* The original's name for the private operation of RSA. */
static int
rsa_private(const struct endpoint_call *call, const struct key_handle *handle, enum key_raw_padding padding, struct buf *out,
	struct err *err)
{
	CLEAR(buf) block = BUF_INIT(4096);
	int status = keyd_get_bytes(call->body, "plaintext", &block, err);
	OWN(key) key = status == 0 ? pair_of(call, handle, err) : NULL;

	if (!key)
		return status < 0 ? status : -1;
	return key_raw_rsa(key, padding, block.data, block.len, out, err) < 0 ? keyd_failed(err) : 0;
}

static int
encrypt_rsa(const struct endpoint_call *call, const struct key_handle *handle, const json_t *parameters, struct buf *out,
	struct err *err)
{
	(void)parameters;
	return rsa_private(call, handle, KEY_RAW_NO_PADDING, out, err);
}

static int
encrypt_rsa_pkcs1(const struct endpoint_call *call, const struct key_handle *handle, const json_t *parameters, struct buf *out,
	struct err *err)
{
	(void)parameters;
	return rsa_private(call, handle, KEY_RAW_PKCS1, out, err);
}

/* RSA is known to /decrypt and goes with no key there. */
static int
decrypt_rsa(const struct endpoint_call *call, const struct key_handle *handle, const json_t *parameters, struct buf *out,
	struct err *err)
{
	(void)call;
	(void)handle;
	(void)parameters;
	(void)out;
	return keyd_invalid(err, "mechanism", WRONG_KEY);
}

int
keyd_encrypt(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	static const struct operation operations[] = {
		{ "AEAD", encrypt_aead, true },
		{ "RSA-NO-PADDING", encrypt_rsa, false },
		{ "RSA-PKCS1", encrypt_rsa_pkcs1, false },
	};
	static const struct use use = { operations, COUNT(operations), KEY_USE, "ciphertext" };

	return operate(&use, call, answer, err);
}

int
keyd_decrypt(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	static const struct operation operations[] = {
		{ "AEAD", decrypt_aead, true },
		{ "RSA-NO-PADDING", decrypt_rsa, false },
		{ "RSA-PKCS1", decrypt_rsa, false },
	};
	static const struct use use = { operations, COUNT(operations), KEY_USE, "plaintext" };

	return operate(&use, call, answer, err);
}

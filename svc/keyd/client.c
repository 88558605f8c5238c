/* SPDX-License-Identifier: Apache-2.0 */
/* keyd from a caller's side.  A key pair that it gives signs by asking keyd, and looks to the rest of the program like any other. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/text.h"
#include "keyd/client.h"
#include "keys/key_raw.h"
#include "net/http_client.h"
#include "wire/codec.h"
#include "wire/json.h"

#define VERSION "?api-version=2021-05-01"
#define BYTES_MAX (2 * 1024 * 1024)
#define REMEMBER_MS 30000 /* that a question had no answer */

struct keyd_client {
	char *socket_path;
	atomic_int n_refs;
	pthread_mutex_t lock; /* of all that follows */
	int n_waiting;
	int64_t silent_since_ms, failed_ms; /* boot clock; 0: it answers */
	int64_t answered_ms;		    /* boot clock; 0: never yet */
};

struct keyd_client *
keyd_client_new(const char *socket_path)
{
	struct keyd_client *c = NEW(keyd_client);

	c->socket_path = mem_text(socket_path);
	c->n_refs = 1;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

struct keyd_client *
keyd_client_ref(struct keyd_client *c)
{
	c->n_refs++;
	return c;
}

void
keyd_client_free(struct keyd_client *c)
{
	if (!c || --c->n_refs > 0)
		return;
	pthread_mutex_destroy(&c->lock);
	mem_free(c->socket_path);
	mem_free(c);
}

static void
note_question(struct keyd_client *c)
{
	pthread_mutex_lock(&c->lock);
	if (c->n_waiting++ == 0 && c->silent_since_ms == 0)
		c->silent_since_ms = clock_boot_ms();
	pthread_mutex_unlock(&c->lock);
}

static void
note_end(struct keyd_client *c, bool answered)
{
	int64_t now_ms = clock_boot_ms();

	pthread_mutex_lock(&c->lock);
	c->n_waiting--;
	if (answered) {
		c->silent_since_ms = c->n_waiting > 0 ? now_ms : 0;
		c->answered_ms = now_ms;
	} else {
		c->failed_ms = now_ms;
	}
	pthread_mutex_unlock(&c->lock);
}

int64_t
keyd_client_silent_ms(struct keyd_client *c)
{
	int64_t now_ms = clock_boot_ms(), silent_ms;

	pthread_mutex_lock(&c->lock);
	if (c->n_waiting == 0 && now_ms - c->failed_ms > REMEMBER_MS)
		c->silent_since_ms = 0;
	silent_ms = c->silent_since_ms > 0 ? now_ms - c->silent_since_ms : 0;
	pthread_mutex_unlock(&c->lock);
	return silent_ms;
}

int64_t
keyd_client_quiet_ms(struct keyd_client *c)
{
	int64_t quiet_ms;

	pthread_mutex_lock(&c->lock);
	quiet_ms = c->n_waiting > 0 ? 0 : clock_boot_ms() - c->answered_ms;
	pthread_mutex_unlock(&c->lock);
	return quiet_ms;
}

/* One call, which has its method; body is taken.  The original answers 400 for a key that is not there. */
static json_t *
ask_by(struct keyd_client *c, struct http_call *call, const char *path, json_t *body_take, struct err *err)
{
	OWN_LIB(json_t) body = body_take;
	OWN_TEXT url = mem_textf("http://keyd.sock%s" VERSION, path);
	struct http_answer answer = { 0 };
	json_t *json = NULL;
	int done;

	call->url = url;
	call->unix_path = c->socket_path;
	note_question(c);
	done = http_fetch_json(&json, &answer, call, body, err);
	note_end(c, answer.status > 0);
	if (done == 0 && !json)
		json = json_object();
	http_answer_clear(&answer);
	return json;
}

static json_t *
ask(struct keyd_client *c, const char *method, const char *path, json_t *body_take, struct err *err)
{
	return ask_by(c, &(struct http_call){ .method = method }, path, body_take, err);
}

static char *
ask_text(struct keyd_client *c, const char *method, const char *path, json_t *body_take, const char *member, struct err *err)
{
	OWN_LIB(json_t) json = ask(c, method, path, body_take, err);
	const char *text;

	return json && json_get_text(json, member, &text, err) == 0 ? mem_text(text) : NULL;
}

static int
ask_bytes(struct keyd_client *c, const char *path, json_t *body_take, const char *member, struct buf *out, struct err *err)
{
	OWN_TEXT text = ask_text(c, "POST", path, body_take, member, err);

	if (!text)
		return -1;
	if (!base64_decode(out, text, strlen(text), BASE64_STRICT))
		return err_set(err, ERR_INVALID, "keyd: %s is not base64", member);
	mem_wipe(text, strlen(text));
	return 0;
}

static char *
base64_of(const void *data, size_t len)
{
	struct buf text = BUF_INIT(BYTES_MAX);

	base64_encode(&text, data, len);
	return buf_take_text(&text);
}

static char *
path_with_id(const char *prefix, const char *id)
{
	struct buf path = BUF_INIT(4096);

	buf_puts(&path, prefix);
	percent_encode(&path, id, strlen(id));
	return buf_take_text(&path);
}

/* -- Key pairs -------------------------------------------------------------------------------------------------------------------------- */

/* How a kind of key signs, and what its public half is made of. */
struct kind {
	const char *algorithm; /* as /parameters/algorithm has it */
	const char *path, *name, *input, *output;
	bool is_parameter; /* the input stands in "parameters" */
	const char *public_parameters[KEY_RAW_PUBLIC_MAX];
	EVP_PKEY *(*make_public)(const struct buf *a, const struct buf *b, struct err *err);
};

struct remote {
	struct keyd_client *client;
	char *handle;
	const struct kind *kind;
};

static EVP_PKEY *
public_ec(const struct buf *oid, const struct buf *point, struct err *err)
{
	return key_raw_public_ec(oid->data, oid->len, point->data, point->len, err);
}

static EVP_PKEY *
public_rsa(const struct buf *modulus, const struct buf *exponent, struct err *err)
{
	return key_raw_public_rsa(modulus->data, modulus->len, exponent->data, exponent->len, err);
}

static EVP_PKEY *
public_ed25519(const struct buf *point, const struct buf *nothing, struct err *err)
{
	(void)nothing;
	return key_raw_public_ed25519(point->data, point->len, err);
}

static const struct kind kinds[] = {
	{ "ECDSA", "/sign", "ECDSA", "digest", "signature", true, { "ec-curve-oid", "ec-public-point" }, public_ec },
	{ "RSA", "/encrypt", "RSA-NO-PADDING", "plaintext", "ciphertext", false, { "rsa-modulus", "rsa-exponent" }, public_rsa },
	{ "EdDSA", "/sign", "EdDSA", "message", "signature", true, { "ed25519-point", NULL }, public_ed25519 },
};

static const struct kind *
find_kind(const char *algorithm, struct err *err)
{
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (text_is(kinds[i].algorithm, algorithm))
			return &kinds[i];
	return err_null(err, ERR_INVALID, "keyd: a key of the kind '%.40s'", algorithm);
}

static int
remote_sign(void *arg, const uint8_t *tbs, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	const struct remote *r = arg;
	OWN_TEXT data = base64_of(tbs, len);
	struct buf out = BUF_INIT(4096);
	json_t *body = json_pack("{s:s, s:s}", "keyHandle", r->handle, "algorithm", r->kind->name);
	int status;

	if (r->kind->is_parameter)
		json_object_set_new(body, "parameters", json_pack("{s:s}", r->kind->input, data));
	else
		json_object_set_new(body, r->kind->input, json_string(data));
	status = ask_bytes(r->client, r->kind->path, body, r->kind->output, &out, err);
	if (status == 0 && out.len > *sig_len)
		status = err_set(err, ERR_INVALID, "keyd: a signature of %u bytes", out.len);
	if (status == 0) {
		memcpy(sig, out.data, out.len);
		*sig_len = out.len;
	}
	buf_clear(&out);
	return status;
}

static void
remote_release(void *arg)
{
	struct remote *r = arg;

	keyd_client_free(r->client);
	mem_free(r->handle);
	mem_free(r);
}

static const struct key_remote_ops remote_ops = { .sign = remote_sign, .release = remote_release };

static int
get_bytes(const json_t *object, const char *name, struct buf *out, struct err *err)
{
	const char *text;

	if (json_get_text(object, name, &text, err) < 0)
		return -1;
	return base64_decode(out, text, strlen(text), BASE64_STRICT) ? 0
								     : err_set(err, ERR_INVALID, "keyd: %s is not base64", name);
}

static EVP_PKEY *
public_half(const json_t *parameters, const struct kind *kind, struct err *err)
{
	CLEAR(buf) a = BUF_INIT(4096);
	CLEAR(buf) b = BUF_INIT(4096);
	struct buf *parts[] = { &a, &b };

	for (size_t i = 0; i < COUNT(parts) && kind->public_parameters[i]; i++)
		if (get_bytes(parameters, kind->public_parameters[i], parts[i], err) < 0)
			return NULL;
	return kind->make_public(&a, &b, err);
}

static const struct kind *
kind_of(const json_t *parameters, struct err *err)
{
	const char *algorithm;

	return json_get_text(parameters, "algorithm", &algorithm, err) < 0 ? NULL : find_kind(algorithm, err);
}

/* One call, whatever the kind. */
struct key *
keyd_client_pair_of_handle(struct keyd_client *c, const char *handle, struct err *err)
{
	OWN_LIB(json_t) json = ask(c, "POST", "/parameters/public", json_pack("{s:s}", "keyHandle", handle), err);
	json_t *parameters = NULL;
	const struct kind *kind;
	struct remote *r;
	EVP_PKEY *pkey;
	struct key *key;

	if (!json || json_find_object(json, "value", &parameters, err) < 0)
		return NULL;
	kind = kind_of(parameters, err);
	pkey = kind ? public_half(parameters, kind, err) : NULL;
	if (!pkey)
		return NULL;
	r = NEW(remote);
	r->client = keyd_client_ref(c);
	r->handle = mem_text(handle);
	r->kind = kind;
	key = key_remote_new(pkey, &remote_ops, r, err);
	key_raw_free_public(pkey);
	return key;
}

static char *
find_handle(struct keyd_client *c, const char *path, struct err *err)
{
	char *handle = ask_text(c, "GET", path, NULL, "keyHandle", err);

	if (!handle && err->kind == ERR_INVALID)
		err->kind = ERR_MISSING; /* the original answers 400 for what is not there */
	return handle;
}

char *
keyd_client_pair_handle(struct keyd_client *c, const char *id, struct err *err)
{
	OWN_TEXT path = path_with_id("/keypair/", id);

	return find_handle(c, path, err);
}

struct key *
keyd_client_create_pair(struct keyd_client *c, const char *id, const char *algorithms, struct err *err)
{
	OWN_TEXT handle = ask_text(
		c, "POST", "/keypair", json_pack("{s:s, s:s}", "keyId", id, "preferredAlgorithms", algorithms), "keyHandle", err);

	return handle ? keyd_client_pair_of_handle(c, handle, err) : NULL;
}

struct key *
keyd_client_load_pair(struct keyd_client *c, const char *id, struct err *err)
{
	OWN_TEXT handle = keyd_client_pair_handle(c, id, err);

	return handle ? keyd_client_pair_of_handle(c, handle, err) : NULL;
}

int
keyd_client_delete_pair(struct keyd_client *c, const char *id, struct err *err)
{
	OWN_TEXT handle = keyd_client_pair_handle(c, id, err);
	OWN_LIB(json_t) json = handle ? ask(c, "DELETE", "/keypair", json_pack("{s:s}", "keyHandle", handle), err) : NULL;

	return json ? 0 : -1;
}

void
keyd_client_probe(struct keyd_client *c, const char *id, int64_t timeout_ms, const atomic_bool *cancelled)
{
	OWN_TEXT path = path_with_id("/keypair/", id);
	struct http_call call = { .method = "GET", .timeout_ms = timeout_ms, .cancelled = cancelled };
	struct err ignored = ERR_INIT;

	json_decref(ask_by(c, &call, path, NULL, &ignored));
}

int
keyd_client_move_pair(struct keyd_client *c, const char *from, const char *to, struct err *err)
{
	OWN_TEXT path = path_with_id("/keypair/", to);
	OWN_LIB(json_t) json = ask(c, "POST", path, json_pack("{s:s}", "from", from), err);

	return json ? 0 : -1;
}

/* -- Symmetric keys ------------------------------------------------------------------------------------------------------------------- */

char *
keyd_client_create_key(struct keyd_client *c, const char *id, const char *usage, struct err *err)
{
	return ask_text(c, "POST", "/key", json_pack("{s:s, s:s}", "keyId", id, "usage", usage), "keyHandle", err);
}

char *
keyd_client_load_key(struct keyd_client *c, const char *id, struct err *err)
{
	OWN_TEXT path = path_with_id("/key/", id);

	return find_handle(c, path, err);
}

int
keyd_client_import_key(struct keyd_client *c, const char *id, const char *usage, const void *bytes, size_t len, struct err *err)
{
	OWN_TEXT text = base64_of(bytes, len);
	OWN_TEXT handle = ask_text(
		c, "POST", "/key", json_pack("{s:s, s:s, s:s}", "keyId", id, "usage", usage, "keyBytes", text), "keyHandle", err);

	mem_wipe(text, strlen(text));
	return handle ? 0 : -1;
}

char *
keyd_client_derive(struct keyd_client *c, const char *base_handle, const void *data, size_t len, struct err *err)
{
	OWN_TEXT text = base64_of(data, len);

	return ask_text(c, "POST", "/derivedkey", json_pack("{s:s, s:s}", "baseKeyHandle", base_handle, "derivationData", text),
		"keyHandle", err);
}

int
keyd_client_export_derived(struct keyd_client *c, const char *handle, struct buf *out, struct err *err)
{
	return ask_bytes(c, "/derivedkey/export", json_pack("{s:s}", "keyHandle", handle), "key", out, err);
}

int
keyd_client_hmac(struct keyd_client *c, const char *handle, const void *data, size_t len, uint8_t out[static 32], struct err *err)
{
	OWN_TEXT message = base64_of(data, len);
	struct buf mac = BUF_INIT(64);
	json_t *body =
		json_pack("{s:s, s:s, s:{s:s}}", "keyHandle", handle, "algorithm", "HMAC-SHA256", "parameters", "message", message);
	int status = ask_bytes(c, "/sign", body, "signature", &mac, err);

	if (status == 0 && mac.len != DIGEST_SHA256_LEN)
		status = err_set(err, ERR_INVALID, "keyd: an HMAC of %u bytes", mac.len);
	if (status == 0)
		memcpy(out, mac.data, DIGEST_SHA256_LEN);
	buf_wipe(&mac);
	return status;
}

struct aead {
	const char *path, *in, *out;
};

static int
aead(struct keyd_client *c, const struct aead *a, const char *handle, const void *iv, size_t iv_len, const void *aad,
	size_t aad_len, const void *data, size_t len, struct buf *out, struct err *err)
{
	OWN_TEXT iv_text = base64_of(iv, iv_len);
	OWN_TEXT aad_text = base64_of(aad, aad_len);
	OWN_TEXT data_text = base64_of(data, len);
	json_t *body = json_pack("{s:s, s:s, s:{s:s, s:s}, s:s}", "keyHandle", handle, "algorithm", "AEAD", "parameters", "iv",
		iv_text, "aad", aad_text, a->in, data_text);

	return ask_bytes(c, a->path, body, a->out, out, err);
}

int
keyd_client_encrypt(struct keyd_client *c, const char *handle, const void *iv, size_t iv_len, const void *aad, size_t aad_len,
	const void *data, size_t len, struct buf *out, struct err *err)
{
	return aead(
		c, &(struct aead){ "/encrypt", "plaintext", "ciphertext" }, handle, iv, iv_len, aad, aad_len, data, len, out, err);
}

int
keyd_client_decrypt(struct keyd_client *c, const char *handle, const void *iv, size_t iv_len, const void *aad, size_t aad_len,
	const void *data, size_t len, struct buf *out, struct err *err)
{
	return aead(
		c, &(struct aead){ "/decrypt", "ciphertext", "plaintext" }, handle, iv, iv_len, aad, aad_len, data, len, out, err);
}

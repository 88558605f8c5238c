/* SPDX-License-Identifier: Apache-2.0 */
/* The workload API from a module's side. */
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/text.h"
#include "edged/client.h"
#include "net/http_client.h"
#include "pki/issue.h"
#include "wire/codec.h"
#include "wire/json.h"

#define VERSION "?api-version=2022-08-03"
#define DATA_MAX (4 * 1024 * 1024)
#define CHAIN_MAX 16
#define EDGE_CA_ID "aziot-edged-ca"

static json_t *
ask(const struct workload *w, const char *method, const char *path, json_t *body_take, struct err *err)
{
	OWN_LIB(json_t) body = body_take;
	OWN_TEXT url = mem_textf("http://edged.sock%s" VERSION, path);
	struct http_call call = { .method = method, .url = url, .unix_path = w->socket_path };
	struct http_answer answer = { 0 };
	json_t *json = NULL;

	if (http_fetch_json(&json, &answer, &call, body, err) == 0 && !json)
		err_set(err, ERR_INVALID, "edged: an empty answer");
	http_answer_clear(&answer);
	return json;
}

static char *
module_path(const struct workload *w, const char *operation)
{
	struct buf path = BUF_INIT(8192);

	buf_puts(&path, "/modules/");
	percent_encode(&path, w->module_id, strlen(w->module_id));
	buf_puts(&path, "/genid/");
	percent_encode(&path, w->generation_id, strlen(w->generation_id));
	buf_puts(&path, operation);
	return buf_take_text(&path);
}

static char *
base64_of(const void *data, size_t len)
{
	struct buf text = BUF_INIT(DATA_MAX * 2);

	base64_encode(&text, data, len);
	return buf_take_text(&text);
}

void
management_facts_clear(struct management_facts *f)
{
	mem_free(f->generation_id);
	mem_free(f->hub_name);
	mem_free(f->device_id);
	*f = (struct management_facts){ 0 };
}

static char *
text_at(const json_t *object, const char *name)
{
	return mem_text(json_string_value(json_object_get(object, name)));
}

/* By the name without the "$" of the hub's own modules, as the list has it. */
static int
take_facts(struct management_facts *out, const json_t *json, const char *module_id, struct err *err)
{
	const char *name = module_id[0] == '$' ? module_id + 1 : module_id;
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(json, "modules"), i, one)
		if (text_is(json_string_value(json_object_get(one, "name")), name) && json_object_get(one, "generationId")) {
			out->generation_id = text_at(one, "generationId");
			out->hub_name = text_at(json, "hubName");
			out->device_id = text_at(json, "deviceId");
		}
	return out->generation_id ? 0 : err_set(err, ERR_MISSING, "edged knows no identity of %s", module_id);
}

int
management_find(const char *socket_path, const char *module_id, struct management_facts *out, struct err *err)
{
	struct http_call call = {
		.method = "GET", .url = "http://edged.sock/modules?api-version=2018-06-28", .unix_path = socket_path
	};
	struct http_answer answer = { 0 };
	OWN_LIB(json_t) json = NULL;
	int status = http_fetch_json(&json, &answer, &call, NULL, err);

	http_answer_clear(&answer);
	return status < 0 ? -1 : take_facts(out, json, module_id, err);
}

int
workload_server_certificate(const struct workload *w, const struct key *key, const char *const *names, size_t n_names,
	struct certs *chain, int64_t *expires, struct err *err)
{
	OWN_TEXT path = module_path(w, "/certificate/server");
	struct buf csr = BUF_INIT(65536);
	OWN_LIB(json_t) json = NULL;
	const char *pem;

	if (issue_csr(&csr, key, names[0], names, n_names, err) == 0)
		json = ask(w, "POST", path, json_pack("{s:s, s:s}", "commonName", names[0], "csr", buf_text(&csr)), err);
	buf_clear(&csr);
	if (!json || json_get_text(json, "certificate", &pem, err) < 0 || certs_parse(chain, pem, strlen(pem), CHAIN_MAX, err) < 0)
		return -1;
	*expires = cert_not_after(chain->item[0]);
	if (cert_matches_key(chain->item[0], key))
		return 0;
	certs_clear(chain);
	return err_set(err, ERR_INVALID, "edged: a certificate for another key");
}

int
workload_edge_ca(const struct workload *w, uint8_t out[static 32], struct err *err)
{
	OWN_LIB(json_t) json = ask(w, "GET", "/renewals", NULL, err);
	json_t *one;
	size_t i;

	if (!json)
		return -1;
	json_array_foreach(json_object_get(json, "renewals"), i, one) {
		const char *hex = json_string_value(json_object_get(one, "sha256"));

		if (text_is(json_string_value(json_object_get(one, "id")), EDGE_CA_ID) && hex)
			return hex_decode(out, DIGEST_SHA256_LEN, hex, strlen(hex))
				       ? 0
				       : err_set(err, ERR_INVALID, "edged: sha256 is no digest");
	}
	return err_set(err, ERR_MISSING, "edged: there is no Edge CA");
}

int
workload_hub_reached(const struct workload *w, struct err *err)
{
	OWN_TEXT path = module_path(w, "/hub-reached");
	OWN_LIB(json_t) json = ask(w, "POST", path, NULL, err);

	return json ? 0 : -1;
}

int
workload_trust_bundle(const struct workload *w, struct buf *pem, struct err *err)
{
	OWN_LIB(json_t) json = ask(w, "GET", "/trust-bundle", NULL, err);
	const char *text;

	if (!json || json_get_text(json, "certificate", &text, err) < 0)
		return -1;
	buf_puts(pem, text);
	return 0;
}

static int
ask_bytes(const struct workload *w, const char *operation, json_t *body_take, const char *member, struct buf *out, struct err *err)
{
	OWN_TEXT path = module_path(w, operation);
	OWN_LIB(json_t) json = ask(w, "POST", path, body_take, err);
	const char *text;

	if (!json || json_get_text(json, member, &text, err) < 0)
		return -1;
	return base64_decode(out, text, strlen(text), BASE64_STRICT) ? 0
								     : err_set(err, ERR_INVALID, "edged: %s is not base64", member);
}

int
workload_sign(const struct workload *w, const void *data, size_t len, uint8_t out[static 32], struct err *err)
{
	OWN_TEXT text = base64_of(data, len);
	struct buf digest = BUF_INIT(64);
	int status = ask_bytes(w, "/sign", json_pack("{s:s, s:s, s:s}", "keyId", "primary", "algo", "HMACSHA256", "data", text),
		"digest", &digest, err);

	if (status == 0 && digest.len != DIGEST_SHA256_LEN)
		status = err_set(err, ERR_INVALID, "edged: a digest of %u bytes", digest.len);
	if (status == 0)
		memcpy(out, digest.data, DIGEST_SHA256_LEN);
	buf_wipe(&digest);
	return status;
}

int
workload_encrypt(
	const struct workload *w, const void *iv, size_t iv_len, const void *data, size_t len, struct buf *out, struct err *err)
{
	OWN_TEXT iv_text = base64_of(iv, iv_len);
	OWN_TEXT text = base64_of(data, len);

	return ask_bytes(
		w, "/encrypt", json_pack("{s:s, s:s}", "plaintext", text, "initializationVector", iv_text), "ciphertext", out, err);
}

int
workload_decrypt(
	const struct workload *w, const void *iv, size_t iv_len, const void *data, size_t len, struct buf *out, struct err *err)
{
	OWN_TEXT iv_text = base64_of(iv, iv_len);
	OWN_TEXT text = base64_of(data, len);

	return ask_bytes(
		w, "/decrypt", json_pack("{s:s, s:s}", "ciphertext", text, "initializationVector", iv_text), "plaintext", out, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The TPM service from a caller's side. */
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "keyd/client.h"
#include "net/http_client.h"
#include "wire/codec.h"
#include "wire/json.h"

#define VERSION "?api-version=2020-09-01"
#define DATA_MAX (64 * 1024)
#define TIMEOUT_MS 60000 /* making its keys takes a TPM a while */

static json_t *
ask(const char *socket_path, const char *method, const char *path, json_t *body_take, struct err *err)
{
	OWN_LIB(json_t) body = body_take;
	OWN_TEXT url = mem_textf("http://tpmd.sock%s" VERSION, path);
	struct http_call call = { .method = method, .url = url, .unix_path = socket_path, .timeout_ms = TIMEOUT_MS };
	struct http_answer answer = { 0 };
	json_t *json = NULL;
	int status = http_fetch_json(&json, &answer, &call, body, err);

	http_answer_clear(&answer);
	if (status == 0 && !json)
		err_set(err, ERR_INVALID, "the TPM service answers with nothing");
	return json ? json : err_wrap_null(err, "the TPM");
}

int
tpmd_client_keys(const char *socket_path, char **endorsement_key, char **storage_root_key, struct err *err)
{
	OWN_LIB(json_t) json = ask(socket_path, "GET", "/get_tpm_keys", NULL, err);
	const char *ek, *srk;

	if (!json || json_get_text(json, "endorsement_key", &ek, err) < 0 || json_get_text(json, "storage_root_key", &srk, err) < 0)
		return -1;
	*endorsement_key = mem_text(ek);
	*storage_root_key = mem_text(srk);
	return 0;
}

int
tpmd_client_import(const char *socket_path, const char *authentication_key, struct err *err)
{
	OWN_LIB(json_t) json = ask(socket_path, "POST", "/import_auth_key", json_pack("{s:s}", "key", authentication_key), err);

	return json ? 0 : -1;
}

static int
take_digest(uint8_t out[static DIGEST_SHA256_LEN], const json_t *json, struct err *err)
{
	CLEAR(buf) digest = BUF_INIT(DIGEST_SHA256_LEN);
	const char *text;

	if (json_get_text(json, "digest", &text, err) < 0)
		return -1;
	if (!base64_decode(&digest, text, strlen(text), BASE64_STRICT) || digest.len != DIGEST_SHA256_LEN)
		return err_set(err, ERR_INVALID, "the TPM service: no HMAC-SHA256");
	memcpy(out, digest.data, DIGEST_SHA256_LEN);
	return 0;
}

int
tpmd_client_sign(const char *socket_path, const void *data, size_t len, uint8_t out[static DIGEST_SHA256_LEN], struct err *err)
{
	CLEAR(buf) text = BUF_INIT(DATA_MAX * 2);
	OWN_LIB(json_t) json = NULL;

	base64_encode(&text, data, len);
	json = ask(socket_path, "POST", "/sign_with_auth_key", json_pack("{s:s}", "data", buf_text(&text)), err);
	return json ? take_digest(out, json, err) : -1;
}

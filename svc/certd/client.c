/* SPDX-License-Identifier: Apache-2.0 */
/* certd from a caller's side. */
#include <string.h>

#include "base/mem.h"
#include "certd/client.h"
#include "net/http_client.h"
#include "wire/codec.h"
#include "wire/json.h"

#define TIMEOUT_MS 120000 /* it may have to ask an EST server, more than once */
#define VERSION "?api-version=2020-09-01"

static char *
url_of(const char *id)
{
	struct buf url = BUF_INIT(8192);

	buf_puts(&url, "http://certd.sock/certificates/");
	percent_encode(&url, id, strlen(id));
	buf_puts(&url, VERSION);
	return buf_take_text(&url);
}

static int
ask(const char *socket_path, const char *method, const char *url, json_t *body_take, struct buf *pem, struct err *err)
{
	OWN_LIB(json_t) body = body_take;
	OWN_LIB(json_t) json = NULL;
	struct http_call call = { .method = method, .url = url, .unix_path = socket_path, .timeout_ms = TIMEOUT_MS };
	struct http_answer answer = { 0 };
	const char *text;
	int status = http_fetch_json(&json, &answer, &call, body, err);

	http_answer_clear(&answer);
	if (status < 0 || !pem)
		return status;
	if (json_get_text(json, "pem", &text, err) < 0)
		return -1;
	buf_puts(pem, text);
	return pem->failed ? err_set(err, ERR_LIMIT, "certd: a chain larger than its buffer") : 0;
}

int
certd_client_get(const char *socket_path, const char *id, struct buf *pem, struct err *err)
{
	OWN_TEXT url = url_of(id);
	int status = ask(socket_path, "GET", url, NULL, pem, err);

	if (status < 0 && err->kind == ERR_INVALID)
		err->kind = ERR_MISSING; /* the original answers 400 for what is not there */
	return status;
}

int
certd_client_import(const char *socket_path, const char *id, const char *pem, struct err *err)
{
	OWN_TEXT url = url_of(id);

	return ask(socket_path, "PUT", url, json_pack("{s:s}", "pem", pem), NULL, err);
}

int
certd_client_delete(const char *socket_path, const char *id, struct err *err)
{
	OWN_TEXT url = url_of(id);

	return ask(socket_path, "DELETE", url, NULL, NULL, err);
}

int
certd_client_create(const char *socket_path, const char *id, const char *csr, const char *issuer_id, const char *issuer_handle,
	struct buf *pem, struct err *err)
{
	json_t *body = json_pack("{s:s, s:s}", "certId", id, "csr", csr);

	if (issuer_id)
		json_object_set_new(
			body, "issuer", json_pack("{s:s, s:s}", "certId", issuer_id, "privateKeyHandle", issuer_handle));
	return ask(socket_path, "POST", "http://certd.sock/certificates" VERSION, body, pem, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Signing and encrypting for modules: keyd does it, with keys that stay there. */
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "edged/workload.h"
#include "wire/codec.h"
#include "wire/json.h"

#define DATA_MAX (1024 * 1024)

static int
get_bytes(const json_t *body, const char *name, struct buf *out, struct err *err)
{
	const char *text;

	if (json_get_text(body, name, &text, err) < 0)
		return -1;
	return base64_decode(out, text, strlen(text), BASE64_STRICT)
		       ? 0
		       : err_set(err, ERR_INVALID, "invalid parameter: %s is not base64", name);
}

static json_t *
bytes_json(const char *name, const void *data, size_t len)
{
	struct buf text = BUF_INIT(DATA_MAX * 2);
	json_t *json;

	base64_encode(&text, data, len);
	json = json_pack("{s:s}", name, buf_text(&text));
	buf_wipe(&text);
	return json;
}

static int
sign_with(const struct endpoint_call *call, const char *handle, json_t **answer, struct err *err)
{
	struct buf data = BUF_INIT(DATA_MAX);
	uint8_t mac[DIGEST_SHA256_LEN];
	int status = get_bytes(call->body, "data", &data, err);

	if (status == 0)
		status = keyd_client_hmac(workload_edged(call)->keyd, handle, data.data, data.len, mac, err);
	if (status == 0)
		*answer = bytes_json("digest", mac, sizeof(mac));
	buf_wipe(&data);
	return status < 0 ? -1 : 200;
}

int
workload_sign_for(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	CLEAR(module_identity) identity = { 0 };

	if (!workload_caller_of_generation(call, &identity, err))
		return workload_refuse(err);
	if (!call->body)
		return err_set(err, ERR_INVALID, "missing parameter: request body");
	return sign_with(call, identity.sign_handle, answer, err);
}

static int
do_crypt(const struct endpoint_call *call, bool encrypting, json_t **answer, struct err *err)
{
	struct buf iv = BUF_INIT(1024), data = BUF_INIT(DATA_MAX), out = BUF_INIT(DATA_MAX + 64);
	OWN_TEXT aad = NULL;
	CLEAR(module_identity) identity = { 0 };
	const struct edged *e = workload_edged(call);
	int status;

	if (!workload_caller_of_generation(call, &identity, err))
		return workload_refuse(err);
	if (workload_need_body(call, err) < 0)
		return -1;
	aad = mem_textf("%s%s", call->var[0], call->var[1]);
	status = get_bytes(call->body, "initializationVector", &iv, err);
	if (status == 0)
		status = get_bytes(call->body, encrypting ? "plaintext" : "ciphertext", &data, err);
	if (status == 0)
		status = encrypting ? keyd_client_encrypt(e->keyd, e->encryption_handle, iv.data, iv.len, aad, strlen(aad),
					      data.data, data.len, &out, err)
				    : keyd_client_decrypt(e->keyd, e->encryption_handle, iv.data, iv.len, aad, strlen(aad),
					      data.data, data.len, &out, err);
	if (status == 0)
		*answer = bytes_json(encrypting ? "ciphertext" : "plaintext", out.data, out.len);
	buf_clear(&iv);
	buf_wipe(&data);
	buf_wipe(&out);
	return status < 0 ? -1 : 200;
}

int
workload_encrypt_for(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	return do_crypt(call, true, answer, err);
}

int
workload_decrypt_for(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	return do_crypt(call, false, answer, err);
}

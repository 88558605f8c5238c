/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the TPM service (tpmd_api.h). */
#include "keyd/tpmd_api.h"

#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "keys/tpm_wrap.h"
#include "wire/codec.h"
#include "wire/json.h"
#include "wire/tpm_public.h"

#define DATA_MAX (64 * 1024)

static const struct tpm_registration *
registration_of(const struct endpoint_call *call)
{
	return &((const struct tpmd_door *)call->door)->registration;
}

static int
authorize(const struct endpoint_call *call, struct err *err)
{
	const struct tpmd_door *door = call->door;

	if (call->has_process && (call->process.uid == door->uid || call->process.uid == 0))
		return 0;
	log_warn("CALLER_NOT_ALLOWED: uid %u asks the TPM service", call->process.uid);
	return err_set(err, ERR_DENIED, "user %u is not authorized to use the TPM", call->process.uid);
}

/* All that fails is the service's, as in the original. */
static int
fail(struct err *err)
{
	err->kind = ERR_BROKEN;
	return -1;
}

static json_t *
text_of(const struct buf *bytes)
{
	CLEAR(buf) text = BUF_INIT(DATA_MAX * 2);

	base64_encode(&text, bytes->data, bytes->len);
	return json_string(buf_text(&text));
}

static int
get_keys(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	CLEAR(buf) endorsement_key = BUF_INIT(TPM_PUBLIC_MAX);
	CLEAR(buf) storage_root_key = BUF_INIT(TPM_PUBLIC_MAX);

	if (authorize(call, err) < 0)
		return -1;
	if (tpm_registration_keys(registration_of(call), &endorsement_key, &storage_root_key, err) < 0)
		return fail(err);
	*answer = json_pack(
		"{s:o, s:o}", "endorsement_key", text_of(&endorsement_key), "storage_root_key", text_of(&storage_root_key));
	return 200;
}

static int
get_bytes(const struct endpoint_call *call, const char *name, struct buf *out, struct err *err)
{
	const char *text;

	if (authorize(call, err) < 0)
		return -1;
	if (!call->body)
		return err_set(err, ERR_INVALID, "missing request body");
	if (json_get_text(call->body, name, &text, err) < 0)
		return -1;
	if (!base64_decode(out, text, strlen(text), BASE64_STRICT))
		return err_set(err, ERR_INVALID, "parameter \"%s\" has an invalid value: no base64, or too much", name);
	return 0;
}

static int
import_key(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	CLEAR(buf) blob = BUF_INIT(TPM_WRAPPED_MAX);

	if (get_bytes(call, "key", &blob, err) < 0)
		return -1;
	if (tpm_registration_import(registration_of(call), blob.data, blob.len, err) < 0)
		return fail(err);
	*answer = json_object();
	return 200;
}

static int
sign(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	CLEAR(buf) data = BUF_INIT(DATA_MAX);
	CLEAR(buf) digest = BUF_INIT(DIGEST_SHA256_LEN);
	uint8_t mac[DIGEST_SHA256_LEN];

	if (get_bytes(call, "data", &data, err) < 0)
		return -1;
	if (tpm_registration_sign(registration_of(call), data.data, data.len, mac, err) < 0)
		return fail(err);
	buf_put(&digest, mac, sizeof(mac));
	*answer = json_pack("{s:o}", "digest", text_of(&digest));
	return 200;
}

static const struct endpoint endpoints[] = {
	{ "GET", "/get_tpm_keys", "2020-09-01", get_keys },
	{ "POST", "/import_auth_key", "2020-09-01", import_key },
	{ "POST", "/sign_with_auth_key", "2020-09-01", sign },
};

static const struct endpoint_body bodies[] = {
	{ "POST", "/import_auth_key", "key" },
	{ "POST", "/sign_with_auth_key", "data" },
};

static const char *const versions[] = { "2020-09-01", NULL };

const struct endpoint_table tpmd_endpoints = {
	.endpoints = endpoints,
	.n_endpoints = COUNT(endpoints),
	.bodies = bodies,
	.n_bodies = COUNT(bodies),
	.versions = versions,
	.denied_status = 401,
	.missing_status = 500,
	.hide_failures = true,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* TPMs at the registrar (hub 6.5): what the device says of its own, the challenge that this one alone can read, and at the end the key at the hub in the same wrapping. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "hub/provisioning/registrar_inside.h"
#include "hub/provisioning/tpm_secret.h"
#include "keys/tpm_wrap.h"
#include "wire/codec.h"
#include "wire/json.h"

/* -- What it says --------------------------------------------------------------------------------------------------------------------- */

static bool
take(struct registrar_call *call, struct attest_tpm *out, const json_t *body)
{
	json_t *tpm = NULL;
	const char *ek = NULL, *srk = NULL;
	struct err err = ERR_INIT;

	if (json_find_object(body, "tpm", &tpm, &err) < 0 ||
		(tpm && (json_find_text(tpm, "endorsementKey", &ek, &err) < 0 ||
				json_find_text(tpm, "storageRootKey", &srk, &err) < 0))) {
		registrar_fail(call, REGISTRAR_BAD_ARGUMENT, "%s", err.text);
		return false;
	}
	out->endorsement_key = mem_text(ek);
	out->storage_root_key = mem_text(srk);
	return true;
}

static bool
take_body(struct registrar_call *call, struct attest_tpm *out)
{
	OWN_LIB(json_t) body = NULL;
	struct err err = ERR_INIT;

	if (call->body.len == 0)
		return true;
	body = json_parse(call->body.text, call->body.len, &err);
	if (json_is_object(body))
		return take(call, out, body);
	registrar_fail(call, REGISTRAR_BAD_ARGUMENT, "%s", body ? "the body is not a JSON object" : err.text);
	return false;
}

static bool
take_registered(struct registrar_call *call, struct attest_tpm *out)
{
	OWN(registration) r = NULL;
	struct err err = ERR_INIT;

	if (registration_find(registrar_db(call), call->registration_id, &r, &err) < 0) {
		registrar_fail_broken(call, &err);
		return false;
	}
	out->storage_root_key = r ? GIVE(r->storage_root_key) : NULL;
	return true;
}

bool
registrar_read_tpm(struct registrar_call *call, struct attest_tpm *out)
{
	if (!take_body(call, out))
		return false;
	return out->endorsement_key || out->storage_root_key || take_registered(call, out);
}

/* -- What it gets --------------------------------------------------------------------------------------------------------------------- */

/* base64, or NULL with the reason in err. */
static char *
wrap(const struct enrollment *e, const char *storage_root_key, const struct secret *key, struct err *err)
{
	CLEAR(buf) blob = BUF_INIT(TPM_WRAPPED_MAX);
	struct buf text = BUF_INIT(2 * TPM_WRAPPED_MAX);
	struct tpm_public ek, srk;

	if (tpm_public_parse(&ek, e->endorsement_key, err) < 0 || tpm_public_parse(&srk, storage_root_key, err) < 0 ||
		tpm_wrap_key(&blob, &ek, &srk, key, err) < 0)
		return NULL;
	base64_encode(&text, blob.data, blob.len);
	return buf_take_text(&text);
}

void
registrar_challenge(struct registrar_call *call, const struct enrollment *e, const char *storage_root_key)
{
	struct secret key = { 0 };
	struct err err = ERR_INIT;
	OWN_TEXT blob = NULL;

	tpm_challenge_key(&key, e, storage_root_key, clock_wall(), 0);
	blob = wrap(e, storage_root_key, &key, &err);
	secret_clear(&key);
	if (blob) {
		registrar_answer(call, 401, json_pack("{s:s, s:s}", "authenticationKey", blob, "keyName", "registration"));
		return;
	}
	log_warn("provisioning: %s can't be challenged: %s", call->registration_id, err.text);
	registrar_fail(call, REGISTRAR_UNAUTHORIZED, "Unauthorized");
}

json_t *
registrar_tpm_json(const struct registration *r, const struct enrollment *e)
{
	struct secret keys[2] = { 0 };
	struct err err = ERR_INIT;
	OWN_TEXT blob = NULL;

	if (!r->assigned || !r->storage_root_key)
		return json_object();
	tpm_hub_keys(keys, e, r->storage_root_key);
	blob = wrap(e, r->storage_root_key, &keys[0], &err);
	secret_clear(&keys[0]);
	secret_clear(&keys[1]);
	if (!blob)
		log_error("provisioning: the key of %s: %s", r->id, err.text);
	return json_pack("{s:s*}", "authenticationKey", blob);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and tokens of this device (device_credential.h). */
#include "identityd/device_credential.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "wire/codec.h"
#include "wire/sas.h"

#define TOKEN_LIFE_S 60
#define DIGEST_LABEL "rootedge identityd: which key is this?"

void
device_credential_clear(struct device_credential *c)
{
	device_certificate_clear(&c->certificate);
	keyd_client_free(c->keyd);
	mem_free(c->certd_socket);
	mem_free(c->tpmd_socket);
}

void
credential_use_clear(struct credential_use *u)
{
	certs_clear(&u->chain);
	key_free(u->key);
	if (u->authorization)
		mem_wipe(u->authorization, strlen(u->authorization));
	mem_free(u->authorization);
}

/* -- A certificate -------------------------------------------------------------------------------------------------------------------- */

static void
use_trial(struct credential_use *u, const struct device_credential *c)
{
	for (size_t i = 0; i < c->trial_chain->n; i++)
		certs_add(&u->chain, c->trial_chain->item[i]);
	u->key = key_ref((struct key *)(uintptr_t)c->trial_key);
}

static int
use_certificate(struct credential_use *u, struct device_credential *c, struct err *err)
{
	if (c->trial_chain) {
		use_trial(u, c);
		return 0;
	}
	if (device_certificate_ensure(&c->certificate, err) < 0)
		return -1;
	return device_certificate_load(&c->certificate, &u->chain, &u->key, err);
}

static int
load_chain(struct certs *out, struct device_credential *c, struct err *err)
{
	CLEAR(credential_use) use = { 0 };

	if (use_certificate(&use, c, err) < 0)
		return -1;
	*out = use.chain;
	use.chain = (struct certs){ 0 };
	return 0;
}

/* -- A token -------------------------------------------------------------------------------------------------------------------------- */

struct signer {
	const struct device_credential *credential;
	char *handle; /* of the key in keyd */
};

static int
sign_by_keyd(void *arg, const void *data, size_t len, uint8_t out[static DIGEST_SHA256_LEN], struct err *err)
{
	struct signer *s = arg;

	return keyd_client_hmac(s->credential->keyd, s->handle, data, len, out, err);
}

static int
sign_by_tpm(void *arg, const void *data, size_t len, uint8_t out[static DIGEST_SHA256_LEN], struct err *err)
{
	struct signer *s = arg;

	return tpmd_client_sign(s->credential->tpmd_socket, data, len, out, err);
}

static int
use_token(struct credential_use *u, struct device_credential *c, const char *resource, const char *policy, struct err *err)
{
	bool by_tpm = c->proof == PROOF_TPM;
	OWN_TEXT handle = by_tpm ? NULL : keyd_client_load_key(c->keyd, DEVICE_KEY_ID, err);
	struct signer signer = { .credential = c, .handle = handle };
	struct buf header = BUF_INIT(SAS_TOKEN_MAX);

	if (!by_tpm && !handle)
		return err_wrap(err, "the device's symmetric key");
	buf_puts(&header, "Authorization: ");
	if (sas_format(&header, resource, clock_wall() + TOKEN_LIFE_S, policy, by_tpm ? sign_by_tpm : sign_by_keyd, &signer, err) <
		0) {
		buf_wipe(&header);
		return -1;
	}
	u->authorization = buf_take_text(&header);
	return 0;
}

int
device_credential_use(
	struct credential_use *u, struct device_credential *c, const char *resource, const char *policy, struct err *err)
{
	int status;

	*u = (struct credential_use){ 0 };
	status = c->proof == PROOF_CERTIFICATE ? use_certificate(u, c, err) : use_token(u, c, resource, policy, err);
	if (status < 0)
		credential_use_clear(u);
	return status;
}

/* -- Which one is it? ------------------------------------------------------------------------------------------------------------------ */

static char *
hex_of(const uint8_t digest[static DIGEST_SHA256_LEN])
{
	struct buf text = BUF_INIT(256);

	hex_encode(&text, digest, DIGEST_SHA256_LEN, false);
	return buf_take_text(&text);
}

static char *
digest_of_key(struct device_credential *c, struct err *err)
{
	OWN_TEXT handle = keyd_client_load_key(c->keyd, DEVICE_KEY_ID, err);
	uint8_t mac[DIGEST_SHA256_LEN];

	if (!handle || keyd_client_hmac(c->keyd, handle, DIGEST_LABEL, strlen(DIGEST_LABEL), mac, err) < 0)
		return err_wrap_null(err, "the device's symmetric key");
	return hex_of(mac);
}

static char *
digest_of_tpm(struct device_credential *c, struct err *err)
{
	OWN_TEXT endorsement_key = NULL;
	OWN_TEXT storage_root_key = NULL;
	uint8_t digest[DIGEST_SHA256_LEN];

	if (tpmd_client_keys(c->tpmd_socket, &endorsement_key, &storage_root_key, err) < 0)
		return NULL;
	digest_sha256(endorsement_key, strlen(endorsement_key), digest);
	return hex_of(digest);
}

static char *
digest_of_certificate(struct device_credential *c, struct err *err)
{
	CLEAR(certs) chain = { 0 };

	if (c->certificate.is_issued)
		return mem_text("issued here");
	return load_chain(&chain, c, err) < 0 ? NULL : hex_of(cert_sha256(chain.item[0]));
}

char *
device_credential_digest(struct device_credential *c, struct err *err)
{
	static char *(*const digest_of[])(struct device_credential *, struct err *) = {
		[PROOF_KEY] = digest_of_key, [PROOF_CERTIFICATE] = digest_of_certificate, [PROOF_TPM] = digest_of_tpm
	};

	return digest_of[c->proof](c, err);
}

char *
device_credential_common_name(struct device_credential *c, struct err *err)
{
	CLEAR(certs) chain = { 0 };
	const char *name;

	if (load_chain(&chain, c, err) < 0)
		return NULL;
	name = cert_common_name(chain.item[0]);
	return name ? mem_text(name)
		    : err_null(err, ERR_INVALID,
			      "the device identity certificate has no one common name, which would be the registration id");
}

/* -- As its Identity has it ------------------------------------------------------------------------------------------------------------ */

json_t *
device_credential_auth(struct device_credential *c, struct err *err)
{
	OWN_TEXT handle = NULL;

	if (c->proof == PROOF_TPM)
		return json_pack("{s:s}", "type", "tpm");
	if (c->proof == PROOF_KEY) {
		handle = keyd_client_load_key(c->keyd, DEVICE_KEY_ID, err);
		return handle ? json_pack("{s:s, s:s}", "type", "sas", "keyHandle", handle) : NULL;
	}
	if (device_certificate_ensure(&c->certificate, err) < 0)
		return NULL;
	handle = keyd_client_pair_handle(c->keyd, DEVICE_KEY_ID, err);
	return handle ? json_pack("{s:s, s:s, s:s}", "type", "x509", "keyHandle", handle, "certId", DEVICE_KEY_ID) : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Symmetric keys that only this TPM gives out. */
#include "base/mem.h"
#include "keys/tpm_session.h"

#define NONE ESYS_TR_NONE

static const TPM2B_PUBLIC sealed = {
	.publicArea = {
		.type = TPM2_ALG_KEYEDHASH,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA,
		.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL,
	},
};

struct sealing {
	const struct secret *secret;
	struct tss_key key;
};

static int
seal_step(struct tpm *tpm, void *arg, struct err *err)
{
	struct sealing *s = arg;

	return tpm_session_create(tpm, &sealed, s->secret, &s->key, err);
}

int
tpm_seal(struct tpm *tpm, const struct secret *secret, struct buf *pem, struct err *err)
{
	struct sealing s = { .secret = secret };

	if (tpm_session_do(tpm, seal_step, &s, err) < 0)
		return -1;
	s.key.type = TSS_KEY_SEALED;
	tss_key_put_pem(&s.key, pem);
	return 0;
}

struct unsealing {
	struct tss_key key;
	struct secret *out;
};

static int
unseal_loaded(struct tpm *tpm, ESYS_TR object, struct secret *out, struct err *err)
{
	TPM2B_SENSITIVE_DATA *data = NULL;
	ESYS_TR session;
	int status = 0;
	TSS2_RC rc;

	if (tpm_session_protect(tpm, TPMA_SESSION_ENCRYPT, &session, err) < 0)
		return -1;
	rc = tpm->lib->Esys_Unseal(tpm->esys, object, session, NONE, NONE, &data);
	tpm_session_unprotect(tpm, session, rc);
	if (rc != TSS2_RC_SUCCESS)
		return tpm_session_fail(tpm, rc, "unsealing a key", err);
	if (data->size == 0 || data->size > SECRET_MAX)
		status = err_set(err, ERR_BROKEN, "a sealed key of %u bytes", data->size);
	else
		secret_set(out, data->buffer, data->size);
	mem_wipe(data, sizeof(*data));
	tpm->lib->Esys_Free(data);
	return status;
}

static int
unseal_step(struct tpm *tpm, void *arg, struct err *err)
{
	struct unsealing *u = arg;
	ESYS_TR object;
	int status;

	if (tpm_session_load(tpm, &u->key, &object, err) < 0)
		return -1;
	status = unseal_loaded(tpm, object, u->out, err);
	tpm_session_flush(tpm, object);
	return status;
}

int
tpm_unseal(struct tpm *tpm, const char *pem, size_t len, struct secret *out, struct err *err)
{
	struct unsealing u = { .out = out };

	if (tss_key_parse(&u.key, pem, len, err) < 0)
		return -1;
	if (u.key.type != TSS_KEY_SEALED)
		return err_set(err, ERR_INVALID, "TPM key: a key pair, and no sealed symmetric key");
	return tpm_session_do(tpm, unseal_step, &u, err);
}

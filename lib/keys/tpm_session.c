/* SPDX-License-Identifier: Apache-2.0 */
/* A TPM and its storage key. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "keys/tpm_session.h"

#define NONE ESYS_TR_NONE

struct tpm *
tpm_new(const char *tcti, const struct secret *owner_auth)
{
	struct tpm *tpm = NEW(tpm);

	setenv("TSS2_LOG", "all+NONE", 0); /* it writes to the log behind our back otherwise; what failed is told by us */
	tpm->tcti = mem_text(tcti ? tcti : "device");
	if (owner_auth)
		secret_set(&tpm->owner_auth, owner_auth->bytes, owner_auth->len);
	pthread_mutex_init(&tpm->lock, NULL);
	return tpm;
}

static void
close_tpm(struct tpm *tpm)
{
	if (tpm->esys && tpm->primary != NONE)
		tpm->lib->Esys_FlushContext(tpm->esys, tpm->primary);
	if (tpm->esys)
		tpm->lib->Esys_Finalize(&tpm->esys);
	if (tpm->connection)
		tpm->lib->Tss2_TctiLdr_Finalize(&tpm->connection);
	tpm->primary = NONE;
}

void
tpm_free(struct tpm *tpm)
{
	if (!tpm)
		return;
	close_tpm(tpm);
	secret_clear(&tpm->owner_auth);
	pthread_mutex_destroy(&tpm->lock);
	mem_free(tpm->tcti);
	mem_free(tpm);
}

/* -- Failures ------------------------------------------------------------------------------------------------------------------------------ */

/* The TPM was reset or is away: the next connection may be better. */
static bool
is_gone(TSS2_RC rc)
{
	if ((rc & TSS2_RC_LAYER_MASK) != TSS2_TPM_RC_LAYER)
		return true; /* no answer of the TPM's at all */
	return rc == TPM2_RC_INITIALIZE || rc == TPM2_RC_FAILURE || rc == TPM2_RC_REBOOT ||
	       (rc >= TPM2_RC_REFERENCE_H0 && rc <= TPM2_RC_REFERENCE_S0 + 6);
}

/* A format-one code without the parameter, handle or session that it is about. */
static TSS2_RC
bare(TSS2_RC rc)
{
	return (rc & TSS2_RC_LAYER_MASK) == TSS2_TPM_RC_LAYER && (rc & TPM2_RC_FMT1) ? rc & (TPM2_RC_FMT1 | 0x3f) : rc;
}

int
tpm_session_fail(struct tpm *tpm, TSS2_RC rc, const char *doing, struct err *err)
{
	if (bare(rc) == TPM2_RC_INTEGRITY)
		return err_set(err, ERR_BROKEN, "%s: it was made by another TPM, or by this one before it was cleared", doing);
	if (bare(rc) == TPM2_RC_AUTH_FAIL || bare(rc) == TPM2_RC_BAD_AUTH)
		return err_set(err, ERR_BROKEN, "%s: the TPM refuses the password", doing);
	return err_set(err, is_gone(rc) ? ERR_UNAVAILABLE : ERR_BROKEN, "%s: %s", doing, tpm->lib->Tss2_RC_Decode(rc));
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------- */

/* The storage key of the TCG's template, ECC P-256: the parent that TSS_KEY_OWNER stands for, here and in other programs. */
static const TPM2B_PUBLIC storage_key = {
	.publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
				    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA,
		.parameters.eccDetail = {
			.symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB },
			.scheme.scheme = TPM2_ALG_NULL,
			.curveID = TPM2_ECC_NIST_P256,
			.kdf.scheme = TPM2_ALG_NULL,
		},
	},
};

static TSS2_RC
create_primary(struct tpm *tpm)
{
	static const TPM2B_SENSITIVE_CREATE sensitive;
	static const TPM2B_DATA outside;
	static const TPML_PCR_SELECTION pcrs;

	return tpm->lib->Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, NONE, NONE, &sensitive, &storage_key,
		&outside, &pcrs, &tpm->primary, NULL, NULL, NULL, NULL);
}

static int
make_primary(struct tpm *tpm, struct err *err)
{
	TPM2B_AUTH auth = { .size = (UINT16)(tpm->owner_auth.len < sizeof(auth.buffer) ? tpm->owner_auth.len
										       : sizeof(auth.buffer)) };
	TSS2_RC rc;

	memcpy(auth.buffer, tpm->owner_auth.bytes, auth.size);
	rc = tpm->lib->Esys_TR_SetAuth(tpm->esys, ESYS_TR_RH_OWNER, &auth);
	mem_wipe(&auth, sizeof(auth));
	if (rc == TSS2_RC_SUCCESS)
		rc = create_primary(tpm);
	if (rc == TPM2_RC_INITIALIZE) { /* no resource manager and no firmware has started it */
		rc = tpm->lib->Esys_Startup(tpm->esys, TPM2_SU_CLEAR);
		if (rc == TSS2_RC_SUCCESS)
			rc = create_primary(tpm);
	}
	return rc == TSS2_RC_SUCCESS ? 0 : tpm_session_fail(tpm, rc, "the owner's storage key", err);
}

static int
connect_tpm(struct tpm *tpm, struct err *err)
{
	TSS2_RC rc = tpm->lib->Tss2_TctiLdr_Initialize(tpm->tcti, &tpm->connection);

	if (rc == TSS2_RC_SUCCESS)
		rc = tpm->lib->Esys_Initialize(&tpm->esys, tpm->connection, NULL);
	return rc == TSS2_RC_SUCCESS ? 0 : tpm_session_fail(tpm, rc, "the TPM can't be opened", err);
}

static int
open_tpm(struct tpm *tpm, struct err *err)
{
	if (tpm->esys)
		return 0;
	if (!tpm->lib)
		tpm->lib = tpm_library_load(err);
	if (!tpm->lib)
		return -1;
	tpm->primary = NONE;
	if (connect_tpm(tpm, err) == 0 && make_primary(tpm, err) == 0)
		return 0;
	close_tpm(tpm);
	return -1;
}

static int
attempt(struct tpm *tpm, int (*step)(struct tpm *tpm, void *arg, struct err *err), void *arg, struct err *err)
{
	return open_tpm(tpm, err) < 0 ? -1 : step(tpm, arg, err);
}

int
tpm_session_do(struct tpm *tpm, int (*step)(struct tpm *tpm, void *arg, struct err *err), void *arg, struct err *err)
{
	int status;

	pthread_mutex_lock(&tpm->lock);
	status = attempt(tpm, step, arg, err);
	if (status < 0 && err->kind == ERR_UNAVAILABLE) {
		if (tpm->lib)
			close_tpm(tpm);
		*err = (struct err)ERR_INIT;
		status = attempt(tpm, step, arg, err);
	}
	pthread_mutex_unlock(&tpm->lock);
	return status < 0 ? err_wrap(err, "the TPM (%.80s)", tpm->tcti) : status;
}

/* -- Objects -------------------------------------------------------------------------------------------------------------------------------- */

/* The key that others are loaded under: ours, or one that somebody made persistent. */
static int
open_parent(struct tpm *tpm, uint32_t parent, ESYS_TR *object, struct err *err)
{
	TSS2_RC rc;

	*object = tpm->primary;
	if (parent == TSS_KEY_OWNER)
		return 0;
	rc = tpm->lib->Esys_TR_FromTPMPublic(tpm->esys, parent, NONE, NONE, NONE, object);
	return rc == TSS2_RC_SUCCESS ? 0 : tpm_session_fail(tpm, rc, "the key's parent", err);
}

static void
close_parent(struct tpm *tpm, ESYS_TR object)
{
	if (object != tpm->primary)
		tpm->lib->Esys_TR_Close(tpm->esys, &object);
}

/* A TPM2B: two bytes of size, and as many.  The TSS overlooks a size that is wrong. */
static bool
is_sized(const uint8_t *blob, size_t len)
{
	return len >= 2 && (size_t)(blob[0] << 8 | blob[1]) == len - 2;
}

int
tpm_session_load(struct tpm *tpm, const struct tss_key *key, ESYS_TR *object, struct err *err)
{
	TPM2B_PUBLIC public = { 0 };
	TPM2B_PRIVATE private = { 0 };
	size_t public_at = 0, private_at = 0;
	ESYS_TR parent;
	TSS2_RC rc;

	if (!is_sized(key->public_blob, key->public_len) || !is_sized(key->private_blob, key->private_len) ||
		tpm->lib->Tss2_MU_TPM2B_PUBLIC_Unmarshal(key->public_blob, key->public_len, &public_at, &public) !=
			TSS2_RC_SUCCESS ||
		tpm->lib->Tss2_MU_TPM2B_PRIVATE_Unmarshal(key->private_blob, key->private_len, &private_at, &private) !=
			TSS2_RC_SUCCESS ||
		public_at != key->public_len || private_at != key->private_len)
		return err_set(err, ERR_INVALID, "TPM key: its parts are no TPM2B_PUBLIC and TPM2B_PRIVATE");
	if (open_parent(tpm, key->parent, &parent, err) < 0)
		return -1;
	rc = tpm->lib->Esys_Load(tpm->esys, parent, ESYS_TR_PASSWORD, NONE, NONE, &private, &public, object);
	close_parent(tpm, parent);
	return rc == TSS2_RC_SUCCESS ? 0 : tpm_session_fail(tpm, rc, "loading a key", err);
}

void
tpm_session_flush(struct tpm *tpm, ESYS_TR object)
{
	tpm->lib->Esys_FlushContext(tpm->esys, object);
}

int
tpm_session_protect(struct tpm *tpm, TPMA_SESSION direction, ESYS_TR *session, struct err *err)
{
	static const TPMT_SYM_DEF aes = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB };
	/* Salted with the storage key, so that who listens on the bus can't know the session's key. */
	TSS2_RC rc = tpm->lib->Esys_StartAuthSession(
		tpm->esys, tpm->primary, NONE, NONE, NONE, NONE, NULL, TPM2_SE_HMAC, &aes, TPM2_ALG_SHA256, session);

	if (rc == TSS2_RC_SUCCESS)
		rc = tpm->lib->Esys_TRSess_SetAttributes(tpm->esys, *session, direction, 0xff);
	return rc == TSS2_RC_SUCCESS ? 0 : tpm_session_fail(tpm, rc, "a session", err);
}

/* A command that went well has ended the session in the TPM, but not what the TSS keeps of it. */
void
tpm_session_unprotect(struct tpm *tpm, ESYS_TR session, TSS2_RC rc)
{
	if (rc == TSS2_RC_SUCCESS)
		tpm->lib->Esys_TR_Close(tpm->esys, &session);
	else
		tpm_session_flush(tpm, session);
}

static int
take_blobs(struct tpm *tpm, const TPM2B_PUBLIC *public, const TPM2B_PRIVATE *private, struct tss_key *out, struct err *err)
{
	out->parent = TSS_KEY_OWNER;
	out->public_len = out->private_len = 0;
	if (tpm->lib->Tss2_MU_TPM2B_PUBLIC_Marshal(public, out->public_blob, sizeof(out->public_blob), &out->public_len) ==
			TSS2_RC_SUCCESS &&
		tpm->lib->Tss2_MU_TPM2B_PRIVATE_Marshal(private, out->private_blob, sizeof(out->private_blob), &out->private_len) ==
			TSS2_RC_SUCCESS)
		return 0;
	return err_set(err, ERR_BROKEN, "the TPM's new key can't be written");
}

int
tpm_session_create(struct tpm *tpm, const TPM2B_PUBLIC *public, const struct secret *data, struct tss_key *out, struct err *err)
{
	static const TPM2B_DATA outside;
	static const TPML_PCR_SELECTION pcrs;
	TPM2B_SENSITIVE_CREATE sensitive = { .sensitive.data.size = (UINT16)(data ? data->len : 0) };
	TPM2B_PUBLIC *public_made = NULL;
	TPM2B_PRIVATE *private_made = NULL;
	ESYS_TR session;
	TSS2_RC rc;
	int status;

	if (tpm_session_protect(tpm, TPMA_SESSION_DECRYPT, &session, err) < 0)
		return -1;
	if (data)
		memcpy(sensitive.sensitive.data.buffer, data->bytes, data->len);
	rc = tpm->lib->Esys_Create(tpm->esys, tpm->primary, session, NONE, NONE, &sensitive, public, &outside, &pcrs, &private_made,
		&public_made, NULL, NULL, NULL);
	mem_wipe(&sensitive, sizeof(sensitive));
	tpm_session_unprotect(tpm, session, rc);
	status = rc == TSS2_RC_SUCCESS ? take_blobs(tpm, public_made, private_made, out, err)
				       : tpm_session_fail(tpm, rc, "making a key", err);
	tpm->lib->Esys_Free(public_made);
	tpm->lib->Esys_Free(private_made);
	return status;
}

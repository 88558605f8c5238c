/* SPDX-License-Identifier: Apache-2.0 */
/* A TPM at provisioning (tpm_registration.h). */
#include "keys/tpm_registration.h"

#include <string.h>

#include "base/mem.h"
#include "keys/tpm_session.h"
#include "keys/tpm_wrap.h"

#define NONE ESYS_TR_NONE
#define EK_HANDLE 0x81010001u
#define SRK_HANDLE 0x81000001u
#define HMAC_LEN 32
#define MODULUS_LEN 256

/* -- Handles ------------------------------------------------------------------------------------------------------------------------------ */

/* clang-format off: PolicySecret of the endorsement hierarchy, as the TCG's template L-1 has it */
static const uint8_t endorsement_policy[] = {
	0x83,
	0x71,
	0x97,
	0x67,
	0x44,
	0x84,
	0xb3,
	0xf8,
	0x1a,
	0x90,
	0xcc,
	0x8d,
	0x46,
	0xa5,
	0xd7,
	0x24,
	0xfd,
	0x52,
	0xd7,
	0x6e,
	0x06,
	0x52,
	0x0b,
	0x64,
	0xf2,
	0xa1,
	0xda,
	0x1b,
	0x33,
	0x14,
	0x69,
	0xaa,
};
/* clang-format on */

#define BOTH                                                                                                                       \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |               \
		TPMA_OBJECT_DECRYPT)

/* A key that has a place of its own in the TPM. */
struct home {
	uint32_t handle;
	ESYS_TR hierarchy;
	TPMA_OBJECT attributes;
	bool by_policy;
	const char *what;
};

static const struct home endorsement = { EK_HANDLE, ESYS_TR_RH_ENDORSEMENT, BOTH | TPMA_OBJECT_ADMINWITHPOLICY, true,
	"the endorsement key" };
static const struct home storage_root = { SRK_HANDLE, ESYS_TR_RH_OWNER, BOTH | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA, false,
	"the storage root key" };

static TPM2B_PUBLIC
template_of(const struct home *home)
{
	TPM2B_PUBLIC public = { .publicArea = { .type = TPM2_ALG_RSA,
					.nameAlg = TPM2_ALG_SHA256,
					.objectAttributes = home->attributes,
					.parameters.rsaDetail = { .symmetric = { .algorithm = TPM2_ALG_AES,
									  .keyBits.aes = 128,
									  .mode.aes = TPM2_ALG_CFB },
						.scheme.scheme = TPM2_ALG_NULL,
						.keyBits = 2048 },
					.unique.rsa.size = MODULUS_LEN } };

	if (home->by_policy) {
		public.publicArea.authPolicy.size = sizeof(endorsement_policy);
		memcpy(public.publicArea.authPolicy.buffer, endorsement_policy, sizeof(endorsement_policy));
	}
	return public;
}

/* 1: it is there; 0: nothing is; -1. */
static int
find(struct tpm *tpm, uint32_t handle, ESYS_TR *object, struct err *err)
{
	TSS2_RC rc = tpm->lib->Esys_TR_FromTPMPublic(tpm->esys, handle, NONE, NONE, NONE, object);

	if ((rc & TSS2_RC_LAYER_MASK) == TSS2_TPM_RC_LAYER && (rc & 0xbf) == TPM2_RC_HANDLE)
		return 0;
	return rc == TSS2_RC_SUCCESS ? 1 : tpm_session_fail(tpm, rc, "a persistent key", err);
}

static int
persist(struct tpm *tpm, ESYS_TR object, uint32_t handle, ESYS_TR *out, struct err *err)
{
	TSS2_RC rc = tpm->lib->Esys_EvictControl(tpm->esys, ESYS_TR_RH_OWNER, object, ESYS_TR_PASSWORD, NONE, NONE, handle, out);

	return rc == TSS2_RC_SUCCESS ? 0 : tpm_session_fail(tpm, rc, "keeping a key in the TPM", err);
}

static int
make(struct tpm *tpm, const struct home *home, ESYS_TR *out, struct err *err)
{
	static const TPM2B_SENSITIVE_CREATE sensitive;
	static const TPM2B_DATA outside;
	static const TPML_PCR_SELECTION pcrs;
	TPM2B_PUBLIC public = template_of(home);
	ESYS_TR object;
	TSS2_RC rc = tpm->lib->Esys_CreatePrimary(tpm->esys, home->hierarchy, ESYS_TR_PASSWORD, NONE, NONE, &sensitive, &public,
		&outside, &pcrs, &object, NULL, NULL, NULL, NULL);
	int status;

	if (rc != TSS2_RC_SUCCESS)
		return tpm_session_fail(tpm, rc, home->what, err);
	status = persist(tpm, object, home->handle, out, err);
	tpm_session_flush(tpm, object);
	return status;
}

static int
open_home(struct tpm *tpm, const struct home *home, ESYS_TR *object, struct err *err)
{
	int found = find(tpm, home->handle, object, err);

	return found == 0 ? make(tpm, home, object, err) : found < 0 ? -1 : 0;
}

static int
set_endorsement_auth(struct tpm *tpm, const struct secret *secret, struct err *err)
{
	TPM2B_AUTH auth = { .size = (UINT16)(secret->len < sizeof(auth.buffer) ? secret->len : sizeof(auth.buffer)) };
	TSS2_RC rc;

	memcpy(auth.buffer, secret->bytes, auth.size);
	rc = tpm->lib->Esys_TR_SetAuth(tpm->esys, ESYS_TR_RH_ENDORSEMENT, &auth);
	mem_wipe(&auth, sizeof(auth));
	return rc == TSS2_RC_SUCCESS ? 0 : tpm_session_fail(tpm, rc, "the endorsement hierarchy", err);
}

/* Both keys, for one step. */
struct homes {
	ESYS_TR endorsement_key, storage_root_key;
};

static int
open_homes(struct tpm *tpm, const struct tpm_registration *r, struct homes *h, struct err *err)
{
	if (set_endorsement_auth(tpm, &r->endorsement_auth, err) < 0 || open_home(tpm, &endorsement, &h->endorsement_key, err) < 0)
		return -1;
	if (open_home(tpm, &storage_root, &h->storage_root_key, err) == 0)
		return 0;
	tpm->lib->Esys_TR_Close(tpm->esys, &h->endorsement_key);
	return -1;
}

static void
close_homes(struct tpm *tpm, struct homes *h)
{
	tpm->lib->Esys_TR_Close(tpm->esys, &h->endorsement_key);
	tpm->lib->Esys_TR_Close(tpm->esys, &h->storage_root_key);
}

/* -- Which TPM is it? ----------------------------------------------------------------------------------------------------------------------- */

struct reading {
	const struct tpm_registration *registration;
	struct buf *endorsement_key, *storage_root_key;
};

static int
put_public(struct tpm *tpm, ESYS_TR object, struct buf *out, struct err *err)
{
	TPM2B_PUBLIC *public = NULL;
	uint8_t bytes[sizeof(TPM2B_PUBLIC)];
	size_t len = 0;
	TSS2_RC rc = tpm->lib->Esys_ReadPublic(tpm->esys, object, NONE, NONE, NONE, &public, NULL, NULL);

	if (rc == TSS2_RC_SUCCESS)
		rc = tpm->lib->Tss2_MU_TPM2B_PUBLIC_Marshal(public, bytes, sizeof(bytes), &len);
	tpm->lib->Esys_Free(public);
	if (rc != TSS2_RC_SUCCESS)
		return tpm_session_fail(tpm, rc, "reading a key", err);
	buf_put(out, bytes, len);
	return 0;
}

static int
read_step(struct tpm *tpm, void *arg, struct err *err)
{
	struct reading *r = arg;
	struct homes homes;
	int status;

	buf_reset(r->endorsement_key);
	buf_reset(r->storage_root_key);
	if (open_homes(tpm, r->registration, &homes, err) < 0)
		return -1;
	status = put_public(tpm, homes.endorsement_key, r->endorsement_key, err);
	if (status == 0)
		status = put_public(tpm, homes.storage_root_key, r->storage_root_key, err);
	close_homes(tpm, &homes);
	return status;
}

int
tpm_registration_keys(const struct tpm_registration *r, struct buf *endorsement_key, struct buf *storage_root_key, struct err *err)
{
	struct reading reading = { .registration = r, .endorsement_key = endorsement_key, .storage_root_key = storage_root_key };

	return tpm_session_do(r->tpm, read_step, &reading, err);
}

/* -- The key that came ------------------------------------------------------------------------------------------------------------------------ */

struct parts {
	TPM2B_ID_OBJECT credential;
	TPM2B_ENCRYPTED_SECRET credential_seed, seed;
	TPM2B_PRIVATE duplicate;
	TPM2B_PUBLIC public;
};

struct importing {
	const struct tpm_registration *registration;
	const uint8_t *blob;
	size_t len;
	struct parts parts;
};

/* The TSS reads each part; that it has read as many bytes as the part's size says is seen to here, for it overlooks some that are wrong. */
static bool
took_whole_part(const struct importing *i, size_t from, size_t to)
{
	return i->len - from >= 2 && to - from == 2 + (size_t)(i->blob[from] << 8 | i->blob[from + 1]);
}

static int
split(struct tpm *tpm, struct importing *i, struct err *err)
{
	const struct tpm_library *lib = tpm->lib;
	size_t at[6] = { 0 };
	bool good = true;

	i->parts = (struct parts){ 0 }; /* the TSS takes what is there for filled already */
	for (int part = 0; part < 5 && good; part++) {
		size_t to = at[part];
		TSS2_RC rc = TSS2_RC_SUCCESS;

		if (part == 0)
			rc = lib->Tss2_MU_TPM2B_ID_OBJECT_Unmarshal(i->blob, i->len, &to, &i->parts.credential);
		else if (part == 1)
			rc = lib->Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(i->blob, i->len, &to, &i->parts.credential_seed);
		else if (part == 2)
			rc = lib->Tss2_MU_TPM2B_PRIVATE_Unmarshal(i->blob, i->len, &to, &i->parts.duplicate);
		else if (part == 3)
			rc = lib->Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(i->blob, i->len, &to, &i->parts.seed);
		else
			rc = lib->Tss2_MU_TPM2B_PUBLIC_Unmarshal(i->blob, i->len, &to, &i->parts.public);
		good = rc == TSS2_RC_SUCCESS && took_whole_part(i, at[part], to);
		at[part + 1] = to;
	}
	if (good && at[5] == i->len)
		return 0;
	return err_set(err, ERR_INVALID, "the service's key for the TPM: it does not have the five parts that it is made of");
}

/* Nothing that could be used otherwise than for HMAC, or could leave the TPM, gets a place in it. */
static int
check_public(const TPMT_PUBLIC *public, struct err *err)
{
	const TPMT_KEYEDHASH_SCHEME *scheme = &public->parameters.keyedHashDetail.scheme;

	if (public->type == TPM2_ALG_KEYEDHASH && (public->objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT) &&
		!(public->objectAttributes & TPMA_OBJECT_DECRYPT) &&
		(scheme->scheme == TPM2_ALG_NULL ||
			(scheme->scheme == TPM2_ALG_HMAC && scheme->details.hmac.hashAlg == TPM2_ALG_SHA256)))
		return 0;
	return err_set(err, ERR_INVALID, "the service's key for the TPM: no HMAC-SHA256 key");
}

/* The endorsement key is used by its policy: who knows the secret of its hierarchy. */
static int
open_policy(struct tpm *tpm, ESYS_TR *session, struct err *err)
{
	static const TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };
	TSS2_RC rc = tpm->lib->Esys_StartAuthSession(
		tpm->esys, NONE, NONE, NONE, NONE, NONE, NULL, TPM2_SE_POLICY, &none, TPM2_ALG_SHA256, session);

	if (rc != TSS2_RC_SUCCESS)
		return tpm_session_fail(tpm, rc, "a session", err);
	rc = tpm->lib->Esys_PolicySecret(
		tpm->esys, ESYS_TR_RH_ENDORSEMENT, *session, ESYS_TR_PASSWORD, NONE, NONE, NULL, NULL, NULL, 0, NULL, NULL);
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	tpm_session_flush(tpm, *session);
	return tpm_session_fail(tpm, rc, "the endorsement hierarchy", err);
}

/* What the TPM itself says no to is not for it; that it is away is another matter.  Some say FAILURE, as of themselves, where a number is too large for their key. */
static int
refuse(struct tpm *tpm, TSS2_RC rc, const char *doing, struct err *err)
{
	tpm_session_fail(tpm, rc, doing, err);
	if (err->kind == ERR_BROKEN || rc == TPM2_RC_FAILURE)
		err_set(err, ERR_INVALID, "the service's key is not for this TPM: %s: %s", doing, tpm->lib->Tss2_RC_Decode(rc));
	return -1;
}

static int
activate(struct tpm *tpm, const struct importing *i, const struct homes *homes, TPM2B_DATA *inner, struct err *err)
{
	TPM2B_DIGEST *found = NULL;
	ESYS_TR session;
	int status = 0;
	TSS2_RC rc;

	if (open_policy(tpm, &session, err) < 0)
		return -1;
	rc = tpm->lib->Esys_ActivateCredential(tpm->esys, homes->storage_root_key, homes->endorsement_key, ESYS_TR_PASSWORD,
		session, NONE, &i->parts.credential, &i->parts.credential_seed, &found);
	tpm_session_unprotect(tpm, session, rc);
	if (rc != TSS2_RC_SUCCESS)
		return refuse(tpm, rc, "activating its credential", err);
	if (found->size != TPM_AES_LEN)
		status = err_set(err, ERR_INVALID, "the service's key for the TPM: an inner key of %u bytes", found->size);
	else
		memcpy(inner->buffer, found->buffer, TPM_AES_LEN);
	inner->size = TPM_AES_LEN;
	mem_wipe(found, sizeof(*found));
	tpm->lib->Esys_Free(found);
	return status;
}

static int
load_duplicate(struct tpm *tpm, const struct importing *i, const struct homes *homes, const TPM2B_DATA *inner, ESYS_TR *object,
	struct err *err)
{
	static const TPMT_SYM_DEF_OBJECT aes = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB };
	TPM2B_PRIVATE *private = NULL;
	TSS2_RC rc = tpm->lib->Esys_Import(tpm->esys, homes->storage_root_key, ESYS_TR_PASSWORD, NONE, NONE, inner,
		&i->parts.public, &i->parts.duplicate, &i->parts.seed, &aes, &private);

	if (rc == TSS2_RC_SUCCESS)
		rc = tpm->lib->Esys_Load(
			tpm->esys, homes->storage_root_key, ESYS_TR_PASSWORD, NONE, NONE, private, &i->parts.public, object);
	tpm->lib->Esys_Free(private);
	return rc == TSS2_RC_SUCCESS ? 0 : refuse(tpm, rc, "importing it", err);
}

static uint32_t
handle_of(const struct tpm_registration *r)
{
	return TPM_REGISTRATION_KEY_BASE + r->key_index;
}

/* The old one leaves its place when the new one is in the TPM already. */
static int
take_place(struct tpm *tpm, const struct tpm_registration *r, ESYS_TR object, struct err *err)
{
	ESYS_TR old, kept = NONE;
	int found = find(tpm, handle_of(r), &old, err);

	if (found < 0)
		return -1;
	if (found > 0 && persist(tpm, old, handle_of(r), &kept, err) < 0) {
		tpm->lib->Esys_TR_Close(tpm->esys, &old);
		return -1;
	}
	if (persist(tpm, object, handle_of(r), &kept, err) < 0)
		return -1;
	tpm->lib->Esys_TR_Close(tpm->esys, &kept);
	return 0;
}

static int
import_opened(struct tpm *tpm, const struct importing *i, const struct homes *homes, struct err *err)
{
	TPM2B_DATA inner = { 0 };
	ESYS_TR object;
	int status = activate(tpm, i, homes, &inner, err);

	if (status == 0)
		status = load_duplicate(tpm, i, homes, &inner, &object, err);
	mem_wipe(&inner, sizeof(inner));
	if (status < 0)
		return -1;
	status = take_place(tpm, i->registration, object, err);
	tpm_session_flush(tpm, object);
	return status;
}

static int
import_step(struct tpm *tpm, void *arg, struct err *err)
{
	struct importing *i = arg;
	struct homes homes;
	int status;

	if (split(tpm, i, err) < 0 || check_public(&i->parts.public.publicArea, err) < 0 ||
		open_homes(tpm, i->registration, &homes, err) < 0)
		return -1;
	status = import_opened(tpm, i, &homes, err);
	close_homes(tpm, &homes);
	return status;
}

int
tpm_registration_import(const struct tpm_registration *r, const void *blob, size_t len, struct err *err)
{
	struct importing *i = NEW(importing);
	int status;

	i->registration = r;
	i->blob = blob;
	i->len = len;
	status = len > TPM_WRAPPED_MAX
			 ? err_set(err, ERR_INVALID, "the service's key for the TPM: more than %d bytes", TPM_WRAPPED_MAX)
			 : tpm_session_do(r->tpm, import_step, i, err);
	mem_free(i);
	return status;
}

/* -- Signing ---------------------------------------------------------------------------------------------------------------------------------- */

struct signing {
	const struct tpm_registration *registration;
	const uint8_t *data;
	size_t len;
	uint8_t *out;
};

static int
take_hmac(struct tpm *tpm, TSS2_RC rc, TPM2B_DIGEST *digest, uint8_t *out, struct err *err)
{
	int status = rc != TSS2_RC_SUCCESS	? tpm_session_fail(tpm, rc, "signing", err)
		     : digest->size != HMAC_LEN ? err_set(err, ERR_BROKEN, "an HMAC of %u bytes", digest->size)
						: 0;

	if (status == 0)
		memcpy(out, digest->buffer, HMAC_LEN);
	tpm->lib->Esys_Free(digest);
	return status;
}

static TPM2B_MAX_BUFFER
piece_of(const uint8_t *data, size_t len)
{
	TPM2B_MAX_BUFFER piece = { .size = (UINT16)(len < TPM2_MAX_DIGEST_BUFFER ? len : TPM2_MAX_DIGEST_BUFFER) };

	memcpy(piece.buffer, data, piece.size);
	return piece;
}

/* What is too long for one command goes in piece by piece. */
static int
sign_long(struct tpm *tpm, ESYS_TR key, const struct signing *s, struct err *err)
{
	static const TPM2B_AUTH no_auth;
	TPM2B_DIGEST *digest = NULL;
	ESYS_TR sequence;
	size_t at = 0;
	TSS2_RC rc = tpm->lib->Esys_HMAC_Start(tpm->esys, key, ESYS_TR_PASSWORD, NONE, NONE, &no_auth, TPM2_ALG_SHA256, &sequence);

	if (rc != TSS2_RC_SUCCESS)
		return tpm_session_fail(tpm, rc, "signing", err);
	while (rc == TSS2_RC_SUCCESS && s->len - at > TPM2_MAX_DIGEST_BUFFER) {
		TPM2B_MAX_BUFFER piece = piece_of(s->data + at, s->len - at);

		rc = tpm->lib->Esys_SequenceUpdate(tpm->esys, sequence, ESYS_TR_PASSWORD, NONE, NONE, &piece);
		at += piece.size;
	}
	if (rc == TSS2_RC_SUCCESS) {
		TPM2B_MAX_BUFFER piece = piece_of(s->data + at, s->len - at);

		rc = tpm->lib->Esys_SequenceComplete(
			tpm->esys, sequence, ESYS_TR_PASSWORD, NONE, NONE, &piece, ESYS_TR_RH_NULL, &digest, NULL);
	}
	if (rc != TSS2_RC_SUCCESS)
		tpm_session_flush(tpm, sequence);
	return take_hmac(tpm, rc, digest, s->out, err);
}

static int
sign_short(struct tpm *tpm, ESYS_TR key, const struct signing *s, struct err *err)
{
	TPM2B_MAX_BUFFER piece = piece_of(s->data, s->len);
	TPM2B_DIGEST *digest = NULL;
	TSS2_RC rc = tpm->lib->Esys_HMAC(tpm->esys, key, ESYS_TR_PASSWORD, NONE, NONE, &piece, TPM2_ALG_SHA256, &digest);

	return take_hmac(tpm, rc, digest, s->out, err);
}

static int
sign_step(struct tpm *tpm, void *arg, struct err *err)
{
	const struct signing *s = arg;
	ESYS_TR key;
	int found = find(tpm, handle_of(s->registration), &key, err), status;

	if (found < 0)
		return -1;
	if (found == 0)
		return err_set(err, ERR_MISSING, "provisioning has not given this TPM a key yet");
	status = s->len <= TPM2_MAX_DIGEST_BUFFER ? sign_short(tpm, key, s, err) : sign_long(tpm, key, s, err);
	tpm->lib->Esys_TR_Close(tpm->esys, &key);
	return status;
}

int
tpm_registration_sign(const struct tpm_registration *r, const void *data, size_t len, uint8_t out[static HMAC_LEN], struct err *err)
{
	struct signing signing = { .registration = r, .data = data, .len = len, .out = out };

	return tpm_session_do(r->tpm, sign_step, &signing, err);
}

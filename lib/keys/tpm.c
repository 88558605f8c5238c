/* SPDX-License-Identifier: Apache-2.0 */
/* Key pairs in a TPM.  A pair is loaded for each signature and flushed after it: a TPM has room for three, and others want to use it too. */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

#include "base/mem.h"
#include "keys/key_raw.h"
#include "keys/tpm_session.h"

#define NONE ESYS_TR_NONE
#define DEFAULT_EXPONENT 65537

struct tpm_pair {
	struct tpm *tpm;
	struct tss_key key;
	uint32_t persistent; /* its handle, or 0: it is loaded from `key` */
	EVP_PKEY *public_half;
	bool is_rsa;
};

static void
tpm_pair_free(struct tpm_pair *pair)
{
	if (!pair)
		return;
	key_raw_free_public(pair->public_half);
	mem_free(pair);
}
OWN_DEFINE(tpm_pair);

/* -- In use --------------------------------------------------------------------------------------------------------------------------------- */

static int
open_pair(struct tpm *tpm, const struct tpm_pair *pair, ESYS_TR *object, struct err *err)
{
	TSS2_RC rc;

	if (pair->persistent == 0)
		return tpm_session_load(tpm, &pair->key, object, err);
	rc = tpm->lib->Esys_TR_FromTPMPublic(tpm->esys, pair->persistent, NONE, NONE, NONE, object);
	if ((rc & TSS2_RC_LAYER_MASK) == TSS2_TPM_RC_LAYER && (rc & 0xbf) == TPM2_RC_HANDLE)
		return err_set(err, ERR_MISSING, "there is no key with the handle 0x%x", pair->persistent);
	return rc == TSS2_RC_SUCCESS ? 0 : tpm_session_fail(tpm, rc, "a persistent key", err);
}

static void
close_pair(struct tpm *tpm, const struct tpm_pair *pair, ESYS_TR object)
{
	if (pair->persistent)
		tpm->lib->Esys_TR_Close(tpm->esys, &object);
	else
		tpm_session_flush(tpm, object);
}

struct tpm_signature {
	struct tpm_pair *pair;
	const uint8_t *data;
	size_t len;
	uint8_t *out;
	size_t out_len;
};

static int
put_ecdsa(const TPMS_SIGNATURE_ECC *s, struct tpm_signature *out, struct err *err)
{
	ECDSA_SIG *numbers = ECDSA_SIG_new();
	uint8_t *at = out->out;
	int len;

	ECDSA_SIG_set0(numbers, BN_bin2bn(s->signatureR.buffer, s->signatureR.size, NULL),
		BN_bin2bn(s->signatureS.buffer, s->signatureS.size, NULL));
	len = i2d_ECDSA_SIG(numbers, NULL);
	if (len > 0 && (size_t)len <= out->out_len)
		len = i2d_ECDSA_SIG(numbers, &at);
	else
		len = 0;
	ECDSA_SIG_free(numbers);
	if (len <= 0)
		return err_set(err, ERR_BROKEN, "the TPM's signature is malformed");
	out->out_len = (size_t)len;
	return 0;
}

/* A TPM wants to know the digest's name, by its length.  ECDSA itself only takes the number that the first bits of the digest are: longer digests are cut to the size of the curve
 * (32 or 48 bytes, as the caller does), shorter ones get zeros in front. */
static int
ecdsa(struct tpm *tpm, ESYS_TR object, struct tpm_signature *s, struct err *err)
{
	static const TPMT_TK_HASHCHECK no_ticket = { .tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL };
	TPM2B_DIGEST digest = { .size = s->len > 32 ? 48 : 32 };
	TPMT_SIG_SCHEME scheme = { .scheme = TPM2_ALG_ECDSA,
		.details.ecdsa.hashAlg = s->len > 32 ? TPM2_ALG_SHA384 : TPM2_ALG_SHA256 };
	TPMT_SIGNATURE *signature = NULL;
	int status;
	TSS2_RC rc;

	memcpy(digest.buffer + digest.size - s->len, s->data, s->len);
	rc = tpm->lib->Esys_Sign(tpm->esys, object, ESYS_TR_PASSWORD, NONE, NONE, &digest, &scheme, &no_ticket, &signature);
	if (rc != TSS2_RC_SUCCESS)
		return tpm_session_fail(tpm, rc, "signing", err);
	status = put_ecdsa(&signature->signature.ecdsa, s, err);
	tpm->lib->Esys_Free(signature);
	return status;
}

/* The private operation on a block is what the TPM calls decrypting without a scheme. */
static int
rsa(struct tpm *tpm, ESYS_TR object, struct tpm_signature *s, struct err *err)
{
	static const TPMT_RSA_DECRYPT raw = { .scheme = TPM2_ALG_NULL };
	static const TPM2B_DATA no_label;
	TPM2B_PUBLIC_KEY_RSA block = { .size = (UINT16)s->len }, *result = NULL;
	size_t missing;
	TSS2_RC rc;

	memcpy(block.buffer, s->data, s->len);
	rc = tpm->lib->Esys_RSA_Decrypt(tpm->esys, object, ESYS_TR_PASSWORD, NONE, NONE, &block, &raw, &no_label, &result);
	if (rc != TSS2_RC_SUCCESS)
		return tpm_session_fail(tpm, rc, "signing", err);
	missing = s->len - (result->size < s->len ? result->size : s->len); /* leading zeros may be left out */
	memset(s->out, 0, missing);
	memcpy(s->out + missing, result->buffer, s->len - missing);
	s->out_len = s->len;
	tpm->lib->Esys_Free(result);
	return 0;
}

static int
sign_step(struct tpm *tpm, void *arg, struct err *err)
{
	struct tpm_signature *s = arg;
	ESYS_TR object;
	int status;

	if (open_pair(tpm, s->pair, &object, err) < 0)
		return -1;
	status = s->pair->is_rsa ? rsa(tpm, object, s, err) : ecdsa(tpm, object, s, err);
	close_pair(tpm, s->pair, object);
	return status;
}

static int
tpm_pair_sign(void *arg, const uint8_t *tbs, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	struct tpm_pair *pair = arg;
	size_t order = ((size_t)EVP_PKEY_get_bits(pair->public_half) + 7) / 8;
	struct tpm_signature s = { .pair = pair, .data = tbs, .len = len < order ? len : order, .out = sig, .out_len = *sig_len };

	if (pair->is_rsa && (len != order || len > *sig_len || len > sizeof(((TPM2B_PUBLIC_KEY_RSA *)0)->buffer)))
		return err_set(err, ERR_INVALID, "the key can't do this with %zu bytes", len);
	if (tpm_session_do(pair->tpm, sign_step, &s, err) < 0)
		return -1;
	*sig_len = s.out_len;
	return 0;
}

static void
tpm_pair_release(void *arg)
{
	tpm_pair_free(arg);
}

static const struct key_remote_ops pair_ops = { tpm_pair_sign, tpm_pair_release };

/* -- The public half ------------------------------------------------------------------------------------------------------------------------ */

struct curve {
	TPM2_ECC_CURVE id;
	size_t size;
	uint8_t oid[8];
	size_t oid_len;
};

static const struct curve curves[] = {
	{ TPM2_ECC_NIST_P256, 32, { 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, 8 },
	{ TPM2_ECC_NIST_P384, 48, { 0x2b, 0x81, 4, 0, 0x22 }, 5 },
};

/* A coordinate without its leading zeros. */
static bool
put_coordinate(uint8_t *out, size_t size, const TPM2B_ECC_PARAMETER *number)
{
	if (number->size > size)
		return false;
	memset(out, 0, size - number->size);
	memcpy(out + size - number->size, number->buffer, number->size);
	return true;
}

static EVP_PKEY *
public_ec(const TPMT_PUBLIC *public, struct err *err)
{
	uint8_t point[1 + 2 * 48] = { 4 };

	for (size_t i = 0; i < COUNT(curves); i++) {
		const struct curve *c = &curves[i];

		if (public->parameters.eccDetail.curveID == c->id && put_coordinate(point + 1, c->size, &public->unique.ecc.x) &&
			put_coordinate(point + 1 + c->size, c->size, &public->unique.ecc.y))
			return key_raw_public_ec(c->oid, c->oid_len, point, 1 + 2 * c->size, err);
	}
	return err_null(err, ERR_INVALID, "the TPM's key is on a curve that is not used here");
}

static EVP_PKEY *
public_rsa(const TPMT_PUBLIC *public, struct err *err)
{
	uint32_t e = public->parameters.rsaDetail.exponent ? public->parameters.rsaDetail.exponent : DEFAULT_EXPONENT;
	uint8_t exponent[4] = { (uint8_t)(e >> 24), (uint8_t)(e >> 16), (uint8_t)(e >> 8), (uint8_t)e };

	return key_raw_public_rsa(public->unique.rsa.buffer, public->unique.rsa.size, exponent, sizeof(exponent), err);
}

static int
take_public(struct tpm_pair *pair, const TPMT_PUBLIC *public, struct err *err)
{
	TPMA_OBJECT needed = TPMA_OBJECT_SIGN_ENCRYPT | (public->type == TPM2_ALG_RSA ? TPMA_OBJECT_DECRYPT : 0);

	if ((public->objectAttributes & needed) != needed || (public->objectAttributes & TPMA_OBJECT_RESTRICTED))
		return err_set(err, ERR_INVALID, "the TPM's key may not sign what it is given (its attributes are 0x%x)",
			public->objectAttributes);
	pair->public_half = public->type == TPM2_ALG_ECC ? public_ec(public, err)
			    : public->type == TPM2_ALG_RSA
				    ? public_rsa(public, err)
				    : err_null(err, ERR_INVALID, "no key pair, but a TPM object of another type");
	if (!pair->public_half)
		return -1;
	if (!key_is_acceptable(pair->public_half))
		return err_set(err, ERR_INVALID, "the TPM's key is of a size that is not accepted");
	pair->is_rsa = public->type == TPM2_ALG_RSA;
	return 0;
}

static struct key *
key_of(struct tpm_pair *pair_take, struct err *err)
{
	return key_remote_new(pair_take->public_half, &pair_ops, pair_take, err);
}

/* -- Loading -------------------------------------------------------------------------------------------------------------------------------- */

/* Loaded once now, so that a key of another TPM is found out here and not by a handshake. */
static int
load_step(struct tpm *tpm, void *arg, struct err *err)
{
	struct tpm_pair *pair = arg;
	TPM2B_PUBLIC *public = NULL;
	ESYS_TR object;
	int status;
	TSS2_RC rc;

	if (open_pair(tpm, pair, &object, err) < 0)
		return -1;
	rc = tpm->lib->Esys_ReadPublic(tpm->esys, object, NONE, NONE, NONE, &public, NULL, NULL);
	close_pair(tpm, pair, object);
	if (rc != TSS2_RC_SUCCESS)
		return tpm_session_fail(tpm, rc, "reading a key", err);
	status = take_public(pair, &public->publicArea, err);
	tpm->lib->Esys_Free(public);
	return status;
}

static struct key *
load(struct tpm_pair *pair_take, struct err *err)
{
	OWN(tpm_pair) pair = pair_take;

	return tpm_session_do(pair->tpm, load_step, pair, err) == 0 ? key_of(GIVE(pair), err) : NULL;
}

struct key *
tpm_load_pair(struct tpm *tpm, const char *pem, size_t len, struct err *err)
{
	OWN(tpm_pair) pair = NEW(tpm_pair);

	pair->tpm = tpm;
	if (tss_key_parse(&pair->key, pem, len, err) < 0)
		return NULL;
	if (pair->key.type != TSS_KEY_LOADABLE)
		return err_null(err, ERR_INVALID, "TPM key: a sealed symmetric key, and no key pair");
	return load(GIVE(pair), err);
}

struct key *
tpm_load_persistent(struct tpm *tpm, uint32_t handle, struct err *err)
{
	struct tpm_pair *pair = NEW(tpm_pair);

	pair->tpm = tpm;
	pair->persistent = handle;
	return load(pair, err);
}

/* -- Making --------------------------------------------------------------------------------------------------------------------------------- */

struct kind {
	TPMI_ALG_PUBLIC type; /* 0: no TPM makes it */
	UINT16 parameter;     /* a curve, or the bits of the modulus */
};

static const struct kind kinds[KEY_ALGS] = {
	[KEY_EC_P256] = { TPM2_ALG_ECC, TPM2_ECC_NIST_P256 },
	[KEY_EC_P384] = { TPM2_ALG_ECC, TPM2_ECC_NIST_P384 },
	[KEY_RSA_2048] = { TPM2_ALG_RSA, 2048 },
	[KEY_RSA_3072] = { TPM2_ALG_RSA, 3072 },
	[KEY_RSA_4096] = { TPM2_ALG_RSA, 4096 },
};

static TPM2B_PUBLIC
template_of(const struct kind *kind)
{
	TPM2B_PUBLIC public = { .publicArea = { .type = kind->type,
					.nameAlg = TPM2_ALG_SHA256,
					.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
							    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
							    TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT } };
	TPMU_PUBLIC_PARMS *parms = &public.publicArea.parameters;

	if (kind->type == TPM2_ALG_RSA) {
		public.publicArea.objectAttributes |= TPMA_OBJECT_DECRYPT;
		parms->rsaDetail = (TPMS_RSA_PARMS){
			.symmetric.algorithm = TPM2_ALG_NULL, .scheme.scheme = TPM2_ALG_NULL, .keyBits = kind->parameter
		};
	} else {
		parms->eccDetail = (TPMS_ECC_PARMS){ .symmetric.algorithm = TPM2_ALG_NULL,
			.scheme.scheme = TPM2_ALG_NULL,
			.curveID = kind->parameter,
			.kdf.scheme = TPM2_ALG_NULL };
	}
	return public;
}

/* 1: it does; 0: it says no; -1: it says nothing. */
static int
supports(struct tpm *tpm, const TPM2B_PUBLIC *public, struct err *err)
{
	TPMT_PUBLIC_PARMS parms = { .type = public->publicArea.type, .parameters = public->publicArea.parameters };
	TSS2_RC rc = tpm->lib->Esys_TestParms(tpm->esys, NONE, NONE, NONE, &parms);

	if (rc != TSS2_RC_SUCCESS && tpm_session_fail(tpm, rc, "asking for its abilities", err) < 0 && err->kind == ERR_UNAVAILABLE)
		return -1;
	*err = (struct err)ERR_INIT;
	return rc == TSS2_RC_SUCCESS;
}

struct making {
	const char *algorithms;
	struct tss_key key;
};

static int
make_step(struct tpm *tpm, void *arg, struct err *err)
{
	struct making *m = arg;
	enum key_alg algs[KEY_ALGS];
	size_t n = key_alg_list(m->algorithms, algs);

	for (size_t i = 0; i < n; i++) {
		TPM2B_PUBLIC public = template_of(&kinds[algs[i]]);
		int can = kinds[algs[i]].type ? supports(tpm, &public, err) : 0;

		if (can < 0)
			return -1;
		if (can)
			return tpm_session_create(tpm, &public, NULL, &m->key, err);
	}
	return err_set(err, ERR_INVALID, "it makes none of the kinds of key that are asked for (%.100s)", m->algorithms);
}

struct key *
tpm_make_pair(struct tpm *tpm, const char *algorithms, struct buf *pem, struct err *err)
{
	struct making m = { .algorithms = algorithms };
	struct key *key;
	size_t before = pem->len;

	if (tpm_session_do(tpm, make_step, &m, err) < 0)
		return NULL;
	m.key.type = TSS_KEY_LOADABLE;
	tss_key_put_pem(&m.key, pem);
	key = tpm_load_pair(tpm, buf_text(pem) + before, pem->len - before, err);
	return key;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Key pairs in tokens: loaded, made, deleted and moved. */
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "keys/pkcs11_pair.h"
#include "keys/pkcs11_tokens.h"

#define ID_LEN 16

/* -- Loading and making ----------------------------------------------------------------------------------------------------------------- */

static int
load_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	struct pkcs11_pair *pair = arg;
	int n = pkcs11_pair_find(t, pair, err);

	if (n == 0)
		return err_set(err, ERR_MISSING, "the token has no private key '%.100s'", pair->label ? pair->label : "");
	return n < 0 ? -1 : pkcs11_pair_take_public(t, pair, err);
}

static int
check_names_object(const struct pkcs11_uri *uri, struct err *err)
{
	if (!uri->text[PKCS11_OBJECT] && uri->id_len == 0)
		return err_set(err, ERR_INVALID, "the PKCS #11 URI names no object, by object or by id");
	return 0;
}

struct key *
pkcs11_load_pair(struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err)
{
	struct pkcs11_token *t = check_names_object(uri, err) < 0 ? NULL : pkcs11_tokens_get(p, uri, err);
	OWN(pkcs11_pair) pair = t ? pkcs11_pair_new(t, uri) : NULL;

	return pair && pkcs11_token_do(t, load_step, pair, err) == 0 ? pkcs11_pair_key(GIVE(pair), err) : NULL;
}

static const uint8_t p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
static const uint8_t p384[] = { 6, 5, 0x2b, 0x81, 4, 0, 0x22 };

static const uint8_t ed25519[] = { 6, 3, 0x2b, 0x65, 0x70 };

struct kind {
	CK_MECHANISM_TYPE mechanism;
	CK_ULONG bits; /* 0: not to be compared, tokens differ in what they count */
	const uint8_t *curve;
	size_t curve_len;
};

static const struct kind kinds[KEY_ALGS] = {
	[KEY_EC_P256] = { CKM_EC_KEY_PAIR_GEN, 256, p256, sizeof(p256) },
	[KEY_EC_P384] = { CKM_EC_KEY_PAIR_GEN, 384, p384, sizeof(p384) },
	[KEY_RSA_2048] = { CKM_RSA_PKCS_KEY_PAIR_GEN, 2048, NULL, 0 },
	[KEY_RSA_3072] = { CKM_RSA_PKCS_KEY_PAIR_GEN, 3072, NULL, 0 },
	[KEY_RSA_4096] = { CKM_RSA_PKCS_KEY_PAIR_GEN, 4096, NULL, 0 },
	[KEY_ED25519] = { CKM_EC_EDWARDS_KEY_PAIR_GEN, 0, ed25519, sizeof(ed25519) },
};

#define FLAG(type, value)                                                                                                          \
	{                                                                                                                          \
		type, &(value), sizeof(value)                                                                                      \
	}

static CK_RV
generate(struct pkcs11_token *t, const struct kind *kind, struct pkcs11_pair *pair)
{
	static const uint8_t f4[] = { 1, 0, 1 };
	CK_MECHANISM mechanism = { kind->mechanism, NULL, 0 };
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG bits = kind->bits;
	CK_ATTRIBUTE label = { CKA_LABEL, pair->label, strlen(pair->label) }, id = { CKA_ID, pair->id, pair->id_len };
	CK_ATTRIBUTE public[7] = { FLAG(CKA_TOKEN, yes), FLAG(CKA_VERIFY, yes), label, id };
	CK_ATTRIBUTE private[9] = { FLAG(CKA_TOKEN, yes), FLAG(CKA_PRIVATE, yes), FLAG(CKA_SENSITIVE, yes),
		FLAG(CKA_EXTRACTABLE, no), FLAG(CKA_SIGN, yes), label, id };
	CK_ULONG n_public = 4, n_private = 7;
	CK_OBJECT_HANDLE ignored;

	if (kind->curve) {
		public[n_public++] = (CK_ATTRIBUTE){ CKA_EC_PARAMS, (void *)(uintptr_t)kind->curve, kind->curve_len };
	} else {
		public[n_public++] = (CK_ATTRIBUTE)FLAG(CKA_MODULUS_BITS, bits);
		public[n_public++] = (CK_ATTRIBUTE){ CKA_PUBLIC_EXPONENT, (void *)(uintptr_t)f4, sizeof(f4) };
		public[n_public++] = (CK_ATTRIBUTE)FLAG(CKA_ENCRYPT, yes);
		private[n_private++] = (CK_ATTRIBUTE)FLAG(CKA_DECRYPT, yes);
	}
	return t->module->f->C_GenerateKeyPair(
		t->session, &mechanism, public, n_public, private, n_private, &ignored, &pair->private);
}

/* Answers that mean "not this kind of key". */
static bool
is_about_kind(CK_RV rv)
{
	static const CK_RV kinds_only[] = { CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID, CKR_FUNCTION_NOT_SUPPORTED,
		CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID, CKR_DOMAIN_PARAMS_INVALID, 0x140 /* CKR_CURVE_NOT_SUPPORTED */ };

	for (size_t i = 0; i < COUNT(kinds_only); i++)
		if (rv == kinds_only[i])
			return true;
	return false;
}

struct making {
	struct pkcs11_pair *pair;
	const char *algorithms;
};

static int
generate_first(struct pkcs11_token *t, const struct making *m, struct err *err)
{
	enum key_alg algs[KEY_ALGS];
	size_t n = key_alg_list(m->algorithms, algs);

	m->pair->id_len = ID_LEN;
	random_bytes(m->pair->id, ID_LEN);
	for (size_t i = 0; i < n; i++) {
		const struct kind *kind = &kinds[algs[i]];
		CK_RV rv;

		if (!pkcs11_token_has(t, kind->mechanism, CKF_GENERATE_KEY_PAIR, kind->bits))
			continue;
		rv = generate(t, kind, m->pair);
		if (rv == CKR_OK)
			return 0;
		if (!is_about_kind(rv))
			return pkcs11_module_fail(err, rv, "making a key");
	}
	return err_set(err, ERR_INVALID, "the token makes none of the kinds of key that are asked for (%.100s)", m->algorithms);
}

/* What is left of a pair without its private half would be taken for a part of the new one. */
static int
remove_remains(struct pkcs11_token *t, const struct pkcs11_pair *pair, struct err *err)
{
	CK_OBJECT_HANDLE found[PKCS11_FOUND_MAX];
	int n = pkcs11_token_find(t, CKO_PUBLIC_KEY, pair->label, NULL, 0, found, err);

	for (int i = 0; i < n; i++)
		if (pkcs11_token_destroy(t, found[i], err) < 0)
			return -1;
	return n < 0 ? -1 : 0;
}

static int
make_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	const struct making *m = arg;
	int n;

	m->pair->id_len = 0;
	n = pkcs11_pair_find(t, m->pair, err);
	if (n < 0)
		return -1;
	if (n == 0) {
		if (remove_remains(t, m->pair, err) < 0 || generate_first(t, m, err) < 0)
			return -1;
		m->pair->generation = t->generation;
	}
	return pkcs11_pair_take_public(t, m->pair, err);
}

struct key *
pkcs11_make_pair(struct pkcs11 *p, const struct pkcs11_uri *uri, const char *algorithms, struct err *err)
{
	struct pkcs11_token *t = uri->text[PKCS11_OBJECT] ? pkcs11_tokens_get(p, uri, err)
							  : err_null(err, ERR_INVALID, "the PKCS #11 URI names no object to make");
	OWN(pkcs11_pair) pair = t ? pkcs11_pair_new(t, uri) : NULL;
	struct making m = { pair, algorithms };

	return pair && pkcs11_token_do(t, make_step, &m, err) == 0 ? pkcs11_pair_key(GIVE(pair), err) : NULL;
}

/* -- Deleting and moving ------------------------------------------------------------------------------------------------------------------ */

static int
delete_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	struct pkcs11_pair *pair = arg;
	int n = pkcs11_pair_find(t, pair, err);

	return n <= 0 ? n : pkcs11_pair_destroy(t, pair, err);
}

int
pkcs11_delete_pair(struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err)
{
	struct pkcs11_token *t = check_names_object(uri, err) < 0 ? NULL : pkcs11_tokens_get(p, uri, err);
	OWN(pkcs11_pair) pair = t ? pkcs11_pair_new(t, uri) : NULL;

	return pair ? pkcs11_token_do(t, delete_step, pair, err) : -1;
}

struct move {
	const struct pkcs11_uri *from;
	const char *to;
};

/* Of an earlier move that was broken off at its very end. */
static int
remove_replaced(struct pkcs11_token *t, const char *replaced, const struct pkcs11_uri *uri, struct err *err)
{
	OWN(pkcs11_uri) replaced_uri = pkcs11_uri_with_object(uri, replaced);
	OWN(pkcs11_pair) remains = pkcs11_pair_new(t, replaced_uri);
	int n = pkcs11_pair_find_private(t, remains, replaced, err);

	return n <= 0 ? n : pkcs11_pair_destroy(t, remains, err);
}

/* The old pair makes room, the other takes its name, and only then the old one goes. */
static int
replace(struct pkcs11_token *t, const struct pkcs11_pair *pair, const struct pkcs11_pair *old, const char *replaced,
	struct err *err)
{
	if (pkcs11_pair_relabel(t, old, replaced, err) < 0 || pkcs11_pair_relabel(t, pair, old->label, err) < 0)
		return -1;
	return pkcs11_pair_destroy(t, old, err);
}

static int
move_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	const struct move *m = arg;
	OWN(pkcs11_uri) to_uri = pkcs11_uri_with_object(m->from, m->to);
	OWN_TEXT replaced = mem_textf(PKCS11_REPLACED, m->to);
	OWN(pkcs11_pair) pair = pkcs11_pair_new(t, m->from);
	OWN(pkcs11_pair) old = pkcs11_pair_new(t, to_uri);
	int n = pkcs11_pair_find(t, pair, err), n_old = n < 0 ? -1 : pkcs11_pair_find(t, old, err);

	if (n_old < 0)
		return -1;
	if (n == 0)
		return err_set(err, ERR_MISSING, "the token has no private key '%.100s'", pair->label ? pair->label : "");
	if (n_old == 0)
		return pkcs11_pair_relabel(t, pair, m->to, err);
	if (remove_replaced(t, replaced, m->from, err) < 0)
		return -1;
	return replace(t, pair, old, replaced, err);
}

int
pkcs11_move_pair(struct pkcs11 *p, const struct pkcs11_uri *from, const char *to, struct err *err)
{
	struct pkcs11_token *t = check_names_object(from, err) < 0 ? NULL : pkcs11_tokens_get(p, from, err);

	return t ? pkcs11_token_do(t, move_step, &(struct move){ from, to }, err) : -1;
}

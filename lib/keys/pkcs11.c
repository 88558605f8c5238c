/* SPDX-License-Identifier: Apache-2.0 */
/* Key pairs in tokens.  A pair is a private and a public object that have one CKA_ID; what finds them is the label. */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "keys/key_raw.h"
#include "keys/pkcs11_tokens.h"

#define ATTRIBUTE_MAX 2048
#define SIGNATURE_MAX 2048
#define ID_LEN 16
#define ED25519_LEN 32

/* What a pair that is being replaced is called until it is gone. */
#define REPLACED "%s (replaced)"

struct pair {
	struct pkcs11_token *token;
	char *label; /* NULL: the id alone names it */
	uint8_t id[PKCS11_ID_MAX];
	size_t id_len;
	CK_OBJECT_HANDLE private;
	unsigned generation; /* of the session that `private` belongs to */
	EVP_PKEY *public_half;
	bool is_rsa, is_eddsa;
};

static void
pair_free(struct pair *pair)
{
	if (!pair)
		return;
	key_raw_free_public(pair->public_half);
	mem_free(pair->label);
	mem_free(pair);
}
OWN_DEFINE(pair);

static struct pair *
pair_new(struct pkcs11_token *t, const struct pkcs11_uri *uri)
{
	struct pair *pair = NEW(pair);

	pair->token = t;
	pair->label = mem_text(uri->text[PKCS11_OBJECT]);
	memcpy(pair->id, uri->id, uri->id_len);
	pair->id_len = uri->id_len;
	return pair;
}

/* -- Finding ------------------------------------------------------------------------------------------------------------------------------- */

/* The objects of a pair whose private one is known: by its id, or where it has none, by the label. */
static int
find_public(struct pkcs11_token *t, const struct pair *pair, CK_OBJECT_HANDLE found[static PKCS11_FOUND_MAX], struct err *err)
{
	return pkcs11_token_find(t, CKO_PUBLIC_KEY, pair->id_len > 0 ? NULL : pair->label, pair->id, pair->id_len, found, err);
}

static int
take_id(struct pkcs11_token *t, struct pair *pair, struct err *err)
{
	int len = pkcs11_token_attribute(t, pair->private, CKA_ID, pair->id, sizeof(pair->id), err);

	if (len < 0 && err->kind != ERR_MISSING)
		return -1;
	if (len < 0)
		*err = (struct err)ERR_INIT;
	pair->id_len = len > 0 ? (size_t)len : 0;
	return 0;
}

/* 1: found; 0: the token has none of that name. */
static int
find_private(struct pkcs11_token *t, struct pair *pair, const char *label, struct err *err)
{
	CK_OBJECT_HANDLE found[PKCS11_FOUND_MAX];
	int n = pkcs11_token_find(t, CKO_PRIVATE_KEY, label, pair->id, pair->id_len, found, err);

	if (n > 1)
		return err_set(err, ERR_INVALID, "%d private keys are called '%.100s'; name the id of one", n, label ? label : "");
	if (n <= 0)
		return n;
	pair->private = found[0];
	pair->generation = t->generation;
	return take_id(t, pair, err) < 0 ? -1 : 1;
}

static int
relabel(struct pkcs11_token *t, const struct pair *pair, const char *label, struct err *err)
{
	CK_OBJECT_HANDLE found[PKCS11_FOUND_MAX];
	int n = find_public(t, pair, found, err);

	if (n < 0 || pkcs11_token_relabel(t, pair->private, label, err) < 0)
		return -1;
	for (int i = 0; i < n; i++)
		if (pkcs11_token_relabel(t, found[i], label, err) < 0)
			return -1;
	return 0;
}

static int
destroy(struct pkcs11_token *t, const struct pair *pair, struct err *err)
{
	CK_OBJECT_HANDLE found[PKCS11_FOUND_MAX];
	int n = find_public(t, pair, found, err);

	if (n < 0 || pkcs11_token_destroy(t, pair->private, err) < 0)
		return -1;
	for (int i = 0; i < n; i++)
		if (pkcs11_token_destroy(t, found[i], err) < 0)
			return -1;
	return 0;
}

/* A move that was broken off after the old pair had made room: it gets its name back. */
static int
bring_back(struct pkcs11_token *t, struct pair *pair, struct err *err)
{
	OWN_TEXT replaced = pair->label && pair->id_len == 0 ? mem_textf(REPLACED, pair->label) : NULL;
	int n = replaced ? find_private(t, pair, replaced, err) : 0;

	return n <= 0 ? n : relabel(t, pair, pair->label, err) < 0 ? -1 : 1;
}

static int
find_pair(struct pkcs11_token *t, struct pair *pair, struct err *err)
{
	int n = find_private(t, pair, pair->label, err);

	return n == 0 ? bring_back(t, pair, err) : n;
}

/* -- The public half ----------------------------------------------------------------------------------------------------------------------- */

/* CKA_EC_POINT is a point in an OCTET STRING; some tokens leave that out. */
static const uint8_t *
unwrapped(const uint8_t *point, size_t *len)
{
	size_t head = *len > 130 ? 3 : 2;

	if (*len < 4 || point[0] != 4 || (head == 3 ? point[1] != 0x81 || point[2] != *len - 3 : point[1] != *len - 2))
		return point;
	*len -= head;
	return point + head;
}

static EVP_PKEY *
read_ec(struct pkcs11_token *t, CK_OBJECT_HANDLE object, struct err *err)
{
	uint8_t curve[ATTRIBUTE_MAX], point[ATTRIBUTE_MAX];
	int curve_len = pkcs11_token_attribute(t, object, CKA_EC_PARAMS, curve, sizeof(curve), err);
	int point_len = curve_len < 0 ? -1 : pkcs11_token_attribute(t, object, CKA_EC_POINT, point, sizeof(point), err);
	const uint8_t *at = point;
	size_t len;

	if (point_len < 0)
		return NULL;
	if (curve_len < 3 || curve[0] != 6 || curve[1] != curve_len - 2)
		return err_null(err, ERR_INVALID, "the token's key is on a curve without a name");
	len = (size_t)point_len;
	at = unwrapped(point, &len);
	return key_raw_public_ec(curve + 2, (size_t)curve_len - 2, at, len, err);
}

static EVP_PKEY *
read_ed25519(struct pkcs11_token *t, CK_OBJECT_HANDLE object, struct err *err)
{
	uint8_t point[ATTRIBUTE_MAX];
	int len = pkcs11_token_attribute(t, object, CKA_EC_POINT, point, sizeof(point), err);
	bool wrapped = len == ED25519_LEN + 2 && point[0] == 4 && point[1] == ED25519_LEN;

	return len < 0 ? NULL : key_raw_public_ed25519(point + (wrapped ? 2 : 0), (size_t)len - (wrapped ? 2 : 0), err);
}

static EVP_PKEY *
read_rsa(struct pkcs11_token *t, CK_OBJECT_HANDLE object, struct err *err)
{
	uint8_t modulus[ATTRIBUTE_MAX], exponent[64];
	int modulus_len = pkcs11_token_attribute(t, object, CKA_MODULUS, modulus, sizeof(modulus), err);
	int exponent_len =
		modulus_len < 0 ? -1 : pkcs11_token_attribute(t, object, CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent), err);

	return exponent_len < 0 ? NULL : key_raw_public_rsa(modulus, (size_t)modulus_len, exponent, (size_t)exponent_len, err);
}

static EVP_PKEY *
read_public(struct pkcs11_token *t, const struct pair *pair, struct err *err)
{
	CK_OBJECT_HANDLE found[PKCS11_FOUND_MAX];
	CK_KEY_TYPE type = 0;
	int n = find_public(t, pair, found, err);

	if (n < 0 || pkcs11_token_attribute(t, pair->private, CKA_KEY_TYPE, (uint8_t *)&type, sizeof(type), err) < 0)
		return NULL;
	if (n == 0)
		found[0] = pair->private; /* which may tell as much */
	if (type == CKK_RSA)
		return read_rsa(t, found[0], err);
	if (type == CKK_EC_EDWARDS)
		return read_ed25519(t, found[0], err);
	return type == CKK_EC ? read_ec(t, found[0], err)
			      : err_null(err, ERR_INVALID, "the token's key is of a kind that is not used here (0x%lx)", type);
}

static int
take_public(struct pkcs11_token *t, struct pair *pair, struct err *err)
{
	pair->public_half = read_public(t, pair, err);
	if (!pair->public_half && err->kind == ERR_MISSING)
		return err_set(err, ERR_INVALID, "the token has no public key beside the private one");
	if (!pair->public_half)
		return -1;
	if (!key_is_acceptable(pair->public_half))
		return err_set(err, ERR_INVALID, "the token's key is of a size or curve that is not accepted");
	pair->is_rsa = EVP_PKEY_is_a(pair->public_half, "RSA");
	pair->is_eddsa = EVP_PKEY_is_a(pair->public_half, "ED25519");
	return 0;
}

/* -- Signing ------------------------------------------------------------------------------------------------------------------------------- */

/* After the token was away.  The handle is another; the key must not be. */
static int
find_again(struct pkcs11_token *t, struct pair *pair, struct err *err)
{
	EVP_PKEY *now;
	bool same;
	int n = find_private(t, pair, pair->id_len > 0 ? NULL : pair->label, err);

	if (n < 0)
		return -1;
	now = n > 0 ? read_public(t, pair, err) : NULL;
	if (n > 0 && !now)
		return -1;
	same = now && EVP_PKEY_eq(now, pair->public_half) == 1;
	key_raw_free_public(now);
	if (same)
		return 0;
	pair->generation = 0;
	return err_set(err, ERR_MISSING, "the token that is there now does not have the key '%.100s' that was there before",
		pair->label ? pair->label : "");
}

struct signature {
	struct pair *pair;
	CK_MECHANISM_TYPE mechanism;
	const uint8_t *data;
	size_t len;
	uint8_t *out;
	CK_ULONG out_len;
};

static int
sign_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	struct signature *s = arg;
	CK_MECHANISM mechanism = { s->mechanism, NULL, 0 };
	CK_ULONG size = s->out_len, len = size;
	CK_RV rv;

	if (s->pair->generation != t->generation && find_again(t, s->pair, err) < 0)
		return -1;
	rv = t->module->f->C_SignInit(t->session, &mechanism, s->pair->private);
	if (pkcs11_module_lost_object(rv)) {
		if (find_again(t, s->pair, err) < 0) /* another program has deleted it, perhaps to make it anew */
			return -1;
		rv = t->module->f->C_SignInit(t->session, &mechanism, s->pair->private);
	}
	if (rv == CKR_OK)
		rv = t->module->f->C_Sign(t->session, (CK_BYTE *)(uintptr_t)s->data, s->len, s->out, &len);
	if (rv != CKR_OK)
		return pkcs11_module_fail(err, rv, "signing");
	s->out_len = len;
	return 0;
}

/* The token gives r and s one after the other. */
static int
encode_ecdsa(const uint8_t *raw, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	ECDSA_SIG *numbers = ECDSA_SIG_new();
	uint8_t *at = sig;
	int der_len;

	ECDSA_SIG_set0(numbers, BN_bin2bn(raw, (int)len / 2, NULL), BN_bin2bn(raw + len / 2, (int)len / 2, NULL));
	der_len = i2d_ECDSA_SIG(numbers, NULL);
	if (der_len > 0 && (size_t)der_len <= *sig_len)
		der_len = i2d_ECDSA_SIG(numbers, &at);
	else
		der_len = 0;
	ECDSA_SIG_free(numbers);
	if (der_len <= 0 || len == 0 || len % 2 != 0)
		return err_set(err, ERR_BROKEN, "the token's signature has %zu bytes", len);
	*sig_len = (size_t)der_len;
	return 0;
}

static int
sign_ecdsa(struct pair *pair, const uint8_t *digest, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	uint8_t raw[SIGNATURE_MAX];
	size_t order = ((size_t)EVP_PKEY_get_bits(pair->public_half) + 7) / 8;
	/* ECDSA takes the first bits of a digest that is longer than the order; not every token does that itself. */
	struct signature s = { .pair = pair,
		.mechanism = CKM_ECDSA,
		.data = digest,
		.len = len < order ? len : order,
		.out = raw,
		.out_len = sizeof(raw) };

	return pkcs11_token_do(pair->token, sign_step, &s, err) < 0 ? -1 : encode_ecdsa(raw, s.out_len, sig, sig_len, err);
}

/* The block without 00 01 FF... 00, where it has that: every token makes that padding, raw RSA not every one. */
static size_t
padding_len(const uint8_t *block, size_t len)
{
	size_t i = 2;

	if (len < 11 || block[0] != 0 || block[1] != 1)
		return 0;
	while (i < len && block[i] == 0xff)
		i++;
	return i >= 10 && i < len && block[i] == 0 ? i + 1 : 0;
}

static int
sign_rsa(struct pair *pair, const uint8_t *block, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	size_t padding = padding_len(block, len);
	struct signature s = { .pair = pair,
		.mechanism = padding ? CKM_RSA_PKCS : CKM_RSA_X_509,
		.data = block + padding,
		.len = len - padding,
		.out = sig,
		.out_len = *sig_len };

	if (pkcs11_token_do(pair->token, sign_step, &s, err) < 0)
		return -1;
	*sig_len = s.out_len;
	return 0;
}

static int
sign_eddsa(struct pair *pair, const uint8_t *message, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	struct signature s = { .pair = pair, .mechanism = CKM_EDDSA, .data = message, .len = len, .out = sig, .out_len = *sig_len };

	if (pkcs11_token_do(pair->token, sign_step, &s, err) < 0)
		return -1;
	*sig_len = s.out_len;
	return 0;
}

static int
pair_sign(void *arg, const uint8_t *tbs, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	struct pair *pair = arg;

	if (pair->is_eddsa)
		return sign_eddsa(pair, tbs, len, sig, sig_len, err);
	return pair->is_rsa ? sign_rsa(pair, tbs, len, sig, sig_len, err) : sign_ecdsa(pair, tbs, len, sig, sig_len, err);
}

static void
pair_release(void *arg)
{
	pair_free(arg);
}

static const struct key_remote_ops pair_ops = { pair_sign, pair_release };

static struct key *
key_of(struct pair *pair_take, struct err *err)
{
	return key_remote_new(pair_take->public_half, &pair_ops, pair_take, err);
}

/* -- Loading and making ----------------------------------------------------------------------------------------------------------------- */

static int
load_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	struct pair *pair = arg;
	int n = find_pair(t, pair, err);

	if (n == 0)
		return err_set(err, ERR_MISSING, "the token has no private key '%.100s'", pair->label ? pair->label : "");
	return n < 0 ? -1 : take_public(t, pair, err);
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
	OWN(pair) pair = t ? pair_new(t, uri) : NULL;

	return pair && pkcs11_token_do(t, load_step, pair, err) == 0 ? key_of(GIVE(pair), err) : NULL;
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
generate(struct pkcs11_token *t, const struct kind *kind, struct pair *pair)
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
	struct pair *pair;
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
remove_remains(struct pkcs11_token *t, const struct pair *pair, struct err *err)
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
	n = find_pair(t, m->pair, err);
	if (n < 0)
		return -1;
	if (n == 0) {
		if (remove_remains(t, m->pair, err) < 0 || generate_first(t, m, err) < 0)
			return -1;
		m->pair->generation = t->generation;
	}
	return take_public(t, m->pair, err);
}

struct key *
pkcs11_make_pair(struct pkcs11 *p, const struct pkcs11_uri *uri, const char *algorithms, struct err *err)
{
	struct pkcs11_token *t = uri->text[PKCS11_OBJECT] ? pkcs11_tokens_get(p, uri, err)
							  : err_null(err, ERR_INVALID, "the PKCS #11 URI names no object to make");
	OWN(pair) pair = t ? pair_new(t, uri) : NULL;
	struct making m = { pair, algorithms };

	return pair && pkcs11_token_do(t, make_step, &m, err) == 0 ? key_of(GIVE(pair), err) : NULL;
}

/* -- Deleting and moving ------------------------------------------------------------------------------------------------------------------ */

static int
delete_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	struct pair *pair = arg;
	int n = find_pair(t, pair, err);

	return n <= 0 ? n : destroy(t, pair, err);
}

int
pkcs11_delete_pair(struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err)
{
	struct pkcs11_token *t = check_names_object(uri, err) < 0 ? NULL : pkcs11_tokens_get(p, uri, err);
	OWN(pair) pair = t ? pair_new(t, uri) : NULL;

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
	OWN(pair) remains = pair_new(t, replaced_uri);
	int n = find_private(t, remains, replaced, err);

	return n <= 0 ? n : destroy(t, remains, err);
}

/* The old pair makes room, the other takes its name, and only then the old one goes. */
static int
replace(struct pkcs11_token *t, const struct pair *pair, const struct pair *old, const char *replaced, struct err *err)
{
	if (relabel(t, old, replaced, err) < 0 || relabel(t, pair, old->label, err) < 0)
		return -1;
	return destroy(t, old, err);
}

static int
move_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	const struct move *m = arg;
	OWN(pkcs11_uri) to_uri = pkcs11_uri_with_object(m->from, m->to);
	OWN_TEXT replaced = mem_textf(REPLACED, m->to);
	OWN(pair) pair = pair_new(t, m->from);
	OWN(pair) old = pair_new(t, to_uri);
	int n = find_pair(t, pair, err), n_old = n < 0 ? -1 : find_pair(t, old, err);

	if (n_old < 0)
		return -1;
	if (n == 0)
		return err_set(err, ERR_MISSING, "the token has no private key '%.100s'", pair->label ? pair->label : "");
	if (n_old == 0)
		return relabel(t, pair, m->to, err);
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

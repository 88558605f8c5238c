/* SPDX-License-Identifier: Apache-2.0 */
/* Key pairs in tokens: finding them, and their public halves. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "keys/key_raw.h"
#include "keys/pkcs11_pair.h"

#define ATTRIBUTE_MAX 2048
#define ED25519_LEN 32

void
pkcs11_pair_free(struct pkcs11_pair *pair)
{
	if (!pair)
		return;
	key_raw_free_public(pair->public_half);
	mem_free(pair->label);
	mem_free(pair);
}

struct pkcs11_pair *
pkcs11_pair_new(struct pkcs11_token *t, const struct pkcs11_uri *uri)
{
	struct pkcs11_pair *pair = NEW(pkcs11_pair);

	pair->token = t;
	pair->label = mem_text(uri->text[PKCS11_OBJECT]);
	memcpy(pair->id, uri->id, uri->id_len);
	pair->id_len = uri->id_len;
	return pair;
}

/* The objects of a pair whose private one is known: by its id, or where it has none, by the label. */
static int
find_public(
	struct pkcs11_token *t, const struct pkcs11_pair *pair, CK_OBJECT_HANDLE found[static PKCS11_FOUND_MAX], struct err *err)
{
	return pkcs11_token_find(t, CKO_PUBLIC_KEY, pair->id_len > 0 ? NULL : pair->label, pair->id, pair->id_len, found, err);
}

static int
take_id(struct pkcs11_token *t, struct pkcs11_pair *pair, struct err *err)
{
	int len = pkcs11_token_attribute(t, pair->private, CKA_ID, pair->id, sizeof(pair->id), err);

	if (len < 0 && err->kind != ERR_MISSING)
		return -1;
	if (len < 0)
		*err = (struct err)ERR_INIT;
	pair->id_len = len > 0 ? (size_t)len : 0;
	return 0;
}

int
pkcs11_pair_find_private(struct pkcs11_token *t, struct pkcs11_pair *pair, const char *label, struct err *err)
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

int
pkcs11_pair_relabel(struct pkcs11_token *t, const struct pkcs11_pair *pair, const char *label, struct err *err)
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

int
pkcs11_pair_destroy(struct pkcs11_token *t, const struct pkcs11_pair *pair, struct err *err)
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
bring_back(struct pkcs11_token *t, struct pkcs11_pair *pair, struct err *err)
{
	OWN_TEXT replaced = pair->label && pair->id_len == 0 ? mem_textf(PKCS11_REPLACED, pair->label) : NULL;
	int n = replaced ? pkcs11_pair_find_private(t, pair, replaced, err) : 0;

	return n <= 0 ? n : pkcs11_pair_relabel(t, pair, pair->label, err) < 0 ? -1 : 1;
}

int
pkcs11_pair_find(struct pkcs11_token *t, struct pkcs11_pair *pair, struct err *err)
{
	int n = pkcs11_pair_find_private(t, pair, pair->label, err);

	return n == 0 ? bring_back(t, pair, err) : n;
}

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
read_public(struct pkcs11_token *t, const struct pkcs11_pair *pair, struct err *err)
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

int
pkcs11_pair_take_public(struct pkcs11_token *t, struct pkcs11_pair *pair, struct err *err)
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

int
pkcs11_pair_find_again(struct pkcs11_token *t, struct pkcs11_pair *pair, struct err *err)
{
	EVP_PKEY *now;
	bool same;
	int n = pkcs11_pair_find_private(t, pair, pair->id_len > 0 ? NULL : pair->label, err);

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

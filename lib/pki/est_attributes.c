/* SPDX-License-Identifier: Apache-2.0 */
/* CsrAttrs ::= SEQUENCE SIZE (0..MAX) OF AttrOrOID. */
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "pki/est.h"
#include "pki/est_attributes.h"

/* A key of this kind is an attribute: the curve of EC, the length of RSA. */
static const struct key_row {
	enum key_alg alg;
	int type, curve;
	long bits;
	int signature[3]; /* by digests of 256, 384 and 512 bits */
} key_rows[] = {
	{ KEY_EC_P256, NID_X9_62_id_ecPublicKey, NID_X9_62_prime256v1, 0,
		{ NID_ecdsa_with_SHA256, NID_ecdsa_with_SHA384, NID_ecdsa_with_SHA512 } },
	{ KEY_EC_P384, NID_X9_62_id_ecPublicKey, NID_secp384r1, 0,
		{ NID_ecdsa_with_SHA256, NID_ecdsa_with_SHA384, NID_ecdsa_with_SHA512 } },
	{ KEY_RSA_2048, NID_rsaEncryption, 0, 2048,
		{ NID_sha256WithRSAEncryption, NID_sha384WithRSAEncryption, NID_sha512WithRSAEncryption } },
	{ KEY_RSA_3072, NID_rsaEncryption, 0, 3072,
		{ NID_sha256WithRSAEncryption, NID_sha384WithRSAEncryption, NID_sha512WithRSAEncryption } },
	{ KEY_RSA_4096, NID_rsaEncryption, 0, 4096,
		{ NID_sha256WithRSAEncryption, NID_sha384WithRSAEncryption, NID_sha512WithRSAEncryption } },
	{ KEY_ED25519, NID_ED25519, 0, 0, { NID_undef, NID_undef, NID_undef } },
};

static const struct key_row *
row_of(enum key_alg alg)
{
	for (size_t i = 0; i < COUNT(key_rows); i++)
		if (key_rows[i].alg == alg)
			return &key_rows[i];
	return NULL;
}

/* -- Writing ------------------------------------------------------------------------------------------------------------------------------- */

static bool
add(ASN1_SEQUENCE_ANY *list, int type, void *value_take)
{
	ASN1_TYPE *any = value_take ? ASN1_TYPE_new() : NULL;

	if (any)
		ASN1_TYPE_set(any, type, value_take);
	return any && sk_ASN1_TYPE_push(list, any) > 0;
}

static bool
add_oid(ASN1_SEQUENCE_ANY *list, int nid)
{
	return nid == NID_undef || add(list, V_ASN1_OBJECT, OBJ_nid2obj(nid));
}

static X509_ATTRIBUTE *
key_attribute(const struct key_row *row)
{
	X509_ATTRIBUTE *attribute;
	ASN1_INTEGER *bits;

	if (row->curve)
		return X509_ATTRIBUTE_create(row->type, V_ASN1_OBJECT, OBJ_nid2obj(row->curve));
	bits = ASN1_INTEGER_new();
	if (!bits || ASN1_INTEGER_set(bits, row->bits) != 1) {
		ASN1_INTEGER_free(bits);
		return NULL;
	}
	attribute = X509_ATTRIBUTE_create(row->type, V_ASN1_INTEGER, bits);
	return attribute;
}

static bool
add_key(ASN1_SEQUENCE_ANY *list, const struct key_row *row)
{
	X509_ATTRIBUTE *attribute;
	ASN1_STRING *text = NULL;
	uint8_t *der = NULL;
	int len;

	if (!row->curve && !row->bits)
		return add_oid(list, row->type); /* its name says all */
	attribute = key_attribute(row);
	len = attribute ? i2d_X509_ATTRIBUTE(attribute, &der) : -1;
	X509_ATTRIBUTE_free(attribute);
	if (len > 0)
		text = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
	if (text)
		ASN1_STRING_set0(text, der, len);
	return add(list, V_ASN1_SEQUENCE, text);
}

static bool
add_all(ASN1_SEQUENCE_ANY *list, const struct est_attributes *attributes)
{
	const struct key_row *row = row_of(attributes->has_key ? attributes->key : KEY_EC_P256);
	int digest = attributes->digest_bits / 128 - 2;

	if (attributes->challenge_password && !add_oid(list, NID_pkcs9_challengePassword))
		return false;
	if (attributes->has_key && !add_key(list, row))
		return false;
	return digest < 0 || digest > 2 || add_oid(list, row->signature[digest]);
}

int
est_put_attributes(struct buf *out, const struct est_attributes *attributes, struct err *err)
{
	ASN1_SEQUENCE_ANY *list = sk_ASN1_TYPE_new_null();
	uint8_t *der = NULL;
	int len = list && add_all(list, attributes) ? i2d_ASN1_SEQUENCE_ANY(list, &der) : -1;

	sk_ASN1_TYPE_pop_free(list, ASN1_TYPE_free);
	ERR_clear_error();
	if (len > 0)
		est_put_der(out, der, (size_t)len);
	OPENSSL_free(der);
	return len > 0 ? 0 : err_set(err, ERR_LIMIT, "the attributes could not be written");
}

/* -- Reading ------------------------------------------------------------------------------------------------------------------------------- */

static int
digest_bits(int signature)
{
	int digest = NID_undef;

	if (OBJ_find_sigid_algs(signature, &digest, NULL) != 1)
		return 0;
	return digest == NID_sha256 ? 256 : digest == NID_sha384 ? 384 : digest == NID_sha512 ? 512 : 0;
}

static void
take_key(struct est_attributes *attributes, int type, const ASN1_TYPE *value)
{
	for (size_t i = 0; i < COUNT(key_rows) && !attributes->has_key; i++) {
		const struct key_row *row = &key_rows[i];
		bool fits = row->type == type;

		if (row->curve)
			fits = fits && value && value->type == V_ASN1_OBJECT && OBJ_obj2nid(value->value.object) == row->curve;
		else if (row->bits)
			fits = fits && value && value->type == V_ASN1_INTEGER &&
			       ASN1_INTEGER_get(value->value.integer) == row->bits;
		if (!fits)
			continue;
		attributes->has_key = true;
		attributes->key = row->alg;
	}
}

static void
take_oid(struct est_attributes *attributes, int nid)
{
	if (nid == NID_pkcs9_challengePassword)
		attributes->challenge_password = true;
	else if (digest_bits(nid) > 0)
		attributes->digest_bits = digest_bits(nid);
	else
		take_key(attributes, nid, NULL);
}

/* false: it is none. */
static bool
take_attribute(struct est_attributes *attributes, const ASN1_STRING *text)
{
	const uint8_t *at = ASN1_STRING_get0_data(text), *end = at + ASN1_STRING_length(text);
	X509_ATTRIBUTE *attribute = d2i_X509_ATTRIBUTE(NULL, &at, end - at);
	bool good = attribute && at == end;

	if (good)
		take_key(attributes, OBJ_obj2nid(X509_ATTRIBUTE_get0_object(attribute)), X509_ATTRIBUTE_get0_type(attribute, 0));
	X509_ATTRIBUTE_free(attribute);
	return good;
}

static bool
take_one(struct est_attributes *attributes, const ASN1_TYPE *any)
{
	if (any->type == V_ASN1_SEQUENCE)
		return take_attribute(attributes, any->value.sequence);
	if (any->type != V_ASN1_OBJECT)
		return false;
	take_oid(attributes, OBJ_obj2nid(any->value.object));
	return true;
}

static bool
take_der(struct est_attributes *attributes, const struct buf *der)
{
	const uint8_t *at = der->data;
	ASN1_SEQUENCE_ANY *list = d2i_ASN1_SEQUENCE_ANY(NULL, &at, (long)der->len);
	bool good = list && at == der->data + der->len;

	for (int i = 0; good && i < sk_ASN1_TYPE_num(list); i++)
		good = take_one(attributes, sk_ASN1_TYPE_value(list, i));
	sk_ASN1_TYPE_pop_free(list, ASN1_TYPE_free);
	ERR_clear_error();
	return good;
}

int
est_take_attributes(struct est_attributes *attributes, const void *body, size_t len, struct err *err)
{
	CLEAR(buf) der = BUF_INIT(EST_BODY_MAX);

	*attributes = (struct est_attributes){ 0 };
	if (len == 0)
		return 0;
	if (est_take_der(&der, "CSR ATTRIBUTES", body, len, err) < 0)
		return -1;
	if (take_der(attributes, &der))
		return 0;
	*attributes = (struct est_attributes){ 0 };
	return err_set(err, ERR_INVALID, "not a sequence of attributes");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One walk through the DER (csr_plain.h). */
#include "pki/csr_plain.h"

#include <string.h>

#include <openssl/err.h>

#include "keys/key_raw.h"

struct der {
	const uint8_t *at, *end;
};

/* The next element when it is of this tag: its content; whole, where that is asked for, has its head too.  Lengths as DER has them, in at most two bytes: a request is not longer. */
static bool
next(struct der *in, uint8_t tag, struct der *content, struct der *whole)
{
	size_t left = (size_t)(in->end - in->at), head = 2, len;

	if (left < 2 || in->at[0] != tag)
		return false;
	len = in->at[1];
	if (len == 0x81 && left >= 3 && in->at[2] >= 0x80) {
		len = in->at[2];
		head = 3;
	} else if (len == 0x82 && left >= 4 && in->at[2] > 0) {
		len = (size_t)in->at[2] << 8 | in->at[3];
		head = 4;
	} else if (len >= 0x80) {
		return false;
	}
	if (len > left - head)
		return false;
	if (whole)
		*whole = (struct der){ in->at, in->at + head + len };
	*content = (struct der){ in->at + head, in->at + head + len };
	in->at += head + len;
	return true;
}

static size_t
left_of(struct der d)
{
	return (size_t)(d.end - d.at);
}

static bool
is(struct der d, const void *bytes, size_t len)
{
	return left_of(d) == len && memcmp(d.at, bytes, len) == 0;
}

/* A BIT STRING of whole bytes. */
static bool
next_bits(struct der *in, struct der *out)
{
	if (!next(in, 0x03, out, NULL) || left_of(*out) < 1 || *out->at != 0)
		return false;
	out->at++;
	return true;
}

/* -- The key ------------------------------------------------------------------------------------------------------------------------------ */

static EVP_PKEY *
read_key(struct der info)
{
	static const uint8_t ec[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1 };
	static const struct {
		uint8_t oid[8];
		size_t oid_len, point_len;
	} curves[] = { { { 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, 8, 65 }, { { 0x2b, 0x81, 4, 0, 0x22 }, 5, 97 } };
	struct der algorithm, kind, curve, point;
	struct err err = ERR_INIT;

	if (!next(&info, 0x30, &algorithm, NULL) || !next(&algorithm, 0x06, &kind, NULL) || !next(&algorithm, 0x06, &curve, NULL) ||
		left_of(algorithm) > 0 || !is(kind, ec, sizeof(ec)) || !next_bits(&info, &point) || left_of(info) > 0)
		return NULL;
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (is(curve, curves[i].oid, curves[i].oid_len) && left_of(point) == curves[i].point_len && *point.at == 4)
			return key_raw_public_ec(curve.at, left_of(curve), point.at, left_of(point), &err);
	return NULL;
}

/* -- The rest ----------------------------------------------------------------------------------------------------------------------------- */

static const EVP_MD *
digest_of(struct der algorithm)
{
	static const uint8_t ecdsa[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3 };
	struct der oid;

	if (!next(&algorithm, 0x06, &oid, NULL) || left_of(algorithm) > 0 || left_of(oid) != sizeof(ecdsa) + 1 ||
		memcmp(oid.at, ecdsa, sizeof(ecdsa)) != 0)
		return NULL;
	switch (oid.at[sizeof(ecdsa)]) {
	case 2:
		return EVP_sha256();
	case 3:
		return EVP_sha384();
	case 4:
		return EVP_sha512();
	default:
		return NULL;
	}
}

static bool
put_subject(X509_REQ *req, struct der whole)
{
	X509_NAME *name = d2i_X509_NAME(NULL, &whole.at, (long)left_of(whole));
	bool done = name && whole.at == whole.end && X509_REQ_set_subject_name(req, name) == 1;

	X509_NAME_free(name);
	return done;
}

static bool
put_algorithm(X509_REQ *req, struct der whole)
{
	X509_ALGOR *algorithm = d2i_X509_ALGOR(NULL, &whole.at, (long)left_of(whole));
	bool done = algorithm && X509_REQ_set1_signature_algo(req, algorithm) == 1;

	X509_ALGOR_free(algorithm);
	return done;
}

static bool
put_attributes(X509_REQ *req, struct der list)
{
	bool done = true;

	while (done && left_of(list) > 0) {
		X509_ATTRIBUTE *attribute = d2i_X509_ATTRIBUTE(NULL, &list.at, (long)left_of(list));

		done = attribute && X509_REQ_add1_attr(req, attribute) == 1;
		X509_ATTRIBUTE_free(attribute);
	}
	return done;
}

struct parts {
	struct der subject, key_info, key, attributes, algorithm, algorithm_content, signature;
};

/* CertificationRequest ::= SEQUENCE { SEQUENCE { version 0, subject, key, [0] attributes }, algorithm, signature } (RFC 2986 4.2) */
static bool
take_apart(struct parts *p, struct csr_plain *out, struct der all)
{
	struct der request, info, info_whole, version, ignored;

	if (!next(&all, 0x30, &request, NULL) || left_of(all) > 0 || !next(&request, 0x30, &info, &info_whole) ||
		!next(&request, 0x30, &p->algorithm_content, &p->algorithm) || !next_bits(&request, &p->signature) ||
		left_of(request) > 0)
		return false;
	if (!next(&info, 0x02, &version, NULL) || !is(version, "\0", 1) || !next(&info, 0x30, &ignored, &p->subject) ||
		!next(&info, 0x30, &p->key, &p->key_info) || !next(&info, 0xa0, &p->attributes, NULL) || left_of(info) > 0)
		return false;
	out->signed_part = info_whole.at;
	out->signed_len = left_of(info_whole);
	out->key_info = p->key_info.at;
	out->key_info_len = left_of(p->key_info);
	out->signature = p->signature.at;
	out->signature_len = left_of(p->signature);
	return true;
}

static bool
build(struct csr_plain *out, const struct parts *p)
{
	out->digest = digest_of(p->algorithm_content);
	out->key = out->digest ? read_key(p->key) : NULL;
	out->req = out->key ? X509_REQ_new() : NULL;
	return out->req && put_subject(out->req, p->subject) && put_attributes(out->req, p->attributes) &&
	       put_algorithm(out->req, p->algorithm);
}

bool
csr_plain_read(struct csr_plain *out, const uint8_t *der, size_t len)
{
	struct parts p;

	*out = (struct csr_plain){ 0 };
	if (take_apart(&p, out, (struct der){ der, der + len }) && build(out, &p))
		return true;
	X509_REQ_free(out->req);
	EVP_PKEY_free(out->key);
	*out = (struct csr_plain){ 0 };
	ERR_clear_error();
	return false;
}

bool
csr_plain_verify(const struct csr_plain *plain)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = EVP_DigestVerifyInit(ctx, NULL, plain->digest, NULL, plain->key) == 1 &&
		    EVP_DigestVerify(ctx, plain->signature, plain->signature_len, plain->signed_part, plain->signed_len) == 1;

	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

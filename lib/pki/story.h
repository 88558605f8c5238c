/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests: the certificates of the story (root, intermediate, gateway, device), made as the product makes them, and crooked ones that it would never
 * make.  The clock stands at STORY_NOW. */

#include <openssl/x509v3.h>

#include "base/mem.h"
#include "diag/verdict.h"
#include "pki/chain.h"
#include "pki/issue.h"
#include "t.h"

#define STORY_NOW 1750000000 /* 2025-06-15 */
#define STORY_DAY 86400

struct made {
	struct cert *cert;
	struct key *key;
};

static inline void
made_clear(struct made *made)
{
	cert_free(made->cert);
	key_free(made->key);
}

/* A key of its own, dates from yesterday for 30 days unless the profile says otherwise; issuer NULL: self-signed. */
static inline struct made
story_make(struct profile profile, const struct made *issuer)
{
	struct err err = ERR_INIT;
	struct made made = { .key = key_generate(KEY_EC_P256, &err) };
	struct issuer by = { .cert = issuer ? issuer->cert : NULL, .key = issuer ? issuer->key : made.key };

	if (profile.not_before == 0)
		profile.not_before = STORY_NOW - STORY_DAY;
	if (profile.not_after == 0)
		profile.not_after = STORY_NOW + 30 * STORY_DAY;
	made.cert = issue_cert(&profile, key_pkey(made.key), &by, &err);
	if (!made.cert)
		fail_msg("%s: %s", profile.common_name, err.text);
	return made;
}

static inline struct made
story_root(const char *name)
{
	return story_make((struct profile){ .kind = ISSUE_ROOT, .common_name = name, .path_len = -1 }, NULL);
}

static inline struct made
story_intermediate(const char *name, const struct made *issuer)
{
	return story_make((struct profile){ .kind = ISSUE_INTERMEDIATE, .common_name = name, .path_len = -1 }, issuer);
}

static inline struct made
story_server(const char *name, const struct made *issuer)
{
	return story_make((struct profile){ .kind = ISSUE_SERVER, .common_name = name, .names = { name }, .n_names = 1 }, issuer);
}

static inline struct made
story_device(const char *name, const struct made *issuer)
{
	return story_make((struct profile){ .kind = ISSUE_DEVICE, .common_name = name }, issuer);
}

/* What the product would not issue. */
struct crooked {
	const char *common_name;
	size_t common_name_len;	    /* 0: strlen */
	int common_name_type;	    /* 0: MBSTRING_UTF8 */
	const char *second_name;    /* another CN */
	int version;		    /* 0: X509_VERSION_3 */
	const char *extensions[16]; /* name, value, name, value, ... */
	enum key_alg alg;
	EVP_PKEY *weak_key;   /* taken */
	const EVP_MD *digest; /* NULL: SHA-256 */
	int64_t not_before, not_after;
};

static inline void
story_extend(X509 *x509, X509 *issuer, const struct crooked *c)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x509, NULL, NULL, 0);
	for (size_t i = 0; c->extensions[i]; i += 2) {
		X509_EXTENSION *extension = X509V3_EXT_conf(NULL, &ctx, c->extensions[i], c->extensions[i + 1]);

		if (!extension || X509_add_ext(x509, extension, -1) != 1)
			fail_msg("%s=%s", c->extensions[i], c->extensions[i + 1]);
		X509_EXTENSION_free(extension);
	}
}

static inline struct made
story_crooked(struct crooked c, const struct made *issuer)
{
	struct err err = ERR_INIT;
	struct made made = { .key = c.weak_key ? key_from_pkey_take(c.weak_key) : key_generate(c.alg, &err) };
	X509 *x509 = X509_new(), *by = issuer ? cert_x509(issuer->cert) : x509;
	X509_NAME *name = X509_get_subject_name(x509);

	X509_set_version(x509, c.version ? c.version - 1 : X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), (uint64_t)(uintptr_t)x509);
	X509_NAME_add_entry_by_NID(name, NID_commonName, c.common_name_type ? c.common_name_type : MBSTRING_UTF8,
		(const uint8_t *)c.common_name, c.common_name_len ? (int)c.common_name_len : -1, -1, 0);
	if (c.second_name)
		X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const uint8_t *)c.second_name, -1, -1, 0);
	X509_set_issuer_name(x509, X509_get_subject_name(by));
	ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)(c.not_before ? c.not_before : STORY_NOW - STORY_DAY));
	ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)(c.not_after ? c.not_after : STORY_NOW + 30 * STORY_DAY));
	X509_set_pubkey(x509, key_pkey(made.key));
	story_extend(x509, by, &c);
	CHECK(X509_sign(x509, key_pkey(issuer ? issuer->key : made.key), c.digest ? c.digest : EVP_sha256()) > 0);
	made.cert = cert_from_x509(x509);
	X509_free(x509);
	return made;
}

static inline struct anchors *
story_anchors(const struct made *first, const struct made *second)
{
	struct certs roots = { 0 };
	struct err err = ERR_INIT;
	struct anchors *anchors;

	certs_add(&roots, first->cert);
	if (second)
		certs_add(&roots, second->cert);
	anchors = anchors_new(&roots, &err);
	if (!anchors)
		fail_msg("%s", err.text);
	certs_clear(&roots);
	return anchors;
}

/* The verdict about `leaf` sent together with `between` (may be NULL), under one root, for the rest of the query. */
static inline struct verdict *
story_verdict(const struct made *root, const struct made *between, const struct made *leaf, struct chain_query query)
{
	OWN(anchors) anchors = story_anchors(root, NULL);
	struct certs untrusted = { 0 };
	struct verdict *v = verdict_new("test", "Is it to be trusted?", cert_subject(leaf->cert));

	if (between)
		certs_add(&untrusted, between->cert);
	query.leaf = leaf->cert;
	query.untrusted = &untrusted;
	if (query.now == 0)
		query.now = STORY_NOW;
	chain_verify(v, anchors, &query);
	certs_clear(&untrusted);
	return v;
}

/* The verdict was no, for this reason before all others. */
static inline void
story_cause(const struct verdict *v, enum reason reason)
{
	if (verdict_cause(v) != reason)
		fail_msg("%s, not %s", reason_row(verdict_cause(v))->code, reason_row(reason)->code);
}

/* One of the failed checks has this reason, and its subject this part. */
static inline void
story_reason(const struct verdict *v, enum reason reason, const char *part)
{
	OWN_TEXT said = verdict_sentence(v);

	for (size_t i = 0; i < v->n_checks; i++)
		if (!v->checks[i].passed && v->checks[i].reason == reason && strstr(v->checks[i].subject, part))
			return;
	fail_msg("no %s at '%s': %s", reason_row(reason)->code, part, said);
}

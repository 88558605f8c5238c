/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests: requests, sound and crooked, and a CA that answers them, on the clock of pki/story.h. */

#include "base/file.h"
#include "ca/ca_issue.h"
#include "pki/story.h"
#include "t_verdict.h"

struct wish {
	const char *common_name, *second_name; /* NULL: none */
	const char *extensions[8];	       /* name, value, ... */
	enum key_alg alg;
	EVP_PKEY *key; /* borrowed; NULL: a fresh one */
	const EVP_MD *digest;
};

static inline void
wish_extend(X509_REQ *req, const struct wish *wish)
{
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, NULL, NULL, req, NULL, 0);
	for (size_t i = 0; i < COUNT(wish->extensions) && wish->extensions[i]; i += 2)
		sk_X509_EXTENSION_push(list, X509V3_EXT_conf(NULL, &ctx, wish->extensions[i], wish->extensions[i + 1]));
	CHECK(sk_X509_EXTENSION_num(list) == 0 || X509_REQ_add_extensions(req, list) == 1);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

static inline void
wish_der(struct buf *out, const struct wish *wish)
{
	struct err err = ERR_INIT;
	OWN(key) fresh = wish->key ? NULL : key_generate(wish->alg, &err);
	EVP_PKEY *key = wish->key ? wish->key : key_pkey(fresh);
	X509_REQ *req = X509_REQ_new();
	X509_NAME *name = X509_REQ_get_subject_name(req);
	uint8_t *der = NULL;
	int len;

	if (wish->common_name)
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)wish->common_name, -1, -1, 0);
	if (wish->second_name)
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)wish->second_name, -1, -1, 0);
	X509_REQ_set_pubkey(req, key);
	wish_extend(req, wish);
	CHECK(X509_REQ_sign(req, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : wish->digest ? wish->digest : EVP_sha256()) > 0);
	len = i2d_X509_REQ(req, &der);
	buf_put(out, der, (size_t)len);
	OPENSSL_free(der);
	X509_REQ_free(req);
}

static inline struct csr *
wish_csr(struct wish wish)
{
	CLEAR(buf) der = BUF_INIT(65536);
	struct err err = ERR_INIT;
	struct csr *csr;

	wish_der(&der, &wish);
	csr = csr_from_der(der.data, der.len, &err);
	if (!csr)
		fail_msg("%s", err.text);
	return csr;
}

static inline char *
story_path(const char *name)
{
	static int n;

	return mem_textf("%s/%d-%s", T_TMPDIR, n++, name);
}

/* A signer from files, as it is always made. */
static inline struct ca_signer *
story_signer(void)
{
	struct err err = ERR_INIT;
	OWN_TEXT cert = story_path("ca.cert.pem");
	OWN_TEXT key = story_path("ca.key.pem");
	struct ca_signer *signer;

	CHECK_OK(ca_signer_make(cert, key, "plant CA", STORY_NOW, &err), err);
	signer = ca_signer_load(cert, key, NULL, &err);
	if (!signer)
		fail_msg("%s", err.text);
	return signer;
}

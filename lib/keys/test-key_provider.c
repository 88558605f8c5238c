/* SPDX-License-Identifier: Apache-2.0 */
/* A remote key whose other side is an ordinary key in this process: what it signs must verify with the public half, and nothing but signatures may come out. */
#include <pthread.h>
#include <stdatomic.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "keys/key.h"
#include "t.h"

struct far_side {
	struct key *key;
	atomic_int n_signed;
	bool refuses;
	bool released;
};

static int
far_sign_message(struct far_side *far, const uint8_t *tbs, size_t len, uint8_t *sig, size_t *sig_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, key_pkey(far->key), NULL) == 1 &&
		 EVP_DigestSign(ctx, sig, sig_len, tbs, len) == 1;

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -1;
}

static int
far_sign(void *arg, const uint8_t *tbs, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	struct far_side *far = arg;
	EVP_PKEY_CTX *ctx;
	int ok;

	if (far->refuses)
		return err_set(err, ERR_DENIED, "keyd says no");
	far->n_signed++;
	if (EVP_PKEY_is_a(key_pkey(far->key), "ED25519"))
		return far_sign_message(far, tbs, len, sig, sig_len);
	ctx = EVP_PKEY_CTX_new(key_pkey(far->key), NULL);
	ok = EVP_PKEY_sign_init(ctx) == 1 &&
	     (!EVP_PKEY_is_a(key_pkey(far->key), "RSA") || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1) &&
	     EVP_PKEY_sign(ctx, sig, sig_len, tbs, len) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok ? 0 : err_set(err, ERR_BROKEN, "signing failed");
}

static void
far_release(void *arg)
{
	struct far_side *far = arg;

	key_free(far->key);
	far->released = true;
}

static const struct key_remote_ops ops = { far_sign, far_release };

static struct key *
remote(struct far_side *far, enum key_alg alg)
{
	struct err err = ERR_INIT;
	struct key *key;

	*far = (struct far_side){ .key = key_generate(alg, &err) };
	key = key_remote_new(key_pkey(far->key), &ops, far, &err);
	if (!key)
		fail_msg("%s", err.text);
	return key;
}

struct scheme {
	enum key_alg alg;
	const char *md;
	int padding; /* 0: the key's only one */
	int salt_len;
};

static const struct scheme schemes[] = {
	{ KEY_EC_P256, "SHA256", 0, 0 },
	{ KEY_EC_P384, "SHA384", 0, 0 },
	{ KEY_EC_P256, "SHA512", 0, 0 },
	{ KEY_RSA_2048, "SHA256", RSA_PKCS1_PADDING, 0 },
	{ KEY_RSA_2048, "SHA384", RSA_PKCS1_PADDING, 0 },
	{ KEY_RSA_2048, "SHA256", RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST },
	{ KEY_RSA_3072, "SHA512", RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST },
	{ KEY_RSA_2048, "SHA256", RSA_PKCS1_PSS_PADDING, 20 },
	{ KEY_ED25519, NULL, 0, 0 },
};

static void
set_scheme(EVP_PKEY_CTX *ctx, const struct scheme *s)
{
	if (s->padding == 0)
		return;
	CHECK_INT(EVP_PKEY_CTX_set_rsa_padding(ctx, s->padding), 1);
	if (s->padding == RSA_PKCS1_PSS_PADDING)
		CHECK_INT(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, s->salt_len), 1);
}

static size_t
signature(EVP_PKEY *pkey, const struct scheme *s, const char *text, uint8_t *sig, size_t size)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	size_t len = size;

	CHECK_INT(EVP_DigestSignInit_ex(ctx, &pctx, s->md, NULL, NULL, pkey, NULL), 1);
	set_scheme(pctx, s);
	CHECK_INT(EVP_DigestSign(ctx, sig, &len, (const uint8_t *)text, strlen(text)), 1);
	EVP_MD_CTX_free(ctx);
	return len;
}

static int
verified(EVP_PKEY *pkey, const struct scheme *s, const char *text, const uint8_t *sig, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	int result;

	CHECK_INT(EVP_DigestVerifyInit_ex(ctx, &pctx, s->md, NULL, NULL, pkey, NULL), 1);
	set_scheme(pctx, s);
	result = EVP_DigestVerify(ctx, sig, len, (const uint8_t *)text, strlen(text));
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return result;
}

TEST("signatures of a remote key verify with the public half: ECDSA, PKCS #1 v1.5, PSS, Ed25519")
{
	for (size_t i = 0; i < COUNT(schemes); i++) {
		struct far_side far;
		OWN(key) key = remote(&far, schemes[i].alg);
		uint8_t sig[512];
		size_t len = signature(key_pkey(key), &schemes[i], "TempSensor says 21 degrees", sig, sizeof(sig));

		CHECK_INT(far.n_signed, 1);
		CHECK_INT(verified(key_pkey(far.key), &schemes[i], "TempSensor says 21 degrees", sig, len), 1);
		CHECK(verified(key_pkey(far.key), &schemes[i], "TempSensor says 99 degrees", sig, len) != 1);
	}
}

TEST("a remote key is equal to its public half, and to no other")
{
	static const enum key_alg algs[] = { KEY_EC_P256, KEY_RSA_2048, KEY_ED25519 };

	for (size_t i = 0; i < COUNT(algs); i++) {
		struct far_side far, other_far;
		OWN(key) key = remote(&far, algs[i]);
		OWN(key) other = remote(&other_far, algs[i]);

		CHECK_INT(EVP_PKEY_eq(key_pkey(far.key), key_pkey(key)), 1);
		CHECK_INT(EVP_PKEY_eq(key_pkey(key), key_pkey(far.key)), 1);
		CHECK_INT(EVP_PKEY_eq(key_pkey(key), key_pkey(key)), 1);
		CHECK(EVP_PKEY_eq(key_pkey(key), key_pkey(other)) != 1);
		CHECK(EVP_PKEY_eq(key_pkey(other_far.key), key_pkey(key)) != 1);
		CHECK_STR(key_describe(key), key_describe(far.key));
		CHECK_INT(EVP_PKEY_get_size(key_pkey(key)), EVP_PKEY_get_size(key_pkey(far.key)));
		CHECK(key_is_acceptable(key_pkey(key)));
	}
}

TEST("a CSR signed by a remote key proves possession and carries the ordinary public key")
{
	static const enum key_alg algs[] = { KEY_EC_P256, KEY_RSA_2048, KEY_ED25519 };

	for (size_t i = 0; i < COUNT(algs); i++) {
		struct far_side far;
		OWN(key) key = remote(&far, algs[i]);
		X509_REQ *req = X509_REQ_new();

		CHECK_INT(X509_REQ_set_pubkey(req, key_pkey(key)), 1);
		CHECK(X509_REQ_sign(req, key_pkey(key), algs[i] == KEY_ED25519 ? NULL : EVP_sha256()) > 0);
		CHECK_INT(X509_REQ_verify(req, key_pkey(far.key)), 1);
		CHECK_INT(EVP_PKEY_eq(X509_REQ_get0_pubkey(req), key_pkey(far.key)), 1);
		X509_REQ_free(req);
	}
}

TEST("when the other side refuses, the signature fails and its sentence is in OpenSSL's queue")
{
	struct far_side far;
	OWN(key) key = remote(&far, KEY_EC_P256);
	X509_REQ *req = X509_REQ_new();
	const char *data = "";
	int flags = 0;
	bool found = false;

	far.refuses = true;
	ERR_clear_error();
	X509_REQ_set_pubkey(req, key_pkey(key));
	CHECK_INT(X509_REQ_sign(req, key_pkey(key), EVP_sha256()), 0);
	while (ERR_get_error_all(NULL, NULL, NULL, &data, &flags) != 0)
		found = found || ((flags & ERR_TXT_STRING) && strstr(data, "keyd says no"));
	CHECK(found);
	X509_REQ_free(req);
}

TEST("the private half cannot be written, and kinds that cannot be remote are refused")
{
	struct far_side far;
	OWN(key) key = remote(&far, KEY_EC_P256);
	EVP_PKEY *x = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	struct far_side unused = { 0 };
	struct buf pem = BUF_INIT(8192);
	struct err err = ERR_INIT;
	OSSL_PARAM *params = NULL;

	CHECK_INT(key_to_pem(key, &pem, &err), -1);
	CHECK_INT(err.kind, ERR_DENIED);
	CHECK_INT(pem.len, 0);
	CHECK(EVP_PKEY_todata(key_pkey(key), EVP_PKEY_PUBLIC_KEY, &params) == 1);
	OSSL_PARAM_free(params);
	CHECK(!key_remote_new(x, &ops, &unused, &err));
	EVP_PKEY_free(x);
	CHECK(unused.released);
	ERR_clear_error();
}

TEST("the remote side is released with the last holder of the key")
{
	struct far_side far;
	struct key *key = remote(&far, KEY_EC_P256);
	EVP_PKEY *held = key_pkey(key);

	EVP_PKEY_up_ref(held);
	key_free(key);
	CHECK(!far.released);
	EVP_PKEY_free(held);
	CHECK(far.released);
}

struct signer {
	pthread_t thread;
	struct key *key;
	EVP_PKEY *public_half;
	int n_good;
};

static void *
sign_many(void *arg)
{
	struct signer *s = arg;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(s->public_half, NULL);
	uint8_t hash[32] = { 1, 2, 3 };

	for (int i = 0; i < 50; i++) {
		EVP_PKEY_CTX *mine = EVP_PKEY_CTX_new(key_pkey(s->key), NULL);
		uint8_t sig[128];
		size_t len = sizeof(sig);

		if (EVP_PKEY_sign_init(mine) == 1 && EVP_PKEY_sign(mine, sig, &len, hash, sizeof(hash)) == 1 &&
			EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_verify(ctx, sig, len, hash, sizeof(hash)) == 1)
			s->n_good++;
		EVP_PKEY_CTX_free(mine);
	}
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

TEST("threads sign with the same remote key at the same time")
{
	struct far_side far;
	OWN(key) key = remote(&far, KEY_EC_P256);
	struct signer signers[4];

	for (size_t i = 0; i < COUNT(signers); i++) {
		signers[i] = (struct signer){ .key = key, .public_half = key_pkey(far.key) };
		CHECK_INT(pthread_create(&signers[i].thread, NULL, sign_many, &signers[i]), 0);
	}
	for (size_t i = 0; i < COUNT(signers); i++) {
		pthread_join(signers[i].thread, NULL);
		CHECK_INT(signers[i].n_good, 50);
	}
	CHECK_INT(far.n_signed, 200);
}

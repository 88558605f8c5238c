/* SPDX-License-Identifier: Apache-2.0 */
/* Against swtpm, a real TPM 2.0 in software, through the real TSS. */
#include <malloc.h>
#include <pthread.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/file.h"
#include "base/text.h"
#include "keys/key_raw.h"
#include "keys/tpm.h"
#include "t_swtpm.h"

#define PEM_MAX 16384

static EVP_PKEY *
public_of(const struct key *key)
{
	uint8_t *der = NULL;
	int len = i2d_PUBKEY(key_pkey(key), &der);
	const uint8_t *at = der;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, len);

	OPENSSL_free(der);
	return pkey;
}

static bool
signs(const struct key *key, const char *md, bool pss)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new(), *check = EVP_MD_CTX_new();
	EVP_PKEY *public_half = public_of(key);
	EVP_PKEY_CTX *pctx;
	uint8_t sig[512];
	size_t len = sizeof(sig);
	bool good = EVP_DigestSignInit_ex(ctx, &pctx, md, NULL, NULL, key_pkey(key), NULL) == 1 &&
		    (!pss || EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1) &&
		    EVP_DigestSign(ctx, sig, &len, (const uint8_t *)"TempSensor", 10) == 1 &&
		    EVP_DigestVerifyInit_ex(check, &pctx, md, NULL, NULL, public_half, NULL) == 1 &&
		    (!pss || EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1) &&
		    EVP_DigestVerify(check, sig, len, (const uint8_t *)"TempSensor", 10) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_MD_CTX_free(check);
	EVP_PKEY_free(public_half);
	ERR_clear_error();
	return good;
}

TEST("a pair is made in the TPM, kept as a file that this TPM loads, and signs as TLS and certificates need it")
{
	static const struct {
		const char *algorithms, *describe, *md;
		bool pss;
	} cases[] = { { "ec-p256:*", "EC P-256", "SHA256", false }, { "ec-p256", "EC P-256", "SHA512", false },
		{ "ec-p384", "EC P-384", "SHA384", false }, { "ec-p384", "EC P-384", "SHA256", false },
		{ "rsa-2048:*", "RSA 2048", "SHA256", false }, { "rsa-2048", "RSA 2048", "SHA256", true },
		{ "rsa-2048", "RSA 2048", "SHA384", true }, { "ed25519:ec-p384", "EC P-384", "SHA384", false } };
	struct t_swtpm t;
	OWN(tpm) tpm = NULL;

	t_swtpm_start(&t, "kinds");
	tpm = tpm_new(t.tcti, NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEAR(buf) pem = BUF_INIT(PEM_MAX);
		CLEAR(buf) no = BUF_INIT(PEM_MAX);
		struct err err = ERR_INIT;
		OWN(key) key = tpm_make_pair(tpm, cases[i].algorithms, &pem, &err);
		OWN(key) again = NULL;

		if (!key)
			fail_msg("%s", err.text);
		CHECK_STR(key_describe(key), cases[i].describe);
		CHECK(signs(key, cases[i].md, cases[i].pss));
		again = tpm_load_pair(tpm, buf_text(&pem), pem.len, &err);
		CHECK(again && EVP_PKEY_eq(key_pkey(again), key_pkey(key)) == 1);
		CHECK(signs(again, cases[i].md, cases[i].pss));
		CHECK(key_to_pem(key, &no, &err) < 0);
		CHECK_INT(err.kind, ERR_DENIED);
	}
	t_swtpm_off(&t);
}

TEST("what the TPM can't make is refused by its name, and never made elsewhere")
{
	struct t_swtpm t;
	OWN(tpm) tpm = NULL;
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	struct err err = ERR_INIT;

	t_swtpm_start(&t, "no");
	tpm = tpm_new(t.tcti, NULL);
	CHECK(!tpm_make_pair(tpm, "ed25519", &pem, &err));
	CHECK_ERR(err, ERR_INVALID, "none of the kinds of key that are asked for (ed25519)");
	CHECK_INT(pem.len, 0);
	t_swtpm_off(&t);
}

TEST("raw operations on digests of each length and on blocks are those of any other key")
{
	static const size_t lens[] = { 20, 28, 32, 48, 64 };
	struct t_swtpm t;
	OWN(tpm) tpm = NULL;
	static const char *const algs[] = { "ec-p256", "ec-p384" };

	t_swtpm_start(&t, "raw");
	tpm = tpm_new(t.tcti, NULL);
	for (size_t a = 0; a < COUNT(algs); a++) {
		CLEAR(buf) pem = BUF_INIT(PEM_MAX);
		struct err err = ERR_INIT;
		OWN(key) key = tpm_make_pair(tpm, algs[a], &pem, &err);
		EVP_PKEY *public_half = public_of(key);

		for (size_t i = 0; i < COUNT(lens); i++) {
			uint8_t digest[64];
			CLEAR(buf) sig = BUF_INIT(4096);
			EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(public_half, NULL);

			memset(digest, 0xa5, sizeof(digest));
			CHECK_OK(key_raw_ecdsa(key, digest, lens[i], &sig, &err), err);
			CHECK(EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_verify(ctx, sig.data, sig.len, digest, lens[i]) == 1);
			EVP_PKEY_CTX_free(ctx);
		}
		EVP_PKEY_free(public_half);
	}
	t_swtpm_off(&t);
}

TEST("a TPM that is switched off fails what is asked of it, and serves again once it is on, without a restart of ours")
{
	struct t_swtpm t;
	OWN(tpm) tpm = NULL;
	OWN(key) key = NULL;
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	struct secret secret = { .len = 32, .bytes = "master" }, back = { 0 };
	CLEAR(buf) sealed = BUF_INIT(PEM_MAX);
	uint8_t digest[32] = { 1 };
	struct err err = ERR_INIT;

	t_swtpm_start(&t, "power");
	tpm = tpm_new(t.tcti, NULL);
	key = tpm_make_pair(tpm, "ec-p256", &pem, &err);
	CHECK_OK(tpm_seal(tpm, &secret, &sealed, &err), err);
	for (int round = 0; round < 2; round++) {
		CLEAR(buf) sig = BUF_INIT(4096);

		t_swtpm_off(&t);
		err = (struct err)ERR_INIT;
		CHECK(key_raw_ecdsa(key, digest, sizeof(digest), &sig, &err) < 0);
		CHECK_ERR(err, ERR_UNAVAILABLE, "the TPM (swtpm:");
		CHECK(tpm_unseal(tpm, buf_text(&sealed), sealed.len, &back, &err) < 0);
		CHECK_INT(err.kind, ERR_UNAVAILABLE);
		CHECK(!tpm_load_pair(tpm, buf_text(&pem), pem.len, &err));
		CHECK_INT(err.kind, ERR_UNAVAILABLE);
		t_swtpm_on(&t, "power");
		err = (struct err)ERR_INIT;
		CHECK_OK(key_raw_ecdsa(key, digest, sizeof(digest), &sig, &err), err);
		CHECK(signs(key, "SHA256", false));
		CHECK_OK(tpm_unseal(tpm, buf_text(&sealed), sealed.len, &back, &err), err);
		CHECK_MEM(back.bytes, secret.bytes, 32);
	}
	t_swtpm_off(&t);
}

TEST("a key is worth nothing at another TPM, and that is said")
{
	struct t_swtpm t;
	OWN(tpm) tpm = NULL;
	OWN(key) key = NULL;
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	CLEAR(buf) sealed = BUF_INIT(PEM_MAX);
	struct secret secret = { .len = 32, .bytes = "master" }, back = { 0 };
	struct err err = ERR_INIT;

	t_swtpm_start(&t, "mine");
	tpm = tpm_new(t.tcti, NULL);
	key = tpm_make_pair(tpm, "ec-p256", &pem, &err);
	CHECK_OK(tpm_seal(tpm, &secret, &sealed, &err), err);
	t_swtpm_off(&t);
	t_swtpm_on(&t, "theirs");
	CHECK(!signs(key, "SHA256", false));
	CHECK(!tpm_load_pair(tpm, buf_text(&pem), pem.len, &err));
	CHECK_ERR(err, ERR_BROKEN, "made by another TPM, or by this one before it was cleared");
	err = (struct err)ERR_INIT;
	CHECK(tpm_unseal(tpm, buf_text(&sealed), sealed.len, &back, &err) < 0);
	CHECK_ERR(err, ERR_BROKEN, "made by another TPM");
	CHECK_INT(back.len, 0);
	t_swtpm_off(&t);
}

TEST("secrets of every length come back, and neither kind of file passes for the other")
{
	struct t_swtpm t;
	OWN(tpm) tpm = NULL;
	CLEAR(buf) pair = BUF_INIT(PEM_MAX);
	OWN(key) key = NULL;
	struct secret back = { 0 };
	struct err err = ERR_INIT;

	t_swtpm_start(&t, "secrets");
	tpm = tpm_new(t.tcti, NULL);
	for (size_t len = 1; len <= SECRET_MAX; len = len < 32 ? 32 : len * 2) {
		struct secret secret = { .len = len };
		CLEAR(buf) pem = BUF_INIT(PEM_MAX);

		memset(secret.bytes, (int)len, len);
		CHECK_OK(tpm_seal(tpm, &secret, &pem, &err), err);
		CHECK_OK(tpm_unseal(tpm, buf_text(&pem), pem.len, &back, &err), err);
		CHECK_INT(back.len, len);
		CHECK_MEM(back.bytes, secret.bytes, len);
		CHECK(!tpm_load_pair(tpm, buf_text(&pem), pem.len, &err));
		CHECK_ERR(err, ERR_INVALID, "and no key pair");
		err = (struct err)ERR_INIT;
	}
	key = tpm_make_pair(tpm, "ec-p256", &pair, &err);
	CHECK(tpm_unseal(tpm, buf_text(&pair), pair.len, &back, &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "no sealed symmetric key");
	t_swtpm_off(&t);
}

TEST("a changed file is refused, whichever byte of it")
{
	struct t_swtpm t;
	OWN(tpm) tpm = NULL;
	OWN(key) key = NULL;
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	struct err err = ERR_INIT;

	t_swtpm_start(&t, "changed");
	tpm = tpm_new(t.tcti, NULL);
	key = tpm_make_pair(tpm, "ec-p256", &pem, &err);
	CHECK(key != NULL);
	for (size_t i = 60; i + 40 < pem.len; i += 7) {
		uint8_t before = pem.data[i];

		pem.data[i] = before == 'A' ? 'B' : 'A';
		if (before != '\n') {
			key_free(key);
			key = tpm_load_pair(tpm, buf_text(&pem), pem.len, &(struct err)ERR_INIT);
			if (key)
				fail_msg("taken, with its byte %zu changed: %s", i, buf_text(&pem));
		}
		pem.data[i] = before;
	}
	key_free(key);
	key = tpm_load_pair(tpm, buf_text(&pem), pem.len, &err);
	CHECK(key && signs(key, "SHA256", false));
	t_swtpm_off(&t);
}

TEST("the owner's password opens the storage key, a wrong one is said and does not lock anything")
{
	struct t_swtpm t;
	struct secret right = { .len = 6, .bytes = "hunter" }, wrong = { .len = 5, .bytes = "4f1d7" };
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	OWN(tpm) good = NULL;
	OWN(tpm) bad = NULL;
	OWN(tpm) none = NULL;
	OWN(key) key = NULL;
	OWN_TEXT command = NULL;
	struct err err = ERR_INIT;

	t_swtpm_start(&t, "owner");
	command = mem_textf("tpm2_startup -T %s -c 2>/dev/null; tpm2_changeauth -T %s -c owner hunter 2>/dev/null", t.tcti, t.tcti);
	if (system("command -v tpm2_changeauth >/dev/null") != 0 || system(command) != 0) {
		t_swtpm_off(&t);
		skip();
	}
	bad = tpm_new(t.tcti, &wrong);
	none = tpm_new(t.tcti, NULL);
	good = tpm_new(t.tcti, &right);
	for (int i = 0; i < 3; i++) {
		err = (struct err)ERR_INIT;
		CHECK(!tpm_make_pair(i % 2 ? none : bad, "ec-p256", &pem, &err));
		CHECK_ERR(err, ERR_BROKEN, "the owner's storage key: the TPM refuses the password");
		CHECK(!strstr(err.text, "4f1d7"));
	}
	err = (struct err)ERR_INIT;
	key = tpm_make_pair(good, "ec-p256", &pem, &err);
	CHECK(key && signs(key, "SHA256", false));
	t_swtpm_off(&t);
}

TEST("a key that another program made and kept in the TPM is used by its handle; one that may not sign is refused")
{
	struct t_swtpm t;
	OWN(tpm) tpm = NULL;
	OWN(key) key = NULL;
	OWN_TEXT command = NULL;
	struct err err = ERR_INIT;

	t_swtpm_start(&t, "persistent");
	command =
		mem_textf("cd %s && export TPM2TOOLS_TCTI=%s && tpm2_startup -c && tpm2_createprimary -Q -C o -g sha256 -G ecc256 "
			  "-c p.ctx && tpm2_flushcontext -t && tpm2_create -Q -C p.ctx -G ecc256:ecdsa -u k.pub -r k.priv && "
			  "tpm2_flushcontext -t && tpm2_load -Q -C p.ctx -u k.pub -r k.priv -c k.ctx && tpm2_flushcontext -t && "
			  "tpm2_evictcontrol -Q -C o -c k.ctx 0x81000010 && tpm2_flushcontext -t && "
			  "tpm2_evictcontrol -Q -C o -c p.ctx 0x81000011 && tpm2_flushcontext -t",
			T_TMPDIR, t.tcti);
	if (system("command -v tpm2_create >/dev/null") != 0) {
		t_swtpm_off(&t);
		skip();
	}
	CHECK_INT(system(command), 0);
	tpm = tpm_new(t.tcti, NULL);
	key = tpm_load_persistent(tpm, 0x81000010, &err);
	if (!key)
		fail_msg("%s", err.text);
	CHECK_STR(key_describe(key), "EC P-256");
	CHECK(signs(key, "SHA256", false));
	CHECK(!tpm_load_persistent(tpm, 0x81000011, &err));
	CHECK_ERR(err, ERR_INVALID, "may not sign");
	err = (struct err)ERR_INIT;
	CHECK(!tpm_load_persistent(tpm, 0x81000012, &err));
	CHECK_INT(err.kind, ERR_MISSING);
	t_swtpm_off(&t);
}

TEST("our files are those of tpm2-openssl: its keys sign here, ours there")
{
	struct t_swtpm t;
	OWN(tpm) tpm = NULL;
	OWN(key) ours = NULL;
	OWN(key) theirs = NULL;
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	CLEAR(buf) their_pem = BUF_INIT(PEM_MAX);
	OWN_TEXT path = mem_textf("%s/ours.pem", T_TMPDIR);
	OWN_TEXT their_path = mem_textf("%s/theirs.pem", T_TMPDIR);
	OWN_TEXT command = NULL;
	struct err err = ERR_INIT;

	if (system("ls /usr/lib/*/ossl-modules/tpm2.so >/dev/null 2>&1") != 0) {
		print_message("# tpm2-openssl is not installed\n");
		skip();
	}
	t_swtpm_start(&t, "interop");
	tpm = tpm_new(t.tcti, NULL);
	ours = tpm_make_pair(tpm, "ec-p256", &pem, &err);
	CHECK_OK(file_save(path, pem.data, pem.len, 0600, &err), err);
	tpm_free(GIVE(tpm)); /* without a resource manager, one at a time */
	command = mem_textf(
		"cd %s && export TPM2OPENSSL_TCTI=%s && P='-provider tpm2 -provider default -propquery ?provider=tpm2' && "
		"openssl req -new -x509 $P -key ours.pem -subj /CN=ours -out ours.crt && openssl verify -CAfile ours.crt ours.crt "
		"&& "
		"openssl genpkey $P -algorithm EC -pkeyopt group:P-256 -out theirs.pem",
		T_TMPDIR, t.tcti);
	CHECK_INT(system(command), 0);
	CHECK_OK(file_load(&their_pem, their_path, &err), err);
	tpm = tpm_new(t.tcti, NULL);
	theirs = tpm_load_pair(tpm, buf_text(&their_pem), their_pem.len, &err);
	if (!theirs)
		fail_msg("%s", err.text);
	CHECK(signs(theirs, "SHA256", false));
	key_free(GIVE(ours));
	ours = tpm_load_pair(tpm, buf_text(&pem), pem.len, &err);
	CHECK(ours && signs(ours, "SHA256", false));
	t_swtpm_off(&t);
}

static size_t
bytes_in_use(void)
{
	return mallinfo2().uordblks; /* 0 under a sanitizer, which has its own way of finding out */
}

TEST("using a sealed key and a pair again and again takes no more memory")
{
	struct t_swtpm t;
	OWN(tpm) tpm = NULL;
	OWN(key) key = NULL;
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	CLEAR(buf) sealed = BUF_INIT(PEM_MAX);
	struct secret secret = { .len = 32, .bytes = "master" };
	uint8_t digest[32] = { 1 };
	struct err err = ERR_INIT;
	size_t before = 0;

	t_swtpm_start(&t, "memory");
	tpm = tpm_new(t.tcti, NULL);
	key = tpm_make_pair(tpm, "ec-p256", &pem, &err);
	CHECK_OK(tpm_seal(tpm, &secret, &sealed, &err), err);
	for (int i = 0; i < 300; i++) {
		CLEAR(buf) sig = BUF_INIT(4096);

		if (i == 100)
			before = bytes_in_use();
		CHECK_OK(tpm_unseal(tpm, buf_text(&sealed), sealed.len, &secret, &err), err);
		CHECK_OK(key_raw_ecdsa(key, digest, sizeof(digest), &sig, &err), err);
	}
	if (bytes_in_use() > before + 128 * 1024)
		fail_msg("%zu bytes more", bytes_in_use() - before);
	t_swtpm_off(&t);
}

struct signer {
	pthread_t thread;
	const struct key *key;
	int n_good;
};

static void *
sign_many(void *arg)
{
	struct signer *s = arg;

	for (int i = 0; i < 10; i++)
		s->n_good += signs(s->key, "SHA256", false);
	return NULL;
}

TEST("threads sign with keys of one TPM at the same time, and more keys than it has room for")
{
	struct t_swtpm t;
	OWN(tpm) tpm = NULL;
	struct signer signers[6];
	struct key *keys[COUNT(signers)];
	struct err err = ERR_INIT;

	t_swtpm_start(&t, "threads");
	tpm = tpm_new(t.tcti, NULL);
	for (size_t i = 0; i < COUNT(signers); i++) {
		CLEAR(buf) pem = BUF_INIT(PEM_MAX);

		keys[i] = tpm_make_pair(tpm, "ec-p256", &pem, &err);
		CHECK(keys[i] != NULL);
	}
	for (size_t i = 0; i < COUNT(signers); i++) {
		signers[i] = (struct signer){ .key = keys[i] };
		CHECK_INT(pthread_create(&signers[i].thread, NULL, sign_many, &signers[i]), 0);
	}
	for (size_t i = 0; i < COUNT(signers); i++) {
		pthread_join(signers[i].thread, NULL);
		CHECK_INT(signers[i].n_good, 10);
		key_free(keys[i]);
	}
	t_swtpm_off(&t);
}

TEST("without a TPM the answer is that it can't be opened")
{
	OWN(tpm) tpm = tpm_new("swtpm:host=127.0.0.1,port=1", NULL);
	OWN(tpm) odd = tpm_new("no such tcti", NULL);
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	struct err err = ERR_INIT;

	CHECK(!tpm_make_pair(tpm, "", &pem, &err));
	CHECK_ERR(err, ERR_UNAVAILABLE, "can't be opened");
	err = (struct err)ERR_INIT;
	CHECK(!tpm_make_pair(odd, "", &pem, &err));
	CHECK_CONTAINS(err.text, "no such tcti");
}

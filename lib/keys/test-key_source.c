/* SPDX-License-Identifier: Apache-2.0 */
/* Against SoftHSM 2 and swtpm, a real module and a real TPM in software. */
#include "keys/key_source.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/file.h"
#include "keys/pkcs11.h"
#include "keys/tpm.h"
#include "t_softhsm.h"
#include "t_swtpm.h"

/* As a certificate has it: without the private half. */
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
signs(const struct key *key, EVP_PKEY *public_half, struct err *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new(), *check = EVP_MD_CTX_new();
	uint8_t sig[512];
	size_t len = sizeof(sig);
	bool good = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key_pkey(key)) == 1 &&
		    EVP_DigestSign(ctx, sig, &len, (const uint8_t *)"plant CA", 8) == 1 &&
		    EVP_DigestVerifyInit(check, NULL, EVP_sha256(), NULL, public_half) == 1 &&
		    EVP_DigestVerify(check, sig, len, (const uint8_t *)"plant CA", 8) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_MD_CTX_free(check);
	if (!good)
		CHECK(key_remote_failure(err));
	return good;
}

static struct key_source *
source_of(const char *tcti)
{
	return key_source_new(&(struct key_source_config){ t_softhsm_module(), tcti });
}

#define IN_TOKEN(label) "pkcs11:token=" label ";object=plant?pin-value=" T_PIN

/* A pair in a token of this label, which is IN_TOKEN(label); what its certificate would have. */
static EVP_PKEY *
make_in_token(const char *label, const char *place)
{
	OWN(pkcs11) p = pkcs11_new(t_softhsm_module());
	struct err err = ERR_INIT;
	OWN(pkcs11_uri) uri = pkcs11_uri_parse(place, &err);
	struct key *key;
	EVP_PKEY *public_half;

	t_softhsm_token(label);
	key = pkcs11_make_pair(p, uri, "ec-p256", &err);
	if (!key)
		fail_msg("%s", err.text);
	public_half = public_of(key);
	key_free(key);
	return public_half;
}

TEST("a key is found by a path, by the URI of a token, and by the handle or the file of a TPM, and signs")
{
	struct t_swtpm tpm = { 0 };
	CLEAR(buf) pem = BUF_INIT(16384);
	OWN_TEXT plain = mem_textf("%s/plain.pem", T_TMPDIR);
	OWN_TEXT bound = mem_textf("%s/bound.pem", T_TMPDIR);
	const char *places[] = { plain, IN_TOKEN("CA"), bound };
	struct err err = ERR_INIT;
	EVP_PKEY *of[3] = { NULL, make_in_token("CA", IN_TOKEN("CA")), NULL };
	struct key_source *source;
	struct tpm *maker;
	struct key *key;

	t_swtpm_start(&tpm, "ca");
	key = key_generate(KEY_EC_P384, &err);
	CHECK_OK(key_save(key, plain, &err), err);
	of[0] = public_of(key);
	key_free(key);
	maker = tpm_new(tpm.tcti, NULL);
	key = tpm_make_pair(maker, "ec-p256", &pem, &err);
	if (!key)
		fail_msg("%s", err.text);
	CHECK_OK(file_save(bound, pem.data, pem.len, 0600, &err), err);
	of[2] = public_of(key);
	key_free(key);
	tpm_free(maker);

	source = source_of(tpm.tcti);
	for (size_t i = 0; i < COUNT(places); i++) {
		struct err away = ERR_INIT;
		OWN(key) found = key_source_load_late(source, places[i], of[i], &away, &err);

		if (!found)
			fail_msg("%s: %s", places[i], err.text);
		CHECK_INT(away.kind, ERR_NONE);
		CHECK(signs(found, of[i], &err));
		EVP_PKEY_free(of[i]);
	}
	CHECK(key_source_is_file(plain) && !key_source_is_file(IN_TOKEN("CA")) && !key_source_is_file("tpm:handle=0x81000005"));
	CHECK(!key_source_load(source, "tpm:handle=0x81000005", &err));
	CHECK_INT(err.kind, ERR_MISSING);
	CHECK(!key_source_load(source, "pkcs11:token=CA;object=nobody", &err));
	key_source_free(source);
	t_swtpm_off(&tpm);
}

static void
move_tokens(const char *from, const char *to)
{
	OWN_TEXT command = mem_textf("mv %s/%s %s/%s", T_TMPDIR, from, T_TMPDIR, to);

	t_run(command);
}

TEST("a token that is away at the start signs when it is put back, and says until then that it is not there")
{
	struct err err = ERR_INIT, away = ERR_INIT;
	EVP_PKEY *public_half = make_in_token("away", IN_TOKEN("away"));
	struct key_source *source = source_of(NULL);
	struct key *key;
	int64_t until;

	move_tokens("tokens", "pocket");
	key = key_source_load_late(source, IN_TOKEN("away"), public_half, &away, &err);
	CHECK(key && key_is_remote(key));
	CHECK_INT(away.kind, ERR_UNAVAILABLE);
	CHECK(!signs(key, public_half, &err));
	CHECK_INT(err.kind, ERR_UNAVAILABLE);
	CHECK(strstr(err.text, "token=away"));
	move_tokens("pocket", "tokens");
	until = clock_boot_ms() + 20000; /* a module is not started again more often than once a second */
	while (!signs(key, public_half, &err))
		CHECK(clock_boot_ms() < until);
	key_free(key);
	key_source_free(source);
	EVP_PKEY_free(public_half);
}

TEST("what is put back has to be the key that the certificate is for")
{
	struct err err = ERR_INIT, away = ERR_INIT;
	OWN(key) stranger = key_generate(KEY_EC_P256, &err);
	EVP_PKEY *public_half = make_in_token("another", IN_TOKEN("another")), *other = public_of(stranger);
	struct key_source *source = source_of(NULL);
	struct key *key;
	int64_t until = clock_boot_ms() + 20000;

	move_tokens("tokens", "pocket");
	key = key_source_load_late(source, IN_TOKEN("another"), other, &away, &err);
	CHECK(key != NULL);
	move_tokens("pocket", "tokens");
	while (!signs(key, other, &err) && err.kind == ERR_UNAVAILABLE)
		CHECK(clock_boot_ms() < until);
	CHECK_INT(err.kind, ERR_INVALID);
	CHECK(strstr(err.text, "not the one that belongs to the certificate"));
	key_free(key);
	key_source_free(source);
	EVP_PKEY_free(public_half);
	EVP_PKEY_free(other);
}

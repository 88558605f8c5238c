/* SPDX-License-Identifier: Apache-2.0 */
/* Against SoftHSM 2, a real module whose tokens are folders: pulling one out is moving its folder away. */
#include <pthread.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "keys/key_raw.h"
#include "keys/pkcs11.h"
#include "t_softhsm.h"

/* SoftHSM loses the name of this curve at each use, which is not our leak. */
#ifdef __SANITIZE_ADDRESS__
#define ED25519 "ec-p256"
#define ED25519_IS "EC P-256"
#define ED25519_DIGEST "SHA256"
#else
#define ED25519 "ed25519"
#define ED25519_IS "Ed25519"
#define ED25519_DIGEST NULL
#endif

/* Modules can't be loaded twice by one process, so the tests share it; each has a token of its own. */
static struct pkcs11 *
open_module(void)
{
	return pkcs11_new(t_softhsm_module());
}

static struct pkcs11_uri *
uri_of(const char *token, const char *object)
{
	OWN_TEXT text = mem_textf("pkcs11:token=%s%s%s?pin-value=" T_PIN, token, object ? ";object=" : "", object ? object : "");
	struct err err = ERR_INIT;
	struct pkcs11_uri *uri = pkcs11_uri_parse(text, &err);

	if (!uri)
		fail_msg("%s: %s", text, err.text);
	return uri;
}

static struct key *
made(struct pkcs11 *p, const char *token, const char *object, const char *algorithms)
{
	OWN(pkcs11_uri) uri = uri_of(token, object);
	struct err err = ERR_INIT;
	struct key *key = pkcs11_make_pair(p, uri, algorithms, &err);

	if (!key)
		fail_msg("%s", err.text);
	return key;
}

static struct key *
loaded(struct pkcs11 *p, const char *token, const char *object, struct err *err)
{
	OWN(pkcs11_uri) uri = uri_of(token, object);

	*err = (struct err)ERR_INIT;
	return pkcs11_load_pair(p, uri, err);
}

/* The public half alone, which only verifies. */
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

/* What a caller of keyd does with a key. */
static bool
signs(const struct key *key, struct err *err)
{
	uint8_t digest[32] = { 1, 2, 3 };
	bool rsa = key_raw_is_rsa(key), ed = EVP_PKEY_is_a(key_pkey(key), "ED25519");
	CLEAR(buf) sig = BUF_INIT(4096);
	EVP_PKEY *public_half;
	EVP_PKEY_CTX *ctx;
	EVP_MD_CTX *md;
	bool good;

	*err = (struct err)ERR_INIT;
	if ((rsa	 ? key_raw_rsa(key, KEY_RAW_PKCS1, digest, sizeof(digest), &sig, err)
		    : ed ? key_raw_eddsa(key, digest, sizeof(digest), &sig, err)
			 : key_raw_ecdsa(key, digest, sizeof(digest), &sig, err)) < 0)
		return false;
	public_half = public_of(key);
	ctx = EVP_PKEY_CTX_new(public_half, NULL);
	md = EVP_MD_CTX_new();
	if (ed)
		good = EVP_DigestVerifyInit_ex(md, NULL, NULL, NULL, NULL, public_half, NULL) == 1 &&
		       EVP_DigestVerify(md, sig.data, sig.len, digest, sizeof(digest)) == 1;
	else
		good = EVP_PKEY_verify_init(ctx) == 1 && (!rsa || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1) &&
		       EVP_PKEY_verify(ctx, sig.data, sig.len, digest, sizeof(digest)) == 1;
	EVP_MD_CTX_free(md);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(public_half);
	return good;
}

TEST("a pair of each kind is made in the token, signs there, and is the same when it is loaded again")
{
	static const struct {
		const char *algorithms, *describe;
	} cases[] = { { "ec-p256:*", "EC P-256" }, { "ec-p384", "EC P-384" }, { "rsa-2048:*", "RSA 2048" },
		{ "rsa-3072", "RSA 3072" }, { "rsa-4096", "RSA 4096" }, { "dilithium:ec-p384:rsa-2048", "EC P-384" },
		{ ED25519, ED25519_IS } };
	OWN(pkcs11) p = open_module();

	t_softhsm_token("kinds");
	for (size_t i = 0; i < COUNT(cases); i++) {
		OWN_TEXT name = mem_textf("key%zu", i);
		OWN(key) key = made(p, "kinds", name, cases[i].algorithms);
		OWN(key) again = made(p, "kinds", name, "rsa-2048");
		OWN(key) found = NULL;
		struct buf pem = BUF_INIT(8192);
		struct err err = ERR_INIT;

		CHECK_STR(key_describe(key), cases[i].describe);
		found = loaded(p, "kinds", name, &err);
		CHECK(found && EVP_PKEY_eq(key_pkey(key), key_pkey(found)) == 1);
		CHECK(EVP_PKEY_eq(key_pkey(key), key_pkey(again)) == 1);
		CHECK(signs(key, &err));
		CHECK(signs(found, &err));
		CHECK(key_to_pem(key, &pem, &err) < 0);
		CHECK_INT(err.kind, ERR_DENIED);
	}
}

TEST("TLS and certificates sign with a key in a token as with any other: PSS, PKCS #1, ECDSA over each digest")
{
	static const struct {
		const char *algorithms, *digest;
		bool pss;
	} cases[] = { { "ec-p256", "SHA256", false }, { "ec-p256", "SHA384", false }, { "ec-p256", "SHA512", false },
		{ ED25519, ED25519_DIGEST, false }, { "ec-p384", "SHA512", false }, { "ec-p384", "SHA256", false },
		{ "rsa-2048", "SHA256", false }, { "rsa-2048", "SHA256", true }, { "rsa-2048", "SHA512", true } };
	OWN(pkcs11) p = open_module();

	t_softhsm_token("schemes");
	for (size_t i = 0; i < COUNT(cases); i++) {
		OWN(key) key = made(p, "schemes", cases[i].algorithms, cases[i].algorithms);
		EVP_MD_CTX *ctx = EVP_MD_CTX_new(), *check = EVP_MD_CTX_new();
		EVP_PKEY_CTX *pctx;
		EVP_PKEY *public_half = public_of(key);
		uint8_t sig[512];
		size_t len = sizeof(sig);

		CHECK_INT(EVP_DigestSignInit_ex(ctx, &pctx, cases[i].digest, NULL, NULL, key_pkey(key), NULL), 1);
		if (cases[i].pss)
			CHECK_INT(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
		CHECK_INT(EVP_DigestSign(ctx, sig, &len, (const uint8_t *)"TempSensor", 10), 1);
		CHECK_INT(EVP_DigestVerifyInit_ex(check, &pctx, cases[i].digest, NULL, NULL, public_half, NULL), 1);
		if (cases[i].pss)
			CHECK_INT(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
		CHECK_INT(EVP_DigestVerify(check, sig, len, (const uint8_t *)"TempSensor", 10), 1);
		EVP_MD_CTX_free(ctx);
		EVP_MD_CTX_free(check);
		EVP_PKEY_free(public_half);
	}
}

TEST("a token that is not there is no missing key: nothing may be made in its place")
{
	OWN(pkcs11) p = open_module();
	OWN(pkcs11_uri) uri = uri_of("absent", "k");
	struct err err = ERR_INIT;

	t_softhsm_token("present");
	CHECK(!pkcs11_load_pair(p, uri, &err));
	CHECK_ERR(err, ERR_UNAVAILABLE, "pkcs11:token=absent: the token is not there");
	err = (struct err)ERR_INIT;
	CHECK(!pkcs11_make_pair(p, uri, "", &err));
	CHECK_INT(err.kind, ERR_UNAVAILABLE);
	CHECK(pkcs11_delete_pair(p, uri, &err) < 0);
	CHECK(!loaded(p, "present", "k", &err));
	CHECK_ERR(err, ERR_MISSING, "no private key 'k'");
}

TEST("a token that is pulled out fails what is asked of it, and serves again once it is back, without a restart of ours")
{
	OWN(pkcs11) p = open_module();
	OWN(key) key = NULL;
	OWN(key) found = NULL;
	OWN_TEXT away = mem_textf("mv %s/tokens %s/pocket", T_TMPDIR, T_TMPDIR);
	OWN_TEXT back = mem_textf("mv %s/pocket %s/tokens", T_TMPDIR, T_TMPDIR);
	struct err err = ERR_INIT;
	int64_t until;

	t_softhsm_token("usb");
	key = made(p, "usb", "device-id", "ec-p256");
	CHECK(signs(key, &err));
	for (int round = 0; round < 2; round++) {
		t_run(away);
		CHECK(!signs(key, &err));
		CHECK_INT(err.kind, ERR_UNAVAILABLE);
		CHECK(!loaded(p, "usb", "other", &err));
		CHECK_INT(err.kind, ERR_UNAVAILABLE);
		t_run(back);
		until = clock_boot_ms() + 10000;
		while (!signs(key, &err) && clock_boot_ms() < until)
			;
		CHECK(signs(key, &err));
	}
	found = loaded(p, "usb", "device-id", &err);
	CHECK(found && EVP_PKEY_eq(key_pkey(found), key_pkey(key)) == 1);
}

TEST("a token that was away for a moment does not pass for one that lost its keys: none is made in the place of one that is there")
{
	OWN(pkcs11) p = open_module();
	OWN(pkcs11_uri) ca = uri_of("blink", "ca");
	OWN(key) key = NULL;
	OWN(key) again = NULL;
	OWN_TEXT away = mem_textf("mv %s/tokens %s/pocket", T_TMPDIR, T_TMPDIR);
	OWN_TEXT back = mem_textf("mv %s/pocket %s/tokens", T_TMPDIR, T_TMPDIR);
	int64_t until = clock_boot_ms() + 10000;
	struct err err = ERR_INIT;

	t_softhsm_token("blink");
	key = made(p, "blink", "ca", "ec-p256");
	CHECK(!loaded(p, "nowhere", "x", &err)); /* starts the module again, so that it is not started once more right now */
	key_free(loaded(p, "blink", "ca", &err));
	t_run(away);
	CHECK(!loaded(p, "blink", "other", &err));
	t_run(back);
	do {
		err = (struct err)ERR_INIT;
		again = pkcs11_make_pair(p, ca, "ec-p256", &err); /* create if absent: it is not */
	} while (!again && err.kind == ERR_UNAVAILABLE && clock_boot_ms() < until);
	CHECK(again && EVP_PKEY_eq(key_pkey(key), key_pkey(again)) == 1);
	CHECK(signs(again, &err));
}

TEST("another token of the same name with another key under the label is found out, not signed with")
{
	OWN(pkcs11) p = open_module();
	OWN(key) key = NULL;
	OWN(key) other = NULL;
	OWN_TEXT swap = mem_textf("rm -rf %s/first && mv %s/tokens %s/first", T_TMPDIR, T_TMPDIR, T_TMPDIR);
	struct err err = ERR_INIT;
	int64_t until;

	t_softhsm_token("twin");
	key = made(p, "twin", "device-id", "ec-p256");
	t_run(swap);
	t_softhsm_token("twin");
	until = clock_boot_ms() + 10000;
	do
		other = loaded(p, "twin", "device-id", &err);
	while (!other && err.kind == ERR_UNAVAILABLE && clock_boot_ms() < until);
	CHECK(!other);
	CHECK_INT(err.kind, ERR_MISSING);
	other = made(p, "twin", "device-id", "ec-p256");
	CHECK(signs(other, &err));
	CHECK(!signs(key, &err));
	CHECK_ERR(err, ERR_MISSING, "does not have the key 'device-id' that was there before");
}

TEST("moving gives a pair another label, and the pair that had it is gone")
{
	OWN(pkcs11) p = open_module();
	OWN(pkcs11_uri) from = uri_of("moves", "ca-temp");
	OWN(key) old = NULL;
	OWN(key) new = NULL;
	OWN(key) now = NULL;
	struct err err = ERR_INIT;

	t_softhsm_token("moves");
	old = made(p, "moves", "ca", "ec-p256");
	new = made(p, "moves", "ca-temp", "ec-p256");
	CHECK_OK(pkcs11_move_pair(p, from, "ca", &err), err);
	now = loaded(p, "moves", "ca", &err);
	CHECK(now && EVP_PKEY_eq(key_pkey(now), key_pkey(new)) == 1);
	CHECK(signs(now, &err));
	CHECK(signs(new, &err)); /* one that was loaded under the name before is still the same key */
	CHECK(!signs(old, &err));
	CHECK(!loaded(p, "moves", "ca-temp", &err));
	CHECK_INT(err.kind, ERR_MISSING);
	CHECK(!loaded(p, "moves", "ca%20%28replaced%29", &err));
	CHECK_INT(err.kind, ERR_MISSING);
	err = (struct err)ERR_INIT;
	CHECK(pkcs11_move_pair(p, from, "ca", &err) < 0);
	CHECK_INT(err.kind, ERR_MISSING);
}

TEST("a move that was broken off leaves the old pair or the new, whichever step it had come to")
{
	OWN(pkcs11) p = open_module();
	OWN(pkcs11_uri) ca = uri_of("crash", "ca");
	OWN(pkcs11_uri) temp = uri_of("crash", "ca-temp");
	OWN(pkcs11_uri) third = uri_of("crash", "third");
	OWN(key) old = NULL;
	OWN(key) new = NULL;
	OWN(key) now = NULL;
	struct err err = ERR_INIT;

	t_softhsm_token("crash");
	old = made(p, "crash", "ca", "ec-p256");
	new = made(p, "crash", "ca-temp", "ec-p256");
	/* After its first step the old one has made room, and the new one has not yet its name. */
	CHECK_OK(pkcs11_move_pair(p, ca, "ca (replaced)", &err), err);
	now = loaded(p, "crash", "ca", &err);
	CHECK(now && EVP_PKEY_eq(key_pkey(now), key_pkey(old)) == 1);
	/* After its second one both are there. */
	CHECK_OK(pkcs11_move_pair(p, ca, "ca (replaced)", &err), err);
	CHECK_OK(pkcs11_move_pair(p, temp, "ca", &err), err);
	key_free(now);
	now = loaded(p, "crash", "ca", &err);
	CHECK(now && EVP_PKEY_eq(key_pkey(now), key_pkey(new)) == 1);
	/* And the next move sees to what was left. */
	key_free(made(p, "crash", "third", "ec-p256"));
	CHECK_OK(pkcs11_move_pair(p, third, "ca", &err), err);
	CHECK(!loaded(p, "crash", "ca%20%28replaced%29", &err));
	CHECK_INT(err.kind, ERR_MISSING);
}

TEST("deleting takes both halves, and what is not there is deleted already")
{
	OWN(pkcs11) p = open_module();
	OWN(pkcs11_uri) uri = uri_of("deletes", "k");
	OWN(key) first = NULL;
	OWN(key) second = NULL;
	struct err err = ERR_INIT;

	t_softhsm_token("deletes");
	first = made(p, "deletes", "k", "ec-p256");
	CHECK_OK(pkcs11_delete_pair(p, uri, &err), err);
	CHECK(!loaded(p, "deletes", "k", &err));
	CHECK_INT(err.kind, ERR_MISSING);
	err = (struct err)ERR_INIT;
	CHECK_OK(pkcs11_delete_pair(p, uri, &err), err);
	second = made(p, "deletes", "k", "rsa-2048");
	CHECK(EVP_PKEY_eq(key_pkey(first), key_pkey(second)) != 1);
	CHECK(signs(second, &err));
}

TEST("a wrong PIN is tried once and then not again, so that the token does not lock itself; it is in no error")
{
	OWN(pkcs11) p = open_module();
	OWN(pkcs11_uri) wrong = NULL;
	OWN(key) key = NULL;
	struct err err = ERR_INIT;

	t_softhsm_token("pins");
	wrong = pkcs11_uri_parse("pkcs11:token=pins;object=k?pin-value=9f31c0de", &err);
	CHECK(!pkcs11_load_pair(p, wrong, &err));
	CHECK_ERR(err, ERR_BROKEN, "CKR_PIN_INCORRECT");
	CHECK(!strstr(err.text, "9f31c0de"));
	for (int i = 0; i < 12; i++) {
		err = (struct err)ERR_INIT;
		CHECK(!pkcs11_load_pair(p, wrong, &err));
		CHECK_ERR(err, ERR_BROKEN, "not asked again");
		CHECK(!strstr(err.text, "9f31c0de"));
	}
	key = made(p, "pins", "k", "ec-p256");
	CHECK(signs(key, &err));
}

TEST("a PIN may come from a file, whose first line it is")
{
	OWN(pkcs11) p = open_module();
	OWN_TEXT write_pin = mem_textf("printf '" T_PIN "\\nnot this\\n' >%s/pin", T_TMPDIR);
	OWN(pkcs11_uri) uri = NULL;
	OWN(key) key = NULL;
	struct err err = ERR_INIT;
	static const char *const bad[] = { "pkcs11:token=sources;object=k?pin-source=/nowhere/pin",
		"pkcs11:token=sources;object=k?pin-source=%7Cecho%201234", "pkcs11:token=sources;object=k?pin-source=pin" };

	t_softhsm_token("sources");
	t_run(write_pin);
	for (size_t i = 0; i < COUNT(bad); i++) {
		OWN(pkcs11_uri) no = pkcs11_uri_parse(bad[i], &err);

		err = (struct err)ERR_INIT;
		CHECK(!pkcs11_make_pair(p, no, "", &err));
		CHECK(err.kind == ERR_BROKEN || err.kind == ERR_INVALID);
		CHECK_CONTAINS(err.text, "pin-source");
	}
	for (size_t i = 0; i < 3; i++) {
		OWN_TEXT source = i == 0   ? mem_textf("file:%s/pin", T_TMPDIR)
				  : i == 1 ? mem_textf("file://%s/pin", T_TMPDIR)
					   : mem_textf("%s/pin", T_TMPDIR);
		OWN_TEXT text = mem_textf("pkcs11:token=sources;object=k?pin-source=%s", source);

		pkcs11_uri_free(uri);
		key_free(key);
		err = (struct err)ERR_INIT;
		uri = pkcs11_uri_parse(text, &err);
		key = pkcs11_make_pair(p, uri, "ec-p256", &err);
		CHECK(key && signs(key, &err));
	}
}

TEST("a key of another program's is found by its label or id, and two of one label are not guessed between")
{
	OWN(pkcs11) p = open_module();
	OWN_TEXT import =
		mem_textf("cd %s && openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt >k.pem && "
			  "for id in 01 a0ff; do softhsm2-util --import k.pem --token foreign --label mine --id $id --force "
			  "--pin " T_PIN " >/dev/null; done",
			T_TMPDIR);
	OWN_TEXT file = mem_textf("%s/k.pem", T_TMPDIR);
	OWN(pkcs11_uri) by_id = NULL;
	OWN(key) key = NULL;
	OWN(key) own = NULL;
	struct err err = ERR_INIT;

	t_softhsm_token("foreign");
	t_run(import);
	by_id = pkcs11_uri_parse("pkcs11:token=foreign;id=%a0%ff;type=private?pin-value=" T_PIN, &err);
	key = pkcs11_load_pair(p, by_id, &err);
	own = key_load(file, &err);
	CHECK(key && own && EVP_PKEY_eq(key_pkey(own), key_pkey(key)) == 1);
	CHECK(signs(key, &err));
	CHECK(!loaded(p, "foreign", "mine", &err));
	CHECK_ERR(err, ERR_INVALID, "2 private keys are called 'mine'");
}

TEST("the attributes of a URI all count, and one that fits two tokens is refused")
{
	OWN(pkcs11) p = open_module();
	static const struct {
		const char *uri;
		enum err_kind kind;
	} cases[] = {
		{ "pkcs11:manufacturer=SoftHSM%20project;object=k", ERR_INVALID }, /* more than one */
		{ "pkcs11:token=attributes;manufacturer=SoftHSM%20project;model=SoftHSM%20v2;object=k", ERR_MISSING },
		{ "pkcs11:token=attributes;manufacturer=Snake%20Oil;object=k", ERR_UNAVAILABLE },
		{ "pkcs11:token=attributes;serial=4711;object=k", ERR_UNAVAILABLE },
		{ "pkcs11:token=attributes;slot-id=4711;object=k", ERR_UNAVAILABLE },
		{ "pkcs11:token=attributes;library-manufacturer=SoftHSM;object=k", ERR_MISSING },
		{ "pkcs11:token=attributes;library-manufacturer=Snake;object=k", ERR_UNAVAILABLE },
		{ "pkcs11:token=attributes;library-version=99;object=k", ERR_UNAVAILABLE },
		{ "pkcs11:token=attributes;slot-manufacturer=SoftHSM%20project;object=k", ERR_MISSING },
		{ "pkcs11:token=attributes", ERR_INVALID }, /* names no object */
		{ "pkcs11:token=attributes;object=k?module-path=/nowhere.so", ERR_BROKEN },
		{ "pkcs11:token=attributes;object=k?module-path=../x.so", ERR_INVALID },
		{ "pkcs11:token=attributes;object=k?module-name=../x", ERR_INVALID },
		{ "pkcs11:token=attributes;object=k?module-name=nowhere", ERR_BROKEN },
		{ "pkcs11:token=attributes;object=k?module-path=/lib/x86_64-linux-gnu/libc.so.6", ERR_BROKEN },
	};

	t_softhsm_token("attributes");
	t_softhsm_token("another");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		OWN(pkcs11_uri) uri = pkcs11_uri_parse(cases[i].uri, &err);

		CHECK(uri != NULL);
		CHECK(!pkcs11_load_pair(p, uri, &err));
		if (err.kind != cases[i].kind)
			fail_msg("%s: %s: %s", cases[i].uri, err_kind_name(err.kind), err.text);
	}
}

/* -- Symmetric keys ------------------------------------------------------------------------------------------------------------------- */

TEST("HMAC by a key in the token is the one of RFC 4231, and what is derived from it is that HMAC")
{
	OWN(pkcs11) p = open_module();
	OWN(pkcs11_uri) uri = uri_of("macs", "master");
	struct secret secret = { .len = 32 };
	OWN(symmetric_key) plain = NULL;
	OWN(symmetric_key) key = NULL;
	OWN(symmetric_key) again = NULL;
	OWN(symmetric_key) derived = NULL;
	OWN(symmetric_key) wanted = NULL;
	struct err err = ERR_INIT;
	uint8_t one[32], two[32];

	t_softhsm_token("macs");
	memset(secret.bytes, 0x0b, 32);
	plain = symmetric_key_from_secret(&secret);
	CHECK_INT(pkcs11_can(p, uri, PKCS11_SIGN, &err), 1);
	key = pkcs11_make_symmetric(p, uri, PKCS11_SIGN, &secret, &err);
	CHECK(key && !symmetric_key_bytes(key));
	CHECK_OK(symmetric_key_hmac(plain, "Hi There", 8, one, &err), err);
	CHECK_OK(symmetric_key_hmac(key, "Hi There", 8, two, &err), err);
	CHECK_MEM(one, two, 32);
	derived = symmetric_key_derive(key, "m:1:primary", 11, &err);
	wanted = symmetric_key_derive(plain, "m:1:primary", 11, &err);
	CHECK_MEM(symmetric_key_bytes(derived)->bytes, symmetric_key_bytes(wanted)->bytes, 32);
	again = pkcs11_load_symmetric(p, uri, &err);
	CHECK_OK(symmetric_key_hmac(again, "Hi There", 8, two, &err), err);
	CHECK_MEM(one, two, 32);
}

TEST("AES-GCM in the token and here open each other's blobs, the old layout too, and nothing that was changed")
{
	OWN(pkcs11) p = open_module();
	OWN(pkcs11_uri) uri = uri_of("blobs", "enc");
	struct secret secret = { .len = 32 };
	OWN(symmetric_key) plain = NULL;
	OWN(symmetric_key) key = NULL;
	struct symmetric_message m = {
		.iv = "an iv of any length", .iv_size = 19, .aad = "$edgeHub", .aad_size = 8, .data = "twin", .size = 4
	};
	struct buf blob = BUF_INIT(1024), opened = BUF_INIT(1024);
	struct err err = ERR_INIT;

	t_softhsm_token("blobs");
	random_bytes(secret.bytes, 32);
	plain = symmetric_key_from_secret(&secret);
	key = pkcs11_make_symmetric(p, uri, PKCS11_ENCRYPT, &secret, &err);
	CHECK(key != NULL);
	for (int from_token = 0; from_token < 2; from_token++) {
		struct symmetric_message back = m;

		buf_reset(&blob);
		CHECK_OK(symmetric_key_encrypt(from_token ? key : plain, &m, &blob, &err), err);
		CHECK_INT(blob.len, 1 + 4 + 16);
		back.data = blob.data;
		back.size = blob.len;
		buf_reset(&opened);
		CHECK_OK(symmetric_key_decrypt(from_token ? plain : key, &back, &opened, &err), err);
		CHECK_STR(buf_text(&opened), "twin");
	}
	for (size_t i = 0; i < blob.len; i++) {
		struct symmetric_message back = m;

		blob.data[i] ^= 1;
		back.data = blob.data;
		back.size = blob.len;
		buf_reset(&opened);
		err = (struct err)ERR_INIT;
		CHECK(symmetric_key_decrypt(key, &back, &opened, &err) < 0);
		CHECK(err.kind == ERR_DENIED || err.kind == ERR_INVALID);
		CHECK_INT(opened.len, 0);
		blob.data[i] ^= 1;
	}
	{
		uint8_t old[21] = { 1 };
		struct symmetric_message back = m;

		memcpy(old + 1, blob.data + 5, 16);
		memcpy(old + 17, blob.data + 1, 4);
		back.data = old;
		back.size = sizeof(old);
		CHECK_OK(symmetric_key_decrypt(key, &back, &opened, &err), err);
		CHECK_STR(buf_text(&opened), "twin");
		back.size = 16;
		CHECK(symmetric_key_decrypt(key, &back, &opened, &err) < 0);
		back.size = 0;
		CHECK(symmetric_key_decrypt(key, &back, &opened, &err) < 0);
	}
	buf_clear(&blob);
	buf_clear(&opened);
}

TEST("an imported symmetric key replaces the one before it; a made one stays")
{
	OWN(pkcs11) p = open_module();
	OWN(pkcs11_uri) uri = uri_of("imports", "k");
	struct secret one = { .len = 32, .bytes = "one" }, two = { .len = 32, .bytes = "two" };
	uint8_t first[32], second[32], third[32];
	struct err err = ERR_INIT;
	OWN(symmetric_key) a = NULL;
	OWN(symmetric_key) b = NULL;
	OWN(symmetric_key) c = NULL;

	t_softhsm_token("imports");
	a = pkcs11_make_symmetric(p, uri, PKCS11_SIGN, &one, &err);
	CHECK_OK(symmetric_key_hmac(a, "x", 1, first, &err), err);
	b = pkcs11_make_symmetric(p, uri, PKCS11_SIGN, &two, &err);
	CHECK_OK(symmetric_key_hmac(b, "x", 1, second, &err), err);
	c = pkcs11_make_symmetric(p, uri, PKCS11_SIGN, NULL, &err);
	CHECK_OK(symmetric_key_hmac(c, "x", 1, third, &err), err);
	CHECK(memcmp(first, second, 32) != 0);
	CHECK_MEM(second, third, 32);
	CHECK_OK(pkcs11_delete_symmetric(p, uri, &err), err);
	CHECK(!pkcs11_load_symmetric(p, uri, &err));
	CHECK_INT(err.kind, ERR_MISSING);
}

/* -- Threads ----------------------------------------------------------------------------------------------------------------------------- */

struct signer {
	pthread_t thread;
	const struct key *key;
	int n_good;
};

static void *
sign_many(void *arg)
{
	struct signer *s = arg;
	struct err err;

	for (int i = 0; i < 25; i++)
		s->n_good += signs(s->key, &err);
	return NULL;
}

TEST("threads sign with keys of one token at the same time")
{
	OWN(pkcs11) p = open_module();
	OWN(key) one = NULL;
	OWN(key) two = NULL;
	struct signer signers[4];

	t_softhsm_token("threads");
	one = made(p, "threads", "one", "ec-p256");
	two = made(p, "threads", "two", "rsa-2048");
	for (size_t i = 0; i < COUNT(signers); i++) {
		signers[i] = (struct signer){ .key = i % 2 ? one : two };
		CHECK_INT(pthread_create(&signers[i].thread, NULL, sign_many, &signers[i]), 0);
	}
	for (size_t i = 0; i < COUNT(signers); i++) {
		pthread_join(signers[i].thread, NULL);
		CHECK_INT(signers[i].n_good, 25);
	}
}

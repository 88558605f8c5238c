/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/pem.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "keys/key.h"
#include "t.h"

static struct key *
made(enum key_alg alg)
{
	struct err err = ERR_INIT;
	struct key *key = key_generate(alg, &err);

	if (!key)
		fail_msg("%s", err.text);
	return key;
}

TEST("every kind of key says what it is and keeps its name in configuration")
{
	static const struct {
		enum key_alg alg;
		const char *name, *describe;
	} cases[] = {
		{ KEY_EC_P256, "ec-p256", "EC P-256" },
		{ KEY_EC_P384, "ec-p384", "EC P-384" },
		{ KEY_RSA_2048, "rsa-2048", "RSA 2048" },
		{ KEY_ED25519, "ed25519", "Ed25519" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		OWN(key) key = made(cases[i].alg);
		enum key_alg alg;

		CHECK_STR(key_describe(key), cases[i].describe);
		CHECK_STR(key_alg_name(cases[i].alg), cases[i].name);
		CHECK(key_alg_parse(cases[i].name, &alg) && alg == cases[i].alg);
		CHECK(key_is_acceptable(key_pkey(key)));
	}
}

TEST("the first known name of a preference list is taken, and none gives EC P-256")
{
	CHECK_INT(key_alg_prefer("rsa-2048:*"), KEY_RSA_2048);
	CHECK_INT(key_alg_prefer("ec-p256:rsa-4096:*"), KEY_EC_P256);
	CHECK_INT(key_alg_prefer("dilithium:rsa-4096"), KEY_RSA_4096);
	CHECK_INT(key_alg_prefer("*:rsa-2048"), KEY_EC_P256);
	CHECK_INT(key_alg_prefer(""), KEY_EC_P256);
}

TEST("a saved key is readable by its owner alone and loads as the same key")
{
	OWN(key) key = made(KEY_EC_P256);
	OWN(key) again = NULL;
	OWN_TEXT path = file_join(T_TMPDIR, "saved.key.pem");
	struct err err = ERR_INIT;
	struct stat st;

	CHECK_OK(key_save(key, path, &err), err);
	CHECK(stat(path, &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0600);
	again = key_load(path, &err);
	CHECK(again);
	CHECK(EVP_PKEY_eq(key_pkey(key), key_pkey(again)) == 1);
}

TEST("a preference list is the kinds to try, each once, with what * stands for at its place")
{
	static const struct {
		const char *list;
		size_t n;
		enum key_alg algs[KEY_ALGS];
	} cases[] = {
		{ "rsa-2048:*", 2, { KEY_RSA_2048, KEY_EC_P256 } },
		{ "ec-p256:rsa-4096:*", 3, { KEY_EC_P256, KEY_RSA_4096, KEY_RSA_2048 } },
		{ "rsa-4096", 1, { KEY_RSA_4096 } },
		{ "", 2, { KEY_EC_P256, KEY_RSA_2048 } },
		{ "dilithium:falcon", 2, { KEY_EC_P256, KEY_RSA_2048 } },
		{ "ec-p384:ec-p384:dilithium", 1, { KEY_EC_P384 } },
		{ "*:*:ec-p256:rsa-2048:rsa-3072:rsa-4096:ec-p384:ed25519:*", KEY_ALGS,
			{ KEY_EC_P256, KEY_RSA_2048, KEY_RSA_3072, KEY_RSA_4096, KEY_EC_P384, KEY_ED25519 } },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		enum key_alg algs[KEY_ALGS];

		CHECK_INT(key_alg_list(cases[i].list, algs), cases[i].n);
		for (size_t k = 0; k < cases[i].n; k++)
			CHECK_INT(algs[k], cases[i].algs[k]);
	}
}

static char *
encrypted_pem(const struct key *key, bool traditional)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;
	int ok;

	if (traditional)
		ok = PEM_write_bio_PrivateKey_traditional(
			bio, key_pkey(key), EVP_aes_128_cbc(), (const uint8_t *)"secret", 6, NULL, NULL);
	else
		ok = PEM_write_bio_PKCS8PrivateKey(bio, key_pkey(key), EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
	CHECK_INT(ok, 1);
	len = BIO_get_mem_data(bio, &data);
	text = mem_textn(data, (size_t)len);
	BIO_free(bio);
	return text;
}

TEST("a key that is encrypted with a pass phrase is refused with what to do, and nobody is asked for it")
{
	OWN(key) key = made(KEY_EC_P256);

	for (int traditional = 0; traditional < 2; traditional++) {
		OWN_TEXT pem = encrypted_pem(key, traditional);
		struct err err = ERR_INIT;

		CHECK(!key_from_pem(pem, strlen(pem), &err));
		CHECK_ERR(err, ERR_INVALID, "encrypted with a pass phrase");
	}
}

TEST("weak keys, and files that hold no key, are refused by name")
{
	OWN(key) weak = key_from_pkey_take(EVP_RSA_gen(1024));
	struct buf pem = BUF_INIT(8192);
	OWN_TEXT path = file_join(T_TMPDIR, "not-a-key.pem");
	struct err err = ERR_INIT;

	CHECK(!key_is_acceptable(key_pkey(weak)));
	CHECK_OK(key_to_pem(weak, &pem, &err), err);
	CHECK(!key_from_pem(buf_text(&pem), pem.len, &err));
	CHECK_ERR(err, ERR_INVALID, "not accepted");
	CHECK_OK(file_save(path, "hello\n", 6, 0600, &err), err);
	CHECK(!key_load(path, &err));
	CHECK_ERR(err, ERR_INVALID, "not-a-key.pem: not a PEM private key");
	CHECK(!key_load("/nonexistent/key.pem", &err));
	CHECK_INT(err.kind, ERR_MISSING);
	buf_wipe(&pem);
}

TEST("a key lives as long as its last holder")
{
	struct key *key = made(KEY_EC_P256), *held = key_ref(key);

	key_free(key);
	CHECK_STR(key_describe(held), "EC P-256");
	key_free(held);
	key_free(NULL);
}

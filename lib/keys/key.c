/* SPDX-License-Identifier: Apache-2.0 */
/* A key pair.  Whatever holds the private half, the rest of the program sees an EVP_PKEY; keys in memory and in files are one made here, remote ones come from
 * key_provider.c. */
#include <stdatomic.h>
#include <stdio.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/file.h"
#include "base/mem.h"
#include "keys/key.h"
#include "keys/key_provider.h"

#define KEY_FILE_MAX (64 * 1024)

OWN_DEFINE_LIB(BIO, BIO_free_all);

struct key {
	EVP_PKEY *pkey;
	char describe[KEY_DESCRIBE_LEN];
	const struct key_remote_ops *remote; /* NULL: the private half is here */
	void *remote_arg;		     /* pkey's */
	atomic_int n_refs;
};

void
key_start_small(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS, NULL);
}

void
key_pkey_describe(const EVP_PKEY *pkey, char out[static KEY_DESCRIBE_LEN])
{
	const char *type = EVP_PKEY_get0_type_name(pkey), *nist = NULL;
	char curve[32] = "";

	if (EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), NULL) == 1) {
		nist = EC_curve_nid2nist(OBJ_sn2nid(curve));
		snprintf(out, KEY_DESCRIBE_LEN, "EC %s", nist ? nist : curve);
	} else if (EVP_PKEY_is_a(pkey, "RSA")) {
		snprintf(out, KEY_DESCRIBE_LEN, "RSA %d", EVP_PKEY_get_bits(pkey));
	} else {
		snprintf(out, KEY_DESCRIBE_LEN, "%s", EVP_PKEY_is_a(pkey, "ED25519") ? "Ed25519" : type ? type : "unknown");
	}
}

struct key *
key_from_pkey_take(EVP_PKEY *pkey)
{
	struct key *key = NEW(key);

	key->pkey = pkey;
	key->n_refs = 1;
	key_pkey_describe(pkey, key->describe);
	return key;
}

struct key *
key_generate(enum key_alg alg, struct err *err)
{
	EVP_PKEY *pkey = NULL;

	switch (alg) {
	case KEY_EC_P256:
		pkey = EVP_EC_gen("P-256");
		break;
	case KEY_EC_P384:
		pkey = EVP_EC_gen("P-384");
		break;
	case KEY_RSA_2048:
		pkey = EVP_RSA_gen(2048);
		break;
	case KEY_RSA_3072:
		pkey = EVP_RSA_gen(3072);
		break;
	case KEY_RSA_4096:
		pkey = EVP_RSA_gen(4096);
		break;
	case KEY_ED25519:
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		break;
	}
	if (!pkey)
		return err_null(err, ERR_BROKEN, "making a %s key failed", key_alg_name(alg));
	return key_from_pkey_take(pkey);
}

/* A pass phrase is never asked for: a service has no terminal. */
static int
no_pass_phrase(char *text, int size, int writing, void *asked)
{
	(void)text;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

struct key *
key_from_pem(const char *pem, size_t len, struct err *err)
{
	OWN_LIB(BIO) bio = NULL;
	EVP_PKEY *pkey;
	bool asked = false;

	if (len > KEY_FILE_MAX)
		return err_null(err, ERR_LIMIT, "a key of %zu bytes", len);
	bio = BIO_new_mem_buf(pem, (int)len);
	pkey = PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, &asked);
	if (!pkey) {
		ERR_clear_error();
		if (asked)
			return err_null(err, ERR_INVALID,
				"the private key is encrypted with a pass phrase; store it without one (openssl pkey -in FILE -out "
				"FILE)");
		return err_null(err, ERR_INVALID, "not a PEM private key");
	}
	if (!key_is_acceptable(pkey)) {
		EVP_PKEY_free(pkey);
		return err_null(err, ERR_INVALID,
			"a private key of a kind or size that is not accepted (EC P-256, P-384, P-521, Ed25519, RSA of 2048 bits "
			"or more)");
	}
	return key_from_pkey_take(pkey);
}

struct key *
key_load(const char *path, struct err *err)
{
	struct buf pem = BUF_INIT(KEY_FILE_MAX);
	struct key *key = NULL;

	if (file_load(&pem, path, err) == 0) {
		key = key_from_pem(buf_text(&pem), pem.len, err);
		if (!key)
			err_wrap(err, "%s", path);
	}
	buf_wipe(&pem);
	return key;
}

int
key_to_pem(const struct key *key, struct buf *out, struct err *err)
{
	OWN_LIB(BIO) bio = NULL;
	char *data;
	long len;

	if (key->remote)
		return err_set(err, ERR_DENIED, "the private half of this key stays where it is");
	bio = BIO_new(BIO_s_secmem());
	if (PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
		return err_set(err, ERR_BROKEN, "writing a private key failed");
	len = BIO_get_mem_data(bio, &data);
	buf_put(out, data, (size_t)len);
	return out->failed ? err_set(err, ERR_LIMIT, "the key is larger than its buffer") : 0;
}

int
key_save(const struct key *key, const char *path, struct err *err)
{
	struct buf pem = BUF_INIT(KEY_FILE_MAX);
	int status = key_to_pem(key, &pem, err);

	if (status == 0)
		status = file_save(path, pem.data, pem.len, 0600, err);
	buf_wipe(&pem);
	return status;
}

struct key *
key_ref(struct key *key)
{
	if (key)
		key->n_refs++;
	return key;
}

void
key_free(struct key *key)
{
	if (!key || --key->n_refs > 0)
		return;
	EVP_PKEY_free(key->pkey);
	mem_free(key);
}

EVP_PKEY *
key_pkey(const struct key *key)
{
	return key->pkey;
}

const char *
key_describe(const struct key *key)
{
	return key->describe;
}

struct key *
key_remote_new(const EVP_PKEY *public_pkey, const struct key_remote_ops *ops, void *arg, struct err *err)
{
	EVP_PKEY *pkey = key_provider_pkey(public_pkey, ops, arg, err);
	struct key *key;

	if (!pkey)
		return NULL;
	key = key_from_pkey_take(pkey);
	key->remote = ops;
	key->remote_arg = arg;
	return key;
}

bool
key_is_remote(const struct key *key)
{
	return key->remote != NULL;
}

int
key_remote_sign(const struct key *key, const uint8_t *tbs, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	return key->remote->sign(key->remote_arg, tbs, len, sig, sig_len, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/pkcs12.h>

#include "pki/p12.h"
#include "pki/story.h"
#include "t_verdict.h"

struct read {
	EVP_PKEY *key;
	X509 *cert;
	STACK_OF(X509) * above;
};

static bool
read_p12(struct read *out, const struct buf *bytes, const char *password)
{
	const uint8_t *at = bytes->data;
	PKCS12 *p12 = d2i_PKCS12(NULL, &at, (long)bytes->len);
	bool done = p12 && PKCS12_parse(p12, password, &out->key, &out->cert, &out->above) == 1;

	PKCS12_free(p12);
	return done;
}

TEST("a PKCS #12 file has the key, its certificate and those above it, for who has the password and for nobody else")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	struct cert *items[] = { leaf.cert, root.cert };
	struct certs chain = { .item = items, .n = 2 };
	CLEAR(buf) out = BUF_INIT(65536);
	struct read found = { 0 }, none = { 0 };
	struct err err = ERR_INIT;

	CHECK_OK(p12_put(&out, &chain, leaf.key, "a password", &err), err);
	CHECK(!read_p12(&none, &out, "another"));
	CHECK(read_p12(&found, &out, "a password"));
	CHECK(X509_cmp(found.cert, cert_x509(leaf.cert)) == 0);
	CHECK_INT(EVP_PKEY_eq(found.key, key_pkey(leaf.key)), 1);
	CHECK_INT(sk_X509_num(found.above), 1);
	CHECK(X509_cmp(sk_X509_value(found.above, 0), cert_x509(root.cert)) == 0);
	EVP_PKEY_free(found.key);
	X509_free(found.cert);
	sk_X509_pop_free(found.above, X509_free);
}

TEST("another certificate's key, an empty password and one that is no text are refused, and nothing is written")
{
	static const char *const passwords[] = { "", "\xff\xfe" };
	CLEAR(made) root = story_root("root");
	CLEAR(made) other = story_root("other");
	struct certs chain = { .item = &root.cert, .n = 1 };
	CLEAR(buf) out = BUF_INIT(65536);
	struct err err = ERR_INIT;

	CHECK_INT(p12_put(&out, &chain, other.key, "x", &err), -1);
	for (size_t i = 0; i < COUNT(passwords); i++) {
		err = (struct err)ERR_INIT;
		CHECK_INT(p12_put(&out, &chain, root.key, passwords[i], &err), -1);
		CHECK_INT(err.kind, ERR_INVALID);
	}
	CHECK_INT(out.len, 0);
}

/* -- Reading ------------------------------------------------------------------------------------------------------------------------- */

TEST("the certificates of a PKCS #12 file are read with its password, that of its key first; without the right one it is denied")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	struct cert *items[] = { leaf.cert, root.cert };
	struct certs chain = { .item = items, .n = 2 };
	static const char *const wrong[] = { "", "another", "a passwor" };
	CLEAR(buf) out = BUF_INIT(65536);
	CLEAR(certs) found = { 0 };
	struct err err = ERR_INIT;

	CHECK_OK(p12_put(&out, &chain, leaf.key, "a password", &err), err);
	CHECK(p12_is(&out));
	CHECK_OK(p12_take_certs(&found, &out, "a password", 2, &err), err);
	CHECK_INT(found.n, 2);
	CHECK(cert_is_same(found.item[0], leaf.cert) && cert_is_same(found.item[1], root.cert));
	for (size_t i = 0; i < COUNT(wrong); i++) {
		err = (struct err)ERR_INIT;
		CHECK_INT(p12_take_certs(&found, &out, wrong[i], 2, &err), -1);
		CHECK_INT(err.kind, ERR_DENIED);
	}
	err = (struct err)ERR_INIT;
	CHECK_INT(p12_take_certs(&found, &out, "a password", 1, &err), -1);
	CHECK_INT(err.kind, ERR_LIMIT);
	CHECK_INT(found.n, 2);
}

TEST("a certificate, PEM and rubbish are no PKCS #12; a file that is cut off or changed anywhere is refused")
{
	CLEAR(made) root = story_root("root");
	struct certs chain = { .item = &root.cert, .n = 1 };
	CLEAR(buf) out = BUF_INIT(65536);
	CLEAR(buf) other = BUF_INIT(65536);
	struct err err = ERR_INIT;

	cert_put_der(root.cert, &other);
	CHECK(!p12_is(&other));
	buf_reset(&other);
	cert_put_pem(root.cert, &other);
	CHECK(!p12_is(&other));
	buf_reset(&other);
	CHECK(!p12_is(&other));
	CHECK_OK(p12_put(&out, &chain, root.key, "x", &err), err);
	for (size_t len = 0; len < out.len; len += 7) {
		CLEAR(certs) found = { 0 };

		err = (struct err)ERR_INIT;
		buf_reset(&other);
		buf_put(&other, out.data, len);
		CHECK_INT(p12_take_certs(&found, &other, "x", 9, &err), -1);
		CHECK_INT(err.kind, ERR_INVALID);
	}
}

TEST("how long a password is computed is not for the file to choose")
{
	CLEAR(made) root = story_root("root");
	CLEAR(buf) out = BUF_INIT(65536);
	CLEAR(certs) found = { 0 };
	struct err err = ERR_INIT;
	PKCS12 *p12 = PKCS12_create("x", "n", key_pkey(root.key), cert_x509(root.cert), NULL, 0, 0, 2048, 1, 0);
	uint8_t *der = NULL;
	int len;

	assert_non_null(p12);
	CHECK(PKCS12_setup_mac(p12, P12_ROUNDS_MAX + 1, NULL, 0, EVP_sha256()) == 1);
	len = i2d_PKCS12(p12, &der);
	buf_put(&out, der, (size_t)len);
	OPENSSL_free(der);
	PKCS12_free(p12);
	CHECK_INT(p12_take_certs(&found, &out, "x", 9, &err), -1);
	CHECK_INT(err.kind, ERR_LIMIT);
	CHECK_CONTAINS(err.text, "rounds");
}

/* As RFC 9579 has it: PBKDF2 of so many rounds, and HMAC with SHA-256.  OpenSSL makes such files only since 3.4. */
static ASN1_STRING *
pbmac1_parameters(long rounds)
{
	static unsigned char salt[] = "12345678";
	PBE2PARAM *both = PBE2PARAM_new(); /* of the same form */
	ASN1_STRING *packed;

	X509_ALGOR_free(both->keyfunc);
	both->keyfunc = PKCS5_pbkdf2_set((int)rounds, salt, 8, NID_hmacWithSHA256, 32);
	X509_ALGOR_set0(both->encryption, OBJ_nid2obj(NID_hmacWithSHA256), V_ASN1_NULL, NULL);
	packed = ASN1_item_pack(both, ASN1_ITEM_rptr(PBE2PARAM), NULL);
	PBE2PARAM_free(both);
	return packed;
}

static void
put_pbmac1(struct buf *out, const struct made *root, long rounds)
{
	PKCS12 *p12 = PKCS12_create("x", "n", key_pkey(root->key), cert_x509(root->cert), NULL, 0, 0, 2048, 1, 0);
	const X509_ALGOR *alg = NULL;
	uint8_t *der = NULL;
	int len;

	assert_non_null(p12);
	PKCS12_get0_mac(NULL, &alg, NULL, NULL, p12);
	X509_ALGOR_set0((X509_ALGOR *)(uintptr_t)alg, OBJ_nid2obj(NID_pbmac1), V_ASN1_SEQUENCE, pbmac1_parameters(rounds));
	len = i2d_PKCS12(p12, &der);
	buf_put(out, der, (size_t)len);
	OPENSSL_free(der);
	PKCS12_free(p12);
}

TEST("a file whose password is checked by PBMAC1 is named as that where OpenSSL can't read it, and its rounds have the same "
     "ceiling")
{
	CLEAR(made) root = story_root("root");
	CLEAR(buf) modern = BUF_INIT(65536);
	CLEAR(buf) endless = BUF_INIT(65536);
	CLEAR(certs) found = { 0 };
	struct err err = ERR_INIT;
	bool is_read = OPENSSL_version_major() > 3 || OPENSSL_version_minor() >= 4;

	put_pbmac1(&modern, &root, 2048);
	CHECK_INT(p12_take_certs(&found, &modern, "x", 9, &err), -1); /* the MAC in it is of another kind */
	CHECK_INT(err.kind, is_read ? ERR_DENIED : ERR_INVALID);
	if (!is_read)
		CHECK_CONTAINS(err.text, "PBMAC1 (RFC 9579), which needs OpenSSL 3.4");
	err = (struct err)ERR_INIT;
	put_pbmac1(&endless, &root, P12_ROUNDS_MAX + 1);
	CHECK_INT(p12_take_certs(&found, &endless, "x", 9, &err), -1);
	CHECK_INT(err.kind, ERR_LIMIT);
	CHECK_CONTAINS(err.text, "rounds");
}

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

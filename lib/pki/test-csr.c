/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/csr_plain.h"
#include "pki/story.h"
#include "wire/pem.h"

static const char *const names[] = { "edgegateway.local", "10.0.0.1", "fd00::1", "URI:azureiot://hub/devices/d/modules/m" };

static int
make(struct buf *out, const struct key *key, struct err *err)
{
	return issue_csr(out, key, "edgegateway.local", names, COUNT(names), err);
}

TEST("a CSR carries name, alternative names and key, and its signature proves possession")
{
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	struct buf pem = BUF_INIT(65536);
	OWN(csr) csr = NULL;
	char *asked[8];
	size_t n;

	CHECK_OK(make(&pem, key, &err), err);
	csr = csr_parse(buf_text(&pem), pem.len, &err);
	CHECK(csr);
	CHECK_STR(csr_common_name(csr), "edgegateway.local");
	CHECK(EVP_PKEY_eq(csr_public_key(csr), key_pkey(key)) == 1);
	n = csr_names(csr, asked, COUNT(asked));
	CHECK_INT(n, COUNT(names));
	for (size_t i = 0; i < n; i++) {
		CHECK_STR(asked[i], names[i]);
		mem_free(asked[i]);
	}
	CHECK_INT(csr_names(csr, asked, 1), 1);
	mem_free(asked[0]);
	buf_clear(&pem);
}

TEST("no bit of a CSR may change")
{
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	struct buf text = BUF_INIT(65536);
	struct pem pem;

	CHECK_OK(make(&text, key, &err), err);
	pem_init(&pem, buf_text(&text), text.len);
	CHECK_INT(pem_next(&pem, &err), 1);
	for (size_t i = 0; i < pem.der.len; i++) {
		struct csr *csr;

		pem.der.data[i] ^= 1;
		csr = csr_from_der(pem.der.data, pem.der.len, &err);
		if (csr)
			fail_msg("byte %zu may change", i);
		pem.der.data[i] ^= 1;
	}
	CHECK(!csr_from_der(pem.der.data, pem.der.len - 1, &err));
	pem_clear(&pem);
	buf_clear(&text);
}

static struct csr *
made(const struct key *key, const struct csr_wish *wish)
{
	struct err err = ERR_INIT;
	CLEAR(buf) pem = BUF_INIT(65536);

	CHECK_OK(issue_csr_wish(&pem, key, wish, &err), err);
	return csr_parse(buf_text(&pem), pem.len, &err);
}

/* Read by the quick reader, and is all of it as OpenSSL sees it? */
static bool
is_plain(const struct csr *csr)
{
	CLEAR(buf) der = BUF_INIT(65536);
	const uint8_t *at;
	struct csr_plain plain;
	X509_REQ *req;

	csr_put_der(csr, &der);
	if (!csr_plain_read(&plain, der.data, der.len))
		return false;
	at = der.data;
	req = d2i_X509_REQ(NULL, &at, (long)der.len);
	CHECK(csr_plain_verify(&plain));
	CHECK(EVP_PKEY_eq(plain.key, X509_REQ_get0_pubkey(req)) == 1);
	CHECK(X509_NAME_cmp(X509_REQ_get_subject_name(plain.req), X509_REQ_get_subject_name(req)) == 0);
	CHECK_INT(X509_REQ_get_attr_count(plain.req), X509_REQ_get_attr_count(req));
	CHECK_INT(X509_REQ_get_signature_nid(plain.req), X509_REQ_get_signature_nid(req));
	X509_REQ_free(req);
	X509_REQ_free(plain.req);
	EVP_PKEY_free(plain.key);
	return true;
}

TEST("what devices send is read without OpenSSL's decoder, and is what that sees; other kinds of keys are left to it")
{
	static const struct {
		enum key_alg alg;
		bool plain;
	} cases[] = { { KEY_EC_P256, true }, { KEY_EC_P384, true }, { KEY_RSA_2048, false }, { KEY_ED25519, false } };
	struct err err = ERR_INIT;

	for (size_t i = 0; i < COUNT(cases); i++) {
		OWN(key) key = key_generate(cases[i].alg, &err);
		OWN(csr) csr = made(key, &(struct csr_wish){ .common_name = "dev-1", .use = CSR_USE_CLIENT, .challenge = "x" });

		CHECK(csr != NULL);
		CHECK_INT(is_plain(csr), cases[i].plain);
		CHECK(EVP_PKEY_eq(csr_public_key(csr), key_pkey(key)) == 1);
	}
}

TEST("two requests wish the same when key, subject and extensions are, whatever their signatures")
{
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	OWN(key) other = key_generate(KEY_EC_P256, &err);
	OWN(csr) csr = made(key, &(struct csr_wish){ .common_name = "d" });
	OWN(csr) again = made(key, &(struct csr_wish){ .common_name = "d" });
	OWN(csr) renamed = made(key, &(struct csr_wish){ .common_name = "e" });
	OWN(csr) rekeyed = made(other, &(struct csr_wish){ .common_name = "d" });
	OWN(csr) of_ca = made(key, &(struct csr_wish){ .common_name = "d", .use = CSR_USE_EDGE_CA });

	CHECK(memcmp(csr_sha256(csr), csr_sha256(again), DIGEST_SHA256_LEN) != 0);
	CHECK(csr_wishes_same(csr, again));
	CHECK(!csr_wishes_same(csr, renamed));
	CHECK(!csr_wishes_same(csr, rekeyed));
	CHECK(!csr_wishes_same(csr, of_ca) && !csr_wishes_same(of_ca, csr));
	CHECK(csr_wishes_same(of_ca, of_ca));
}

TEST("a request for a renewal is named as the certificate is, and says which session it is made for")
{
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	struct profile profile = { .kind = ISSUE_SERVER,
		.common_name = "d",
		.names = { "d.local", "10.0.0.1" },
		.n_names = 2,
		.not_before = 1,
		.not_after = 1000 };
	OWN(cert) cert = issue_cert(&profile, key_pkey(key), &(struct issuer){ .key = key }, &err);
	OWN(csr) csr = made(key, &(struct csr_wish){ .as = cert, .challenge = "c2Vzc2lvbg==", .use = CSR_USE_CLIENT });
	OWN(csr) other = made(key, &(struct csr_wish){ .as = cert, .use = CSR_USE_CLIENT });
	OWN_TEXT challenge = NULL;

	CHECK(cert && csr && csr_is_named_as(csr, cert));
	CHECK_INT(csr_find_challenge(csr, &challenge), CSR_CHALLENGE);
	CHECK_STR(challenge, "c2Vzc2lvbg==");
	CHECK(csr_wishes_same(csr, other));
}

TEST("weak keys, other things and empty texts are no CSR")
{
	struct err err = ERR_INIT;
	OWN(key) weak = key_from_pkey_take(EVP_RSA_gen(1024));
	struct buf pem = BUF_INIT(65536);

	CHECK_OK(make(&pem, weak, &err), err);
	CHECK(!csr_parse(buf_text(&pem), pem.len, &err));
	CHECK_ERR(err, ERR_INVALID, "not accepted");
	CHECK(!csr_parse("", 0, &err));
	CHECK_ERR(err, ERR_INVALID, "no PEM certificate request");
	CHECK(!csr_parse("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", 75, &err));
	CHECK_INT(err.kind, ERR_INVALID);
	buf_clear(&pem);
}

TEST("what a CSR wishes beyond its key gets into no certificate")
{
	CLEAR(made) root = story_root("root");
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	struct buf pem = BUF_INIT(65536);
	OWN(csr) csr = NULL;
	OWN(cert) cert = NULL;
	OWN_TEXT got = NULL;

	CHECK_OK(make(&pem, key, &err), err);
	csr = csr_parse(buf_text(&pem), pem.len, &err);
	cert = issue_cert(
		&(struct profile){
			.kind = ISSUE_DEVICE, .common_name = "dev1", .not_before = STORY_NOW, .not_after = STORY_NOW + STORY_DAY },
		csr_public_key(csr), &(struct issuer){ .cert = root.cert, .key = root.key }, &err);
	got = cert_names(cert);
	CHECK_STR(cert_subject(cert), "CN=dev1");
	CHECK_STR(got, "");
	CHECK(cert_matches_key(cert, key));
	buf_clear(&pem);
}

TEST("what a CSR asks for beside its key is told: rights of a CA, names of any kind, more than one CN, and its own digest")
{
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P384, &err);
	struct buf pem = BUF_INIT(65536);
	OWN(csr) csr = NULL;

	CHECK_OK(make(&pem, key, &err), err);
	csr = csr_parse(buf_text(&pem), pem.len, &err);
	CHECK(csr);
	CHECK(!csr_asks_ca(csr));
	CHECK(csr_is_signed_safely(csr));
	CHECK_INT(csr_count_names(csr), COUNT(names));
	CHECK_INT(csr_count_common_names(csr), 1);
	{
		struct pem block;
		uint8_t digest[DIGEST_SHA256_LEN];

		pem_init(&block, buf_text(&pem), pem.len);
		CHECK_INT(pem_next(&block, &err), 1);
		digest_sha256(block.der.data, block.der.len, digest);
		CHECK_MEM(csr_sha256(csr), digest, sizeof(digest));
		pem_clear(&block);
	}
	buf_clear(&pem);
}

static struct csr *
csr_with(const struct key *key, const char *challenge, int kind, int times)
{
	X509_REQ *req = X509_REQ_new();
	uint8_t *der = NULL;
	struct err err = ERR_INIT;
	struct csr *csr;
	int len;

	X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(req), "CN", kind, (const uint8_t *)"dev1", -1, -1, 0);
	X509_REQ_set_pubkey(req, key_pkey(key));
	if (times > 0) {
		X509_ATTRIBUTE *attribute = X509_ATTRIBUTE_create_by_NID(
			NULL, NID_pkcs9_challengePassword, MBSTRING_ASC, challenge, (int)strlen(challenge));

		for (int i = 1; i < times; i++)
			X509_ATTRIBUTE_set1_data(attribute, MBSTRING_ASC, challenge, (int)strlen(challenge));
		X509_REQ_add1_attr(req, attribute);
		X509_ATTRIBUTE_free(attribute);
	}
	CHECK(X509_REQ_sign(req, key_pkey(key), EVP_sha256()) > 0);
	len = i2d_X509_REQ(req, &der);
	csr = csr_from_der(der, (size_t)len, &err);
	OPENSSL_free(der);
	X509_REQ_free(req);
	if (!csr)
		fail_msg("%s", err.text);
	return csr;
}

TEST("a CSR says which TLS session it is of: once and in at most 255 bytes, or it is crooked")
{
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	OWN_TEXT text = NULL;
	OWN_TEXT none = NULL;
	OWN_TEXT longest = mem_textf("%0255d", 1);
	OWN(csr) plain = csr_with(key, "", MBSTRING_UTF8, 0);
	OWN(csr) one = csr_with(key, longest, MBSTRING_UTF8, 1);
	OWN(csr) two = csr_with(key, "abc", MBSTRING_UTF8, 2);

	CHECK_INT(csr_find_challenge(plain, &none), CSR_NO_CHALLENGE);
	CHECK_INT(csr_find_challenge(one, &text), CSR_CHALLENGE);
	CHECK_STR(text, longest);
	CHECK_INT(csr_find_challenge(two, &none), CSR_CROOKED_CHALLENGE);
	CHECK(!none);
}

TEST("a CSR is named as a certificate when subject and alternative names are the same bytes")
{
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	struct profile device = { .kind = ISSUE_DEVICE, .common_name = "dev1", .not_before = 1, .not_after = 1000 };
	struct profile server = {
		.kind = ISSUE_SERVER, .common_name = "dev1", .names = { "dev1" }, .n_names = 1, .not_before = 1, .not_after = 1000
	};
	struct issuer self = { .key = key };
	OWN(cert) plain = issue_cert(&device, key_pkey(key), &self, &err);
	OWN(cert) named = issue_cert(&server, key_pkey(key), &self, &err);
	CLEAR(buf) pem = BUF_INIT(65536);
	OWN(csr) same = csr_with(key, "", MBSTRING_UTF8, 0);
	OWN(csr) other = csr_with(key, "", V_ASN1_T61STRING, 0); /* the same to the eye */
	OWN(csr) with_names = NULL;

	CHECK(plain && named);
	CHECK(csr_is_named_as(same, plain) && !csr_is_named_as(same, named));
	CHECK(!csr_is_named_as(other, plain));
	CHECK_OK(issue_csr(&pem, key, "dev1", (const char *const[]){ "dev1" }, 1, &err), err);
	with_names = csr_parse(buf_text(&pem), pem.len, &err);
	CHECK(csr_is_named_as(with_names, named) && !csr_is_named_as(with_names, plain));
}

TEST("RFC 7030 4.4.1: a request for a key that is made elsewhere keeps its names and loses its key and signature")
{
	struct err err = ERR_INIT;
	OWN(key) theirs = key_generate(KEY_EC_P256, &err);
	struct buf text = BUF_INIT(65536);
	struct pem pem;

	CHECK_OK(make(&text, theirs, &err), err);
	pem_init(&pem, buf_text(&text), text.len);
	CHECK_INT(pem_next(&pem, &err), 1);
	pem.der.data[pem.der.len - 1] ^= 1;
	for (unsigned alg = KEY_EC_P256; alg <= KEY_ED25519; alg += KEY_ED25519) {
		OWN(key) ours = key_generate((enum key_alg)alg, &err);
		OWN(csr) csr = csr_from_der_for(pem.der.data, pem.der.len, ours, &err);
		OWN(csr) again = NULL;
		CLEAR(buf) der = BUF_INIT(65536);

		CHECK(csr);
		csr_put_der(csr, &der);
		again = csr_from_der(der.data, der.len, &err); /* signed by its key, now */
		CHECK(again);
		CHECK(EVP_PKEY_eq(csr_public_key(again), key_pkey(ours)) == 1);
		CHECK_STR(csr_common_name(again), "edgegateway.local");
		CHECK_INT(csr_count_names(again), COUNT(names));
		CHECK(!csr_wants_encryption(again));
	}
	CHECK(!csr_from_der_for(pem.der.data, pem.der.len - 1, theirs, &err));
	pem_clear(&pem);
	buf_clear(&text);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "base/file.h"
#include "pki/story.h"
#include "wire/json.h"

TEST("atk-03: the CN of a certificate is its one CN, or none")
{
	CLEAR(made) one = story_crooked((struct crooked){ .common_name = "devA" }, NULL);
	CLEAR(made) two = story_crooked((struct crooked){ .common_name = "devA", .second_name = "devB" }, NULL);
	CLEAR(made) nul = story_crooked((struct crooked){ .common_name = "devA\0.evil", .common_name_len = 10 }, NULL);
	CLEAR(made) space = story_crooked((struct crooked){ .common_name = "devA " }, NULL);
	CLEAR(made) look_alike = story_crooked((struct crooked){ .common_name = "dev\xd0\x90" }, NULL); /* a Cyrillic A */
	CLEAR(made) wide = story_crooked(
		(struct crooked){ .common_name = "\0d\0e\0v\0A", .common_name_len = 8, .common_name_type = V_ASN1_BMPSTRING },
		NULL);
	CLEAR(made) broken =
		story_crooked((struct crooked){ .common_name = "dev\xff", .common_name_type = V_ASN1_UTF8STRING }, NULL);

	CHECK_STR(cert_common_name(one.cert), "devA");
	CHECK_STR(cert_common_name(two.cert), NULL);
	CHECK_STR(cert_common_name(nul.cert), NULL);
	CHECK_STR(cert_common_name(space.cert), "devA ");
	CHECK_STR(cert_common_name(look_alike.cert), "dev\xd0\x90");
	CHECK_STR(cert_common_name(wide.cert), "devA");
	CHECK_STR(cert_common_name(broken.cert), NULL);
}

TEST("atk-02: digests are of the whole DER, and the printed form is openssl's")
{
	CLEAR(made) leaf = story_device("dev1", NULL);
	struct buf pem = BUF_INIT(65536);
	struct certs again = { 0 };
	struct err err = ERR_INIT;
	uint8_t *der = NULL, want[DIGEST_SHA256_LEN];
	char text[CERT_FINGERPRINT_LEN];
	int len = i2d_X509(cert_x509(leaf.cert), &der);

	digest_sha256(der, (size_t)len, want);
	CHECK_MEM(cert_sha256(leaf.cert), want, sizeof(want));
	cert_fingerprint(leaf.cert, text);
	CHECK_INT(strlen(text), 95);
	CHECK(text[2] == ':' && !strpbrk(text, "abcdef"));
	cert_put_pem(leaf.cert, &pem);
	CHECK_OK(certs_parse(&again, buf_text(&pem), pem.len, 1, &err), err);
	CHECK_MEM(cert_sha256(again.item[0]), want, sizeof(want));
	OPENSSL_free(der);
	certs_clear(&again);
	buf_clear(&pem);
}

TEST("subjects are shown escaped, as text without control characters")
{
	CLEAR(made) evil = story_crooked((struct crooked){ .common_name = "dev\n\x1b[31m, O=Contoso" }, NULL);

	CHECK_STR(cert_subject(evil.cert), "CN=\"dev\\0A\\1B[31m, O=Contoso\"");
}

TEST("a certificate knows what it may be used for")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) server = story_server("a.local", &root);
	CLEAR(made) device = story_device("dev1", &root);
	CLEAR(made) any = story_crooked(
		(struct crooked){ .common_name = "any", .extensions = { "extendedKeyUsage", "anyExtendedKeyUsage" } }, &root);

	CHECK(cert_is_ca(root.cert) && cert_is_self_issued(root.cert));
	CHECK(cert_may_serve(server.cert) && !cert_may_client(server.cert) && !cert_is_ca(server.cert));
	CHECK(cert_may_client(device.cert) && !cert_may_serve(device.cert) && !cert_is_self_issued(device.cert));
	CHECK(cert_may_client(any.cert) && cert_may_serve(any.cert));
	CHECK(cert_matches_key(server.cert, server.key) && !cert_matches_key(server.cert, device.key));
}

static int
parse(const char *text, struct certs *out, struct err *err)
{
	return certs_parse(out, text, strlen(text), CERTS_MAX, err);
}

TEST("atk-08: a bundle is read whole or not at all, and the bad block is named by its line")
{
	CLEAR(made) a = story_root("a");
	CLEAR(made) b = story_root("b");
	struct buf text = BUF_INIT(65536);
	struct certs certs = { 0 };
	struct err err = ERR_INIT;
	size_t good;

	buf_puts(&text, "# roots of the plant\n");
	cert_put_pem(a.cert, &text);
	cert_put_pem(b.cert, &text);
	CHECK_OK(parse(buf_text(&text), &certs, &err), err);
	CHECK_INT(certs.n, 2);
	certs_clear(&certs);
	good = text.len;
	buf_puts(&text, "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n");
	CHECK_INT(parse(buf_text(&text), &certs, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "line ");
	CHECK_INT(certs.n, 0);
	CHECK_INT(certs_parse(&certs, buf_text(&text), good - 30, CERTS_MAX, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "without its END");
	CHECK_INT(certs.n, 0);
	buf_clear(&text);
}

TEST("atk-08: an empty bundle, one of other things, and one beyond its ceiling are failures")
{
	CLEAR(made) a = story_root("a");
	struct buf text = BUF_INIT(65536);
	struct certs certs = { 0 };
	struct err err = ERR_INIT;

	CHECK_INT(parse("", &certs, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "no certificate");
	CHECK_OK(key_to_pem(a.key, &text, &err), err);
	CHECK_INT(parse(buf_text(&text), &certs, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "there is no certificate in it, but a PRIVATE KEY");
	cert_put_pem(a.cert, &text);
	cert_put_pem(a.cert, &text);
	CHECK_INT(certs_parse(&certs, buf_text(&text), text.len, 1, &err), -1);
	CHECK_ERR(err, ERR_LIMIT, "more than 1");
	buf_wipe(&text);
}

static char *
temporary(const char *name, const void *data, size_t len)
{
	char *path = file_join(T_TMPDIR, name);
	struct err err = ERR_INIT;

	CHECK_OK(file_save(path, data, len, 0600, &err), err);
	return path;
}

TEST("atk-08: a DER file is one certificate; a folder, a huge file and a missing one are failures with the path")
{
	CLEAR(made) a = story_root("a");
	struct certs certs = { 0 };
	struct err err = ERR_INIT;
	uint8_t *der = NULL;
	int len = i2d_X509(cert_x509(a.cert), &der);
	OWN_TEXT der_path = temporary("a.cer", der, (size_t)len);
	OWN_TEXT tail_path = temporary("tail.cer", der, (size_t)len - 1);
	OWN_TEXT huge_path = temporary("huge.pem", "", 0);

	CHECK_OK(certs_load(&certs, der_path, CERTS_MAX, &err), err);
	CHECK_INT(certs.n, 1);
	CHECK_STR(cert_subject(certs.item[0]), "CN=a");
	certs_clear(&certs);
	CHECK_INT(certs_load(&certs, tail_path, CERTS_MAX, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "tail.cer");
	CHECK(truncate(huge_path, 50 << 20) == 0);
	CHECK_INT(certs_load(&certs, huge_path, CERTS_MAX, &err), -1);
	CHECK_ERR(err, ERR_LIMIT, "huge.pem");
	CHECK_INT(certs_load(&certs, T_TMPDIR, CERTS_MAX, &err), -1);
	CHECK_CONTAINS(err.text, T_TMPDIR);
	CHECK_INT(certs_load(&certs, "/nonexistent/roots.pem", CERTS_MAX, &err), -1);
	CHECK_INT(err.kind, ERR_MISSING);
	CHECK_INT(certs.n, 0);
	OPENSSL_free(der);
}

TEST("DER is one certificate to the last byte")
{
	CLEAR(made) a = story_root("a");
	struct err err = ERR_INIT;
	uint8_t *der = NULL, *longer;
	int len = i2d_X509(cert_x509(a.cert), &der);

	longer = mem_new((size_t)len + 1);
	memcpy(longer, der, (size_t)len);
	CHECK(!cert_from_der(longer, (size_t)len + 1, &err));
	CHECK(!cert_from_der(der, (size_t)len - 1, &err));
	CHECK(!cert_from_der(der, 0, &err));
	mem_free(longer);
	OPENSSL_free(der);
}

TEST("the dates hold from the first second to the one before the last")
{
	CLEAR(made) a = story_root("a");
	int64_t from = cert_not_before(a.cert), until = cert_not_after(a.cert);
	OWN(verdict) v = verdict_new("test", "", "");

	CHECK(!validity_is_good(a.cert, from - 1) && validity_is_good(a.cert, from));
	CHECK(validity_is_good(a.cert, until - 1) && !validity_is_good(a.cert, until));
	validity_check(v, a.cert, until);
	story_cause(v, CERT_EXPIRED);
}

TEST("a certificate is shown to people and to programs with all that decides about it")
{
	CLEAR(made) root = story_root("my_private_root_CA");
	CLEAR(made) leaf = story_server("edgegateway.local", &root);
	struct buf page = BUF_INIT(8192);
	struct err err = ERR_INIT;
	OWN_TEXT text = cert_json(leaf.cert);
	OWN_LIB(json_t) json = json_parse(text, strlen(text), &err);
	const char *value;

	cert_print(leaf.cert, STORY_NOW, &page, false);
	CHECK_CONTAINS(buf_text(&page), "CN=edgegateway.local\n");
	CHECK_CONTAINS(buf_text(&page), "CN=my_private_root_CA");
	CHECK_CONTAINS(buf_text(&page), "30 days left");
	CHECK_CONTAINS(buf_text(&page), "serverAuth");
	CHECK_CONTAINS(buf_text(&page), "EC P-256");
	CHECK(json);
	CHECK_OK(json_get_text(json, "issuer", &value, &err), err);
	CHECK_STR(value, "CN=my_private_root_CA");
	CHECK_OK(json_get_text(json, "names", &value, &err), err);
	CHECK_STR(value, "DNS:edgegateway.local");
	buf_clear(&page);
}

TEST("a certificate is issued by whose name and key signed it, and by no CA that only has the name")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) imposter = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);

	CHECK(cert_is_issued_by(leaf.cert, root.cert));
	CHECK(!cert_is_issued_by(leaf.cert, imposter.cert));
	CHECK(!cert_is_issued_by(root.cert, leaf.cert));
	CHECK(!cert_is_issued_by(leaf.cert, leaf.cert));
}

TEST("the end of a certificate read alone is the one that it has, before and after 2050, and of half of one there is none")
{
	static const int64_t ends[] = { 1798761600, 2524607999, 2524608000, 253402300799 };

	for (size_t i = 0; i < COUNT(ends); i++) {
		CLEAR(made) leaf = story_make((struct profile){ .kind = ISSUE_DEVICE, .common_name = "dev1", .not_after = ends[i] }, NULL);
		CLEAR(buf) der = BUF_INIT(65536);
		int64_t end = 0;

		cert_put_der(leaf.cert, &der);
		CHECK(cert_read_not_after(der.data, der.len, &end));
		CHECK_INT(end, ends[i]);
		CHECK_INT(end, cert_not_after(leaf.cert));
		for (size_t len = 0; len < 60; len++)
			CHECK(!cert_read_not_after(der.data, len, &end));
		CHECK(!cert_read_not_after(der.data + 4, der.len - 4, &end));
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/story.h"
#include "t_verdict.h"

static struct cert *
issue(struct profile profile, const struct made *issuer, struct err *err)
{
	OWN(key) key = key_generate(KEY_EC_P256, err);
	struct issuer by = { .cert = issuer ? issuer->cert : NULL, .key = issuer ? issuer->key : key };

	if (profile.not_before == 0)
		profile.not_before = STORY_NOW - ISSUE_BACKDATE_S;
	if (profile.not_after == 0)
		profile.not_after = STORY_NOW + STORY_DAY;
	return issue_cert(&profile, key_pkey(key), &by, err);
}

TEST("each kind gets the constraints and usages of its kind")
{
	static const struct {
		enum issue_kind kind;
		bool ca;
		uint32_t usage, extended;
	} cases[] = {
		{ ISSUE_ROOT, true, KU_KEY_CERT_SIGN | KU_CRL_SIGN, UINT32_MAX },
		{ ISSUE_INTERMEDIATE, true, KU_KEY_CERT_SIGN | KU_CRL_SIGN, UINT32_MAX },
		{ ISSUE_EDGE_CA, true, KU_DIGITAL_SIGNATURE | KU_KEY_CERT_SIGN, UINT32_MAX },
		{ ISSUE_SERVER, false, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT, XKU_SSL_SERVER },
		{ ISSUE_DEVICE, false, KU_DIGITAL_SIGNATURE, XKU_SSL_CLIENT },
		{ ISSUE_MODULE_IDENTITY, false, KU_DIGITAL_SIGNATURE, XKU_SSL_CLIENT },
	};
	CLEAR(made) root = story_root("root");

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		OWN(cert) cert = issue((struct profile){ .kind = cases[i].kind, .common_name = "x" }, &root, &err);

		CHECK_INT(cert_is_ca(cert), cases[i].ca);
		CHECK_INT(X509_get_key_usage(cert_x509(cert)), cases[i].usage);
		CHECK_INT(X509_get_extended_key_usage(cert_x509(cert)), cases[i].extended);
		CHECK(X509_get0_subject_key_id(cert_x509(cert)) && X509_get0_authority_key_id(cert_x509(cert)));
		CHECK_INT(X509_get_version(cert_x509(cert)), X509_VERSION_3);
	}
}

TEST("serial numbers are 16 random bytes, positive and never the same")
{
	CLEAR(made) a = story_root("a");
	CLEAR(made) b = story_root("b");
	const ASN1_INTEGER *x = X509_get0_serialNumber(cert_x509(a.cert)), *y = X509_get0_serialNumber(cert_x509(b.cert));

	CHECK_INT(ASN1_STRING_length(x), 16);
	CHECK_INT(ASN1_STRING_length(y), 16);
	CHECK_INT(ASN1_STRING_type(x), V_ASN1_INTEGER);
	CHECK(ASN1_INTEGER_cmp(x, y) != 0);
}

TEST("a certificate never outlives its issuer, and none is issued once the issuer has ended")
{
	CLEAR(made) root = story_root("root");
	struct err err = ERR_INIT;
	OWN(cert) leaf = issue(
		(struct profile){ .kind = ISSUE_DEVICE, .common_name = "dev1", .not_after = STORY_NOW + 9999 * (int64_t)STORY_DAY },
		&root, &err);

	CHECK_INT(cert_not_after(leaf), cert_not_after(root.cert));
	CHECK(!issue((struct profile){ .kind = ISSUE_DEVICE,
			     .common_name = "dev1",
			     .not_before = cert_not_after(root.cert),
			     .not_after = INT32_MAX },
		&root, &err));
	CHECK_ERR(err, ERR_INVALID, "issuer ends too early");
}

TEST("dates of this century and the next are written so that they come back")
{
	struct err err = ERR_INIT;
	OWN(cert) far = issue((struct profile){ .kind = ISSUE_ROOT, .common_name = "far", .not_after = 4102444800 }, NULL, &err);

	CHECK_INT(cert_not_after(far), 4102444800);
}

TEST("names are DNS names, addresses or URIs by how they look, and nothing else is issued")
{
	CLEAR(made) root = story_root("root");
	struct err err = ERR_INIT;
	OWN(cert) good = issue((struct profile){ .kind = ISSUE_SERVER,
				       .common_name = "x",
				       .n_names = 5,
				       .names = { "edgegateway.local", "edge_hub", "10.0.0.1", "fd00::1",
					       "URI:azureiot://hub/devices/d/modules/m" } },
		&root, &err);
	OWN_TEXT names = cert_names(good);
	static const char *const bad[] = { "*.local", "a b", "a..b", ".a", "a.", "-a.local", "a-.local", "", "a\n", "a/b",
		"\xc3\xbc.local", "URI:no scheme", "URI:x",
		"x123456789012345678901234567890123456789012345678901234567890123.local", "10.0.0.1/8", "URI:a:\n" };

	CHECK_STR(names, "DNS:edgegateway.local, DNS:edge_hub, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1, "
			 "URI:azureiot://hub/devices/d/modules/m");
	for (size_t i = 0; i < COUNT(bad); i++)
		if (issue((struct profile){ .kind = ISSUE_SERVER, .common_name = "x", .names = { bad[i] }, .n_names = 1 }, &root,
			    &err))
			fail_msg("'%s' was issued", bad[i]);
	CHECK_INT(err.kind, ERR_INVALID);
}

TEST("a CN has 1 to 64 characters without control characters")
{
	struct err err = ERR_INIT;
	char name[66] = "";

	memset(name, 'n', 64);
	OWN(cert) longest = issue((struct profile){ .kind = ISSUE_ROOT, .common_name = name }, NULL, &err);
	CHECK(longest);
	name[64] = 'n';
	CHECK(!issue((struct profile){ .kind = ISSUE_ROOT, .common_name = name }, NULL, &err));
	CHECK_ERR(err, ERR_INVALID, "1 to 64 characters");
	CHECK(!issue((struct profile){ .kind = ISSUE_ROOT, .common_name = "" }, NULL, &err));
	CHECK(!issue((struct profile){ .kind = ISSUE_ROOT, .common_name = "a\nb" }, NULL, &err));
	CHECK(!issue((struct profile){ .kind = ISSUE_ROOT, .common_name = "a\xff" }, NULL, &err));
}

TEST("atk-06: only a CA with its own key issues, and one of path length 0 no further CA")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) other = story_root("other");
	CLEAR(made) device = story_device("dev1", &root);
	CLEAR(made) edge = story_make((struct profile){ .kind = ISSUE_EDGE_CA, .common_name = "edge" }, &root);
	struct made mixed = { .cert = root.cert, .key = other.key };
	struct err err = ERR_INIT;
	OWN(cert) leaf = NULL;

	CHECK(!issue((struct profile){ .kind = ISSUE_DEVICE, .common_name = "x" }, &device, &err));
	CHECK_ERR(err, ERR_INVALID, "is no CA");
	CHECK(!issue((struct profile){ .kind = ISSUE_DEVICE, .common_name = "x" }, &mixed, &err));
	CHECK_ERR(err, ERR_INVALID, "key does not belong");
	CHECK(!issue((struct profile){ .kind = ISSUE_INTERMEDIATE, .common_name = "x" }, &edge, &err));
	CHECK_ERR(err, ERR_INVALID, "path length is 0");
	leaf = issue((struct profile){ .kind = ISSUE_SERVER, .common_name = "x" }, &edge, &err);
	CHECK(leaf);
}

TEST("atk-06: a CA below one with a path length gets a smaller one, whatever was asked for")
{
	static const int asked[] = { -1, 0, 1, 2, 7 }, given[] = { 1, 0, 1, 1, 1 };
	CLEAR(made) root = story_make((struct profile){ .kind = ISSUE_ROOT, .common_name = "root", .path_len = 2 }, NULL);

	for (size_t i = 0; i < COUNT(asked); i++) {
		struct err err = ERR_INIT;
		OWN(cert) ca = issue(
			(struct profile){ .kind = ISSUE_INTERMEDIATE, .common_name = "x", .path_len = asked[i] }, &root, &err);

		CHECK_INT(X509_get_pathlen(cert_x509(ca)), given[i]);
	}
}

TEST("an issuer without a key id gives leaves without the pointer to it")
{
	CLEAR(made) root = story_crooked(
		(struct crooked){ .common_name = "bare", .extensions = { "basicConstraints", "critical,CA:TRUE" } }, NULL);
	CLEAR(made) leaf = story_device("dev1", &root);
	OWN(verdict) v = story_verdict(&root, NULL, &leaf, (struct chain_query){ .purpose = CHAIN_CLIENT });

	CHECK_INT(X509_get_ext_by_NID(cert_x509(leaf.cert), NID_authority_key_identifier, -1), -1);
	CHECK_ACCEPTED(v);
}

TEST("RSA and Ed25519 CAs issue as well")
{
	static const enum key_alg algs[] = { KEY_RSA_2048, KEY_ED25519, KEY_EC_P384 };

	for (size_t i = 0; i < COUNT(algs); i++) {
		struct err err = ERR_INIT;
		OWN(key) key = key_generate(algs[i], &err);
		struct profile ca = { .kind = ISSUE_ROOT,
			.common_name = "root",
			.path_len = -1,
			.not_before = STORY_NOW - 1,
			.not_after = STORY_NOW + STORY_DAY };
		struct made root = { .cert = issue_cert(&ca, key_pkey(key), &(struct issuer){ .key = key }, &err), .key = key };
		CLEAR(made) leaf = story_device("dev1", &root);
		OWN(verdict) v = story_verdict(&root, NULL, &leaf, (struct chain_query){ .purpose = CHAIN_CLIENT });

		CHECK_ACCEPTED(v);
		cert_free(root.cert);
	}
}

TEST("what is issued as PEM has the key of whom it is for, by each kind of key, and its issuer's signature, or its own")
{
	static const enum key_alg kinds[] = { KEY_EC_P256, KEY_EC_P384, KEY_RSA_2048, KEY_ED25519 };
	CLEAR(made) root = story_root("root");

	for (size_t i = 0; i < 2 * COUNT(kinds); i++) {
		struct err err = ERR_INIT;
		OWN(key) key = key_generate(kinds[i / 2], &err);
		struct issuer by = { .cert = i % 2 ? root.cert : NULL, .key = i % 2 ? root.key : key };
		struct profile profile = { .kind = ISSUE_DEVICE,
			.common_name = "dev1",
			.path_len = -1,
			.not_before = STORY_NOW,
			.not_after = STORY_NOW + STORY_DAY };
		CLEAR(buf) pem = BUF_INIT(65536);
		CLEAR(certs) certs = { 0 };

		CHECK_OK(issue_pem(&profile, key_pkey(key), &by, &pem, &err), err);
		CHECK_OK(certs_parse(&certs, buf_text(&pem), pem.len, 1, &err), err);
		CHECK(cert_matches_key(certs.item[0], key));
		CHECK_INT(X509_verify(cert_x509(certs.item[0]), key_pkey(by.key)), 1);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/bounds.h"
#include "pki/story.h"
#include "t_verdict.h"

/* A request: names are pairs of a field and its text, which with "+" before it is of the same RDN as the one before; extensions are pairs, too, and stand in attributes of these kinds. */
struct wish {
	const char *names[6], *extensions[8];
	int attributes[3];
};

static void
put_extensions(X509_REQ *req, const struct wish *w)
{
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, NULL, NULL, req, NULL, 0);
	for (size_t i = 0; i < COUNT(w->extensions) && w->extensions[i]; i += 2) {
		X509_EXTENSION *extension = X509V3_EXT_conf(NULL, &ctx, w->extensions[i], w->extensions[i + 1]);

		if (!extension)
			fail_msg("%s=%s", w->extensions[i], w->extensions[i + 1]);
		sk_X509_EXTENSION_push(list, extension);
	}
	for (size_t i = 0; i < COUNT(w->attributes) && w->attributes[i] != NID_undef; i++)
		CHECK(X509_REQ_add_extensions_nid(req, list, w->attributes[i]) == 1);
	if (w->attributes[0] == NID_undef && w->extensions[0])
		CHECK(X509_REQ_add_extensions(req, list) == 1);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

static struct csr *
csr_of_wish(const struct wish *w)
{
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	X509_REQ *req = X509_REQ_new();
	X509_NAME *name = X509_REQ_get_subject_name(req);
	uint8_t *der = NULL;
	struct csr *csr;
	int len;

	for (size_t i = 0; i < COUNT(w->names) && w->names[i]; i += 2) {
		bool joins = w->names[i + 1][0] == '+';

		CHECK(X509_NAME_add_entry_by_txt(name, w->names[i], MBSTRING_UTF8, (const uint8_t *)w->names[i + 1] + joins, -1, -1,
			      joins ? -1 : 0) == 1);
	}
	put_extensions(req, w);
	CHECK(X509_REQ_set_pubkey(req, key_pkey(key)) == 1 && X509_REQ_sign(req, key_pkey(key), EVP_sha256()) > 0);
	len = i2d_X509_REQ(req, &der);
	csr = csr_from_der(der, (size_t)len, &err);
	if (!csr)
		fail_msg("%s", err.text);
	OPENSSL_free(der);
	X509_REQ_free(req);
	return csr;
}

static void
check_wish(struct wish w, enum issue_kind kind, enum reason wanted)
{
	OWN(csr) csr = csr_of_wish(&w);
	OWN(verdict) v = verdict_new("est", "May this go on?", "dev1");

	bounds_judge_request(v, csr, kind);
	CHECK_INT(verdict_cause(v), wanted);
}

TEST("a request with one CN, and with what is judged elsewhere, is within bounds")
{
	check_wish((struct wish){ .names = { "CN", "dev1" } }, ISSUE_DEVICE, OK);
	check_wish((struct wish){ .names = { "CN", "dev1" },
			   .extensions = { "subjectAltName", "DNS:dev1", "keyUsage", "digitalSignature", "basicConstraints",
				   "CA:FALSE", "extendedKeyUsage", "clientAuth" } },
		ISSUE_DEVICE, OK);
	check_wish((struct wish){ .names = { "CN", "gw" }, .extensions = { "extendedKeyUsage", "serverAuth" } }, ISSUE_SERVER, OK);
	check_wish((struct wish){ .names = { "CN", "gw" }, .extensions = { "extendedKeyUsage", "serverAuth,clientAuth" } },
		ISSUE_EDGE_CA, OK);
}

TEST("a subject with anything beside its CN is too much, in an RDN of its own and in the same one, before it and behind it")
{
	static const char *const subjects[][4] = { { "O", "system:masters", "CN", "dev1" }, { "CN", "dev1", "O", "system:masters" },
		{ "CN", "dev1", "O", "+system:masters" }, { "CN", "dev1", "CN", "dev1" }, { "O", "dev1" }, { NULL } };

	for (size_t i = 0; i < COUNT(subjects); i++)
		check_wish((struct wish){ .names = { subjects[i][0], subjects[i][1], subjects[i][2], subjects[i][3] } },
			ISSUE_DEVICE, CSR_ASKS_MORE);
}

TEST("other uses than the kind's are too much, and so are extensions that nobody judges, and one that is there twice")
{
	static const char *const wishes[][4] = { { "extendedKeyUsage", "serverAuth" },
		{ "extendedKeyUsage", "clientAuth,serverAuth" }, { "extendedKeyUsage", "anyExtendedKeyUsage" },
		{ "extendedKeyUsage", "OCSPSigning" }, { "extendedKeyUsage", "clientAuth,1.2.3.4" },
		{ "extendedKeyUsage", "DER:0500" }, { "1.2.3.4", "DER:0500" }, { "certificatePolicies", "DER:3006300406022A03" },
		{ "nameConstraints", "permitted;DNS:x" }, { "keyUsage", "digitalSignature", "keyUsage", "digitalSignature" } };

	for (size_t i = 0; i < COUNT(wishes); i++)
		check_wish((struct wish){ .names = { "CN", "dev1" },
				   .extensions = { wishes[i][0], wishes[i][1], wishes[i][2], wishes[i][3] } },
			ISSUE_DEVICE, CSR_ASKS_MORE);
	check_wish((struct wish){ .names = { "CN", "gw" }, .extensions = { "extendedKeyUsage", "OCSPSigning" } }, ISSUE_EDGE_CA,
		CSR_ASKS_MORE);
}

TEST("extensions in a second attribute, or in Microsoft's, are too much: another reader may take those")
{
	static const int attributes[][3] = { { NID_ms_ext_req }, { NID_ext_req, NID_ms_ext_req }, { NID_ms_ext_req, NID_ext_req } };

	for (size_t i = 0; i < COUNT(attributes); i++)
		check_wish((struct wish){ .names = { "CN", "dev1" },
				   .extensions = { "keyUsage", "digitalSignature" },
				   .attributes = { attributes[i][0], attributes[i][1], attributes[i][2] } },
			ISSUE_DEVICE, CSR_ASKS_MORE);
	check_wish((struct wish){ .names = { "CN", "dev1" },
			   .extensions = { "keyUsage", "digitalSignature" },
			   .attributes = { NID_ext_req } },
		ISSUE_DEVICE, OK);
}

static void
check_cert(const struct made *made, enum issue_kind kind, enum reason wanted)
{
	OWN(verdict) v = verdict_new("est", "Is this what was asked for?", "dev1");

	bounds_judge_cert(v, made->cert, kind);
	CHECK_INT(verdict_cause(v), wanted);
}

TEST("a certificate of the kind that was asked for is within bounds, one of another kind is not, nor is a leaf for every use")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("ca", &root);
	CLEAR(made) device = story_device("dev1", &root);
	CLEAR(made) server = story_server("gw", &root);
	CLEAR(made) any = story_crooked((struct crooked){ .common_name = "dev1" }, &root);

	check_cert(&device, ISSUE_DEVICE, OK);
	check_cert(&server, ISSUE_SERVER, OK);
	check_cert(&ca, ISSUE_EDGE_CA, OK);
	check_cert(&server, ISSUE_DEVICE, CERT_MORE_USES);
	check_cert(&device, ISSUE_SERVER, CERT_MORE_USES);
	check_cert(&any, ISSUE_DEVICE, CERT_MORE_USES);
}

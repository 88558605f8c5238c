/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/pem.h>

#include "pki/story.h"
#include "t_verdict.h"

#define CA_EXTENSIONS "basicConstraints", "critical,CA:TRUE", "keyUsage", "critical,keyCertSign"

TEST("a server under an intermediate is trusted by who has the root, and the chain is told leaf first")
{
	CLEAR(made) root = story_root("my_private_root_CA");
	CLEAR(made) ca = story_intermediate("my_optional_intermediate_CA", &root);
	CLEAR(made) leaf = story_server("edgegateway.local", &ca);
	OWN(verdict) v =
		story_verdict(&root, &ca, &leaf, (struct chain_query){ .purpose = CHAIN_SERVER, .host = "edgegateway.local" });

	CHECK_ACCEPTED(v);
	CHECK_INT(v->n_chain, 3);
	CHECK_CONTAINS(v->chain[0], "CN=edgegateway.local");
	CHECK_CONTAINS(v->chain[1], "CN=my_optional_intermediate_CA");
	CHECK_CONTAINS(v->chain[2], "CN=my_private_root_CA");
}

TEST("an unknown root is refused, naming the issuer that was looked for")
{
	CLEAR(made) root = story_root("root-a");
	CLEAR(made) other = story_root("root-b");
	CLEAR(made) leaf = story_server("edgegateway.local", &root);
	OWN(verdict) v = story_verdict(&other, NULL, &leaf, (struct chain_query){ .purpose = CHAIN_SERVER });

	story_cause(v, TRUST_UNKNOWN_ISSUER);
	CHECK_CONTAINS(verdict_first_failure(v)->wanted, "CN=root-a");
}

TEST("a missing intermediate is refused, naming it")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("forgotten", &root);
	CLEAR(made) leaf = story_server("edgegateway.local", &ca);
	OWN(verdict) v = story_verdict(&root, NULL, &leaf, (struct chain_query){ .purpose = CHAIN_SERVER });

	story_cause(v, TRUST_UNKNOWN_ISSUER);
	CHECK_CONTAINS(verdict_first_failure(v)->wanted, "CN=forgotten");
	CHECK_STR(verdict_first_failure(v)->found, "the server does not send it, and it is not in the trusted certificates");
	CHECK_INT(v->n_chain, 2);
	CHECK_STR(v->chain[1], "CN=forgotten  (missing)");
}

TEST("a root of the same name with another key is told as that, not as missing")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) again = story_root("root");
	CLEAR(made) ca = story_intermediate("ca", &root);
	CLEAR(made) leaf = story_server("edgegateway.local", &ca);
	OWN(verdict) v =
		story_verdict(&again, &ca, &leaf, (struct chain_query){ .purpose = CHAIN_SERVER, .anchors_name = "roots.pem" });

	story_cause(v, TRUST_UNKNOWN_ISSUER);
	CHECK_STR(verdict_first_failure(v)->subject, "CN=ca");
	CHECK_STR(verdict_first_failure(v)->found, "roots.pem has one of that name, with another key");
}

TEST("the root that the peer sends along makes nothing trusted")
{
	CLEAR(made) root = story_root("root-a");
	CLEAR(made) mine = story_root("root-b");
	CLEAR(made) leaf = story_server("edgegateway.local", &root);
	OWN(verdict) v = story_verdict(&mine, &root, &leaf, (struct chain_query){ .purpose = CHAIN_SERVER });

	story_cause(v, TRUST_UNKNOWN_ISSUER);
	CHECK_STR(verdict_first_failure(v)->found, "the server sends it, but it is not there");
}

TEST("a certificate that signed itself is refused as that")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) alone = story_server("edgegateway.local", NULL);
	OWN(verdict) v = story_verdict(&root, NULL, &alone, (struct chain_query){ .purpose = CHAIN_SERVER });

	story_cause(v, TRUST_SELF_SIGNED);
}

TEST("a self-signed server certificate is trusted by who has it as a root")
{
	CLEAR(made) alone = story_server("edgegateway.local", NULL);
	OWN(verdict) v =
		story_verdict(&alone, NULL, &alone, (struct chain_query){ .purpose = CHAIN_SERVER, .host = "edgegateway.local" });

	CHECK_ACCEPTED(v);
}

TEST("all that is wrong is told, the cause first: unknown root, expired, wrong name")
{
	CLEAR(made) root = story_root("root-a");
	CLEAR(made) other = story_root("root-b");
	CLEAR(made) leaf = story_server("edgegateway.local", &root);
	OWN(verdict) v = story_verdict(&other, NULL, &leaf,
		(struct chain_query){ .purpose = CHAIN_SERVER, .host = "wrong.local", .now = STORY_NOW + 31 * STORY_DAY });

	story_cause(v, TRUST_UNKNOWN_ISSUER);
	story_reason(v, CERT_EXPIRED, "CN=edgegateway.local");
	story_reason(v, NAME_MISMATCH, "CN=edgegateway.local");
}

TEST("two roots of the same name: the signature decides")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) imposter = story_root("root");
	CLEAR(made) leaf = story_server("edgegateway.local", &imposter);
	OWN(verdict) v = story_verdict(&root, NULL, &leaf, (struct chain_query){ .purpose = CHAIN_SERVER });

	CHECK(!verdict_accepted(v));
}

TEST("a leaf of the old root is refused once that root has left the bundle, and accepted while both are in it")
{
	CLEAR(made) old_root = story_root("root-2024");
	CLEAR(made) new_root = story_root("root-2025");
	CLEAR(made) leaf = story_server("edgegateway.local", &old_root);
	OWN(anchors) both = story_anchors(&new_root, &old_root);
	OWN(verdict) during = verdict_new("test", "", "");
	OWN(verdict) after = story_verdict(&new_root, NULL, &leaf, (struct chain_query){ .purpose = CHAIN_SERVER });

	chain_verify(during, both, &(struct chain_query){ .leaf = leaf.cert, .purpose = CHAIN_SERVER, .now = STORY_NOW });
	CHECK_ACCEPTED(during);
	story_reason(after, TRUST_UNKNOWN_ISSUER, "CN=edgegateway.local");
}

TEST("atk-01: every certificate of the chain must be within its dates, whichever it is")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) short_ca = story_make(
		(struct profile){
			.kind = ISSUE_INTERMEDIATE, .common_name = "short", .path_len = 0, .not_after = STORY_NOW + STORY_DAY },
		&root);
	CLEAR(made) leaf = story_crooked((struct crooked){ .common_name = "dev1" }, &short_ca);
	OWN(verdict) now = story_verdict(&root, &short_ca, &leaf, (struct chain_query){ .purpose = CHAIN_CLIENT });
	OWN(verdict) later = story_verdict(
		&root, &short_ca, &leaf, (struct chain_query){ .purpose = CHAIN_CLIENT, .now = STORY_NOW + 2 * STORY_DAY });
	OWN(verdict) early = story_verdict(
		&root, &short_ca, &leaf, (struct chain_query){ .purpose = CHAIN_CLIENT, .now = STORY_NOW - 2 * STORY_DAY });

	CHECK_ACCEPTED(now);
	story_cause(later, CERT_EXPIRED);
	story_reason(later, CERT_EXPIRED, "CN=short");
	story_reason(early, CERT_NOT_YET_VALID, "CN=root");
	story_reason(early, CERT_NOT_YET_VALID, "CN=dev1");
}

TEST("atk-05: a server certificate is refused as a client's, and a client's as a server's")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) server = story_server("dev1", &root);
	CLEAR(made) device = story_device("dev1", &root);
	CLEAR(made) module = story_make((struct profile){ .kind = ISSUE_MODULE_IDENTITY, .common_name = "$edgeHub" }, &root);
	OWN(verdict) as_client = story_verdict(&root, NULL, &server, (struct chain_query){ .purpose = CHAIN_CLIENT });
	OWN(verdict) as_server = story_verdict(&root, NULL, &device, (struct chain_query){ .purpose = CHAIN_SERVER });
	OWN(verdict) module_as_server = story_verdict(&root, NULL, &module, (struct chain_query){ .purpose = CHAIN_SERVER });

	story_cause(as_client, CERT_NO_CLIENT_AUTH);
	story_cause(as_server, CERT_NO_SERVER_AUTH);
	story_cause(module_as_server, CERT_NO_SERVER_AUTH);
}

TEST("atk-05: a certificate without extendedKeyUsage serves both, as Azure takes it")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) plain = story_crooked((struct crooked){ .common_name = "dev1" }, &root);
	OWN(verdict) client = story_verdict(&root, NULL, &plain, (struct chain_query){ .purpose = CHAIN_CLIENT });
	OWN(verdict) server = story_verdict(&root, NULL, &plain, (struct chain_query){ .purpose = CHAIN_SERVER });

	CHECK_ACCEPTED(client);
	CHECK_ACCEPTED(server);
}

TEST("atk-06: a device certificate issues nothing, whatever its key signs")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) device = story_device("dev1", &root);
	CLEAR(made) forged = story_crooked(
		(struct crooked){ .common_name = "dev2", .extensions = { "extendedKeyUsage", "clientAuth" } }, &device);
	OWN(verdict) v = story_verdict(&root, &device, &forged, (struct chain_query){ .purpose = CHAIN_CLIENT });

	story_reason(v, CERT_NOT_CA, "CN=dev1");
}

TEST("atk-06: below a CA with path length 0 no other CA counts")
{
	CLEAR(made) root = story_make((struct profile){ .kind = ISSUE_ROOT, .common_name = "root", .path_len = 0 }, NULL);
	CLEAR(made) ca = story_crooked((struct crooked){ .common_name = "below", .extensions = { CA_EXTENSIONS } }, &root);
	CLEAR(made) leaf = story_device("dev1", &ca);
	OWN(verdict) v = story_verdict(&root, &ca, &leaf, (struct chain_query){ .purpose = CHAIN_CLIENT });

	story_reason(v, CERT_PATH_TOO_LONG, "CN=root");
}

TEST("atk-06: a version 1 certificate is no CA, neither between nor as root")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) v1 = story_crooked((struct crooked){ .common_name = "old", .version = 1 }, &root);
	CLEAR(made) v1_root = story_crooked((struct crooked){ .common_name = "old-root", .version = 1 }, NULL);
	CLEAR(made) below_v1 = story_crooked((struct crooked){ .common_name = "dev1" }, &v1);
	CLEAR(made) below_root = story_crooked((struct crooked){ .common_name = "dev2" }, &v1_root);
	OWN(verdict) between = story_verdict(&root, &v1, &below_v1, (struct chain_query){ .purpose = CHAIN_CLIENT });
	OWN(verdict) at_root = story_verdict(&v1_root, NULL, &below_root, (struct chain_query){ .purpose = CHAIN_CLIENT });

	story_reason(between, CERT_NOT_CA, "CN=old");
	story_reason(at_root, CERT_NOT_CA, "CN=old-root");
}

TEST("atk-06: a CA whose keyUsage lacks keyCertSign issues nothing; one without keyUsage does")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) no_sign =
		story_crooked((struct crooked){ .common_name = "nosign",
				      .extensions = { "basicConstraints", "critical,CA:TRUE", "keyUsage", "digitalSignature" } },
			&root);
	CLEAR(made) plain_root = story_crooked(
		(struct crooked){ .common_name = "plain-root", .extensions = { "basicConstraints", "CA:TRUE" } }, NULL);
	CLEAR(made) below = story_crooked((struct crooked){ .common_name = "dev1" }, &no_sign);
	CLEAR(made) fine = story_crooked((struct crooked){ .common_name = "dev2" }, &plain_root);
	OWN(verdict) refused = story_verdict(&root, &no_sign, &below, (struct chain_query){ .purpose = CHAIN_CLIENT });
	OWN(verdict) accepted = story_verdict(&plain_root, NULL, &fine, (struct chain_query){ .purpose = CHAIN_CLIENT });

	story_reason(refused, CERT_NOT_CA, "CN=nosign");
	CHECK_ACCEPTED(accepted);
}

TEST("atk-06: a device that shows a CA certificate is refused where its CA decides, for its key could issue too")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_make((struct profile){ .kind = ISSUE_EDGE_CA, .common_name = "dev1" }, &root);
	OWN(verdict) by_ca =
		story_verdict(&root, NULL, &ca, (struct chain_query){ .purpose = CHAIN_CLIENT, .refuse_ca_leaf = true });
	OWN(verdict) otherwise = story_verdict(&root, NULL, &ca, (struct chain_query){ .purpose = CHAIN_CLIENT });

	story_reason(by_ca, CERT_LEAF_IS_CA, "CN=dev1");
	CHECK_ACCEPTED(otherwise);
}

TEST("atk-07: an intermediate may be the anchor when the caller says so, and then only its own certificates pass")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) group_a = story_intermediate("group-a", &root);
	CLEAR(made) group_b = story_intermediate("group-b", &root);
	CLEAR(made) device_a = story_device("dev-a", &group_a);
	CLEAR(made) device_b = story_device("dev-b", &group_b);
	OWN(verdict) own =
		story_verdict(&group_a, NULL, &device_a, (struct chain_query){ .purpose = CHAIN_CLIENT, .partial = true });
	OWN(verdict) strict = story_verdict(&group_a, NULL, &device_a, (struct chain_query){ .purpose = CHAIN_CLIENT });
	OWN(verdict) foreign =
		story_verdict(&group_a, &group_b, &device_b, (struct chain_query){ .purpose = CHAIN_CLIENT, .partial = true });

	CHECK_ACCEPTED(own);
	story_cause(strict, TRUST_UNKNOWN_ISSUER);
	story_cause(foreign, TRUST_UNKNOWN_ISSUER);
}

TEST("atk-07: a leaf among the anchors anchors nothing, itself included; an expired anchor neither")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) device = story_device("dev1", &root);
	CLEAR(made) short_ca = story_make(
		(struct profile){ .kind = ISSUE_INTERMEDIATE, .common_name = "short", .path_len = -1, .not_after = STORY_NOW - 1 },
		&root);
	CLEAR(made) below = story_crooked((struct crooked){ .common_name = "dev2" }, &short_ca);
	CLEAR(made) forged = story_crooked((struct crooked){ .common_name = "dev3" }, &device);
	OWN(verdict) itself =
		story_verdict(&device, NULL, &device, (struct chain_query){ .purpose = CHAIN_CLIENT, .partial = true });
	OWN(verdict) under_leaf =
		story_verdict(&device, NULL, &forged, (struct chain_query){ .purpose = CHAIN_CLIENT, .partial = true });
	OWN(verdict) under_expired =
		story_verdict(&short_ca, NULL, &below, (struct chain_query){ .purpose = CHAIN_CLIENT, .partial = true });

	story_reason(itself, CERT_NOT_CA, "CN=dev1");
	story_reason(under_leaf, CERT_NOT_CA, "CN=dev1");
	story_reason(under_expired, CERT_EXPIRED, "CN=short");
}

TEST("keys that are too weak, or of kinds that nobody needs, are refused wherever they stand")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) rsa1024 = story_crooked((struct crooked){ .common_name = "rsa1024", .weak_key = EVP_RSA_gen(1024) }, &root);
	CLEAR(made) odd_curve =
		story_crooked((struct crooked){ .common_name = "brainpool", .weak_key = EVP_EC_gen("brainpoolP256r1") }, &root);
	CLEAR(made) ed = story_crooked((struct crooked){ .common_name = "ed", .alg = KEY_ED25519 }, &root);
	OWN(verdict) weak = story_verdict(&root, NULL, &rsa1024, (struct chain_query){ .purpose = CHAIN_CLIENT });
	OWN(verdict) odd = story_verdict(&root, NULL, &odd_curve, (struct chain_query){ .purpose = CHAIN_CLIENT });
	OWN(verdict) good = story_verdict(&root, NULL, &ed, (struct chain_query){ .purpose = CHAIN_CLIENT });

	story_reason(weak, CERT_WEAK_KEY, "CN=rsa1024");
	story_reason(odd, CERT_WEAK_KEY, "CN=brainpool");
	CHECK_ACCEPTED(good);
}

TEST("a signature with SHA-1 is refused")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_crooked((struct crooked){ .common_name = "dev1", .digest = EVP_sha1() }, &root);
	OWN(verdict) v = story_verdict(&root, NULL, &leaf, (struct chain_query){ .purpose = CHAIN_CLIENT });

	story_reason(v, CERT_WEAK_SIGNATURE, "CN=dev1");
}

TEST("a wildcard name is refused below a CA that excludes names, because it would cover them")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca =
		story_crooked((struct crooked){ .common_name = "ca",
				      .extensions = { CA_EXTENSIONS, "nameConstraints", "critical,excluded;DNS:bar.example.com" } },
			&root);
	CLEAR(made) wild =
		story_crooked((struct crooked){ .common_name = "w", .extensions = { "subjectAltName", "DNS:*.example.com" } }, &ca);
	CLEAR(made) full = story_crooked(
		(struct crooked){ .common_name = "f", .extensions = { "subjectAltName", "DNS:foo.example.com" } }, &ca);
	CLEAR(made) excluded = story_crooked(
		(struct crooked){ .common_name = "x", .extensions = { "subjectAltName", "DNS:bar.example.com" } }, &ca);
	OWN(verdict) v_wild =
		story_verdict(&root, &ca, &wild, (struct chain_query){ .purpose = CHAIN_SERVER, .host = "bar.example.com" });
	OWN(verdict) v_full =
		story_verdict(&root, &ca, &full, (struct chain_query){ .purpose = CHAIN_SERVER, .host = "foo.example.com" });
	OWN(verdict) v_excluded =
		story_verdict(&root, &ca, &excluded, (struct chain_query){ .purpose = CHAIN_SERVER, .host = "bar.example.com" });

	story_cause(v_wild, NAME_WILDCARD);
	CHECK_ACCEPTED(v_full);
	story_cause(v_excluded, CERT_NAME_CONSTRAINT);
}

TEST("a wildcard name within the permitted names is accepted, one around them is not")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_crooked(
		(struct crooked){ .common_name = "ca",
			.extensions = { CA_EXTENSIONS, "nameConstraints", "critical,permitted;DNS:plant.example.com" } },
		&root);
	CLEAR(made) within = story_crooked(
		(struct crooked){ .common_name = "w", .extensions = { "subjectAltName", "DNS:*.plant.example.com" } }, &ca);
	CLEAR(made) around =
		story_crooked((struct crooked){ .common_name = "a", .extensions = { "subjectAltName", "DNS:*.example.com" } }, &ca);
	OWN(verdict) v_within =
		story_verdict(&root, &ca, &within, (struct chain_query){ .purpose = CHAIN_SERVER, .host = "gw.plant.example.com" });
	OWN(verdict) v_around =
		story_verdict(&root, &ca, &around, (struct chain_query){ .purpose = CHAIN_SERVER, .host = "plant.example.com" });

	CHECK_ACCEPTED(v_within);
	story_cause(v_around, CERT_NAME_CONSTRAINT);
}

TEST("a leaf with a DNS name that begins with a dot is refused, whatever name was asked for")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) dot = story_crooked(
		(struct crooked){ .common_name = "d", .extensions = { "subjectAltName", "DNS:foo.example.com,DNS:.example.com" } },
		&root);
	OWN(verdict) v =
		story_verdict(&root, NULL, &dot, (struct chain_query){ .purpose = CHAIN_SERVER, .host = "foo.example.com" });

	story_cause(v, CERT_INVALID);
}

TEST("an unknown critical extension is refused")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf =
		story_crooked((struct crooked){ .common_name = "dev1", .extensions = { "1.2.3.4.5", "critical,DER:0500" } }, &root);
	OWN(verdict) v = story_verdict(&root, NULL, &leaf, (struct chain_query){ .purpose = CHAIN_CLIENT });

	story_reason(v, CERT_CRITICAL_EXTENSION, "CN=dev1");
}

TEST("the number of intermediates has a limit, which may be none")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("ca", &root);
	CLEAR(made) leaf = story_device("dev1", &ca);
	CLEAR(made) direct = story_device("dev2", &root);
	OWN(verdict) one = story_verdict(&root, &ca, &leaf, (struct chain_query){ .purpose = CHAIN_CLIENT, .max_depth = 1 });
	OWN(verdict) too_many = story_verdict(
		&root, &ca, &leaf, (struct chain_query){ .purpose = CHAIN_CLIENT, .max_depth = CHAIN_NO_INTERMEDIATES });
	OWN(verdict) none = story_verdict(
		&root, NULL, &direct, (struct chain_query){ .purpose = CHAIN_CLIENT, .max_depth = CHAIN_NO_INTERMEDIATES });

	CHECK_ACCEPTED(one);
	CHECK(!verdict_accepted(too_many));
	CHECK_ACCEPTED(none);
}

TEST("a leaf that may not sign is refused where signing is asked for")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf =
		story_crooked((struct crooked){ .common_name = "dev1", .extensions = { "keyUsage", "keyAgreement" } }, &root);
	OWN(verdict) v = story_verdict(&root, NULL, &leaf, (struct chain_query){ .purpose = CHAIN_ANY, .must_sign = true });

	story_reason(v, CERT_KEY_USAGE, "CN=dev1");
}

static char *
crl_pem(const struct made *ca, const struct made *revoked)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(cert_x509(ca->cert)));
	X509_CRL_set1_lastUpdate(crl, ASN1_TIME_set(t, STORY_NOW - STORY_DAY));
	X509_CRL_set1_nextUpdate(crl, ASN1_TIME_set(t, STORY_NOW + STORY_DAY));
	if (revoked) {
		X509_REVOKED *entry = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(cert_x509(revoked->cert)));
		X509_REVOKED_set_revocationDate(entry, ASN1_TIME_set(t, STORY_NOW - STORY_DAY));
		X509_CRL_add0_revoked(crl, entry);
	}
	CHECK(X509_CRL_sign(crl, key_pkey(ca->key), EVP_sha256()) > 0);
	PEM_write_bio_X509_CRL(bio, crl);
	len = BIO_get_mem_data(bio, &data);
	text = mem_textn(data, (size_t)len);
	BIO_free(bio);
	ASN1_TIME_free(t);
	X509_CRL_free(crl);
	return text;
}

TEST("with revocation lists a revoked certificate is refused, and so is one whose issuer's list is missing or too old")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) good = story_device("good", &root);
	CLEAR(made) revoked = story_device("revoked", &root);
	OWN(anchors) anchors = story_anchors(&root, NULL);
	OWN_TEXT crl = crl_pem(&root, &revoked);
	OWN(verdict) v_good = verdict_new("test", "", "");
	OWN(verdict) v_revoked = verdict_new("test", "", "");
	OWN(verdict) v_late = verdict_new("test", "", "");
	struct err err = ERR_INIT;

	CHECK_OK(anchors_add_crls(anchors, crl, strlen(crl), &err), err);
	chain_verify(v_good, anchors, &(struct chain_query){ .leaf = good.cert, .purpose = CHAIN_CLIENT, .now = STORY_NOW });
	chain_verify(v_revoked, anchors, &(struct chain_query){ .leaf = revoked.cert, .purpose = CHAIN_CLIENT, .now = STORY_NOW });
	chain_verify(v_late, anchors,
		&(struct chain_query){ .leaf = good.cert, .purpose = CHAIN_CLIENT, .now = STORY_NOW + 2 * STORY_DAY });
	CHECK_ACCEPTED(v_good);
	story_reason(v_revoked, CERT_REVOKED, "CN=revoked");
	story_reason(v_late, CERT_CRL_MISSING, "CN=good");
}

TEST("a broken revocation list is a failure that names its line")
{
	static const char text[] = "\n-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
	CLEAR(made) root = story_root("root");
	OWN(anchors) anchors = story_anchors(&root, NULL);
	struct err err = ERR_INIT;

	CHECK_INT(anchors_add_crls(anchors, text, strlen(text), &err), -1);
	CHECK_ERR(err, ERR_INVALID, "line 2");
	CHECK_INT(anchors_add_crls(anchors, "", 0, &err), -1);
}

TEST("no anchors at all is no trust at all")
{
	CLEAR(made) root = story_root("root");
	struct certs none = { 0 };
	struct err err = ERR_INIT;
	OWN(anchors) anchors = anchors_new(&none, &err);
	OWN(verdict) v = verdict_new("test", "", "");

	chain_verify(v, anchors, &(struct chain_query){ .leaf = root.cert, .purpose = CHAIN_ANY, .now = STORY_NOW });
	story_cause(v, TRUST_SELF_SIGNED);
}

TEST("a check that failed before stays the cause, and the chain is judged all the same")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	OWN(anchors) anchors = story_anchors(&root, NULL);
	OWN(verdict) v = verdict_new("test", "", "");

	verdict_fail(v, DEVICE_UNKNOWN, "device", "dev1", "", "");
	chain_verify(v, anchors, &(struct chain_query){ .leaf = leaf.cert, .purpose = CHAIN_CLIENT, .now = STORY_NOW });
	story_cause(v, DEVICE_UNKNOWN);
	CHECK_INT(v->n_chain, 2);
	CHECK(v->n_checks > 1 && v->checks[1].passed);
}

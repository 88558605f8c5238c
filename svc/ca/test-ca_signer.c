/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "ca/csr_story.h"

static void
save(const char *path, const struct certs *certs)
{
	CLEAR(buf) pem = BUF_INIT(65536);
	struct err err = ERR_INIT;

	certs_put_pem(certs, &pem);
	CHECK_OK(file_save(path, pem.data, pem.len, 0644, &err), err);
}

static struct ca_signer *
load(const struct made *const *made, size_t n, const struct key *key, struct err *err)
{
	OWN_TEXT cert_path = story_path("ca.pem");
	OWN_TEXT key_path = story_path("ca.key");
	struct certs chain = { 0 };

	for (size_t i = 0; i < n; i++)
		certs_add(&chain, made[i]->cert);
	save(cert_path, &chain);
	certs_clear(&chain);
	CHECK_OK(key_save(key, key_path, err), *err);
	return ca_signer_load(cert_path, key_path, NULL, err);
}

TEST("a CA that is made is a P-384 root for ten years, its key is its owner's alone, and the next start takes the same")
{
	struct err err = ERR_INIT;
	OWN_TEXT cert = story_path("made.pem");
	OWN_TEXT key = story_path("made.key");
	uint8_t first[DIGEST_SHA256_LEN];
	struct stat st;

	for (int i = 0; i < 2; i++) {
		OWN(ca_signer) s = NULL;
		const struct cert *ca;

		CHECK_OK(ca_signer_make(cert, key, "plant CA", STORY_NOW + i * STORY_DAY, &err), err);
		s = ca_signer_load(cert, key, NULL, &err);
		CHECK(s);
		ca = ca_signer_chain(s)->item[0];
		if (i == 0)
			memcpy(first, cert_sha256(ca), sizeof(first));
		CHECK_MEM(cert_sha256(ca), first, sizeof(first));
		CHECK(cert_is_ca(ca));
		CHECK_STR(cert_subject(ca), "CN=plant CA");
		CHECK_INT(ca_signer_ends(s), STORY_NOW + 3650 * (int64_t)STORY_DAY);
		CHECK(X509_get_signature_nid(cert_x509(ca)) == NID_ecdsa_with_SHA384);
	}
	CHECK(stat(key, &st) == 0);
	CHECK_INT(st.st_mode & 0777, 0600);
}

TEST("a kill between the key and the certificate of a new CA leaves the key to be used")
{
	struct err err = ERR_INIT;
	OWN_TEXT cert = story_path("half.pem");
	OWN_TEXT key = story_path("half.key");
	OWN(key) before = key_generate(KEY_EC_P384, &err);
	OWN(ca_signer) s = NULL;

	CHECK_OK(key_save(before, key, &err), err);
	CHECK_OK(ca_signer_make(cert, key, "plant CA", STORY_NOW, &err), err);
	s = ca_signer_load(cert, key, NULL, &err);
	CHECK(s && cert_matches_key(ca_signer_chain(s)->item[0], before));
}

TEST("a chain is valid as long as all of it is")
{
	struct err err = ERR_INIT;
	CLEAR(made) root = story_make((struct profile){ .kind = ISSUE_ROOT,
					      .common_name = "root",
					      .path_len = -1,
					      .not_before = STORY_NOW - 9,
					      .not_after = STORY_NOW + STORY_DAY },
		NULL);
	CLEAR(made) ca = story_make(
		(struct profile){ .kind = ISSUE_INTERMEDIATE, .common_name = "ca", .not_before = STORY_NOW - STORY_DAY }, &root);
	const struct made *chain[] = { &ca, &root };
	OWN(ca_signer) s = load(chain, 2, ca.key, &err);

	CHECK(s);
	CHECK_INT(ca_signer_begins(s), STORY_NOW - 9);
	CHECK_INT(ca_signer_ends(s), STORY_NOW + STORY_DAY);
	CHECK_INT(ca_signer_chain(s)->n, 2);
}

TEST("a CA that could not be followed to its root, is none, or has another key is refused when it is loaded")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) other = story_root("other");
	CLEAR(made) ca = story_intermediate("ca", &root);
	CLEAR(made) leaf = story_device("dev1", &root);
	const struct made *wrong[] = { &ca, &other }, *a_leaf[] = { &leaf, &root }, *good[] = { &ca, &root };
	struct err err = ERR_INIT;

	CHECK(!load(wrong, 2, ca.key, &err));
	CHECK_ERR(err, ERR_INVALID, "CN=ca was not issued by the certificate after it");
	err = (struct err)ERR_INIT;
	CHECK(!load(a_leaf, 2, leaf.key, &err));
	CHECK_ERR(err, ERR_INVALID, "CN=dev1 is no CA");
	err = (struct err)ERR_INIT;
	CHECK(!load(good, 2, root.key, &err));
	CHECK_ERR(err, ERR_INVALID, "does not belong to CN=ca");
}

TEST("files that are not there are named")
{
	struct err err = ERR_INIT;

	CHECK(!ca_signer_load("/nowhere/ca.pem", "/nowhere/ca.key", NULL, &err));
	CHECK_ERR(err, ERR_MISSING, "/nowhere/ca.pem");
}

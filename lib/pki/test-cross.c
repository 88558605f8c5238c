/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "pki/story.h"
#include "t_verdict.h"

static struct made
cross(const struct made *root, const struct made *by)
{
	struct err err = ERR_INIT;
	struct made made = { .cert = issue_cross(root->cert, &(struct issuer){ by->cert, by->key }, &err) };

	if (!made.cert)
		fail_msg("%s", err.text);
	return made;
}

TEST("who trusts the old root alone trusts what the new one has issued, by the new one signed with the old; and without that it "
     "does not")
{
	CLEAR(made) old = story_root("plant root");
	CLEAR(made) new = story_root("plant root 2");
	CLEAR(made) between = cross(&new, &old);
	CLEAR(made) leaf = story_server("hub.test", &new);
	OWN(verdict) with =
		story_verdict(&old, &between, &leaf, (struct chain_query){ .purpose = CHAIN_SERVER, .host = "hub.test" });
	OWN(verdict) without = story_verdict(&old, NULL, &leaf, (struct chain_query){ .purpose = CHAIN_SERVER });

	CHECK_ACCEPTED(with);
	story_cause(without, TRUST_UNKNOWN_ISSUER);
}

TEST("who trusts the new root alone trusts what the old one has issued, by the old one signed with the new")
{
	CLEAR(made) old = story_root("plant root");
	CLEAR(made) new = story_root("plant root 2");
	CLEAR(made) middle = story_intermediate("line", &old);
	CLEAR(made) between = cross(&old, &new);
	CLEAR(made) leaf = story_device("dev1", &middle);
	struct certs sent = { 0 };
	OWN(anchors) anchors = story_anchors(&new, NULL);
	OWN(verdict) v = verdict_new("test", "", "");

	certs_add(&sent, middle.cert);
	certs_add(&sent, between.cert);
	chain_verify(v, anchors,
		&(struct chain_query){ .leaf = leaf.cert, .untrusted = &sent, .purpose = CHAIN_CLIENT, .now = STORY_NOW });
	CHECK_ACCEPTED(v);
	certs_clear(&sent);
}

TEST("a cross certificate is the root with another issuer: name, key, key id and constraints are its own, its number is not, and "
     "it is valid while both are")
{
	CLEAR(made) old = story_make(
		(struct profile){
			.kind = ISSUE_ROOT, .common_name = "old", .path_len = -1, .not_after = STORY_NOW + 9 * STORY_DAY },
		NULL);
	CLEAR(made) new = story_make(
		(struct profile){ .kind = ISSUE_ROOT, .common_name = "new", .path_len = 2, .not_before = STORY_NOW - 60 }, NULL);
	CLEAR(made) between = cross(&new, &old);
	OWN_TEXT own = cert_serial(new.cert);
	OWN_TEXT other = cert_serial(between.cert);

	CHECK_STR(cert_subject(between.cert), "CN=new");
	CHECK_STR(cert_issuer(between.cert), "CN=old");
	CHECK(cert_is_issued_by(between.cert, old.cert));
	CHECK(cert_matches_key(between.cert, new.key));
	CHECK_INT(cert_path_len(between.cert), 2);
	CHECK_INT(ASN1_OCTET_STRING_cmp(
			  X509_get0_subject_key_id(cert_x509(between.cert)), X509_get0_subject_key_id(cert_x509(new.cert))),
		0);
	CHECK_INT(ASN1_OCTET_STRING_cmp(
			  X509_get0_authority_key_id(cert_x509(between.cert)), X509_get0_subject_key_id(cert_x509(old.cert))),
		0);
	CHECK_INT(cert_not_before(between.cert), STORY_NOW - 60);
	CHECK_INT(cert_not_after(between.cert), STORY_NOW + 9 * STORY_DAY);
	CHECK(!text_is(own, other));
}

TEST("what is no root, a root that may issue no CA, one that has ended before, and a key of another are refused")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) new = story_root("new");
	CLEAR(made) narrow = story_make((struct profile){ .kind = ISSUE_ROOT, .common_name = "narrow", .path_len = 0 }, NULL);
	CLEAR(made) ended = story_make((struct profile){ .kind = ISSUE_ROOT,
					       .common_name = "ended",
					       .path_len = -1,
					       .not_before = STORY_NOW - 9 * STORY_DAY,
					       .not_after = STORY_NOW - 2 * STORY_DAY },
		NULL);
	CLEAR(made) leaf = story_device("dev1", &old);
	const struct {
		const struct cert *root;
		struct issuer by;
		const char *part;
	} cases[] = {
		{ leaf.cert, { old.cert, old.key }, "is no root" },
		{ new.cert, { narrow.cert, narrow.key }, "its path length is 0" },
		{ new.cert, { leaf.cert, leaf.key }, "may issue no CA" },
		{ new.cert, { ended.cert, ended.key }, "never valid together" },
		{ new.cert, { old.cert, new.key }, "does not belong" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;

		CHECK(!issue_cross(cases[i].root, &cases[i].by, &err));
		CHECK_CONTAINS(err.text, cases[i].part);
	}
}

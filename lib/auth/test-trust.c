/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/trial.h"
#include "auth/trust.h"
#include "pki/crl.h"
#include "wire/codec.h"

static struct identity *
device(const char *first, const char *second)
{
	struct identity *identity = identity_new("dev1", NULL);

	identity->enabled = true;
	identity->auth = IDENTITY_AUTH_THUMBPRINT;
	identity->thumbprints[0] = mem_text(first);
	identity->thumbprints[1] = mem_text(second);
	return identity;
}

TEST("a session stands on the thumbprint that let it in: another slot may be filled and emptied, that one not")
{
	CLEAR(made) mine = story_device("dev1", NULL);
	CLEAR(made) other = story_device("dev1", NULL);
	OWN_TEXT a = trial_thumbprint(&mine);
	OWN_TEXT b = trial_thumbprint(&other);
	OWN(identity) before = device(a, NULL);
	OWN(identity) both = device(a, b);
	OWN(identity) moved = device(b, a);
	OWN(identity) gone = device(b, NULL);
	struct trust trust;

	CHECK_STR(trust_init(&trust, before, mine.cert, NULL), a);
	CHECK_INT(trust_check(&trust, both, NULL, NULL), OK);
	CHECK_INT(trust_check(&trust, moved, NULL, NULL), OK);
	CHECK_INT(trust_check(&trust, gone, NULL, NULL), SESSION_WITHDRAWN);
	CHECK_INT(trust_check(&trust, NULL, NULL, NULL), SESSION_REMOVED);
	before->enabled = false;
	CHECK_INT(trust_check(&trust, before, NULL, NULL), SESSION_DISABLED);
}

TEST("a session stands on the CA that vouched: not on one of the same name, and not outside its scope")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) twin = story_root("root");
	OWN(identity) identity = device(NULL, NULL);
	OWN(authorities) before = authorities_new();
	OWN(authorities) others = authorities_new();
	OWN(authorities) narrow = authorities_new();
	struct authority_scope all = { 0 }, edge = { .kind = AUTHORITY_EDGE };
	struct err err = ERR_INIT;
	struct trust trust;

	identity->auth = IDENTITY_AUTH_CA;
	authorities_add(before, "a", root.cert, &all, true, &err);
	authorities_add(others, "a", twin.cert, &all, true, &err);
	authorities_add(narrow, "a", root.cert, &edge, true, &err);
	trust_init(&trust, identity, NULL, authorities_find(before, cert_sha256(root.cert)));
	CHECK_INT(trust_check(&trust, identity, before, NULL), OK);
	CHECK_INT(trust_check(&trust, identity, others, NULL), CA_WITHDRAWN);
	CHECK_INT(trust_check(&trust, identity, narrow, NULL), CA_WITHDRAWN);
}

/* A list of the root's with one entry. */
static struct revocations *
revoked(const struct made *root, const struct made *leaf)
{
	struct certs cas = { .item = (struct cert *[]){ root->cert }, .n = 1 };
	OWN(crl) crl = crl_new(1, STORY_NOW, STORY_NOW + STORY_DAY);
	CLEAR(buf) der = BUF_INIT(65536);
	struct revocations *set = revocations_new();
	OWN_TEXT serial = cert_serial_hex(leaf->cert);
	struct err err = ERR_INIT;

	CHECK_OK(crl_add(crl, serial, STORY_NOW, CRL_UNSPECIFIED, &err), err);
	CHECK_OK(crl_sign(crl, root->cert, root->key, &der, &err), err);
	CHECK_OK(revocations_add(set, der.data, der.len, &cas, &err), err);
	return set;
}

TEST("a session ends when the certificate that it was opened with is revoked, known by thumbprint or by CA; a token beside a "
     "certificate does not care")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) bad = story_device("dev1", &root);
	CLEAR(made) good = story_device("dev1", &root);
	OWN(revocations) set = revoked(&root, &bad);
	OWN_TEXT a = trial_thumbprint(&bad);
	OWN_TEXT b = trial_thumbprint(&good);
	OWN(identity) pinned = device(a, b);
	OWN(identity) signed_by_ca = device(NULL, NULL);
	OWN(authorities) cas = trial_authorities(&root);
	struct trust trust;

	signed_by_ca->auth = IDENTITY_AUTH_CA;
	trust_init(&trust, pinned, bad.cert, NULL);
	CHECK_INT(trust_check(&trust, pinned, NULL, NULL), OK);
	CHECK_INT(trust_check(&trust, pinned, NULL, set), CERT_REVOKED);
	trust_init(&trust, pinned, good.cert, NULL);
	CHECK_INT(trust_check(&trust, pinned, NULL, set), OK);
	trust_init(&trust, signed_by_ca, bad.cert, authorities_find(cas, cert_sha256(root.cert)));
	CHECK_INT(trust_check(&trust, signed_by_ca, cas, set), CERT_REVOKED);
	trust_init(&trust, signed_by_ca, NULL, NULL);
	CHECK_INT(trust_check(&trust, signed_by_ca, cas, set), OK);
}

TEST("a session ends when a CA above its certificate is revoked, the one that vouched too, and stays when another one is")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) between = story_intermediate("plant CA", &root);
	CLEAR(made) other = story_intermediate("other CA", &root);
	CLEAR(made) leaf = story_device("dev1", &between);
	OWN(revocations) set = revoked(&root, &between);
	OWN(revocations) others = revoked(&root, &other);
	OWN(identity) identity = device(NULL, NULL);
	OWN(authorities) cas = trial_authorities(&root);
	OWN(authorities) direct = trial_authorities(&between);
	struct certs chain = { .item = (struct cert *[]){ leaf.cert, between.cert }, .n = 2 },
		     alone = { .item = chain.item, .n = 1 };
	const struct authority *vouched = authorities_find(cas, cert_sha256(root.cert)),
			       *itself = authorities_find(direct, cert_sha256(between.cert));
	struct trust trust;

	identity->auth = IDENTITY_AUTH_CA;
	trust_init(&trust, identity, leaf.cert, vouched);
	trust_stand_below(&trust, &chain, vouched);
	CHECK_INT(trust_check(&trust, identity, cas, NULL), OK);
	CHECK_INT(trust_check(&trust, identity, cas, others), OK);
	CHECK_INT(trust_check(&trust, identity, cas, set), CERT_REVOKED);
	trust_init(&trust, identity, leaf.cert, itself);
	trust_stand_below(&trust, &alone, itself);
	CHECK_INT(trust_check(&trust, identity, direct, set), CERT_REVOKED);
}

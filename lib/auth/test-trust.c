/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/trial.h"
#include "auth/trust.h"
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
	CHECK_INT(trust_check(&trust, both, NULL), OK);
	CHECK_INT(trust_check(&trust, moved, NULL), OK);
	CHECK_INT(trust_check(&trust, gone, NULL), SESSION_WITHDRAWN);
	CHECK_INT(trust_check(&trust, NULL, NULL), SESSION_WITHDRAWN);
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
	CHECK_INT(trust_check(&trust, identity, before), OK);
	CHECK_INT(trust_check(&trust, identity, others), CA_WITHDRAWN);
	CHECK_INT(trust_check(&trust, identity, narrow), CA_WITHDRAWN);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "keyd/key_access.h"
#include "t.h"

enum { CERTD = 101, IDENTITYD, EDGED, AGENT };

static char certd[] = "certd", identityd[] = "identityd", edged[] = "edged", edge_ca[] = "aziot-edged-ca", est[] = "est-*",
	    device[] = "device-id", master[] = "master", derived[] = "derived:master";

static const struct principals story = {
	.item = { { .name = certd, .uid = CERTD, .patterns = { est }, .n_patterns = 1, .borrows = true },
		{ .name = identityd, .uid = IDENTITYD, .patterns = { device, master }, .n_patterns = 2, .lends = true },
		{ .name = edged, .uid = EDGED, .patterns = { edge_ca, derived }, .n_patterns = 2 } },
	.n = 3,
};

static struct key_caller
caller(uid_t uid)
{
	return (struct key_caller){ .principals = &story, .uid = uid, .is_known = true };
}

static struct key_handle
handle_of(enum key_handle_kind kind, char *id, char *maker)
{
	return (struct key_handle){ .kind = kind, .id = id, .maker = maker };
}

TEST("an id is for principals whose patterns fit, and for root on the common socket")
{
	struct key_caller root = caller(0), bound = caller(EDGED), thief = caller(AGENT), nobody = { .principals = &story };
	struct key_caller agent = caller(EDGED);

	CHECK(key_caller_may(&agent, "aziot-edged-ca"));
	CHECK(!key_caller_may(&agent, "device-id"));
	CHECK_STR(key_caller_name(&agent, "aziot-edged-ca"), "edged");
	CHECK(key_caller_may(&root, "device-id"));
	CHECK_STR(key_caller_name(&root, "device-id"), "");
	root.bound = "edged";
	CHECK(!key_caller_may(&root, "aziot-edged-ca"));
	bound.bound = thief.bound = "edged";
	CHECK(key_caller_may(&bound, "aziot-edged-ca"));
	CHECK(!key_caller_may(&thief, "aziot-edged-ca"));
	bound.bound = "certd";
	CHECK(!key_caller_may(&bound, "aziot-edged-ca"));
	CHECK(!key_caller_may(&nobody, "aziot-edged-ca"));
}

TEST("atk-16: a handle is of no use to who may not use its key, however he came by it")
{
	struct key_handle pair = handle_of(KEY_HANDLE_PAIR, edge_ca, edged), secret = handle_of(KEY_HANDLE_KEY, edge_ca, NULL);
	struct key_caller thief = caller(AGENT), other = caller(IDENTITYD), owner = caller(EDGED);

	CHECK(!key_caller_may_with(&thief, &pair, KEY_SIGN));
	CHECK(!key_caller_may_with(&other, &pair, KEY_SIGN));
	CHECK(!key_caller_may_with(&other, &secret, KEY_SIGN));
	CHECK(key_caller_may_with(&owner, &pair, KEY_SIGN));
	CHECK(key_caller_may_with(&owner, &pair, KEY_OWN));
}

TEST("who borrows uses the handles that others made and may still use, and neither deletes nor exports")
{
	struct key_handle pair = handle_of(KEY_HANDLE_PAIR, edge_ca, edged), withdrawn = handle_of(KEY_HANDLE_PAIR, device, edged),
			  of_root = handle_of(KEY_HANDLE_PAIR, device, derived + strlen(derived)),
			  old = handle_of(KEY_HANDLE_PAIR, edge_ca, NULL);
	struct key_caller c = caller(CERTD), other = caller(EDGED);

	CHECK(key_caller_may_with(&c, &pair, KEY_SIGN));
	CHECK(key_caller_may_with(&c, &pair, KEY_USE));
	CHECK(!key_caller_may_with(&c, &pair, KEY_OWN));
	CHECK(!key_caller_may_with(&c, &withdrawn, KEY_SIGN));
	CHECK(key_caller_may_with(&c, &of_root, KEY_SIGN));
	CHECK(!key_caller_may_with(&other, &of_root, KEY_SIGN));
	CHECK(!key_caller_may_with(&c, &old, KEY_SIGN));
}

TEST("what a lender hands out is used by anyone, for signing and encrypting only")
{
	struct key_handle pair = handle_of(KEY_HANDLE_PAIR, device, identityd),
			  derived_key = handle_of(KEY_HANDLE_DERIVED, master, identityd);
	struct key_caller agent = caller(AGENT), nobody = { .principals = &story };

	CHECK(key_caller_may_with(&agent, &pair, KEY_SIGN));
	CHECK(key_caller_may_with(&agent, &derived_key, KEY_USE));
	CHECK(!key_caller_may_with(&agent, &derived_key, KEY_OWN));
	CHECK(!key_caller_may_with(&nobody, &pair, KEY_SIGN));
}

TEST("who has derived:BASE signs with keys derived from it, whoever made the handle, and does nothing else")
{
	struct key_handle theirs = handle_of(KEY_HANDLE_DERIVED, master, certd), base = handle_of(KEY_HANDLE_KEY, master, certd);
	struct key_caller c = caller(EDGED);

	CHECK(key_caller_may_with(&c, &theirs, KEY_SIGN));
	CHECK(!key_caller_may_with(&c, &theirs, KEY_USE));
	CHECK(!key_caller_may_with(&c, &theirs, KEY_OWN));
	CHECK(!key_caller_may_with(&c, &base, KEY_SIGN));
}

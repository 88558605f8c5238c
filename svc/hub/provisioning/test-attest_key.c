/* SPDX-License-Identifier: Apache-2.0 */
/* Attestation by a token: of an enrolled key, or of one that a group's derives. */
#include "hub/provisioning/test_arrival.h"
#include "wire/codec.h"

TEST("the key of a device under a group's key is the one that SDKs derive")
{
	static const char group_text[] = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
	CLEAR(buf) bytes = BUF_INIT(128);
	CLEAR(buf) text = BUF_INIT(128);
	CLEAR(secret) group = { 0 };
	CLEAR(secret) derived = { 0 };

	CHECK(base64_decode(&bytes, group_text, strlen(group_text), BASE64_STRICT));
	secret_set(&group, bytes.data, bytes.len);
	attest_derive_key(&derived, &group, "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6");
	base64_encode(&text, derived.bytes, derived.len);
	CHECK_STR(buf_text(&text), "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
}

TEST("a token of either key of the individual enrollment registers")
{
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(arrival) b = arrival_of("dev1");

	set_key(&set_individual(&a, ENROLLMENT_BY_KEY)->keys[0], "primary key of dev1");
	show_token(&a, &a.individual->keys[0]);
	let_in(&a, a.individual);
	set_key(&set_individual(&b, ENROLLMENT_BY_KEY)->keys[1], "secondary key of dev1");
	show_token(&b, &b.individual->keys[1]);
	let_in(&b, b.individual);
}

TEST("a token of a derived key registers by its group, the secondary key included")
{
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(secret) derived = { 0 };
	struct enrollment *group;

	set_key(&add_group(&a, "other", ENROLLMENT_BY_KEY)->keys[0], "key of another group");
	group = add_group(&a, "plant", ENROLLMENT_BY_KEY);
	set_key(&group->keys[1], "secondary key of the plant");
	attest_derive_key(&derived, &group->keys[1], "dev1");
	show_token(&a, &derived);
	let_in(&a, group);
}

TEST("the group's own key, not derived, opens nothing")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *group = add_group(&a, "plant", ENROLLMENT_BY_KEY);

	set_key(&group->keys[0], "key of the plant");
	show_token(&a, &group->keys[0]);
	refused(&a, ENROLLMENT_UNKNOWN);
}

TEST("a key derived for one device opens no other")
{
	CLEAR(arrival) a = arrival_of("dev2");
	CLEAR(secret) derived = { 0 };
	struct enrollment *group = add_group(&a, "plant", ENROLLMENT_BY_KEY);

	set_key(&group->keys[0], "key of the plant");
	attest_derive_key(&derived, &group->keys[0], "dev1");
	show_token(&a, &derived);
	refused(&a, ENROLLMENT_UNKNOWN);
}

TEST("a token of a disabled group is refused as that")
{
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(secret) derived = { 0 };
	struct enrollment *group = add_group(&a, "plant", ENROLLMENT_BY_KEY);

	group->enabled = false;
	set_key(&group->keys[0], "key of the plant");
	attest_derive_key(&derived, &group->keys[0], "dev1");
	show_token(&a, &derived);
	refused(&a, ENROLLMENT_DISABLED);
}

TEST("a token signed with another key is refused")
{
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(secret) wrong = { 0 };

	set_key(&set_individual(&a, ENROLLMENT_BY_KEY)->keys[0], "primary key of dev1");
	set_key(&wrong, "another key");
	show_token(&a, &wrong);
	refused(&a, SAS_BAD_SIGNATURE);
}

TEST("an enrollment without keys is not opened by the empty key")
{
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(secret) some = { 0 };

	set_individual(&a, ENROLLMENT_BY_KEY);
	set_key(&some, "x");
	show_token(&a, &some);
	refused(&a, SAS_BAD_SIGNATURE);
}

TEST("a token for another registration, for all of them, for another scope or another policy is refused")
{
	static const struct {
		const char *resource, *policy;
		enum reason reason;
	} rows[] = {
		{ SCOPE "/registrations/dev2", "registration", SAS_WRONG_RESOURCE },
		{ SCOPE "/registrations/dev", "registration", SAS_WRONG_RESOURCE },
		{ SCOPE "/registrations", "registration", SAS_WRONG_RESOURCE },
		{ SCOPE, "registration", SAS_WRONG_RESOURCE },
		{ "0neffffffff/registrations/dev1", "registration", SAS_WRONG_RESOURCE },
		{ SCOPE "/registrations/dev1", "provisioningserviceowner", SAS_UNKNOWN_POLICY },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEAR(arrival) a = arrival_of("dev1");
		struct enrollment *e = set_individual(&a, ENROLLMENT_BY_KEY);

		set_key(&e->keys[0], "primary key of dev1");
		a.token = token_for(rows[i].resource, &e->keys[0], STORY_NOW + 3600, rows[i].policy);
		refused(&a, rows[i].reason);
	}
}

TEST("a token is good without skn, and over once its time has come")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_individual(&a, ENROLLMENT_BY_KEY);

	set_key(&e->keys[0], "primary key of dev1");
	a.token = token_for(SCOPE "/registrations/dev1", &e->keys[0], STORY_NOW + 60, NULL);
	let_in(&a, e);
	a.now = STORY_NOW + 60;
	refused(&a, SAS_EXPIRED);
}

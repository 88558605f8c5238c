/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/reprovision.h"
#include "t.h"

static const struct reprovision_policy migrate = { .update = true, .migrate = true }, reset = { .update = true };

static struct registration *
registered(const char *hub, const char *from)
{
	struct registration *r = NEW(registration);

	r->hub = mem_text(hub);
	r->from = mem_text(from);
	r->assigned = true;
	r->owned = true;
	return r;
}

static struct enrollment *
with_policy(const char *json)
{
	struct enrollment *e = enrollment_new("e", false);

	e->wishes = json_object();
	if (json)
		json_object_set_new(e->wishes, "reprovisionPolicy", json_loads(json, 0, NULL));
	return e;
}

TEST("who asks for nothing else moves with its data")
{
	OWN(enrollment) none = with_policy(NULL);
	OWN(enrollment) half = with_policy("{\"migrateDeviceData\": false}");
	OWN(enrollment) never = with_policy("{\"updateHubAssignment\": false, \"migrateDeviceData\": false}");

	CHECK(reprovision_policy(none).update && reprovision_policy(none).migrate);
	CHECK(reprovision_policy(half).update && !reprovision_policy(half).migrate);
	CHECK(!reprovision_policy(never).update && !reprovision_policy(never).migrate);
}

TEST("a new registration is nowhere, and its hub is to be chosen")
{
	OWN(registration) r = NEW(registration);

	reprovision_begin(r);
	CHECK_STR(r->hub, "");
	CHECK(r->from == NULL && !r->assigned);
	reprovision_go(r, "a.test", migrate, false);
	CHECK_STR(r->hub, "a.test");
	CHECK(!r->owned);
	CHECK_STR(reprovision_substatus(r->substatus), "initialAssignment");
}

TEST("the same hub again is no move, whatever the policy says of data")
{
	OWN(registration) r = registered("a.test", NULL);

	reprovision_begin(r);
	CHECK_STR(r->from, "a.test");
	CHECK(!r->assigned && registration_is_unfinished(r));
	reprovision_go(r, "A.test", reset, true);
	CHECK_STR(r->hub, "a.test");
	CHECK(r->from == NULL && r->owned);
	CHECK_STR(reprovision_substatus(r->substatus), "initialAssignment");
}

TEST("to another hub it takes its data along, or begins anew, and what its custom allocation gives goes before either")
{
	static const struct {
		struct reprovision_policy policy;
		bool given;
		const char *substatus;
	} rows[] = { { { true, true }, false, "deviceDataMigrated" }, { { true, false }, false, "deviceDataReset" },
		{ { true, true }, true, "deviceDataReset" }, { { true, false }, true, "deviceDataReset" } };

	for (size_t i = 0; i < COUNT(rows); i++) {
		OWN(registration) r = registered("a.test", NULL);

		reprovision_begin(r);
		reprovision_go(r, "b.test", rows[i].policy, rows[i].given);
		CHECK_STR(r->hub, "b.test");
		CHECK_STR(r->from, "a.test");
		CHECK(!r->owned);
		CHECK_STR(reprovision_substatus(r->substatus), rows[i].substatus);
	}
}

TEST("one that moves goes on to the hub that was chosen when it registers again")
{
	OWN(registration) moving = registered("b.test", "a.test");
	OWN(registration) leaving = registered("b.test", "a.test");

	moving->assigned = false;
	reprovision_begin(moving);
	reprovision_begin(leaving);
	CHECK_STR(moving->hub, "b.test");
	CHECK_STR(moving->from, "a.test");
	CHECK_STR(leaving->hub, "b.test");
	CHECK_STR(leaving->from, "a.test");
	CHECK(!leaving->assigned);
}

TEST("one that has failed chooses anew, and is still where it was")
{
	OWN(registration) moved = registered("b.test", "a.test");
	OWN(registration) fresh = registered("b.test", NULL);

	moved->assigned = moved->owned = false;
	moved->failure = mem_text("no");
	moved->error = 409203;
	fresh->assigned = fresh->owned = false;
	fresh->failure = mem_text("no");
	reprovision_begin(moved);
	reprovision_begin(fresh);
	CHECK_STR(moved->hub, "");
	CHECK_STR(moved->from, "a.test");
	CHECK(moved->failure == NULL && moved->error == 0);
	CHECK_STR(fresh->hub, "");
	CHECK(fresh->from == NULL);
}

TEST("it stays where it is when its hub is not to be changed")
{
	OWN(registration) r = registered("a.test", NULL);

	reprovision_begin(r);
	reprovision_stay(r);
	CHECK_STR(r->hub, "a.test");
	CHECK(r->from == NULL && r->owned && r->substatus == REGISTRATION_INITIAL);
}

TEST("what is done, and what has failed, is not unfinished")
{
	OWN(registration) done = registered("a.test", NULL);
	OWN(registration) leaving = registered("b.test", "a.test");
	OWN(registration) failed = registered("b.test", "a.test");

	failed->assigned = false;
	failed->failure = mem_text("no");
	CHECK(!registration_is_unfinished(done));
	CHECK(registration_is_unfinished(leaving));
	CHECK(!registration_is_unfinished(failed));
}

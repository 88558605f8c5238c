/* SPDX-License-Identifier: Apache-2.0 */
/* Thumbprint rotation: the steps, restarts between any two of them, jumps of the clock, and those who interfere. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/registry/rotation_keeper.h"
#include "store/db.h"
#include "t.h"

#define NOW 1750000000
#define DAY 86400
#define A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define B "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define C "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"

struct fixture {
	char path[128];
	struct registry_store *store;
	struct registry *registry;
	struct rotation_keeper *keeper;
};

static void
fixture_open(struct fixture *f)
{
	struct err err = ERR_INIT;

	f->store = registry_store_open(f->path, &err);
	f->registry = f->store ? registry_open(f->store, NULL, &err) : NULL;
	f->keeper = f->registry ? rotation_keeper_open(f->registry, NULL, DAY, &err) : NULL;
	if (!f->keeper)
		fail_msg("%s", err.text);
}

static void
fixture_clear(struct fixture *f)
{
	rotation_keeper_close(f->keeper);
	registry_close(f->registry);
	registry_store_close(f->store);
}

static void
restart(struct fixture *f)
{
	fixture_clear(f);
	fixture_open(f);
}

static void
put(struct fixture *f, const char *first, const char *second, const char *if_match)
{
	struct registry_call call = { .op = REGISTRY_PUT, .device_id = mem_text("dev1"), .if_match = mem_text(if_match) };

	call.wanted = identity_new("dev1", NULL);
	call.wanted->enabled = true;
	call.wanted->auth = first || second ? IDENTITY_AUTH_THUMBPRINT : IDENTITY_AUTH_SAS;
	call.wanted->thumbprints[0] = mem_text(first);
	call.wanted->thumbprints[1] = mem_text(second);
	registry_run(f->registry, &call);
	if (call.answer != REGISTRY_OK)
		fail_msg("%d %s", call.answer, call.err.text);
	registry_call_clear(&call);
}

static struct fixture
fixture_with(const char *first, const char *second)
{
	struct fixture f = { 0 };
	static int n;

	clock_set_for_test(NOW);
	snprintf(f.path, sizeof(f.path), "%s/rotation-%d.sqlite", T_TMPDIR, n++);
	fixture_open(&f);
	put(&f, first, second, NULL);
	return f;
}

static enum rotation_answer
offer(struct fixture *f, const char *thumbprint)
{
	struct rotation_call call = { .device_id = mem_text("dev1"), .thumbprint = mem_text(thumbprint) };
	enum rotation_answer answer;

	rotation_keeper_run_offer(f->keeper, &call);
	if (call.failed || call.is_unknown)
		fail_msg("%s", call.err.text);
	answer = call.answer;
	rotation_call_clear(&call);
	return answer;
}

static void
check_slots(struct fixture *f, const char *first, const char *second, const char *state)
{
	OWN(identity) record = registry_find(f->registry, "dev1", NULL);
	OWN(rotation) r = rotation_keeper_find(f->keeper, record);
	const char *now = !r ? "none" : r->promoted ? "promoted" : "offered";

	CHECK(text_is(record->thumbprints[0], first));
	CHECK(text_is(record->thumbprints[1], second));
	CHECK_STR(now, state);
}

TEST("offer, first connection, grace: the new one fills the free slot, becomes the primary one, and is alone at last")
{
	CLEAR(fixture) f = fixture_with(A, NULL);

	CHECK_INT(offer(&f, B), ROTATION_OK);
	check_slots(&f, A, B, "offered");
	rotation_keeper_run_promotion(f.keeper, "dev1", NULL);
	check_slots(&f, B, A, "promoted");
	clock_set_for_test(NOW + DAY - 1);
	rotation_keeper_run_retirements(f.keeper);
	check_slots(&f, B, A, "promoted");
	clock_set_for_test(NOW + DAY);
	rotation_keeper_run_retirements(f.keeper);
	check_slots(&f, B, NULL, "none");
	CHECK_INT(offer(&f, C), ROTATION_OK);
	check_slots(&f, B, C, "offered");
}

TEST("every state is the same after a restart, and a jump of 400 days retires what was due")
{
	CLEAR(fixture) f = fixture_with(A, A);

	CHECK_INT(offer(&f, B), ROTATION_OK);
	restart(&f);
	check_slots(&f, A, B, "offered");
	clock_set_for_test(NOW + 400 * DAY);
	rotation_keeper_run_retirements(f.keeper);
	check_slots(&f, A, B, "offered"); /* who was never seen with the new one is not locked out */
	rotation_keeper_run_promotion(f.keeper, "dev1", NULL);
	restart(&f);
	check_slots(&f, B, A, "promoted");
	clock_set_for_test(NOW + 800 * DAY);
	restart(&f);
	rotation_keeper_run_retirements(f.keeper);
	check_slots(&f, B, NULL, "none");
	restart(&f);
	check_slots(&f, B, NULL, "none");
}

TEST("a clock that goes back keeps the old one longer, and loses nothing")
{
	CLEAR(fixture) f = fixture_with(A, NULL);

	CHECK_INT(offer(&f, B), ROTATION_OK);
	rotation_keeper_run_promotion(f.keeper, "dev1", NULL);
	clock_set_for_test(NOW - 400 * DAY);
	rotation_keeper_run_retirements(f.keeper);
	check_slots(&f, B, A, "promoted");
}

TEST("an offer that was not used yet is replaced by another one; the one in use stays")
{
	CLEAR(fixture) f = fixture_with(NULL, A);

	CHECK_INT(offer(&f, B), ROTATION_OK);
	CHECK_INT(offer(&f, B), ROTATION_IS_THERE);
	CHECK_INT(offer(&f, A), ROTATION_IS_THERE);
	CHECK_INT(offer(&f, C), ROTATION_OK);
	check_slots(&f, A, C, "offered");
}

TEST("there is no free slot with two certificates in use, nor during the grace; a key device has none")
{
	CLEAR(fixture) two = fixture_with(A, B);
	CLEAR(fixture) one = fixture_with(A, NULL);
	CLEAR(fixture) key = fixture_with(NULL, NULL);

	CHECK_INT(offer(&two, C), ROTATION_NO_FREE_SLOT);
	check_slots(&two, A, B, "none");
	CHECK_INT(offer(&one, B), ROTATION_OK);
	rotation_keeper_run_promotion(one.keeper, "dev1", NULL);
	CHECK_INT(offer(&one, C), ROTATION_NO_FREE_SLOT);
	CHECK_INT(offer(&key, C), ROTATION_NO_THUMBPRINTS);
}

TEST("an operator who sets the thumbprints meanwhile has the last word")
{
	CLEAR(fixture) f = fixture_with(A, NULL);

	CHECK_INT(offer(&f, B), ROTATION_OK);
	put(&f, C, NULL, "*");
	check_slots(&f, C, NULL, "none");
	rotation_keeper_run_promotion(f.keeper, "dev1", NULL);
	check_slots(&f, C, NULL, "none");
	CHECK_INT(offer(&f, B), ROTATION_OK);
	rotation_keeper_run_promotion(f.keeper, "dev1", NULL);
	put(&f, B, A, "*");
	clock_set_for_test(NOW + 2 * DAY);
	rotation_keeper_run_retirements(f.keeper);
	check_slots(&f, B, A, "none");
}

TEST("a device that was deleted and made again has nothing of the rotation of before")
{
	CLEAR(fixture) f = fixture_with(A, NULL);
	struct registry_call call = { .op = REGISTRY_REMOVE, .device_id = mem_text("dev1") };

	CHECK_INT(offer(&f, B), ROTATION_OK);
	registry_run(f.registry, &call);
	CHECK_INT(call.answer, REGISTRY_OK);
	registry_call_clear(&call);
	CHECK_INT(rotation_keeper_count(f.keeper), 0);
	put(&f, A, B, NULL);
	check_slots(&f, A, B, "none");
	rotation_keeper_run_promotion(f.keeper, "dev1", NULL);
	check_slots(&f, A, B, "none");
	restart(&f);
	check_slots(&f, A, B, "none");
}

/* A stop between the two writes of a step is a record that is one step behind or ahead of the machine. */
TEST("kill -9 between the writes of a step: the next look goes on from what the record says")
{
	CLEAR(fixture) f = fixture_with(A, NULL);
	struct err err = ERR_INIT;

	CHECK_INT(offer(&f, B), ROTATION_OK);
	/* Promoted in the machine, not in the record. */
	CHECK_OK(db_run(registry_store_db(f.store), &err, "UPDATE thumbprint_rotation SET promoted = ?, retires = ?", "ii",
			 (int64_t)NOW, (int64_t)(NOW + DAY)),
		err);
	restart(&f);
	clock_set_for_test(NOW + DAY);
	rotation_keeper_run_retirements(f.keeper);
	check_slots(&f, B, NULL, "none");
	/* Offered in the machine, not in the record. */
	CHECK_INT(offer(&f, C), ROTATION_OK);
	put(&f, B, NULL, "*");
	restart(&f);
	check_slots(&f, B, NULL, "none");
	CHECK_INT(offer(&f, A), ROTATION_OK);
	check_slots(&f, B, A, "offered");
}

/* -- Renewing by provisioning ------------------------------------------------------------------------------------------------------------ */

static void
renew(struct fixture *f, const char *thumbprint, enum rotation_answer wanted)
{
	struct rotation_call call = { .device_id = mem_text("dev1"), .thumbprint = mem_text(thumbprint), .renews = true };

	rotation_keeper_run_offer(f->keeper, &call);
	CHECK(!call.failed);
	CHECK_INT(call.answer, wanted);
	rotation_call_clear(&call);
}

TEST("a renewal takes the place of one that was never used, over and over, and the one in use stays")
{
	CLEAR(fixture) f = fixture_with(A, NULL);

	renew(&f, B, ROTATION_OK);
	check_slots(&f, A, B, "offered");
	renew(&f, C, ROTATION_OK);
	check_slots(&f, A, C, "offered");
	renew(&f, C, ROTATION_IS_THERE);
	check_slots(&f, A, C, "offered");
}

TEST("a renewal in the grace of the one before ends that grace, and not the one in use, after a restart too")
{
	CLEAR(fixture) f = fixture_with(A, NULL);

	renew(&f, B, ROTATION_OK);
	rotation_keeper_run_promotion(f.keeper, "dev1", NULL);
	check_slots(&f, B, A, "promoted");
	restart(&f);
	renew(&f, C, ROTATION_OK);
	check_slots(&f, B, C, "offered");
	rotation_keeper_run_promotion(f.keeper, "dev1", NULL);
	check_slots(&f, C, B, "promoted");
}

TEST("of two that an operator gave a renewal leaves the primary one; of a device by key there is none to stay")
{
	CLEAR(fixture) f = fixture_with(A, B);

	renew(&f, C, ROTATION_OK);
	check_slots(&f, A, C, "offered");
	{
		CLEAR(fixture) by_key = fixture_with(NULL, NULL);

		renew(&by_key, C, ROTATION_NO_THUMBPRINTS);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that are held for a device: whose they are, who has seen them, and when they go. */
#include "base/mem.h"
#include "gateway/relay/held.h"
#include "t.h"

#define NOW 1000000

static bool
add(struct held *held, uint64_t number, const char *generation_id)
{
	return held_add(held, number, 100 + number, generation_id, slice_of("a=1"), slice_of("payload"), NOW + (int64_t)number);
}

TEST("a message belongs to the generation that it was sent to, and who was made again under that name has no part in it")
{
	struct held held = { 0 };

	CHECK(add(&held, 1, "g1") && add(&held, 2, "g2") && add(&held, 3, ""));
	CHECK(held_is_for(&held.list[0], "g1") && !held_is_for(&held.list[0], "g2"));
	CHECK(!held_is_for(&held.list[1], "g1") && held_is_for(&held.list[1], "g2"));
	CHECK(held_is_for(&held.list[2], "g1") && held_is_for(&held.list[0], "") && held_is_for(&held.list[0], NULL));
	held_clear(&held);
}

TEST("what one connection has seen is work again for nobody but the next connection")
{
	struct held held = { 0 };
	int one, two;

	CHECK(add(&held, 1, "g1"));
	CHECK(held_has_work(&held) && !held_was_seen(&held.list[0], &one, 7));
	held_see(&held.list[0], &one, 7);
	CHECK(!held_has_work(&held) && held_was_seen(&held.list[0], &one, 7));
	CHECK(!held_was_seen(&held.list[0], &one, 8) && !held_was_seen(&held.list[0], &two, 7));
	held_clear(&held);
}

TEST("late ones are let go of, and forgotten when their session knows it, or there is none")
{
	struct held held = { 0 };
	int loop;

	for (uint64_t i = 1; i <= 3; i++)
		CHECK(add(&held, i, "g1"));
	held_see(&held.list[0], &loop, 7);
	CHECK_INT(held_next_end_ms(&held), NOW + 1 + HELD_MS);
	held_end_late(&held, NOW + 2 + HELD_MS);
	CHECK(!held_find(&held, 1) && !held_find(&held, 2) && held_find(&held, 3));
	held_forget(&held, true);
	CHECK_INT(held.n, 2); /* the first was seen: its session is to be told */
	CHECK(held_has_work(&held));
	held.list[0].is_told = true;
	held_forget(&held, true);
	CHECK_INT(held.n, 1);
	CHECK_INT(held.list[0].number, 3);
	held_see(&held.list[0], &loop, 7);
	held_end_all(&held);
	CHECK_INT(held_next_end_ms(&held), INT64_MAX);
	held_forget(&held, false);
	CHECK_INT(held.n, 0);
}

TEST("there is room for so many, and no more")
{
	struct held held = { 0 };

	for (uint64_t i = 0; i < HELD_MAX; i++)
		CHECK(add(&held, i + 1, "g1"));
	CHECK(!add(&held, 99, "g1"));
	held_clear(&held);
}

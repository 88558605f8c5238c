/* SPDX-License-Identifier: Apache-2.0 */
/* Turns of gateways below. */
#include "gateway/front/front_turns.h"

#include "base/mem.h"
#include "t.h"

TEST("of one gateway's questions one is carried out at a time, in their order; another's does not wait for them")
{
	struct front_turns *turns = front_turns_new();
	struct front_turn a[3], other;

	CHECK_INT(front_turns_take(turns, "line", &a[0]), FRONT_TURN_NOW);
	CHECK_INT(front_turns_take(turns, "line", &a[1]), FRONT_TURN_LATER);
	CHECK_INT(front_turns_take(turns, "line", &a[2]), FRONT_TURN_LATER);
	CHECK_INT(front_turns_take(turns, "side", &other), FRONT_TURN_NOW);
	CHECK(front_turns_end(turns, "line") == &a[1]);
	CHECK(front_turns_end(turns, "line") == &a[2]);
	CHECK(!front_turns_end(turns, "line"));
	CHECK_INT(front_turns_take(turns, "line", &a[0]), FRONT_TURN_NOW);
	CHECK(!front_turns_end(turns, "side"));
	CHECK(!front_turns_end(turns, "line"));
	front_turns_free(turns);
}

TEST("only so many of one wait, and when one was served there is a place again")
{
	struct front_turns *turns = front_turns_new();
	struct front_turn a[FRONT_TURNS_WAITING_MAX + 2];

	for (int i = 0; i <= FRONT_TURNS_WAITING_MAX; i++)
		CHECK_INT(front_turns_take(turns, "line", &a[i]), i == 0 ? FRONT_TURN_NOW : FRONT_TURN_LATER);
	CHECK_INT(front_turns_take(turns, "line", &a[FRONT_TURNS_WAITING_MAX + 1]), FRONT_TURN_TOO_MANY);
	CHECK(front_turns_end(turns, "line") == &a[1]);
	CHECK_INT(front_turns_take(turns, "line", &a[FRONT_TURNS_WAITING_MAX + 1]), FRONT_TURN_LATER);
	for (int i = 2; i <= FRONT_TURNS_WAITING_MAX + 1; i++)
		CHECK(front_turns_end(turns, "line") == &a[i]);
	CHECK(!front_turns_end(turns, "line"));
	front_turns_free(turns);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How fast lines connect, and what a hub that has too much to do changes about it. */
#include "gateway/upstream/connect_pace.h"

#include "base/mem.h"
#include "t.h"

/* How many begin until then, one at each moment that allows it. */
static int
begun_by(struct connect_pace *pace, int64_t from_ms, int64_t to_ms)
{
	uint32_t dice = 1;
	int n = 0;

	for (int64_t now = from_ms; now < to_ms; now++)
		while (connect_pace_wait_ms(pace, now) == 0 && n < 100000) {
			dice = dice * 1664525u + 1013904223u;
			connect_pace_begin(pace, now, dice >> 8);
			n++;
		}
	return n;
}

TEST("a few begin at once, and in the long run as many a second as there may be, not evenly")
{
	struct connect_pace pace;
	int at_once, in_ten;

	connect_pace_init(&pace, 100);
	at_once = begun_by(&pace, 1000, 1001);
	CHECK(at_once >= 10 && at_once <= 40);
	in_ten = begun_by(&pace, 1001, 11000);
	CHECK(in_ten > 900 && in_ten < 1100);
}

TEST("without a limit nobody waits")
{
	struct connect_pace pace;

	connect_pace_init(&pace, 0);
	CHECK_INT(begun_by(&pace, 1000, 1001), 100000);
}

/* Refused as many different ones as are several; how long the pause is. */
static int64_t
refuse(struct connect_pace *pace, int64_t now_ms, uint32_t dice)
{
	static const char many[CONNECT_SEVERAL];
	int64_t pause = 0;

	for (int i = 0; i < CONNECT_SEVERAL && pause == 0; i++)
		pause = connect_pace_refused(pace, &many[i], now_ms, dice);
	return pause;
}

TEST("one that is refused over and over waits alone, and so do two; several of them are a pause for all")
{
	static const char many[3];
	struct connect_pace pace;
	int64_t now = 1000;

	connect_pace_init(&pace, 100);
	for (int i = 0; i < 100; i++, now += 50)
		CHECK_INT(connect_pace_refused(&pace, &many[i % 2], now, 0), 0);
	CHECK_INT(connect_pace_wait_ms(&pace, now), 0);
	CHECK_INT(pace.rate, 100);
	CHECK(connect_pace_refused(&pace, &many[2], now, 0) > 0);
	CHECK(connect_pace_wait_ms(&pace, now) > 0);
}

TEST("several of them with more time between are none")
{
	static const char many[10];
	struct connect_pace pace;

	connect_pace_init(&pace, 100);
	for (int i = 0; i < 10; i++)
		CHECK_INT(connect_pace_refused(&pace, &many[i], 1000 + i * (CONNECT_WITHIN_MS / 2 + 1), 0), 0);
}

TEST("after a pause one refusal is enough for the next, until somebody is let in")
{
	static const char one;
	struct connect_pace pace;
	int64_t pause;

	connect_pace_init(&pace, 100);
	pause = refuse(&pace, 1000, 0);
	CHECK(connect_pace_refused(&pace, &one, 1000 + pause, 0) >= CONNECT_PAUSE_MIN_MS);
	connect_pace_let_in(&pace);
	CHECK_INT(connect_pace_refused(&pace, &one, 100000, 0), 0);
}

TEST("refusals end all for a pause; those that were on their way then add nothing to it")
{
	struct connect_pace pace;
	int64_t pause;

	connect_pace_init(&pace, 100);
	pause = refuse(&pace, 5000, 77);
	CHECK(pause >= CONNECT_PAUSE_MIN_MS / 2 && pause <= CONNECT_PAUSE_MIN_MS);
	CHECK_INT(refuse(&pace, 5000 + pause - 1, 77), 0);
	CHECK_INT(connect_pace_wait_ms(&pace, 5000 + pause - 1), 1);
	CHECK_INT(begun_by(&pace, 5000 + pause, 5000 + pause + 1), 1);
	CHECK_INT(pace.rate, 50);
}

TEST("pauses double while nobody is let in, up to a minute; who is let in brings the rate back by and by, and no further")
{
	struct connect_pace pace;
	int64_t now = 1000, pause = 0;

	connect_pace_init(&pace, 100);
	for (int i = 0; i < 20; i++) {
		pause = refuse(&pace, now, 0);
		now += pause;
	}
	CHECK_INT(pause, CONNECT_PAUSE_MAX_MS / 2);
	CHECK_INT(pace.rate, 1);
	connect_pace_let_in(&pace);
	CHECK(pace.rate > 1 && pace.rate < 100);
	for (int i = 0; i < 100; i++)
		connect_pace_let_in(&pace);
	CHECK_INT(pace.rate, 100);
	CHECK_INT(refuse(&pace, now, 0), CONNECT_PAUSE_MIN_MS / 2);
}

TEST("a pace without a limit has one while the hub has too much to do, and none again after it")
{
	struct connect_pace pace;

	connect_pace_init(&pace, 0);
	refuse(&pace, 1000, 0);
	CHECK(pace.rate > 0);
	for (int i = 0; i < 200; i++)
		connect_pace_let_in(&pace);
	CHECK_INT(pace.rate, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is to connect. */
#include "gateway/upstream/pacer.h"

#include "base/mem.h"
#include "gateway/gauges/hub_throttle.h"
#include "gateway/upstream/connect_pace.h"
#include "t.h"

#define LINES 200

struct line {
	struct pacer_turn turn;
	int order; /* 0: not called */
};

static struct loop *loop;
static struct pacer *pacer;
static struct line lines[LINES];
static int n_called;

static void
on_turn(struct pacer_turn *turn)
{
	CONTAINER_OF(turn, struct line, turn)->order = ++n_called;
}

static void
begin(int64_t per_second)
{
	loop = loop_new("test");
	pacer = pacer_new(loop, per_second);
	n_called = 0;
	for (int i = 0; i < LINES; i++)
		lines[i] = (struct line){ .turn.go = on_turn };
}

static void
end(void)
{
	pacer_free(pacer);
	loop_free(loop);
}

static void
run_until(int n)
{
	while (n_called < n)
		loop_run_once(loop);
}

TEST("those whom something waits for go first, each kind in its order; who waits already may become one of them")
{
	begin(2000);
	for (int i = 0; i < 40; i++)
		pacer_ask(pacer, &lines[i].turn, false);
	for (int i = 40; i < 50; i++)
		pacer_ask(pacer, &lines[i].turn, true);
	pacer_ask(pacer, &lines[39].turn, true);
	pacer_ask(pacer, &lines[39].turn, false);
	CHECK_INT(n_called, 0);
	run_until(50);
	for (int i = 40; i < 50; i++)
		CHECK_INT(lines[i].order, i - 39);
	CHECK_INT(lines[39].order, 11);
	for (int i = 0; i < 39; i++)
		CHECK_INT(lines[i].order, 12 + i);
	end();
}

TEST("only so many are on their way at a time: who ends calls the next, who leaves is not called")
{
	begin(0);
	for (int i = 0; i < LINES; i++)
		pacer_ask(pacer, &lines[i].turn, false);
	run_until(64);
	CHECK_INT(n_called, 64);
	CHECK_INT(hub_throttle().n_lines, LINES - 64);
	pacer_end(pacer, &lines[64].turn, PACER_FAILED);
	CHECK_INT(lines[64].turn.place, PACER_AWAY);
	pacer_end(pacer, &lines[0].turn, PACER_LET_IN);
	run_until(65);
	CHECK_INT(lines[64].order, 0);
	CHECK_INT(lines[65].order, 65);
	for (int i = 0; i < LINES; i++) {
		pacer_end(pacer, &lines[i].turn, PACER_FAILED);
		pacer_end(pacer, &lines[i].turn, PACER_FAILED);
	}
	pacer_ask(pacer, &lines[0].turn, false);
	run_until(66);
	CHECK_INT(lines[0].order, 66);
	end();
}

TEST("one that is told so again and again holds up no other")
{
	begin(1000);
	for (int i = 1; i < 10; i++) {
		pacer_ask(pacer, &lines[0].turn, true);
		pacer_ask(pacer, &lines[i].turn, true);
		run_until(2 * i);
		pacer_end(pacer, &lines[0].turn, PACER_BUSY);
		CHECK_INT(hub_throttle().lines_ms, 0);
		pacer_end(pacer, &lines[i].turn, PACER_LET_IN);
	}
	end();
}

TEST("a hub that has too much to do for several is left alone for the pause by all of them, and this is told")
{
	begin(1000);
	for (int i = 0; i < CONNECT_SEVERAL; i++)
		pacer_ask(pacer, &lines[i].turn, true);
	run_until(CONNECT_SEVERAL);
	for (int i = 0; i < CONNECT_SEVERAL; i++)
		pacer_end(pacer, &lines[i].turn, PACER_BUSY);
	CHECK(hub_throttle().lines_ms > 0);
	pacer_ask(pacer, &lines[9].turn, true);
	pacer_ask(pacer, &lines[0].turn, true);
	run_until(CONNECT_SEVERAL + 1);
	CHECK(hub_throttle().lines_ms < CONNECT_PAUSE_MIN_MS / 4); /* by a clock that is read a moment later */
	CHECK_INT(lines[9].order, CONNECT_SEVERAL + 1);
	end();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How strands end, by themselves and with their carrier, and what is heard before. */
#include "test_strand_story.h"

TEST("conn_close sends what is queued beyond its credit, and then ends")
{
	struct story s;
	uint8_t *bytes = pattern(BIG);

	story_begin(&s);
	s.far_pauses = true;
	open_strands(&s, 1);
	conn_write(s.near[0].conn, bytes, BIG);
	conn_close(s.near[0].conn, "enough");
	run_for(s.loop, 20);
	CHECK(s.near[0].n_closed == 0);
	s.far[0].pauses = false;
	conn_pause(s.far[0].conn, false);
	CHECK(until(s.loop, is_closed, &s.far[0]));
	CHECK(s.far[0].len == BIG);
	CHECK_MEM(s.far[0].got, bytes, BIG);
	CHECK_STR(s.far[0].why, "");
	CHECK_STR(s.near[0].why, "enough");
	CHECK(s.near[0].n_closed == 1 && s.far[0].n_closed == 1 && s.here);
	mem_free(bytes);
	story_clear(&s);
}

TEST("a paused strand whose peer has ended is hung up, and reads the last words before its end")
{
	struct story s;

	story_begin(&s);
	s.far_pauses = true;
	open_strands(&s, 1);
	say(&s.near[0], "last words");
	conn_close(s.near[0].conn, "");
	CHECK(until(s.loop, is_closed, &s.near[0]));
	run_for(s.loop, 20);
	CHECK(s.far[0].n_closed == 0 && conn_is_hung_up(s.far[0].conn));
	say(&s.far[0], "nobody hears this");
	s.far[0].pauses = false;
	conn_pause(s.far[0].conn, false);
	CHECK(until(s.loop, is_closed, &s.far[0]));
	CHECK_STR((char *)s.far[0].got, "last words");
	CHECK(s.far[0].n_closed == 1);
	story_clear(&s);
}

TEST("a strand that is aborted ends at once, and what is on its way to it is dropped")
{
	struct story s;

	story_begin(&s);
	s.far_echoes = true;
	open_strands(&s, 2);
	say(&s.near[0], "too late");
	say(&s.near[1], "in time");
	conn_abort(s.far[0].conn, "no more");
	CHECK(until(s.loop, has_come, &s.near[1]) && until(s.loop, is_closed, &s.near[0]));
	CHECK(s.far[0].len == 0 && s.near[0].len == 0);
	CHECK(conn_carrier_count(s.here) == 1 && conn_carrier_count(s.there) == 1);
	story_clear(&s);
}

static void
close_once(struct end *ends, size_t n, const char *why)
{
	for (size_t i = 0; i < n; i++) {
		CHECK_INT(ends[i].n_closed, 1);
		CHECK_STR(ends[i].why, why);
	}
}

TEST("when the carrier dies each of its strands ends once, at both sides, with its reason")
{
	struct story s;

	story_begin(&s);
	open_strands(&s, 200);
	conn_abort(conn_carrier_conn(s.here), "the cable was pulled");
	CHECK(until(s.loop, is_over, NULL));
	CHECK(until(s.loop, is_closed, &s.near[199]) && until(s.loop, is_closed, &s.far[199]));
	run_for(s.loop, 5);
	close_once(s.near, 200, "the cable was pulled");
	for (size_t i = 0; i < 200; i++)
		CHECK_INT(s.far[i].n_closed, 1);
	CHECK(s.n_ended == 2);
	story_clear(&s);
}

TEST("a paused strand whose carrier dies reads what has come, and ends then, with the carrier's reason")
{
	struct story s;

	story_begin(&s);
	s.far_pauses = true;
	open_strands(&s, 2);
	say(&s.near[0], "last words");
	CHECK(until(s.loop, has_paused, &s.far[0]));
	conn_pause(s.far[1].conn, true); /* with nothing to read */
	conn_abort(conn_carrier_conn(s.there), "the cable was pulled");
	CHECK(until(s.loop, is_over, NULL) && until(s.loop, is_closed, &s.far[1]));
	run_for(s.loop, 20);
	CHECK(s.far[0].n_closed == 0 && conn_is_hung_up(s.far[0].conn));
	say(&s.far[0], "nobody hears this");
	CHECK(conn_queued(s.far[0].conn) == 0);
	s.far[0].pauses = false;
	conn_pause(s.far[0].conn, false);
	CHECK(until(s.loop, is_closed, &s.far[0]));
	CHECK_STR((char *)s.far[0].got, "last words");
	close_once(s.far, 2, "the cable was pulled");
	story_clear(&s);
}

TEST("what was queued for a peer that has ended is dropped, and keeps nobody from reading")
{
	struct story s;
	uint8_t *bytes = pattern(BIG);

	story_begin(&s);
	s.far_pauses = true;
	open_strands(&s, 1);
	conn_pause(s.near[0].conn, true);
	conn_write(s.far[0].conn, bytes, BIG);
	say(&s.near[0], "last words");
	CHECK(until(s.loop, has_paused, &s.far[0]));
	conn_abort(s.near[0].conn, "");
	s.far[0].pauses = false;
	conn_pause(s.far[0].conn, false);
	CHECK(until(s.loop, is_closed, &s.far[0]));
	CHECK_STR((char *)s.far[0].got, "last words");
	mem_free(bytes);
	story_clear(&s);
}

TEST("a strand whose opener is gone before it was open is never heard of")
{
	struct story s;
	struct end *end;

	story_begin(&s);
	end = open_strand(&s);
	conn_abort(end->conn, "changed my mind");
	CHECK(until(s.loop, is_closed, end));
	run_for(s.loop, 10);
	CHECK(s.n_far == 0 && end->n_opened == 0 && conn_carrier_count(s.here) == 0);
	story_clear(&s);
}

TEST("the service may stop with strands open: each ends once")
{
	struct story s;

	story_begin(&s);
	open_strands(&s, 50);
	loop_finish(s.loop);
	close_once(s.near, 50, "the service is stopping");
	close_once(s.far, 50, "the service is stopping");
	CHECK(!s.here && !s.there);
	story_clear(&s);
}

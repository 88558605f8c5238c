/* SPDX-License-Identifier: Apache-2.0 */
/* What a strand may have on its way, and how those that wait for room share their carrier. */
#include "test_strand_story.h"

TEST("a paused strand takes 64 KiB and no more, its neighbours go on, and later it has all in order")
{
	struct story s;
	uint8_t *bytes = pattern(BIG);

	story_begin(&s);
	s.far_pauses = true;
	open_strands(&s, 1);
	s.far_pauses = false;
	s.far_echoes = true;
	open_strands(&s, 1);
	conn_write(s.near[0].conn, bytes, BIG);
	say(&s.near[1], "neighbour");
	CHECK(until(s.loop, has_come, &s.near[1]));
	CHECK_STR((char *)s.near[1].got, "neighbour");
	CHECK(s.far[0].conn->in.len == STRAND_WINDOW && s.far[0].len == 0);
	CHECK(conn_queued(s.near[0].conn) == BIG - STRAND_WINDOW);
	s.far[0].pauses = false;
	s.far[0].want = 1;
	conn_pause(s.far[0].conn, false);
	s.far[0].want = BIG;
	CHECK(until(s.loop, has_come, &s.far[0]));
	CHECK(s.far[0].len == BIG);
	CHECK_MEM(s.far[0].got, bytes, BIG);
	CHECK(conn_queued(s.near[0].conn) == 0);
	mem_free(bytes);
	story_clear(&s);
}

TEST("a packet that is larger than the credit comes whole, to who takes nothing before")
{
	struct story s;
	uint8_t *bytes = pattern(BIG / 2);

	story_begin(&s);
	s.far_want = BIG / 2;
	open_strands(&s, 1);
	for (size_t at = 0; at < BIG / 2; at += 4096)
		conn_write(s.near[0].conn, bytes + at, 4096);
	CHECK(until(s.loop, has_come, &s.far[0]));
	CHECK_MEM(s.far[0].got, bytes, BIG / 2);
	mem_free(bytes);
	story_clear(&s);
}

static bool
all_have_come(void *arg)
{
	for (size_t i = 0; i < 20; i++)
		if (story->near[i].len < *(size_t *)arg)
			return false;
	return true;
}

TEST("twenty strands that each echo half a megabyte at once are all served, each in its order")
{
	struct story s;
	size_t len = BIG / 2;
	uint8_t *bytes = pattern(len);

	story_begin(&s);
	s.far_echoes = true;
	open_strands(&s, 20);
	for (size_t i = 0; i < 20; i++)
		conn_write(s.near[i].conn, bytes, len);
	CHECK(until(s.loop, all_have_come, &len));
	for (size_t i = 0; i < 20; i++)
		CHECK_MEM(s.near[i].got, bytes, len);
	mem_free(bytes);
	story_clear(&s);
}

TEST("who lets more than write_max wait on a strand loses that strand alone")
{
	struct story s;
	uint8_t *bytes = pattern(BIG);

	story_begin(&s);
	s.far_pauses = true;
	open_strands(&s, 2);
	for (int i = 0; i < 5 && s.near[0].conn; i++)
		conn_write(s.near[0].conn, bytes, BIG);
	CHECK(until(s.loop, is_closed, &s.near[0]));
	CHECK_STR(s.near[0].why, "the peer reads too slowly");
	CHECK(s.near[1].n_closed == 0 && s.here);
	mem_free(bytes);
	story_clear(&s);
}

static bool
x_came(void *arg)
{
	return ((struct end *)arg)->len > 0;
}

TEST("a strand that waits for room is not overtaken by those who write later")
{
	struct story s;
	uint8_t *bytes = pattern(BIG);
	int small = 32768;
	size_t passed = 0;
	struct end *x;

	story_begin(&s);
	open_strands(&s, 100);
	setsockopt(conn_carrier_conn(s.here)->watch.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(conn_carrier_conn(s.there)->watch.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	conn_pause(conn_carrier_conn(s.there), true);
	run_for(s.loop, 20);
	for (int i = 0; i < 20; i++) { /* more than the kernel and the carrier take */
		conn_write(s.near[i].conn, bytes, 31000);
		run_for(s.loop, 2);
	}
	x = &s.near[99];
	conn_write(x->conn, bytes, 1000);
	CHECK_INT(conn_queued(x->conn), 1000);
	conn_pause(conn_carrier_conn(s.there), false);
	for (size_t i = 20; i < 99 && !x_came(&s.far[99]);) {
		loop_run_once(s.loop);
		for (; i < 99 && conn_queued(conn_carrier_conn(s.here)) + 31000 < 256 * 1024; i++)
			conn_write(s.near[i].conn, bytes, 31000); /* each once: what is given back as credit doesn't matter */
	}
	CHECK(until(s.loop, x_came, &s.far[99]));
	for (size_t i = 20; i < 99; i++)
		passed += s.far[i].len;
	CHECK(passed < (size_t)79 * 31000); /* what came in the turns after it, but not all of it */
	mem_free(bytes);
	story_clear(&s);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier of strands: when it takes no more, and what its peer must not send. */
#include "test_strand_story.h"

/* -- A carrier that takes no more ------------------------------------------------------------------------------------------------------------- */

TEST("a retired carrier takes no further strand at either side, and ends with the last that it has")
{
	struct story s;
	struct err err = ERR_INIT;

	story_begin(&s);
	s.far_echoes = true;
	open_strands(&s, 1);
	conn_carrier_retire(s.there);
	run_for(s.loop, 20);
	CHECK(s.n_retired == 1 && conn_carrier_is_retired(s.here));
	CHECK(conn_connect_strand(s.here, &end_ops, &s.near[2], &err) == NULL);
	CHECK(err.kind == ERR_UNAVAILABLE);
	say(&s.near[0], "still here");
	CHECK(until(s.loop, has_come, &s.near[0]));
	conn_close(s.near[0].conn, "");
	CHECK(until(s.loop, is_over, NULL));
	CHECK_STR(s.ended_by, "");
	story_clear(&s);
}

TEST("a strand that may not be taken now ends, and the carrier goes on")
{
	struct story s;

	story_begin(&s);
	s.refuses = true;
	open_strand(&s);
	CHECK(until(s.loop, is_closed, &s.near[0]));
	CHECK(s.n_far == 0);
	s.refuses = false;
	s.n_near = 0;
	s.near[0] = (struct end){ 0 };
	open_strands(&s, 1);
	story_clear(&s);
}

TEST("no more strands than agreed are opened at a time")
{
	struct story s;
	struct err err = ERR_INIT;

	story_listen(&s);
	s.opening.max_strands = s.accepting.max_strands = 2;
	story_carry(&s);
	open_strands(&s, 2);
	CHECK(conn_connect_strand(s.here, &end_ops, &s.near[2], &err) == NULL);
	CHECK(err.kind == ERR_LIMIT);
	conn_abort(s.near[0].conn, "");
	CHECK(until(s.loop, is_closed, &s.far[0]));
	open_strand(&s);
	CHECK(until(s.loop, all_are_open, NULL));
	story_clear(&s);
}

TEST("a carrier without traffic stays as long as its peer answers, and ends when it does not")
{
	struct story s;
	struct peer peer;

	story_listen(&s);
	s.opening.ping_ms = s.accepting.ping_ms = 30;
	story_carry(&s);
	run_for(s.loop, 300);
	CHECK(s.here && s.there);
	conn_abort(conn_carrier_conn(s.here), "");
	CHECK(until(s.loop, is_over, NULL));
	peer_init(&peer, TLS1_3_VERSION, false);
	peer_connect(&peer, listener_port(s.listener), NULL);
	CHECK(until(s.loop, peer_has_shaken_hands, &peer));
	peer.want = NULL;
	CHECK(until(s.loop, peer_has_read, &peer)); /* to its end */
	CHECK_STR(s.ended_by, "the peer has fallen silent");
	peer_clear(&peer);
	story_clear(&s);
}

/* -- Frames that a peer must not send ---------------------------------------------------------------------------------------------------------- */

struct wrong {
	const char *ends_by;
	struct {
		uint8_t kind;
		uint32_t strand, n;
	} frames[6];
};

static void
put_frames(struct buf *bytes, const struct wrong *wrong)
{
	static const uint8_t filler[STRAND_DATA_MAX];

	for (size_t i = 0; i < COUNT(wrong->frames) && wrong->frames[i].kind; i++) {
		strand_frame_put(bytes, (enum strand_kind)wrong->frames[i].kind, wrong->frames[i].strand, wrong->frames[i].n);
		if (wrong->frames[i].kind == STRAND_DATA && wrong->frames[i].n <= STRAND_DATA_MAX)
			buf_put(bytes, filler, wrong->frames[i].n);
	}
}

static void
send_wrong(struct story *s, const struct wrong *wrong)
{
	struct buf bytes = BUF_INIT(BIG);
	struct peer peer;
	size_t sent;

	s->ended_by[0] = 0;
	peer_init(&peer, TLS1_3_VERSION, false);
	peer_connect(&peer, listener_port(s->listener), NULL);
	CHECK(until(s->loop, peer_has_shaken_hands, &peer));
	put_frames(&bytes, wrong);
	CHECK(SSL_write_ex(peer.ssl, bytes.data, bytes.len, &sent) == 1);
	peer.want = NULL;
	CHECK(until(s->loop, peer_has_read, &peer));
	CHECK_STR(s->ended_by, wrong->ends_by);
	CHECK(!s->there);
	peer_clear(&peer);
	buf_clear(&bytes);
}

TEST("what a peer must not send ends the carrier, and is told")
{
	static const struct wrong all[] = {
		{ "a frame of the unknown kind 9", { { 9, 1, 0 } } },
		{ "DATA with 16385, where 1 to 16384 may stand",
			{ { STRAND_OPEN, 1, 0 }, { STRAND_DATA, 1, STRAND_DATA_MAX + 1 } } },
		{ "a strand that may not be opened", { { STRAND_OPEN, 2, 0 } } },
		{ "a strand that may not be opened", { { STRAND_OPEN, 1, 0 }, { STRAND_OPEN, 1, 0 } } },
		{ "a strand that may not be opened", { { STRAND_OPEN, 1, 0 }, { STRAND_END, 1, 0 }, { STRAND_OPEN, 1, 0 } } },
		{ "a strand that may not be opened",
			{ { STRAND_OPEN, 1, 0 }, { STRAND_OPEN, 2, 0 }, { STRAND_OPEN, 3, 0 }, { STRAND_OPEN, 4, 0 } } },
		{ "a frame of a strand that was not opened", { { STRAND_DATA, 1, 1 } } },
		{ "a frame of a strand that was not opened", { { STRAND_END, 1, 0 } } },
		{ "a frame of a strand that was not opened", { { STRAND_OPEN, 1, 0 }, { STRAND_CREDIT, 2, 1 } } },
		{ "more credit than was taken", { { STRAND_OPEN, 1, 0 }, { STRAND_CREDIT, 1, 1 } } },
		{ "more on a strand than its credit",
			{ { STRAND_OPEN, 1, 0 }, { STRAND_DATA, 1, STRAND_DATA_MAX }, { STRAND_DATA, 1, STRAND_DATA_MAX },
				{ STRAND_DATA, 1, STRAND_DATA_MAX }, { STRAND_DATA, 1, STRAND_DATA_MAX }, { STRAND_DATA, 1, 1 } } },
	};
	struct story s;

	story_listen(&s);
	s.accepting.max_strands = 3;
	s.far_pauses = true;
	for (size_t i = 0; i < COUNT(all); i++)
		send_wrong(&s, &all[i]);
	for (size_t i = 0; i < s.n_far; i++) {
		s.far[i].pauses = false;
		if (s.far[i].conn)
			conn_pause(s.far[i].conn, false); /* with what came before it */
		CHECK(until(s.loop, is_closed, &s.far[i]));
		CHECK_INT(s.far[i].n_closed, 1);
	}
	story_clear(&s);
}

TEST("who opens strands lets nobody open any towards him")
{
	struct story s;
	struct buf *out;

	story_begin(&s);
	out = &conn_carrier_conn(s.there)->out;
	strand_frame_put(out, STRAND_OPEN, 1, 0);
	conn_io_written(conn_carrier_conn(s.there));
	CHECK(until(s.loop, is_over, NULL));
	CHECK(s.n_near == 0 && s.n_far == 0);
	story_clear(&s);
}

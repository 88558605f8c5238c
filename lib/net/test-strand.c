/* SPDX-License-Identifier: Apache-2.0 */
/* Strands over real TLS: each is a connection of its own, whatever its neighbours and its carrier do. */
#include <malloc.h>

#include "base/text.h"
#include "net/carrier_dial.h"
#include "net/conn_inside.h"
#include "net/http_server.h"
#include "net/strand.h"
#include "wire/strand_frame.h"
#include "test_fixture.h"

#define N_ENDS 300
#define BIG (1 << 20)

/* -- One end of a strand, and what has come to it -------------------------------------------------------------------------------------------- */

struct end {
	struct conn *conn;
	uint8_t *got;
	size_t len, want; /* want: nothing is taken before so much is there; 0: at once */
	bool is_open, echoes, pauses;
	int n_opened, n_closed, n_drained;
	char why[80];
};

struct story {
	struct loop *loop;
	struct listener *listener;
	struct tls_holder *holder;
	struct conn_carrier_config accepting, opening;
	struct conn_carrier *here, *there;    /* opened, accepted; NULL: it has ended */
	struct end near[N_ENDS], far[N_ENDS]; /* of strands */
	size_t n_near, n_far;
	bool far_echoes, far_pauses, refuses;
	size_t far_want;
	int n_retired, n_ended;
	char ended_by[80];
};

static struct story *story;

static void
on_open(struct conn *conn)
{
	struct end *end = conn_user(conn);

	end->is_open = true;
	end->n_opened++;
}

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	struct end *end = conn_user(conn);

	if (end->pauses) {
		conn_pause(conn, true);
		return 0;
	}
	if (len < end->want)
		return 0;
	if (end->echoes)
		conn_write(conn, data, len);
	end->got = mem_resize(end->got, end->len + len + 1);
	memcpy(end->got + end->len, data, len);
	end->len += len;
	end->got[end->len] = 0;
	return len;
}

static void
on_drain(struct conn *conn)
{
	((struct end *)conn_user(conn))->n_drained++;
}

static void
on_close(struct conn *conn, const char *why)
{
	struct end *end = conn_user(conn);

	CHECK(end->conn == conn);
	end->conn = NULL;
	end->n_closed++;
	snprintf(end->why, sizeof(end->why), "%s", why);
}

static const struct conn_ops end_ops = {
	.on_open = on_open, .on_data = on_data, .on_drain = on_drain, .on_close = on_close, .read_max = BIG
};

static void
on_accept(struct conn *conn, void *user)
{
	struct end *end = &story->far[story->n_far++];

	CHECK(user == story);
	*end = (struct end){ .conn = conn, .echoes = story->far_echoes, .pauses = story->far_pauses, .want = story->far_want };
	conn_set_user(conn, end);
}

/* -- The carrier ------------------------------------------------------------------------------------------------------------------------------ */

static bool
may_accept(struct conn_carrier *carrier, void *arg)
{
	CHECK(carrier == story->there && arg == story);
	return !story->refuses;
}

static void
on_retired(struct conn_carrier *carrier, void *arg)
{
	(void)carrier;
	(void)arg;
	story->n_retired++;
}

static void
on_end(struct conn_carrier *carrier, void *arg, const char *why)
{
	(void)arg;
	if (carrier == story->here)
		story->here = NULL;
	else
		story->there = NULL;
	story->n_ended++;
	if (*why)
		snprintf(story->ended_by, sizeof(story->ended_by), "%s", why);
}

static void
on_listener_open(struct conn *conn)
{
	story->there = conn_carrier_begin(conn, &story->accepting);
}

static const struct conn_ops listener_ops = { .on_open = on_listener_open, .read_max = 1024 };

static void
on_opener_open(struct conn *conn)
{
	CHECK(verdict_accepted(conn_verdict(conn)));
	story->here = conn_carrier_begin(conn, &story->opening);
}

static const struct conn_ops opener_ops = { .on_open = on_opener_open, .read_max = 1024 };

static bool
is_carried(void *arg)
{
	(void)arg;
	return story->here && story->there;
}

static void
story_listen(struct story *s)
{
	struct err err = ERR_INIT;
	struct listener_config listen = { .address = "127.0.0.1", .ops = &listener_ops };

	*s = (struct story){ .loop = loop_new("test"), .holder = server_tls("test", NULL) };
	story = s;
	s->accepting = (struct conn_carrier_config){ .ops = &end_ops,
		.on_accept = on_accept,
		.user = s,
		.may_accept = may_accept,
		.on_retired = on_retired,
		.on_end = on_end,
		.arg = s };
	s->opening = (struct conn_carrier_config){ .on_retired = on_retired, .on_end = on_end, .arg = s };
	listen.tls = s->holder;
	s->listener = listener_open(&s->loop, 1, &listen, &err);
	assert_non_null(s->listener);
}

static void
story_carry(struct story *s)
{
	struct tls_client *tls = client_tls(pki()->anchors, true);
	struct conn_target target = {
		.host = "localhost", .connect_to = "127.0.0.1", .port = listener_port(s->listener), .tls = tls
	};
	struct err err = ERR_INIT;

	assert_non_null(conn_connect(s->loop, &target, &opener_ops, s, &err));
	CHECK(until(s->loop, is_carried, NULL));
	tls_client_free(tls);
}

static void
story_begin(struct story *s)
{
	story_listen(s);
	story_carry(s);
}

static void
story_clear(struct story *s)
{
	listener_close(s->listener);
	loop_finish(s->loop);
	loop_free(s->loop);
	tls_holder_free(s->holder);
	for (size_t i = 0; i < N_ENDS; i++) {
		mem_free(s->near[i].got);
		mem_free(s->far[i].got);
	}
}

static struct end *
open_strand(struct story *s)
{
	struct end *end = &s->near[s->n_near++];
	struct err err = ERR_INIT;

	end->conn = conn_connect_strand(s->here, &end_ops, end, &err);
	if (!end->conn)
		fail_msg("%s", err.text);
	return end;
}

static bool
all_are_open(void *arg)
{
	(void)arg;
	return story->n_near == story->n_far && story->near[story->n_near - 1].is_open && story->far[story->n_far - 1].is_open;
}

static void
open_strands(struct story *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		open_strand(s);
	CHECK(until(s->loop, all_are_open, NULL));
}

static void
say(struct end *end, const char *words)
{
	conn_write(end->conn, words, strlen(words));
}

static bool
has_come(void *arg)
{
	const struct end *end = arg;

	return end->len >= end->want && end->len > 0;
}

static bool
is_closed(void *arg)
{
	return ((struct end *)arg)->n_closed > 0;
}

static bool
has_paused(void *arg)
{
	return ((struct end *)arg)->conn->in.len > 0;
}

static bool
is_over(void *arg)
{
	(void)arg;
	return !story->here && !story->there;
}

/* Bytes that would show if any were lost, doubled or out of order. */
static uint8_t *
pattern(size_t len)
{
	uint8_t *bytes = mem_new(len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8) * 13);
	return bytes;
}

/* -- Each is a connection of its own -------------------------------------------------------------------------------------------------------- */

TEST("what is said on each strand comes to its other end, and to no other")
{
	struct story s;

	story_begin(&s);
	s.far_echoes = true;
	open_strands(&s, 3);
	say(&s.near[2], "third");
	say(&s.near[0], "first");
	say(&s.near[1], "second");
	say(&s.near[0], " again");
	CHECK(until(s.loop, has_come, &s.near[0]) && until(s.loop, has_come, &s.near[1]) && until(s.loop, has_come, &s.near[2]));
	CHECK_STR((char *)s.near[0].got, "first again");
	CHECK_STR((char *)s.near[1].got, "second");
	CHECK_STR((char *)s.near[2].got, "third");
	CHECK_STR((char *)s.far[2].got, "third");
	CHECK(s.near[0].n_opened == 1 && s.far[0].n_opened == 1 && s.near[0].n_drained > 0);
	story_clear(&s);
}

TEST("a strand answers questions as a connection does, but its carrier's client certificate is nobody's whom it carries")
{
	struct story s;
	struct certs carriers, near, far;
	struct conn *conn;

	story_begin(&s);
	open_strands(&s, 2);
	conn = s.near[0].conn;
	CHECK(verdict_accepted(conn_verdict(conn)) && !conn_verdict(s.far[0].conn));
	CHECK_STR(conn_tls_version(conn), "TLSv1.3");
	CHECK_STR(conn_tls_version(s.far[0].conn), "TLSv1.3");
	CHECK(text_starts(conn_peer_name(s.far[0].conn), "127.0.0.1:"));
	carriers = conn_peer_chain(conn_carrier_conn(s.there));
	near = conn_peer_chain(conn);
	far = conn_peer_chain(s.far[0].conn);
	CHECK(carriers.n == 1 && near.n == 1 && far.n == 0);
	CHECK(conn_peer_leaf(s.far[0].conn) == NULL && conn_channel_binding(conn, (uint8_t[CONN_BINDING_MAX]){ 0 }) == 0);
	CHECK(conn_id(conn) != conn_id(s.near[1].conn) && conn_find(s.loop, conn_id(conn)) == conn);
	CHECK(!conn_is_hung_up(conn) && conn_queued(conn) == 0 && !conn_resumed(conn));
	certs_clear(&carriers);
	certs_clear(&near);
	story_clear(&s);
}

static int n_records;

static void
count_records(int write_p, int version, int content_type, const void *buf, size_t len, SSL *ssl, void *arg)
{
	(void)version;
	(void)buf;
	(void)len;
	(void)ssl;
	(void)arg;
	n_records += write_p && content_type == SSL3_RT_HEADER;
}

TEST("what a hundred strands write in a turn leaves in one record of TLS")
{
	struct story s;

	story_begin(&s);
	open_strands(&s, 100);
	n_records = 0;
	SSL_set_msg_callback(conn_carrier_conn(s.here)->ssl, count_records);
	for (size_t i = 0; i < 100; i++)
		say(&s.near[i], "a message of a device");
	CHECK(until(s.loop, has_come, &s.far[99]));
	for (size_t i = 0; i < 100; i++)
		CHECK_STR((char *)s.far[i].got, "a message of a device");
	CHECK(n_records == 1);
	story_clear(&s);
}

TEST("a strand at rest costs less than a kilobyte, at both ends together")
{
	struct story s;
	struct mallinfo2 before, after;

	story_begin(&s);
	open_strands(&s, 10);
	before = mallinfo2();
	open_strands(&s, 250);
	after = mallinfo2();
	CHECK((after.uordblks - before.uordblks) / 250 < 1024);
	story_clear(&s);
}

/* -- Credit ---------------------------------------------------------------------------------------------------------------------------------- */

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

/* -- Ends ------------------------------------------------------------------------------------------------------------------------------------ */

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

/* -- A carrier by HTTP ------------------------------------------------------------------------------------------------------------------------- */

struct call {
	struct story *story;
	enum carrier_dial_end end;
	int status;
	char why[120];
	bool is_done, is_accepted;
};

static void
handle(struct http_request *req, void *arg)
{
	static const char *const headers[] = { "Upgrade: " STRAND_PROTOCOL, "Connection: Upgrade", NULL };
	struct story *s = arg;

	CHECK_STR(http_header(req, "authorization"), "SharedAccessSignature of a test");
	if (http_wants_upgrade(req, STRAND_PROTOCOL) && text_is(http_path(req), "/strands"))
		s->there = conn_carrier_begin(http_switch(req, headers), &s->accepting);
	else
		http_respond_json(req, 404, NULL, json_pack("{s:s}", "message", "there is nothing at this path"));
	if (s->there) {
		strand_frame_put(&conn_carrier_conn(s->there)->out, STRAND_RETIRE, 0, 0); /* in the record of the answer */
		conn_io_written(conn_carrier_conn(s->there));
	}
}

static void
on_verdict(void *arg, const struct verdict *verdict)
{
	((struct call *)arg)->is_accepted = verdict_accepted(verdict);
}

static void
on_up(void *arg, struct conn_carrier *carrier)
{
	struct call *call = arg;

	call->story->here = carrier;
	call->is_done = true;
}

static void
on_failed(void *arg, enum carrier_dial_end end, int status, const char *why)
{
	struct call *call = arg;

	call->end = end;
	call->status = status;
	call->is_done = true;
	snprintf(call->why, sizeof(call->why), "%s", why);
}

static bool
call_is_done(void *arg)
{
	return ((struct call *)arg)->is_done;
}

static void
dial(struct story *s, struct call *call, const char *path, struct anchors *anchors, int port)
{
	static const struct carrier_dial_ops ops = { .on_verdict = on_verdict, .on_up = on_up, .on_failed = on_failed };
	struct tls_client *tls = client_tls(anchors, false);
	struct carrier_dial_config config = {
		.target = { .host = "localhost", .connect_to = "127.0.0.1", .port = port, .tls = tls },
		.path = path,
		.authorization = "SharedAccessSignature of a test",
		.carrier = s->opening,
		.ops = &ops,
		.arg = call,
	};
	struct err err = ERR_INIT;

	*call = (struct call){ .story = s };
	assert_non_null(carrier_dial(s->loop, &config, &err));
	CHECK(until(s->loop, call_is_done, call));
	tls_client_free(tls);
}

static struct http_server *
story_serve(struct story *s)
{
	struct http_server *http = http_server_new(&(struct http_server_config){ .handle = handle, .arg = s });
	struct listener_config listen = {
		.address = "127.0.0.1", .ops = http_server_ops(), .on_accept = http_server_on_accept, .user = http
	};
	struct err err = ERR_INIT;

	story_listen(s);
	listener_close(s->listener);
	listen.tls = s->holder;
	s->listener = listener_open(&s->loop, 1, &listen, &err);
	assert_non_null(s->listener);
	return http;
}

TEST("a server that carries strands is asked by HTTP, and what comes with its answer is read at once")
{
	struct story s;
	struct http_server *http = story_serve(&s);
	struct call call;

	dial(&s, &call, "/strands", pki()->anchors, listener_port(s.listener));
	CHECK(call.is_accepted);
	CHECK(until(s.loop, is_over, NULL));
	CHECK(s.n_retired == 1);
	story_clear(&s);
	http_server_free(http);
}

TEST("a server that carries none says so by its status, one that is not trusted gets no token, and one that is away is unreachable")
{
	struct story s;
	struct http_server *http = story_serve(&s);
	struct call call;

	dial(&s, &call, "/elsewhere", pki()->anchors, listener_port(s.listener));
	CHECK(call.end == CARRIER_DIAL_REFUSED && call.status == 404 && call.is_accepted);
	dial(&s, &call, "/strands", pki()->other_anchors, listener_port(s.listener));
	CHECK(call.end == CARRIER_DIAL_UNTRUSTED && call.status == 0 && !call.is_accepted);
	dial(&s, &call, "/strands", pki()->anchors, 1);
	CHECK(call.end == CARRIER_DIAL_UNREACHABLE && call.status == 0);
	CHECK_STR(call.why, "Connection refused");
	CHECK(!s.there);
	story_clear(&s);
	http_server_free(http);
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
	setsockopt(conn_carrier_conn(s.here)->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(conn_carrier_conn(s.there)->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
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

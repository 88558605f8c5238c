/* SPDX-License-Identifier: Apache-2.0 */
/* Strands.  Where there is credit and room, what is written on a strand goes straight into the carrier's buffer, which is sent when the turn is over; else it waits in the strand's own, in a list
 * that is served in turns when the carrier has sent what it had.  What arrives goes straight to the protocol; only what a paused one leaves is kept, and not given back as credit before it is taken. */
#include "net/strand_inside.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "net/conn_inside.h"
#include "net/strand.h"
#include "wire/strand_frame.h"

#define CREDIT_AT (STRAND_WINDOW / 2) /* what is taken is given back in pieces of this */
#define ROOM (256 * 1024)	      /* no more data is put on a carrier that has so much to send */
#define ANSWERS_MAX (1024 * 1024)     /* a peer that doesn't read what it causes is not read either */
#define CARRIER_QUEUED_MAX (8 * 1024 * 1024)
#define OUT_KEPT (64 * 1024) /* of the one connection that many write on in each turn: growing to this is ten steps */
#define PING_MS 60000

struct conn_carrier {
	struct conn *conn; /* NULL: it has ended */
	struct conn_carrier_config config;
	struct map *by_number; /* those whose peer has not ended them */
	struct verdict *verdict;
	const char *tls_version;
	struct strand *first_waiting, **last_waiting;
	struct timer timer;
	int64_t last_heard_ms;
	size_t n_strands, n_refs; /* its own, and one a strand */
	size_t n_unanswered;
	uint32_t last; /* number that was given */
	bool is_retired;
};

struct strand {
	struct conn *conn;
	struct conn_carrier *carrier;
	struct strand *next, **link; /* among those that wait for room */
	uint32_t number;	     /* 0: not open yet */
	uint32_t credit;	     /* what may be sent */
	uint32_t window;	     /* what the peer may send */
	uint32_t held;		     /* what it has sent and the protocol has not taken */
	bool has_written;
	bool is_unanswered; /* the peer opened it, and we have not said anything */
};

static void
unref(struct conn_carrier *c)
{
	if (--c->n_refs > 0)
		return;
	map_free(c->by_number);
	verdict_free(c->verdict);
	mem_free(c);
}

static bool
is_live(const struct conn_carrier *c)
{
	return c->conn && c->conn->state == CONN_OPEN && !c->conn->is_mute;
}

/* -- Frames out ------------------------------------------------------------------------------------------------------------------------- */

static void
put(struct conn_carrier *c, enum strand_kind kind, uint32_t number, uint32_t n, const void *data)
{
	if (!is_live(c))
		return;
	strand_frame_put(&c->conn->out, kind, number, n);
	if (data)
		buf_put(&c->conn->out, data, n);
	conn_io_written(c->conn);
}

/* As much of it as may go now, and at most so many frames. */
static size_t
send_some(struct strand *s, const uint8_t *data, size_t len, int n_frames)
{
	size_t sent = 0;

	while (sent < len && s->credit > 0 && n_frames-- > 0 && is_live(s->carrier) && s->carrier->conn->out.len < ROOM) {
		uint32_t n = s->credit < STRAND_DATA_MAX ? s->credit : STRAND_DATA_MAX;

		n = len - sent < n ? (uint32_t)(len - sent) : n;
		put(s->carrier, STRAND_DATA, s->number, n, data + sent);
		s->credit -= n;
		sent += n;
	}
	return sent;
}

static void
leave(struct strand *s)
{
	if (!s->link)
		return;
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	else
		s->carrier->last_waiting = s->link;
	s->link = NULL;
}

/* Who has no credit is not among those who wait for room. */
static void
wait(struct strand *s)
{
	struct conn_carrier *c = s->carrier;

	if (s->link || s->conn->out.len == 0 || s->credit == 0)
		return;
	s->next = NULL;
	s->link = c->last_waiting;
	*c->last_waiting = s;
	c->last_waiting = &s->next;
}

static void
send_queued(struct strand *s)
{
	struct conn *conn = s->conn;
	size_t sent;

	if (conn->state == CONN_DEAD)
		return;
	sent = send_some(s, conn->out.data, conn->out.len, 1);
	buf_drop(&conn->out, sent);
	if (conn->out.len == 0)
		buf_clear(&conn->out);
	if (sent > 0)
		loop_later(conn->loop, &conn->later); /* it may be drained, or closed, or read on */
	wait(s);
}

/* A frame of each, in turns. */
static void
serve_waiting(struct conn_carrier *c)
{
	while (c->first_waiting && is_live(c) && c->conn->out.len < ROOM) {
		struct strand *s = c->first_waiting;

		leave(s);
		send_queued(s);
	}
}

static void
count_unanswered(struct strand *s, bool is)
{
	if (s->is_unanswered == is)
		return;
	s->is_unanswered = is;
	s->carrier->n_unanswered += is ? 1 : (size_t)-1;
}

void
strand_write(struct conn *conn, const void *data, size_t len)
{
	struct strand *s = conn->strand;
	bool is_first = conn->out.len == 0 && !s->carrier->first_waiting; /* or it would overtake who waits */
	size_t sent = is_first ? send_some(s, data, len, INT32_MAX) : 0;

	count_unanswered(s, false);
	buf_put(&conn->out, (const uint8_t *)data + sent, len - sent);
	if (conn->out.failed) {
		conn_die(conn, "the peer reads too slowly");
		return;
	}
	wait(s);
	s->has_written = true;
	if (conn->ops->on_drain)
		loop_later(conn->loop, &conn->later);
}

/* -- A strand's life ---------------------------------------------------------------------------------------------------------------------- */

static struct strand *
strand_new(struct conn_carrier *c, const struct conn_ops *ops, void *user)
{
	struct strand *s = NEW(strand);
	struct conn *conn = conn_new(c->conn->loop, -1, ops, user);

	*s = (struct strand){ .conn = conn, .carrier = c, .credit = STRAND_WINDOW, .window = STRAND_WINDOW };
	conn->strand = s;
	conn->has_peer = c->conn->has_peer;
	conn->peer = c->conn->peer;
	conn->peer_port = c->conn->peer_port;
	c->n_strands++;
	c->n_refs++;
	return s;
}

static void
enter(struct strand *s, uint32_t number)
{
	s->number = number;
	s->carrier->last = number;
	map_put(s->carrier->by_number, &s->number, sizeof(s->number), s);
}

static void
open_strand(struct conn *conn)
{
	struct strand *s = conn->strand;
	struct conn_carrier *c = s->carrier;

	if (!is_live(c) || c->last == STRAND_NUMBER_MAX) {
		conn_die(conn, "its carrier has ended");
		return;
	}
	enter(s, c->last + 1);
	put(c, STRAND_OPEN, s->number, 0, NULL);
	conn_opened(conn);
}

struct conn *
conn_connect_strand(struct conn_carrier *c, const struct conn_ops *ops, void *user, struct err *err)
{
	struct strand *s;

	assert(!c->config.ops);
	if (!is_live(c) || c->is_retired)
		return err_null(err, ERR_UNAVAILABLE, "the connection that would carry it takes no more");
	if (c->n_strands >= c->config.max_strands)
		return err_null(err, ERR_LIMIT, "%zu connections are on one already", c->n_strands);
	s = strand_new(c, ops, user);
	loop_later(s->conn->loop, &s->conn->later); /* on_open comes from there */
	return s->conn;
}

static void
end_if_last(struct conn_carrier *c)
{
	if (c->is_retired && c->n_strands == 0 && is_live(c))
		conn_close(c->conn, "");
}

void
strand_end(struct conn *conn)
{
	struct strand *s = conn->strand;
	struct conn_carrier *c = s->carrier;

	leave(s);
	count_unanswered(s, false);
	if (s->number != 0 && !conn->peer_ended) {
		map_remove(c->by_number, &s->number, sizeof(s->number));
		put(c, STRAND_END, s->number, 0, NULL);
	}
	c->n_strands--;
	end_if_last(c);
	unref(c);
	mem_free(s);
	conn->strand = NULL;
}

/* It is heard out: what has come goes to the protocol before the end, and nothing that is written reaches anybody. */
static void
peer_is_gone(struct strand *s)
{
	struct conn *conn = s->conn;

	leave(s);
	s->credit = 0;
	conn->peer_ended = conn->is_mute = true;
	buf_clear(&conn->out);
	loop_later(conn->loop, &conn->later);
}

/* -- What arrives on a strand ------------------------------------------------------------------------------------------------------------- */

/* Of what a paused protocol was given, what it has left is not taken; of any other, all is, for it waits for the rest of a packet. */
static void
give_back(struct strand *s)
{
	struct conn *conn = s->conn;
	uint32_t taken;

	if (!conn_io_may_read(conn))
		s->held = conn->in.len < s->held ? (uint32_t)conn->in.len : s->held;
	else if (!conn->read_more)
		s->held = 0;
	taken = STRAND_WINDOW - s->window - s->held;
	if (taken < CREDIT_AT || conn->peer_ended)
		return;
	s->window += taken;
	put(s->carrier, STRAND_CREDIT, s->number, taken, NULL);
}

static void
keep(struct conn *conn, const uint8_t *data, size_t len)
{
	buf_put(&conn->in, data, len);
	conn->read_more = true;
	if (conn->in.failed)
		conn_die(conn, "more unfinished data than is accepted");
}

static void
receive(struct strand *s, const uint8_t *data, uint32_t len)
{
	struct conn *conn = s->conn;

	s->window -= len;
	s->held += len;
	if (conn->state != CONN_OPEN)
		return;
	if (conn->read_more || !conn_io_may_read(conn))
		keep(conn, data, len);
	else if (!conn_io_hand_over(conn, data, len))
		return;
	give_back(s);
}

static void
read_on(struct conn *conn)
{
	conn->read_more = false;
	if (conn->in.len > 0 && !conn_io_hand_over(conn, NULL, 0))
		return;
	give_back(conn->strand);
}

void
strand_turn(struct conn *conn)
{
	struct strand *s = conn->strand;

	if (conn->state == CONN_CONNECTING) {
		open_strand(conn);
		return;
	}
	if (conn->read_more && conn_io_may_read(conn))
		read_on(conn);
	if (conn->peer_ended && (conn->state == CONN_FLUSHING || (conn_io_may_read(conn) && !conn->read_more)))
		conn_die(conn, ""); /* nobody is there to read what is queued */
	if (conn->state == CONN_FLUSHING && conn->out.len == 0)
		conn_die(conn, "");
	if (conn->state != CONN_OPEN)
		return;
	if (s->has_written && conn->out.len == 0) {
		s->has_written = false;
		if (conn->ops->on_drain)
			conn->ops->on_drain(conn);
	}
	if (conn->read_more && conn_io_may_read(conn))
		loop_later(conn->loop, &conn->later);
}

/* -- Frames in -------------------------------------------------------------------------------------------------------------------------- */

static void
broken(struct conn_carrier *c, const char *rule)
{
	conn_abort(c->conn, rule);
}

/* One that ended here may still be spoken of by who has not heard. */
static struct strand *
find(struct conn_carrier *c, const struct strand_frame *frame)
{
	struct strand *s = map_find(c->by_number, &frame->strand, sizeof(frame->strand));

	if (!s && frame->strand > c->last)
		broken(c, "a frame of a strand that was not opened");
	return s;
}

/* Those that ended with something unread, on a protocol that pauses, are few, or somebody makes them. */
static bool
is_too_many(const struct conn_carrier *c)
{
	return map_count(c->by_number) >= c->config.max_strands || c->n_strands >= 2 * c->config.max_strands;
}

/* Strangers to us, who cost memory before anybody has judged them. */
static bool
are_many_unanswered(const struct conn_carrier *c)
{
	return c->config.max_unanswered > 0 && c->n_unanswered >= c->config.max_unanswered;
}

static void
on_frame_open(struct conn_carrier *c, const struct strand_frame *frame)
{
	struct strand *s;

	if (!c->config.ops || frame->strand != c->last + 1 || is_too_many(c)) {
		broken(c, "a strand that may not be opened");
		return;
	}
	c->last = frame->strand;
	if (c->is_retired || are_many_unanswered(c) || (c->config.may_accept && !c->config.may_accept(c, c->config.arg))) {
		put(c, STRAND_END, frame->strand, 0, NULL);
		return;
	}
	s = strand_new(c, c->config.ops, NULL);
	enter(s, frame->strand);
	count_unanswered(s, true);
	c->config.on_accept(s->conn, c->config.user);
	if (s->conn->state != CONN_DEAD)
		conn_opened(s->conn);
}

static void
on_frame_data(struct conn_carrier *c, const struct strand_frame *frame)
{
	struct strand *s = find(c, frame);

	if (s && frame->n > s->window)
		broken(c, "more on a strand than its credit");
	else if (s)
		receive(s, frame->data, frame->n);
}

static void
on_frame_end(struct conn_carrier *c, const struct strand_frame *frame)
{
	struct strand *s = find(c, frame);

	if (!s)
		return;
	map_remove(c->by_number, &s->number, sizeof(s->number));
	peer_is_gone(s);
}

static void
on_frame_credit(struct conn_carrier *c, const struct strand_frame *frame)
{
	struct strand *s = find(c, frame);

	if (!s)
		return;
	if (frame->n > STRAND_WINDOW - s->credit) {
		broken(c, "more credit than was taken");
		return;
	}
	s->credit += frame->n;
	wait(s);
	serve_waiting(c);
}

static void
on_frame_retire(struct conn_carrier *c, const struct strand_frame *frame)
{
	bool was = c->is_retired;

	(void)frame;
	c->is_retired = true;
	if (!was && c->config.on_retired)
		c->config.on_retired(c, c->config.arg);
	end_if_last(c);
}

static void
on_frame_ping(struct conn_carrier *c, const struct strand_frame *frame)
{
	(void)frame;
	put(c, STRAND_PONG, 0, 0, NULL);
}

static void
on_frame_pong(struct conn_carrier *c, const struct strand_frame *frame)
{
	(void)c;
	(void)frame;
}

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	static void (*const take[STRAND_KINDS])(struct conn_carrier * c, const struct strand_frame *frame) = {
		[STRAND_OPEN] = on_frame_open,
		[STRAND_DATA] = on_frame_data,
		[STRAND_END] = on_frame_end,
		[STRAND_CREDIT] = on_frame_credit,
		[STRAND_RETIRE] = on_frame_retire,
		[STRAND_PING] = on_frame_ping,
		[STRAND_PONG] = on_frame_pong,
	};
	struct conn_carrier *c = conn_user(conn);
	size_t done = 0, used = 0;

	c->last_heard_ms = clock_boot_ms();
	while (conn->state == CONN_OPEN) {
		struct strand_frame frame;
		struct err err = ERR_INIT;
		enum strand_cut cut = strand_frame_cut(&frame, data + done, len - done, &used, &err);

		if (cut == STRAND_CUT_MORE)
			break;
		if (cut == STRAND_CUT_BAD) {
			broken(c, err.text);
			break;
		}
		done += used;
		take[frame.kind](c, &frame);
	}
	return done;
}

/* -- The carrier -------------------------------------------------------------------------------------------------------------------------- */

static void
on_drain(struct conn *conn)
{
	serve_waiting(conn_user(conn));
}

static void
on_timer(struct timer *timer)
{
	struct conn_carrier *c = CONTAINER_OF(timer, struct conn_carrier, timer);
	int64_t silent_ms = clock_boot_ms() - c->last_heard_ms;

	if (silent_ms >= 3 * c->config.ping_ms) {
		conn_abort(c->conn, "the peer has fallen silent");
		return;
	}
	if (silent_ms >= c->config.ping_ms)
		put(c, STRAND_PING, 0, 0, NULL);
	timer_arm(timer, c->config.ping_ms);
}

/* A protocol that has paused may not have had its peer's last words, which have come. */
static void
lose(struct strand *s, const char *why)
{
	struct conn *conn = s->conn;

	peer_is_gone(s);
	if (conn->state != CONN_OPEN || conn->in.len == 0)
		conn_die(conn, why);
	else if (!conn->why)
		conn->why = mem_text(why);
}

static void
on_close(struct conn *conn, const char *why)
{
	struct conn_carrier *c = conn_user(conn);
	size_t at = 0;
	void *strand;

	timer_cancel(&c->timer);
	c->conn = NULL;
	while (map_next(c->by_number, &at, NULL, NULL, &strand))
		lose(strand, why);
	map_free(c->by_number);
	c->by_number = NULL;
	if (c->config.on_end)
		c->config.on_end(c, c->config.arg, why);
	unref(c);
}

/* Who opens reads whatever waits to be sent, or both sides could wait for each other. */
static const struct conn_ops opening_ops = {
	.on_data = on_data,
	.on_drain = on_drain,
	.on_close = on_close,
	.read_max = STRAND_HEAD_LEN + STRAND_DATA_MAX,
	.write_high = CARRIER_QUEUED_MAX,
	.drained_below = ROOM / 2,
	.write_max = CARRIER_QUEUED_MAX,
	.write_kept = OUT_KEPT,
};

static const struct conn_ops accepting_ops = {
	.on_data = on_data,
	.on_drain = on_drain,
	.on_close = on_close,
	.read_max = STRAND_HEAD_LEN + STRAND_DATA_MAX,
	.write_high = ANSWERS_MAX,
	.drained_below = ROOM / 2,
	.write_max = CARRIER_QUEUED_MAX,
};

struct conn_carrier *
conn_carrier_begin(struct conn *conn, const struct conn_carrier_config *config)
{
	struct conn_carrier *c = NEW(conn_carrier);

	assert(conn->state == CONN_OPEN && !conn->strand && !conn->framing);
	c->conn = conn;
	c->config = *config;
	c->config.max_strands = config->max_strands ? config->max_strands : STRANDS_MAX;
	c->config.ping_ms = config->ping_ms ? config->ping_ms : PING_MS;
	c->by_number = map_new_keys_in_values();
	c->verdict = GIVE(conn->verdict);
	c->tls_version = conn_tls_version(conn);
	c->last_waiting = &c->first_waiting;
	c->last_heard_ms = clock_boot_ms();
	c->n_refs = 1;
	timer_init(&c->timer, conn->loop, on_timer);
	timer_arm(&c->timer, c->config.ping_ms);
	conn_switch_ops(conn, config->ops ? &accepting_ops : &opening_ops, c);
	conn->read_more = true; /* what came behind the words that led here */
	loop_later(conn->loop, &conn->later);
	return c;
}

struct conn *
conn_carrier_conn(struct conn_carrier *c)
{
	return c->conn;
}

size_t
conn_carrier_count(const struct conn_carrier *c)
{
	return c->n_strands;
}

void
conn_carrier_retire(struct conn_carrier *c)
{
	if (c->is_retired)
		return;
	c->is_retired = true;
	put(c, STRAND_RETIRE, 0, 0, NULL);
	end_if_last(c);
}

bool
conn_carrier_is_retired(const struct conn_carrier *c)
{
	return c->is_retired;
}

/* -- What conn.c asks about a strand ------------------------------------------------------------------------------------------------------- */

const struct verdict *
strand_verdict(const struct conn *conn)
{
	return conn->strand->carrier->verdict;
}

const char *
strand_tls_version(const struct conn *conn)
{
	return conn->strand->carrier->tls_version;
}

struct certs
strand_peer_chain(const struct conn *conn)
{
	const struct conn_carrier *c = conn->strand->carrier;

	return c->conn && !c->config.ops ? conn_peer_chain(c->conn) : (struct certs){ 0 };
}

bool
strand_is_hung_up(const struct conn *conn)
{
	return conn->peer_ended || !conn->strand->carrier->conn;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Strands; what carries them is conn_carrier.c.  Where there is credit and room, what is written on a strand goes straight into the carrier's buffer, which is sent when the turn is over; else it waits in the strand's own, in a list
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

/* -- Frames out ------------------------------------------------------------------------------------------------------------------------- */

/* As much of it as may go now, and at most so many frames. */
static size_t
send_some(struct strand *s, const uint8_t *data, size_t len, int n_frames)
{
	size_t sent = 0;

	while (sent < len && s->credit > 0 && n_frames-- > 0 && conn_carrier_is_live(s->carrier) &&
		s->carrier->conn->out.len < STRAND_ROOM) {
		uint32_t n = s->credit < STRAND_DATA_MAX ? s->credit : STRAND_DATA_MAX;

		n = len - sent < n ? (uint32_t)(len - sent) : n;
		conn_carrier_put(s->carrier, STRAND_DATA, s->number, n, data + sent);
		s->credit -= n;
		sent += n;
	}
	return sent;
}

void
strand_leave(struct strand *s)
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
void
strand_wait(struct strand *s)
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
	strand_wait(s);
}

/* A frame of each, in turns. */
void
strand_serve_waiting(struct conn_carrier *c)
{
	while (c->first_waiting && conn_carrier_is_live(c) && c->conn->out.len < STRAND_ROOM) {
		struct strand *s = c->first_waiting;

		strand_leave(s);
		send_queued(s);
	}
}

void
strand_count_unanswered(struct strand *s, bool is)
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

	strand_count_unanswered(s, false);
	buf_put(&conn->out, (const uint8_t *)data + sent, len - sent);
	if (conn->out.failed) {
		conn_die(conn, "the peer reads too slowly");
		return;
	}
	strand_wait(s);
	s->has_written = true;
	if (conn->ops->on_drain)
		loop_later(conn->loop, &conn->later);
}

/* -- A strand's life ---------------------------------------------------------------------------------------------------------------------- */

struct strand *
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

void
strand_enter(struct strand *s, uint32_t number)
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

	if (!conn_carrier_is_live(c) || c->last == STRAND_NUMBER_MAX) {
		conn_die(conn, "its carrier has ended");
		return;
	}
	strand_enter(s, c->last + 1);
	conn_carrier_put(c, STRAND_OPEN, s->number, 0, NULL);
	conn_opened(conn);
}

struct conn *
conn_connect_strand(struct conn_carrier *c, const struct conn_ops *ops, void *user, struct err *err)
{
	struct strand *s;

	assert(!c->config.ops);
	if (!conn_carrier_is_live(c) || c->is_retired)
		return err_null(err, ERR_UNAVAILABLE, "the connection that would carry it takes no more");
	if (c->n_strands >= c->config.max_strands)
		return err_null(err, ERR_LIMIT, "%zu connections are on one already", c->n_strands);
	s = strand_new(c, ops, user);
	loop_later(s->conn->loop, &s->conn->later); /* on_open comes from there */
	return s->conn;
}

void
strand_end(struct conn *conn)
{
	struct strand *s = conn->strand;
	struct conn_carrier *c = s->carrier;

	strand_leave(s);
	strand_count_unanswered(s, false);
	if (s->number != 0 && !conn->peer_ended) {
		map_remove(c->by_number, &s->number, sizeof(s->number));
		conn_carrier_put(c, STRAND_END, s->number, 0, NULL);
	}
	c->n_strands--;
	conn_carrier_end_if_last(c);
	conn_carrier_unref(c);
	mem_free(s);
	conn->strand = NULL;
}

/* It is heard out: what has come goes to the protocol before the end, and nothing that is written reaches anybody. */
void
strand_peer_is_gone(struct strand *s)
{
	struct conn *conn = s->conn;

	strand_leave(s);
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
	conn_carrier_put(s->carrier, STRAND_CREDIT, s->number, taken, NULL);
}

static void
keep(struct conn *conn, const uint8_t *data, size_t len)
{
	buf_put(&conn->in, data, len);
	conn->read_more = true;
	if (conn->in.failed)
		conn_die(conn, "more unfinished data than is accepted");
}

void
strand_receive(struct strand *s, const uint8_t *data, uint32_t len)
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

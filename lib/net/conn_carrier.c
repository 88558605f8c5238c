/* SPDX-License-Identifier: Apache-2.0 */
/* What carries strands: a connection whose protocol is frames.  It knows its strands by their numbers, takes its peer's frames to them, asks a peer that has fallen silent for a word, and ends with
 * the last of them once it is retired. */
#include <assert.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "net/strand_inside.h"

#define ANSWERS_MAX (1024 * 1024) /* a peer that doesn't read what it causes is not read either */
#define CARRIER_QUEUED_MAX (8 * 1024 * 1024)
#define OUT_KEPT (64 * 1024) /* of the one connection that many write on in each turn: growing to this is ten steps */
#define PING_MS 60000

void
conn_carrier_unref(struct conn_carrier *c)
{
	if (--c->n_refs > 0)
		return;
	map_free(c->by_number);
	verdict_free(c->verdict);
	mem_free(c);
}

bool
conn_carrier_is_live(const struct conn_carrier *c)
{
	return c->conn && c->conn->state == CONN_OPEN && !c->conn->is_mute;
}

void
conn_carrier_put(struct conn_carrier *c, enum strand_kind kind, uint32_t number, uint32_t n, const void *data)
{
	if (!conn_carrier_is_live(c))
		return;
	strand_frame_put(&c->conn->out, kind, number, n);
	if (data)
		buf_put(&c->conn->out, data, n);
	conn_io_written(c->conn);
}

void
conn_carrier_end_if_last(struct conn_carrier *c)
{
	if (c->is_retired && c->n_strands == 0 && conn_carrier_is_live(c))
		conn_close(c->conn, "");
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
		conn_carrier_put(c, STRAND_END, frame->strand, 0, NULL);
		return;
	}
	s = strand_new(c, c->config.ops, NULL);
	strand_enter(s, frame->strand);
	strand_count_unanswered(s, true);
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
		strand_receive(s, frame->data, frame->n);
}

static void
on_frame_end(struct conn_carrier *c, const struct strand_frame *frame)
{
	struct strand *s = find(c, frame);

	if (!s)
		return;
	map_remove(c->by_number, &s->number, sizeof(s->number));
	strand_peer_is_gone(s);
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
	strand_wait(s);
	strand_serve_waiting(c);
}

static void
on_frame_retire(struct conn_carrier *c, const struct strand_frame *frame)
{
	bool was = c->is_retired;

	(void)frame;
	c->is_retired = true;
	if (!was && c->config.on_retired)
		c->config.on_retired(c, c->config.arg);
	conn_carrier_end_if_last(c);
}

static void
on_frame_ping(struct conn_carrier *c, const struct strand_frame *frame)
{
	(void)frame;
	conn_carrier_put(c, STRAND_PONG, 0, 0, NULL);
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
	strand_serve_waiting(conn_user(conn));
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
		conn_carrier_put(c, STRAND_PING, 0, 0, NULL);
	timer_arm(timer, c->config.ping_ms);
}

/* A protocol that has paused may not have had its peer's last words, which have come. */
static void
lose(struct strand *s, const char *why)
{
	struct conn *conn = s->conn;

	strand_peer_is_gone(s);
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
	conn_carrier_unref(c);
}

/* Who opens reads whatever waits to be sent, or both sides could wait for each other. */
static const struct conn_ops opening_ops = {
	.on_data = on_data,
	.on_drain = on_drain,
	.on_close = on_close,
	.read_max = STRAND_HEAD_LEN + STRAND_DATA_MAX,
	.write_high = CARRIER_QUEUED_MAX,
	.drained_below = STRAND_ROOM / 2,
	.write_max = CARRIER_QUEUED_MAX,
	.write_kept = OUT_KEPT,
};

static const struct conn_ops accepting_ops = {
	.on_data = on_data,
	.on_drain = on_drain,
	.on_close = on_close,
	.read_max = STRAND_HEAD_LEN + STRAND_DATA_MAX,
	.write_high = ANSWERS_MAX,
	.drained_below = STRAND_ROOM / 2,
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
	conn_carrier_put(c, STRAND_RETIRE, 0, 0, NULL);
	conn_carrier_end_if_last(c);
}

bool
conn_carrier_is_retired(const struct conn_carrier *c)
{
	return c->is_retired;
}

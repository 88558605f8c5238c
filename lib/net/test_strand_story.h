/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of strands share: a carrier over real TLS, both of whose sides are here, and the ends of its strands with what has come to them. */

#include "base/text.h"
#include "net/conn_inside.h"
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

static inline void
on_open(struct conn *conn)
{
	struct end *end = conn_user(conn);

	end->is_open = true;
	end->n_opened++;
}

static inline size_t
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

static inline void
on_drain(struct conn *conn)
{
	((struct end *)conn_user(conn))->n_drained++;
}

static inline void
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

static inline void
on_accept(struct conn *conn, void *user)
{
	struct end *end = &story->far[story->n_far++];

	CHECK(user == story);
	*end = (struct end){ .conn = conn, .echoes = story->far_echoes, .pauses = story->far_pauses, .want = story->far_want };
	conn_set_user(conn, end);
}

/* -- The carrier ------------------------------------------------------------------------------------------------------------------------------ */

static inline bool
may_accept(struct conn_carrier *carrier, void *arg)
{
	CHECK(carrier == story->there && arg == story);
	return !story->refuses;
}

static inline void
on_retired(struct conn_carrier *carrier, void *arg)
{
	(void)carrier;
	(void)arg;
	story->n_retired++;
}

static inline void
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

static inline void
on_listener_open(struct conn *conn)
{
	story->there = conn_carrier_begin(conn, &story->accepting);
}

static const struct conn_ops listener_ops = { .on_open = on_listener_open, .read_max = 1024 };

static inline void
on_opener_open(struct conn *conn)
{
	CHECK(verdict_accepted(conn_verdict(conn)));
	story->here = conn_carrier_begin(conn, &story->opening);
}

static const struct conn_ops opener_ops = { .on_open = on_opener_open, .read_max = 1024 };

static inline bool
is_carried(void *arg)
{
	(void)arg;
	return story->here && story->there;
}

static inline void
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

static inline void
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

static inline void
story_begin(struct story *s)
{
	story_listen(s);
	story_carry(s);
}

static inline void
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

static inline struct end *
open_strand(struct story *s)
{
	struct end *end = &s->near[s->n_near++];
	struct err err = ERR_INIT;

	end->conn = conn_connect_strand(s->here, &end_ops, end, &err);
	if (!end->conn)
		fail_msg("%s", err.text);
	return end;
}

static inline bool
all_are_open(void *arg)
{
	(void)arg;
	return story->n_near == story->n_far && story->near[story->n_near - 1].is_open && story->far[story->n_far - 1].is_open;
}

static inline void
open_strands(struct story *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		open_strand(s);
	CHECK(until(s->loop, all_are_open, NULL));
}

static inline void
say(struct end *end, const char *words)
{
	conn_write(end->conn, words, strlen(words));
}

static inline bool
has_come(void *arg)
{
	const struct end *end = arg;

	return end->len >= end->want && end->len > 0;
}

static inline bool
is_closed(void *arg)
{
	return ((struct end *)arg)->n_closed > 0;
}

static inline bool
has_paused(void *arg)
{
	return ((struct end *)arg)->conn->in.len > 0;
}

static inline bool
is_over(void *arg)
{
	(void)arg;
	return !story->here && !story->there;
}

/* Bytes that would show if any were lost, doubled or out of order. */
static inline uint8_t *
pattern(size_t len)
{
	uint8_t *bytes = mem_new(len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8) * 13);
	return bytes;
}

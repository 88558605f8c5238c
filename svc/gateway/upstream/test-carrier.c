/* SPDX-License-Identifier: Apache-2.0 */
/* Whether lines are carried, by what a real server says to the one connection; the workload API that signs for it is a server here, too. */
#include "gateway/upstream/carrier.h"
#include "gateway/upstream/test_upstream.h"
#include "wire/strand_frame.h"

struct line {
	struct carrier_ride ride;
	enum carrier_way way;
	int n_decided;
};

struct story {
	struct above above;
	struct carrier *carrier;
	int status; /* what the hub says to the one connection; 0: nothing so far */
	struct http_request *held;
	int n_asked, n_up, n_told_alone, n_told_carried;
	struct line line, own;
};

static struct story *story;

/* -- The servers ---------------------------------------------------------------------------------------------------------------------------- */

static const struct conn_ops strand_ops = { .read_max = 1024 };

static void
on_strand(struct conn *conn, void *user)
{
	conn_set_user(conn, user);
}

static void
answer_carrier(struct http_request *req)
{
	static const char *const headers[] = { "Upgrade: " STRAND_PROTOCOL, "Connection: Upgrade", NULL };
	static const struct conn_carrier_config accepting = { .ops = &strand_ops, .on_accept = on_strand };

	CHECK(http_wants_upgrade(req, STRAND_PROTOCOL));
	story->n_asked++;
	if (story->status == 101)
		conn_carrier_begin(http_switch(req, headers), &accepting);
	else if (story->status == 0)
		story->held = req;
	else
		http_respond_json(req, story->status, NULL, json_pack("{s:s}", "message", "no"));
}

/* -- The gateway's side ---------------------------------------------------------------------------------------------------------------------- */

static void
on_way(void *arg, bool is_alone)
{
	struct story *s = arg;

	s->n_told_alone += is_alone;
	s->n_told_carried += !is_alone;
}

static void
on_up(void *arg)
{
	((struct story *)arg)->n_up++;
}

static void
on_decided(struct carrier_ride *ride, enum carrier_way way, const char *why)
{
	struct line *line = CONTAINER_OF(ride, struct line, ride);

	(void)why;
	line->way = way;
	line->n_decided++;
}

static void
story_begin(struct story *s, int status)
{
	*s = (struct story){ .status = status };
	story = s;
	s->line.ride.decided = s->own.ride.decided = on_decided;
	s->own.ride.is_own = true;
	above_begin(&s->above, 8, answer_carrier);
	s->carrier = carrier_new(&(struct carrier_config){
		.loop = s->above.loop,
		.workers = s->above.workers,
		.upstream = s->above.upstream,
		.on_way = on_way,
		.on_up = on_up,
		.arg = s,
	});
}

static void
story_clear(struct story *s)
{
	if (s->held)
		http_respond_json(s->held, 503, NULL, json_pack("{s:s}", "message", "too late"));
	carrier_stop(s->carrier);
	above_end(&s->above);
	carrier_free(s->carrier);
	above_clear(&s->above);
}

static bool
is_decided(void *arg)
{
	(void)arg;
	return story->line.n_decided > 0 && story->own.n_decided > 0;
}

static void
ask(struct story *s)
{
	s->line.n_decided = s->own.n_decided = 0;
	carrier_ask(s->carrier, &s->line.ride);
	carrier_ask(s->carrier, &s->own.ride);
}

static void
ask_and_hear(struct story *s)
{
	ask(s);
	CHECK(until(s->above.loop, is_decided, NULL));
}

/* -- Ways ----------------------------------------------------------------------------------------------------------------------------------- */

TEST("where the hub carries lines, all are carried, and whoever asks later is so at once")
{
	struct story s;

	story_begin(&s, 101);
	ask_and_hear(&s);
	CHECK(s.line.way == CARRIER_CARRIED && s.own.way == CARRIER_CARRIED && carrier_now(s.carrier));
	CHECK(s.n_asked == 1 && s.n_up == 1 && s.n_told_carried == 1);
	ask(&s);
	CHECK(s.line.n_decided == 1 && s.line.way == CARRIER_CARRIED);
	story_clear(&s);
}

TEST("what the answer is about decides: only a hub that is not there, or has too much to do, is away; one that refuses our token "
     "is not, and any other refusal is of the one connection alone")
{
	static const struct {
		int status;
		enum carrier_way way;
	} rows[] = {
		{ 401, CARRIER_NOT_NOW },
		{ 429, CARRIER_NOT_NOW },
		{ 503, CARRIER_NONE },
		{ 400, CARRIER_ALONE },
		{ 403, CARRIER_ALONE },
		{ 404, CARRIER_ALONE },
		{ 502, CARRIER_ALONE },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct story s;

		story_begin(&s, rows[i].status);
		ask_and_hear(&s);
		if (s.line.way != rows[i].way)
			fail_msg("%d: %d", rows[i].status, (int)s.line.way);
		CHECK(s.own.way == CARRIER_ALONE && s.n_asked == 1 && s.n_up == 0);
		CHECK_INT(s.n_told_alone, rows[i].way == CARRIER_ALONE);
		story_clear(&s);
	}
}

TEST("without a token nothing is known of the hub")
{
	struct story s;

	story_begin(&s, 101);
	s.above.signs = false;
	ask_and_hear(&s);
	CHECK(s.line.way == CARRIER_NOT_NOW && s.own.way == CARRIER_ALONE && s.n_asked == 0);
	s.above.signs = true;
	ask_and_hear(&s);
	CHECK(s.line.way == CARRIER_CARRIED);
	story_clear(&s);
}

TEST("a hub that is not there is away")
{
	struct story s;

	story_begin(&s, 101);
	listener_close(s.above.hub);
	s.above.hub = above_serve_hub(&s.above); /* elsewhere */
	ask_and_hear(&s);
	CHECK(s.line.way == CARRIER_NONE && s.own.way == CARRIER_ALONE && s.n_asked == 0);
	story_clear(&s);
}

TEST("who is refused for his token three times, while $edgeHub is let in, goes alone")
{
	struct story s;

	story_begin(&s, 401);
	carrier_own_is(s.carrier, true);
	ask_and_hear(&s);
	CHECK(s.line.way == CARRIER_NOT_NOW);
	ask_and_hear(&s);
	CHECK(s.line.way == CARRIER_NOT_NOW);
	ask_and_hear(&s);
	CHECK(s.line.way == CARRIER_ALONE && s.n_told_alone == 1);
	story_clear(&s);
}

/* -- Again ---------------------------------------------------------------------------------------------------------------------------------- */

static bool
hub_was_asked(void *arg)
{
	return story->n_asked >= *(int *)arg;
}

static bool
is_given_up(void *arg)
{
	(void)arg;
	return conn_is_hung_up(http_conn(story->held));
}

TEST("one that is being dialed by roots that count no more is given up at once, and who waits for it asks again")
{
	struct story s;

	story_begin(&s, 0);
	ask(&s);
	CHECK(until(s.above.loop, hub_was_asked, &(int){ 1 }));
	CHECK(s.line.n_decided == 0 && !is_given_up(NULL));
	carrier_trust(s.carrier);
	CHECK(s.line.n_decided == 1 && s.line.way == CARRIER_NOT_NOW);
	CHECK(until(s.above.loop, is_given_up, NULL));
	s.status = 101;
	ask_and_hear(&s);
	CHECK(s.line.way == CARRIER_CARRIED && s.n_asked == 2);
	story_clear(&s);
}

static bool
is_up_again(void *arg)
{
	return story->n_up >= *(int *)arg;
}

TEST("one that has ended is tried again by itself while $edgeHub is up: who was alone does not ask")
{
	struct story s;

	story_begin(&s, 101);
	ask_and_hear(&s);
	carrier_own_is(s.carrier, true);
	conn_abort(conn_carrier_conn(carrier_now(s.carrier)), "");
	CHECK(until(s.above.loop, is_up_again, &(int){ 2 }));
	story_clear(&s);
}

TEST("after the hub was lost, who asks before another attempt may be made is alone at once, rather than wait for that in the place "
     "of others")
{
	struct story s;

	story_begin(&s, 403);
	ask_and_hear(&s);
	carrier_look_again(s.carrier);
	ask(&s);
	CHECK(s.line.n_decided == 1 && s.line.way == CARRIER_ALONE && s.n_asked == 1);
	story_clear(&s);
}

TEST("and when it may, the hub is asked again by whoever comes first")
{
	struct story s;

	story_begin(&s, 403);
	ask_and_hear(&s);
	carrier_look_again(s.carrier);
	run_for(s.above.loop, 300); /* more than the first back-off */
	CHECK(s.n_asked == 1);
	s.status = 101;
	ask_and_hear(&s);
	CHECK(s.line.way == CARRIER_CARRIED && s.n_asked == 2);
	story_clear(&s);
}

static bool
is_up(void *arg)
{
	(void)arg;
	return story->n_up > 0;
}

TEST("while $edgeHub is let in the hub is asked again though nobody asks, and those who are alone hear of it")
{
	struct story s;

	story_begin(&s, 403);
	ask_and_hear(&s);
	s.status = 101;
	carrier_look_again(s.carrier);
	carrier_own_is(s.carrier, true);
	CHECK(until(s.above.loop, is_up, NULL));
	CHECK(s.n_asked == 2 && carrier_now(s.carrier) && s.n_told_carried == 1);
	story_clear(&s);
}

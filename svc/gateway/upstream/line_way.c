/* SPDX-License-Identifier: Apache-2.0 */
/* One question after the other: its turn, the carrier, a token. */
#include "gateway/upstream/line_way.h"

#include "base/mem.h"
#include "base/random.h"
#include "common/service.h"
#include "gateway/upstream/lines.h"

#define JOIN_MS 1000
#define JOIN_AGAIN_MS 30000

static struct pacer *
pacer_of(const struct line_way *way)
{
	return lines_pacer(way->lines);
}

static struct carrier *
carrier_of(const struct line_way *way)
{
	return lines_carrier(way->lines);
}

static void
count(struct line_way *way, enum carriage_line as)
{
	carriage_count(way->counted, as);
	way->counted = as;
}

static void
on_turn(struct pacer_turn *turn)
{
	struct line_way *way = CONTAINER_OF(turn, struct line_way, turn);

	way->prepare(way);
	carrier_ask(carrier_of(way), &way->ride);
}

static void
on_way(struct carrier_ride *ride, enum carrier_way how, const char *why)
{
	struct line_way *way = CONTAINER_OF(ride, struct line_way, ride);

	if (how == CARRIER_ALONE && !way->is_own && !service_may_connect()) {
		how = CARRIER_NOT_NOW;
		why = "as many files are open as may be";
	}
	if (how == CARRIER_NONE)
		lines_unreached(way->lines, true);
	if (how == CARRIER_NONE || how == CARRIER_NOT_NOW) {
		device_link_no_token(way->link, why);
		return;
	}
	way->is_carried = how == CARRIER_CARRIED;
	device_link_set_carrier(way->link, way->is_carried ? carrier_now : NULL, carrier_of(way));
	link_token_ask(&way->token, way->link);
}

void
line_way_ask(struct line_way *way, bool is_urgent)
{
	count(way, CARRIAGE_LINE_DOWN);
	pacer_ask(pacer_of(way), &way->turn, is_urgent);
}

void
line_way_set_urgent(struct line_way *way, bool is_urgent)
{
	if (way->turn.place == PACER_WAITS)
		pacer_ask(pacer_of(way), &way->turn, is_urgent);
}

bool
line_way_is_asking(const struct line_way *way)
{
	return way->token.is_asked;
}

void
line_way_up(struct line_way *way)
{
	count(way, way->is_carried ? CARRIAGE_LINE_CARRIED : CARRIAGE_LINE_ALONE);
	pacer_end(pacer_of(way), &way->turn, PACER_LET_IN);
	if (carrier_now(carrier_of(way)))
		line_way_join(way, JOIN_MS);
}

void
line_way_down(struct line_way *way, enum pacer_end how)
{
	count(way, CARRIAGE_LINE_DOWN);
	pacer_end(pacer_of(way), &way->turn, how);
}

static void
leave(struct line_way *way)
{
	count(way, CARRIAGE_LINE_DOWN);
	pacer_end(pacer_of(way), &way->turn, PACER_FAILED);
	carrier_leave(carrier_of(way), &way->ride);
	link_token_forget(&way->token);
}

void
line_way_hang_up(struct line_way *way)
{
	leave(way);
	device_link_stop(way->link);
}

/* -- Over to the others -------------------------------------------------------------------------------------------------------------------- */

bool
line_way_is_alone(const struct line_way *way)
{
	return device_link_is_up(way->link) && !way->is_carried;
}

static int64_t
some_of(int64_t ms)
{
	return 1 + random_below((uint32_t)ms);
}

/* It may be of no use any more, or not the moment, or take too long. */
static void
on_join(struct timer *timer)
{
	struct line_way *way = CONTAINER_OF(timer, struct line_way, join);

	if (!line_way_is_alone(way) || !carrier_now(carrier_of(way)))
		return;
	timer_arm(timer, JOIN_AGAIN_MS / 2 + some_of(JOIN_AGAIN_MS / 2));
	device_link_move(way->link);
}

void
line_way_join(struct line_way *way, int64_t within_ms)
{
	if (line_way_is_alone(way))
		timer_arm(&way->join, some_of(within_ms));
}

void
line_way_init(struct line_way *way, struct lines *lines, void (*prepare)(struct line_way *way), bool is_own)
{
	const struct lines_config *c = lines_config(lines);

	*way = (struct line_way){
		.lines = lines,
		.prepare = prepare,
		.is_own = is_own,
		.turn.go = on_turn,
		.ride = { .decided = on_way, .is_own = is_own },
		.token = { .upstream = c->upstream, .workers = c->workers, .loop = c->loop },
	};
	timer_init(&way->join, c->loop, on_join);
}

void
line_way_clear(struct line_way *way)
{
	timer_cancel(&way->join);
	leave(way);
	link_token_clear(&way->token);
}

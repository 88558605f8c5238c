/* SPDX-License-Identifier: Apache-2.0 */
/* Two lists, served one after the other. */
#include "gateway/upstream/pacer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "gateway/gauges/hub_throttle.h"
#include "gateway/upstream/connect_pace.h"

#define ON_THEIR_WAY_MAX 64
#define MS_A_LINE 2 /* without a limit: a handshake takes the hub about as long */

struct list {
	struct pacer_turn *first, **last;
};

struct pacer {
	struct connect_pace pace;
	struct list urgent, others;
	size_t n_waiting, n_on_their_way;
	struct timer timer;
	bool is_refused; /* said so in the log */
};

static void
enter(struct pacer *p, struct pacer_turn *turn)
{
	struct list *list = turn->is_urgent ? &p->urgent : &p->others;

	turn->next = NULL;
	turn->link = list->last;
	*list->last = turn;
	list->last = &turn->next;
	turn->place = PACER_WAITS;
	p->n_waiting++;
}

static void
leave(struct pacer *p, struct pacer_turn *turn)
{
	struct list *list = turn->is_urgent ? &p->urgent : &p->others;

	*turn->link = turn->next;
	if (turn->next)
		turn->next->link = turn->link;
	else
		list->last = turn->link;
	turn->place = PACER_AWAY;
	p->n_waiting--;
}

static void
call(struct pacer *p, struct pacer_turn *turn)
{
	leave(p, turn);
	turn->place = PACER_ON_ITS_WAY;
	p->n_on_their_way++;
	connect_pace_begin(&p->pace, clock_boot_ms(), (uint32_t)random_u64());
	turn->go(turn);
}

/* Who is next is called when its time has come; while too many are on their way the first that ends calls. */
static void
serve(struct pacer *p)
{
	int64_t wait_ms = 0;

	while (p->n_waiting > 0 && p->n_on_their_way < ON_THEIR_WAY_MAX &&
		(wait_ms = connect_pace_wait_ms(&p->pace, clock_boot_ms())) == 0)
		call(p, p->urgent.first ? p->urgent.first : p->others.first);
	if (wait_ms > 0)
		timer_arm(&p->timer, wait_ms);
	hub_throttle_note_lines(p->n_waiting);
}

static void
on_timer(struct timer *timer)
{
	serve(CONTAINER_OF(timer, struct pacer, timer));
}

static void
serve_soon(struct pacer *p)
{
	int64_t wait_ms = connect_pace_wait_ms(&p->pace, clock_boot_ms());

	if (p->n_waiting > 0 && p->n_on_their_way < ON_THEIR_WAY_MAX)
		timer_arm(&p->timer, wait_ms > 0 ? wait_ms : 1);
	hub_throttle_note_lines(p->n_waiting);
}

void
pacer_ask(struct pacer *p, struct pacer_turn *turn, bool is_urgent)
{
	if (turn->place == PACER_ON_ITS_WAY || (turn->place == PACER_WAITS && turn->is_urgent >= is_urgent))
		return;
	if (turn->place == PACER_WAITS)
		leave(p, turn);
	turn->is_urgent = is_urgent;
	enter(p, turn);
	serve_soon(p);
}

static void
refused(struct pacer *p, const struct pacer_turn *turn)
{
	int64_t pause_ms = connect_pace_refused(&p->pace, turn, clock_boot_ms(), (uint32_t)random_u64());

	if (pause_ms == 0)
		return;
	hub_throttle_pause_lines(pause_ms);
	if (!p->is_refused)
		log_warn("the hub has too much to do: connections to it wait, and come slower from now on");
	p->is_refused = true;
}

static void
let_in(struct pacer *p)
{
	connect_pace_let_in(&p->pace);
	if (p->is_refused && p->pace.rate == p->pace.most)
		log_info("the hub takes connections as fast as before");
	p->is_refused = p->is_refused && p->pace.rate != p->pace.most;
}

void
pacer_end(struct pacer *p, struct pacer_turn *turn, enum pacer_end how)
{
	enum pacer_place place = turn->place;

	if (place == PACER_WAITS)
		leave(p, turn);
	if (place != PACER_ON_ITS_WAY)
		return;
	turn->place = PACER_AWAY;
	p->n_on_their_way--;
	if (how == PACER_LET_IN)
		let_in(p);
	else if (how == PACER_BUSY)
		refused(p, turn);
	serve_soon(p);
}

int64_t
pacer_spread_ms(const struct pacer *p, size_t n)
{
	return p->pace.rate > 0 ? (int64_t)n * 1000 / p->pace.rate : (int64_t)n * MS_A_LINE;
}

struct pacer *
pacer_new(struct loop *loop, int64_t per_second)
{
	struct pacer *p = NEW(pacer);

	connect_pace_init(&p->pace, per_second);
	p->urgent.last = &p->urgent.first;
	p->others.last = &p->others.first;
	timer_init(&p->timer, loop, on_timer);
	return p;
}

void
pacer_free(struct pacer *p)
{
	if (!p)
		return;
	timer_cancel(&p->timer);
	mem_free(p);
}

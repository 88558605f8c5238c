/* SPDX-License-Identifier: Apache-2.0 */
/* One sink's priorities, asked in turn; who gets tired of looking is asked again a moment later, so that no turn of the loop is long. */
#include "gateway/queue/queue_window.h"

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/queue/queue_order.h"

#define READ_ON_MS 1
#define WAIT_MS 20

struct queue_window {
	struct queue_places places;
	struct queue_reader *reader[ROUTE_PRIORITIES];
	struct event_log *log[ROUTE_PRIORITIES];
	struct queue_order order;
	struct loop *loop;
	struct timer read_on; /* a reading that got tired */
	struct post stored;
	void (*more)(void *arg);
	void *arg;
	bool one_line, is_stopped;
};

struct queue_window *
queue_window_new(bool one_line, size_t n_max, size_t bytes_max)
{
	struct queue_window *w = NEW(queue_window);

	w->one_line = one_line;
	w->places.n_max = n_max;
	w->places.bytes_max = bytes_max;
	return w;
}

void
queue_window_free(struct queue_window *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < COUNT(w->reader); i++)
		queue_reader_close(w->reader[i]);
	mem_free(w);
}

struct queue_places *
queue_window_places(struct queue_window *w)
{
	return &w->places;
}

/* -- Listening -------------------------------------------------------------------------------------------------------------------------- */

static void
on_stored(struct post *post)
{
	struct queue_window *w = CONTAINER_OF(post, struct queue_window, stored);

	w->more(w->arg);
}

static void
on_read_on(struct timer *timer)
{
	struct queue_window *w = CONTAINER_OF(timer, struct queue_window, read_on);

	w->more(w->arg);
}

static void
subscribe(struct queue_window *w, int priority)
{
	if (w->loop && w->log[priority])
		event_log_subscribe(w->log[priority], loop_owner(w->loop), &w->stored);
}

void
queue_window_listen(struct queue_window *w, struct loop *loop, void (*more)(void *arg), void *arg)
{
	w->loop = loop;
	w->more = more;
	w->arg = arg;
	w->stored.run = on_stored;
	timer_init(&w->read_on, loop, on_read_on);
	for (int i = 0; i < ROUTE_PRIORITIES; i++)
		subscribe(w, i);
}

void
queue_window_deafen(struct queue_window *w)
{
	if (w->loop)
		timer_cancel(&w->read_on);
}

void
queue_window_set_away(struct queue_window *w, bool is_away)
{
	w->places.is_away = is_away;
}

void
queue_window_stop(struct queue_window *w)
{
	w->is_stopped = true;
}

void
queue_window_add(struct queue_window *w, struct queue_reader *reader_take, int priority, struct event_log *log)
{
	w->reader[priority] = reader_take;
	w->log[priority] = log;
	subscribe(w, priority);
}

struct queue_reader *
queue_window_remove(struct queue_window *w, int priority)
{
	w->log[priority] = NULL;
	return GIVE(w->reader[priority]);
}

/* -- Taking ------------------------------------------------------------------------------------------------------------------------------ */

/* false: there is nothing of this priority now.  A reading that waits while nobody can be delivered for is woken by what ends then. */
static bool
take_one(struct queue_window *w, int priority, struct queued **q, struct err *err)
{
	enum queue_rest rest;

	*q = queue_reader_next(w->reader[priority], err);
	rest = *q ? QUEUE_EMPTY : queue_reader_rest(w->reader[priority]);
	if (w->loop && (rest == QUEUE_TIRED || (rest == QUEUE_WAITS && !w->places.is_away)))
		timer_arm(&w->read_on, rest == QUEUE_TIRED ? READ_ON_MS : WAIT_MS);
	return *q || err->kind != ERR_NONE || rest == QUEUE_TIRED;
}

struct queued *
queue_window_next(struct queue_window *w, struct err *err)
{
	bool has_some[ROUTE_PRIORITIES];
	struct queued *q = NULL;
	int priority;

	*err = (struct err)ERR_INIT;
	if (w->is_stopped || w->places.n >= w->places.n_max || w->places.bytes >= w->places.bytes_max)
		return NULL;
	for (int i = 0; i < ROUTE_PRIORITIES; i++)
		has_some[i] = w->reader[i] && queue_reader_is_behind(w->reader[i]);
	while ((priority = queue_order_next(&w->order, has_some, clock_boot_ms())) >= 0) {
		if (take_one(w, priority, &q, err))
			return q;
		has_some[priority] = false;
	}
	return NULL;
}

void
queue_window_end(struct queue_window *w, struct queued *q, enum queue_end how)
{
	(void)w;
	queue_reader_end(q, how);
}

void
queue_window_done(struct queue_window *w, struct queued *q)
{
	queue_window_end(w, q, QUEUE_DONE);
}

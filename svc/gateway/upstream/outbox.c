/* SPDX-License-Identifier: Apache-2.0 */
/* Messages are in two lists, those waiting and those sent; when the connection is lost the sent ones wait again, before the rest.  Those of a device that is gone, or is another
 * one under the same id (atk-25), are given up, said so in the log, so that they cannot hold up the others for ever. */
#include "gateway/upstream/outbox.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/gauges/gateway_metrics.h"
#include "gateway/routes/routes.h"
#include "gateway/upstream/lines.h"
#include "heads/mqtt_session.h"

#define SAY_GIVEN_UP_MS 1000
#define PASSED_LOGS 4		    /* a hub remembers as many of one device */
#define TOPIC_BAG_MAX (65535 - 512) /* beside the longest ids */

struct list {
	struct queued *first, **last;
};

struct passed {
	char log[MESSAGE_MARK_LOG_LEN + 1]; /* "": none */
	uint64_t previous;
};

struct outbox {
	struct line_user user;
	struct outboxes *shared;
	struct list waiting, sent;
	struct timer again;
	struct metric *n_sent, *send_time, *process_time; /* of the priority that was sent last */
	int sent_priority;
	uint64_t previous[ROUTE_PRIORITIES]; /* that was sent of each log on this connection; 0: none was */
	struct passed passed[PASSED_LOGS];   /* the same of logs of a gateway below, as they go through ours */
	size_t n_given_up;		     /* one by one, not yet said so */
	const char *why;
	struct outbox *next, **link; /* of all */
};

/* -- Lists ----------------------------------------------------------------------------------------------------------------------------- */

static void
list_init(struct list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

static void
list_append(struct list *l, struct queued *q)
{
	q->next = NULL;
	*l->last = q;
	l->last = &q->next;
}

/* A higher priority goes before what waits of a lower one, and behind whatever waits of its own: what was sent before and came back stands in front, in whatever order that was. */
static void
list_insert(struct list *l, struct queued *q)
{
	struct queued **at = &l->first;

	if (!l->first || CONTAINER_OF(l->last, struct queued, next)->priority <= q->priority) {
		list_append(l, q);
		return;
	}
	for (struct queued **look = at; *look; look = &(*look)->next)
		if ((*look)->priority <= q->priority)
			at = &(*look)->next;
	q->next = *at;
	*at = q;
}

static struct queued *
list_take(struct list *l, struct queued **at)
{
	struct queued *q = *at;

	*at = q->next;
	if (!*at)
		l->last = at;
	return q;
}

static void
take_back(struct outbox *o)
{
	struct list *sent = &o->sent, *waiting = &o->waiting;

	if (!sent->first)
		return;
	*sent->last = waiting->first;
	if (waiting->first)
		sent->last = waiting->last;
	*waiting = *sent;
	list_init(sent);
}

static void
rest_if_idle(struct outbox *o)
{
	line_hold(o->user.line, LINE_MESSAGES, o->waiting.first || o->sent.first);
}

/* -- Giving up --------------------------------------------------------------------------------------------------------------------------- */

/* Another device may live under the same id now: what the old one sent is not for it. */
static bool
is_of(const char *generation, const struct queued *q)
{
	return !*generation || !*q->generation_id || text_is(generation, q->generation_id);
}

static size_t
drop_waiting(struct outbox *o, const char *but_of_generation)
{
	struct queued **at = &o->waiting.first;
	size_t n = 0;

	while (*at) {
		if (but_of_generation && is_of(but_of_generation, *at)) {
			at = &(*at)->next;
			continue;
		}
		queue_window_end(o->shared->window, list_take(&o->waiting, at), QUEUE_GIVEN_UP);
		n++;
	}
	return n;
}

/* What is not of this generation; without one, all. */
static void
give_up(struct outbox *o, const char *but_of_generation, const char *why)
{
	size_t n = drop_waiting(o, but_of_generation);

	if (n == 0)
		return;
	log_error("%zu messages of %s are given up: %s", n, line_name(o->user.line), why);
	o->shared->on_done(o->shared);
}

/* One by one they are said together, a moment later, and made place in the window for others. */
static void
on_again(struct timer *timer)
{
	struct outbox *o = CONTAINER_OF(timer, struct outbox, again);

	if (o->n_given_up > 0)
		log_error("%zu more messages of %s are given up: %s", o->n_given_up, line_name(o->user.line), o->why ? o->why : "");
	o->n_given_up = 0;
	o->shared->on_done(o->shared);
}

/* -- Sending ------------------------------------------------------------------------------------------------------------------------------- */

/* Offsets are those of a priority's log. */
static uint64_t
cookie_of(const struct queued *q)
{
	return (uint64_t)(uintptr_t)q;
}

static struct slice
bag_so_far(const struct buf *bag)
{
	return (struct slice){ .text = buf_text(bag), .len = bag->len };
}

static bool
takes_marks(const struct outbox *o)
{
	return !line_is_own(o->user.line) && scope_takes_marks(lines_config(line_lines(o->user.line))->scope);
}

/* The hub counts it as one of the properties, and a topic has its own limit.  Who has none is not the `previous` of any: that it arrived is known by its acknowledgement only. */
static bool
has_room_for_mark(const struct queued *q)
{
	size_t len = strlen(q->bag) + MESSAGE_MARK_MAX;

	return len <= TOPIC_BAG_MAX && len + q->len <= MQTT_MESSAGE_MAX;
}

/* Of a log of a gateway below, as it goes through one of ours; NULL: there are too many. */
static uint64_t *
previous_of(struct outbox *o, const char *log)
{
	struct passed *free = NULL;

	for (struct passed *p = o->passed; p < o->passed + PASSED_LOGS; p++) {
		if (text_is(p->log, log))
			return &p->previous;
		if (!*p->log && !free)
			free = p;
	}
	if (!free)
		return NULL;
	snprintf(free->log, sizeof(free->log), "%s", log);
	free->previous = 0;
	return &free->previous;
}

/* What says which message this is: ours, or the mark that a gateway below gave it, so that it is known again though that one has sent it to us twice.  By our routes the messages of one log below are in several
 * of ours, each of which has its part of them in their order, and is done at its own time: so that part counts as a log of its own.  Which one was sent before it is in either case for us to say, because it
 * is about our connection.  NULL: nothing does; else where to note it once it is sent. */
static uint64_t *
mark_of(struct outbox *o, const struct queued *q, struct slice theirs, struct message_mark *mark)
{
	uint64_t *previous = &o->previous[q->priority];

	if (!takes_marks(o) || !has_room_for_mark(q))
		return NULL;
	if (!theirs.text) {
		queued_mark(q, *previous, mark);
		return previous;
	}
	if (!message_mark_parse(mark, theirs))
		return NULL;
	message_mark_go_through(mark, queued_log(q));
	previous = previous_of(o, mark->log);
	if (previous) /* one that comes again: the one before it is here, or is not */
		mark->previous = mark->sequence > *previous ? *previous : mark->sequence - 1;
	return previous;
}

static bool
publish(struct outbox *o, const struct queued *q)
{
	struct buf *bag = &o->shared->bag;
	struct slice theirs = { 0 };
	bool is_cut = message_mark_cut(slice_of(q->bag), bag, &theirs);
	struct message_mark mark;
	uint64_t *previous = mark_of(o, q, theirs, &mark);
	struct device_message m = {
		.payload = { .text = (const char *)q->payload, .len = q->len },
		.qos = 1,
		.retain = q->retain,
	};

	if (previous && !is_cut) {
		buf_reset(bag);
		buf_puts(bag, q->bag);
	}
	if (previous)
		message_mark_put(bag, &mark);
	m.bag = previous || is_cut ? bag_so_far(bag) : slice_of(q->bag);
	if (!device_link_publish(line_link(o->user.line), &m, cookie_of(q)))
		return false;
	if (previous && mark.sequence > *previous)
		*previous = mark.sequence;
	return true;
}

static void
send_one(struct outbox *o, struct queued *q)
{
	if (publish(o, q)) {
		if (q->sent_ms)
			metric_add(gateway_metric(METRIC_RETRIES, line_name(o->user.line), "SendMessage"), 1);
		q->sent_ms = clock_boot_ms();
		list_append(&o->sent, q);
		return;
	}
	log_error("a message of %s is given up: with all of its properties it is larger than MQTT allows", line_name(o->user.line));
	queue_window_end(o->shared->window, q, QUEUE_GIVEN_UP);
	timer_arm(&o->again, 1);
}

static void
send_waiting(struct outbox *o)
{
	struct line *line = o->user.line;

	while (o->waiting.first && line_is_ready(line) && device_link_may_publish(line_link(line))) {
		if (o->waiting.first->expires_ms > 0 && queued_is_expired(o->waiting.first, clock_wall_ms())) {
			queue_window_end(o->shared->window, list_take(&o->waiting, &o->waiting.first), QUEUE_EXPIRED);
			continue;
		}
		if (!is_of(line_generation(line), o->waiting.first)) {
			line_confirm(line);
			return;
		}
		send_one(o, list_take(&o->waiting, &o->waiting.first));
	}
}

static void
on_confirmed(struct line_user *user, const char *generation)
{
	struct outbox *o = CONTAINER_OF(user, struct outbox, user);

	give_up(o, generation, "it was deleted and made again in the hub");
	send_waiting(o);
	rest_if_idle(o);
}

static void
count_sent(struct outbox *o, const struct queued *q)
{
	const char *name = line_name(o->user.line);
	int64_t now_ms = clock_boot_ms();
	OWN_TEXT text = NULL;

	if (!o->n_sent || o->sent_priority != q->priority) {
		text = mem_textf("%d", q->priority);
		o->n_sent = gateway_metric(METRIC_SENT, name, "upstream", NULL, NULL, text);
		o->send_time = gateway_metric(METRIC_SEND_TIME, name, "upstream", NULL, NULL);
		o->process_time = gateway_metric(METRIC_PROCESS_TIME, name, "upstream", text);
		o->sent_priority = q->priority;
	}
	metric_add(o->n_sent, 1);
	metric_observe(o->send_time, now_ms - q->sent_ms);
	metric_observe(o->process_time, now_ms - q->read_ms);
}

static void
on_acked(struct line_user *user, uint64_t cookie)
{
	struct outbox *o = CONTAINER_OF(user, struct outbox, user);
	struct queued **at = &o->sent.first;

	while (*at && cookie_of(*at) != cookie)
		at = &(*at)->next;
	if (*at) {
		count_sent(o, *at);
		queue_window_done(o->shared->window, list_take(&o->sent, at));
	}
	send_waiting(o);
	rest_if_idle(o);
	o->shared->on_done(o->shared);
}

static void
on_lost(struct line_user *user)
{
	struct outbox *o = CONTAINER_OF(user, struct outbox, user);

	take_back(o);
	memset(o->previous, 0, sizeof(o->previous));
	memset(o->passed, 0, sizeof(o->passed));
}

static void
on_gone(struct line_user *user, const char *why)
{
	struct outbox *o = CONTAINER_OF(user, struct outbox, user);

	o->why = why;
	give_up(o, NULL, why);
	rest_if_idle(o);
}

/* What is to be said yet. */
static bool
is_idle(struct line_user *user)
{
	return CONTAINER_OF(user, struct outbox, user)->again.place == 0;
}

/* The window has its messages. */
static void
drop(struct line_user *user)
{
	struct outbox *o = CONTAINER_OF(user, struct outbox, user);

	timer_cancel(&o->again);
	*o->link = o->next;
	if (o->next)
		o->next->link = o->link;
	mem_free(o);
}

static const struct line_user_ops ops = {
	.on_confirmed = on_confirmed,
	.on_lost = on_lost,
	.on_gone = on_gone,
	.on_acked = on_acked,
	.is_idle = is_idle,
	.drop = drop,
};

/* -- The forwarder's side --------------------------------------------------------------------------------------------------------------- */

struct outbox *
outbox_of(struct outboxes *shared, struct line *line)
{
	struct line_user *user = line_user(line, LINE_MESSAGES);
	struct outbox *o;

	if (user)
		return CONTAINER_OF(user, struct outbox, user);
	o = NEW(outbox);
	o->user.ops = &ops;
	o->shared = shared;
	list_init(&o->waiting);
	list_init(&o->sent);
	timer_init(&o->again, lines_config(line_lines(line))->loop, on_again);
	o->next = shared->first;
	o->link = &shared->first;
	if (o->next)
		o->next->link = &o->next;
	shared->first = o;
	line_attach(line, LINE_MESSAGES, &o->user);
	return o;
}

void
outbox_send(struct outbox *o, struct queued *q)
{
	if (line_gone(o->user.line)) {
		o->why = line_gone(o->user.line);
		queue_window_end(o->shared->window, q, QUEUE_GIVEN_UP);
		o->n_given_up++;
		timer_arm(&o->again, SAY_GIVEN_UP_MS);
		return;
	}
	list_insert(&o->waiting, q);
	send_waiting(o);
	rest_if_idle(o);
}

/* What was sent is not asked: its acknowledgement may be on its way. */
static size_t
expire(struct outbox *o, int64_t now_ms)
{
	struct queued **at = &o->waiting.first;
	size_t n = 0;

	while (*at) {
		if (!queued_is_expired(*at, now_ms)) {
			at = &(*at)->next;
			continue;
		}
		queue_window_end(o->shared->window, list_take(&o->waiting, at), QUEUE_EXPIRED);
		n++;
	}
	if (n > 0)
		rest_if_idle(o);
	return n;
}

void
outboxes_expire(struct outboxes *outboxes)
{
	int64_t now_ms = clock_wall_ms();
	size_t n = 0;

	for (struct outbox *o = outboxes->first; o; o = o->next)
		n += expire(o, now_ms);
	if (n > 0)
		outboxes->on_done(outboxes);
}

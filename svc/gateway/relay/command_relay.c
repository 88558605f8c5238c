/* SPDX-License-Identifier: Apache-2.0 */
/* What is held (held.h) is brought to the session by one visit at a time; meanwhile nothing is taken out of the list, and who reads or changes it has its lock. */
#include "gateway/relay/command_relay.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/relay/held.h"
#include "gateway/upstream/lines.h"

#define GRACE_MS                                                                                                                   \
	2000 /* a device that was just started hears its kept subscription before its program listens (clients-observed 3) */
#define RETRY_MS 1000

struct command_relays {
	struct loop *loop;
	struct audience audience;
	uint64_t last_number;
};

struct command_relay {
	struct line_user user;
	struct command_relays *shared;
	char *name;
	pthread_mutex_t lock; /* of what is held */
	struct held held;
	struct timer timer;
	bool is_wanted, is_visiting, visit_again;
	int64_t from_ms; /* boot clock: nothing is brought before */
	struct directory_visit visit;
	struct post post;
	bool is_refused; /* the session takes no more for now */
};

/* -- What is held --------------------------------------------------------------------------------------------------------------------------- */

/* Late ones are let go of; those that are over are forgotten, unless a visit is among them. */
static void
sweep(struct command_relay *r)
{
	pthread_mutex_lock(&r->lock);
	held_end_late(&r->held, clock_boot_ms());
	if (!r->is_visiting)
		held_forget(&r->held, r->is_wanted);
	pthread_mutex_unlock(&r->lock);
}

/* -- The visit, on the loop of the session -------------------------------------------------------------------------------------------------- */

static bool
deliver(struct head_session *session, const struct held_command *h)
{
	struct head_command command = {
		.id = h->number,
		.bag = slice_of(h->bag),
		.payload = { .text = (const char *)h->payload, .len = h->len },
	};

	return head_session_deliver(session, &command);
}

static bool
bring(struct head_session *session, const struct subject *subject, struct held_command *h)
{
	struct conn *conn = head_session_conn(session);

	if (held_was_seen(h, conn_loop(conn), conn_id(conn)))
		return true;
	if (held_is_for(h, subject->generation_id) && !deliver(session, h))
		return false;
	held_see(h, conn_loop(conn), conn_id(conn));
	return true;
}

static void
bring_all(struct command_relay *r, struct head_session *session, const struct subject *subject)
{
	for (size_t i = 0; i < r->held.n; i++) {
		struct held_command *h = &r->held.list[i];

		if (h->is_over)
			head_session_forget(session, h->number);
		h->is_told = h->is_over;
	}
	for (size_t i = 0; i < r->held.n; i++)
		if (!r->held.list[i].is_over && !bring(session, subject, &r->held.list[i])) {
			r->is_refused = true; /* in order: after one that could not be sent, none is */
			return;
		}
}

static void
on_visit(struct directory_visit *visit, struct head_session *session)
{
	struct command_relay *r = CONTAINER_OF(visit, struct command_relay, visit);
	const struct subject *subject = audience_find(&r->shared->audience, session, "");

	if (subject) {
		pthread_mutex_lock(&r->lock);
		bring_all(r, session, subject);
		pthread_mutex_unlock(&r->lock);
	}
	loop_post(r->shared->loop, &r->post);
}

/* -- On the loop of the line ------------------------------------------------------------------------------------------------------------------ */

static void go(struct command_relay *r);

static void
on_back(struct post *post)
{
	struct command_relay *r = CONTAINER_OF(post, struct command_relay, post);

	r->is_visiting = false;
	if (r->is_refused)
		r->from_ms = clock_boot_ms() + RETRY_MS;
	go(r);
}

static void
begin_visit(struct command_relay *r)
{
	r->visit_again = false;
	r->is_refused = false;
	r->is_visiting = true;
	r->visit.run = on_visit;
	r->post.run = on_back;
	r->is_visiting = directory_visit(r->shared->audience.directory, r->name, &r->visit);
}

static void
rest(struct command_relay *r)
{
	int64_t now_ms = clock_boot_ms(), next_ms = held_next_end_ms(&r->held);

	if (r->held.n > 0 && r->from_ms > now_ms && r->from_ms < next_ms)
		next_ms = r->from_ms;
	if (next_ms == INT64_MAX)
		timer_cancel(&r->timer);
	else
		timer_arm(&r->timer, next_ms > now_ms ? next_ms - now_ms : 1);
}

static void
go(struct command_relay *r)
{
	if (r->is_visiting) {
		r->visit_again = true;
		return;
	}
	sweep(r);
	if (r->is_wanted && r->held.n > 0 && (r->visit_again || held_has_work(&r->held)) && clock_boot_ms() >= r->from_ms &&
		line_is_ready(r->user.line))
		begin_visit(r);
	rest(r);
}

static void
on_timer(struct timer *timer)
{
	go(CONTAINER_OF(timer, struct command_relay, timer));
}

/* More than there is room for is not taken: the hub brings it again. */
static void
on_command(struct line_user *user, uint64_t id, struct slice bag, struct slice payload)
{
	struct command_relay *r = CONTAINER_OF(user, struct command_relay, user);

	sweep(r);
	pthread_mutex_lock(&r->lock);
	held_add(&r->held, ++r->shared->last_number, id, line_generation(user->line), bag, payload, clock_boot_ms());
	pthread_mutex_unlock(&r->lock);
	go(r);
}

/* The hub brings all of them again on the next connection. */
static void
on_lost(struct line_user *user)
{
	struct command_relay *r = CONTAINER_OF(user, struct command_relay, user);

	pthread_mutex_lock(&r->lock);
	held_end_all(&r->held);
	pthread_mutex_unlock(&r->lock);
	go(r);
}

/* -- Settled ---------------------------------------------------------------------------------------------------------------------------------- */

struct settling {
	struct post post;
	struct lines *lines;
	char *device_id, *module_id;
	uint64_t number;
};

static void
settle(struct command_relay *r, uint64_t number)
{
	struct held_command *h;

	pthread_mutex_lock(&r->lock);
	h = held_find(&r->held, number);
	if (h) {
		device_link_settle(line_link(r->user.line), h->id);
		h->is_over = h->is_told = true;
	}
	pthread_mutex_unlock(&r->lock);
	if (r->is_refused)
		r->from_ms = 0;
	go(r);
}

static void
on_settling(struct post *post)
{
	struct settling *s = CONTAINER_OF(post, struct settling, post);
	struct line *line = lines_find(s->lines, s->device_id, s->module_id);
	struct line_user *user = line ? line_user(line, LINE_COMMANDS) : NULL;

	if (user)
		settle(CONTAINER_OF(user, struct command_relay, user), s->number);
	mem_free(s->device_id);
	mem_free(s->module_id);
	mem_free(s);
}

void
command_relays_settle(struct command_relays *relays, struct lines *lines, const struct subject *subject, uint64_t command_id)
{
	struct settling *s = NEW(settling);

	s->post.run = on_settling;
	s->lines = lines;
	s->device_id = mem_text(subject->device_id);
	s->module_id = mem_text(subject->module_id);
	s->number = command_id;
	loop_post(relays->loop, &s->post);
}

/* -- Who listens -------------------------------------------------------------------------------------------------------------------------------- */

static bool
is_idle(struct line_user *user)
{
	return !CONTAINER_OF(user, struct command_relay, user)->is_visiting;
}

static void
drop(struct line_user *user)
{
	struct command_relay *r = CONTAINER_OF(user, struct command_relay, user);

	timer_cancel(&r->timer);
	held_clear(&r->held);
	pthread_mutex_destroy(&r->lock);
	mem_free(r->name);
	mem_free(r);
}

static const struct line_user_ops ops = { .on_command = on_command, .on_lost = on_lost, .is_idle = is_idle, .drop = drop };

static struct command_relay *
relay_new(struct command_relays *shared, struct line *line)
{
	struct command_relay *r = NEW(command_relay);

	r->user.ops = &ops;
	r->shared = shared;
	r->name = mem_text(line_name(line));
	pthread_mutex_init(&r->lock, NULL);
	timer_init(&r->timer, shared->loop, on_timer);
	line_attach(line, LINE_COMMANDS, &r->user);
	return r;
}

void
command_relays_attend(struct command_relays *shared, struct line *line, const struct attendee *attendee)
{
	bool is_wanted = attendee->wants & HEAD_WANTS_COMMANDS;
	struct line_user *user = line_user(line, LINE_COMMANDS);
	struct command_relay *r;

	if (!user && !is_wanted)
		return;
	r = user ? CONTAINER_OF(user, struct command_relay, user) : relay_new(shared, line);
	r->is_wanted = is_wanted;
	if (attendee->wants & HEAD_ASKED_COMMANDS)
		r->from_ms = 0;
	else if (attendee->is_another)
		r->from_ms = clock_boot_ms() + GRACE_MS;
	line_listen(line, LINE_COMMANDS, is_wanted ? DEVICE_WANTS_COMMANDS : 0);
	r->visit_again = true;
	go(r);
}

struct command_relays *
command_relays_new(struct loop *loop, const struct audience *audience)
{
	struct command_relays *relays = NEW(command_relays);

	relays->loop = loop;
	relays->audience = *audience;
	return relays;
}

void
command_relays_free(struct command_relays *relays)
{
	mem_free(relays);
}

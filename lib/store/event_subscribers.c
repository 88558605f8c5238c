/* SPDX-License-Identifier: Apache-2.0 */
/* Who is told of new records (event_subscribers.h). */
#include "store/event_subscribers.h"

#include <pthread.h>

#include "base/mem.h"

/* One notification per subscriber is under way at a time; it outlives the log when its loop is late. */
struct event_subscription {
	struct post post;
	struct post *notify;
	struct owner *owner;
	struct event_subscription *next;
	pthread_mutex_t lock;
	unsigned refs;
	bool armed, closed;
};

static void
subscription_unref(struct event_subscription *s)
{
	bool last;

	pthread_mutex_lock(&s->lock);
	last = --s->refs == 0;
	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&s->lock);
	mem_free(s);
}

static void
run_subscription(struct post *post)
{
	struct event_subscription *s = CONTAINER_OF(post, struct event_subscription, post);
	bool closed;

	pthread_mutex_lock(&s->lock);
	s->armed = false;
	closed = s->closed;
	pthread_mutex_unlock(&s->lock);
	if (!closed)
		s->notify->run(s->notify);
	subscription_unref(s);
}

static void
subscription_fire(struct event_subscription *s)
{
	bool fire;

	pthread_mutex_lock(&s->lock);
	fire = !s->armed;
	s->armed = true;
	s->refs += fire;
	pthread_mutex_unlock(&s->lock);
	if (fire)
		s->owner->post(s->owner, &s->post);
}

void
event_subscribers_add(struct event_subscribers *all, struct owner *owner, struct post *notify)
{
	struct event_subscription *s = NEW(event_subscription);

	s->post.run = run_subscription;
	s->notify = notify;
	s->owner = owner;
	s->refs = 1;
	pthread_mutex_init(&s->lock, NULL);
	s->next = all->first;
	all->first = s;
}

void
event_subscribers_wait(struct event_subscribers *all, struct event_wait *wait, struct owner *owner, struct post *notify)
{
	*wait = (struct event_wait){ .notify = notify, .owner = owner, .next = all->waits, .waiting = true };
	all->waits = wait;
}

bool
event_subscribers_wait_no_more(struct event_subscribers *all, struct event_wait *wait)
{
	bool waiting = wait->waiting;

	for (struct event_wait **at = &all->waits; waiting && *at; at = &(*at)->next)
		if (*at == wait) {
			*at = wait->next;
			break;
		}
	wait->waiting = false;
	return waiting;
}

/* All of them: the offset that each waits for is that of the next record. */
void
event_subscribers_end_waits(struct event_subscribers *all)
{
	struct event_wait *wait = all->waits, *next;

	all->waits = NULL;
	for (; wait; wait = next) {
		next = wait->next;
		wait->waiting = false;
		wait->owner->post(wait->owner, wait->notify);
	}
}

void
event_subscribers_tell(struct event_subscribers *all)
{
	for (struct event_subscription *s = all->first; s; s = s->next)
		subscription_fire(s);
	event_subscribers_end_waits(all);
}

void
event_subscribers_clear(struct event_subscribers *all)
{
	struct event_subscription *s = all->first, *next;

	for (; s; s = next) {
		next = s->next;
		pthread_mutex_lock(&s->lock);
		s->closed = true;
		pthread_mutex_unlock(&s->lock);
		subscription_unref(s);
	}
}

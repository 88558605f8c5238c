/* SPDX-License-Identifier: Apache-2.0 */
/* A timer and a job (rejudge.h): clocks may be set, so there is no time to wait for. */
#include "gateway/rejudge.h"

#include "base/clock.h"
#include "base/mem.h"

struct rejudge {
	struct loop *loop;
	struct pool *workers;
	struct gateway_head *head;
	struct timer timer;
	struct job job;
	bool is_looking;
};

static void
run(struct job *job)
{
	gateway_head_look(CONTAINER_OF(job, struct rejudge, job)->head);
}

static void
on_done(struct job *job)
{
	CONTAINER_OF(job, struct rejudge, job)->is_looking = false;
}

static void
on_timer(struct timer *timer)
{
	struct rejudge *r = CONTAINER_OF(timer, struct rejudge, timer);

	if (!r->is_looking) {
		r->job = (struct job){ .run = run, .done = on_done, .owner = loop_owner(r->loop) };
		r->is_looking = pool_try(r->workers, &r->job);
	}
	timer_arm(timer, clock_look_ms());
}

struct rejudge *
rejudge_new(struct loop *loop, struct pool *workers, struct gateway_head *head)
{
	struct rejudge *r = NEW(rejudge);

	r->loop = loop;
	r->workers = workers;
	r->head = head;
	timer_init(&r->timer, loop, on_timer);
	timer_arm(&r->timer, clock_look_ms());
	return r;
}

void
rejudge_free(struct rejudge *r)
{
	if (!r)
		return;
	timer_cancel(&r->timer);
	mem_free(r);
}

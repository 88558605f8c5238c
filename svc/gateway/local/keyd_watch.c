/* SPDX-License-Identifier: Apache-2.0 */
/* Looking after keyd.  The timer runs for as long as keyd has yet to be quiet for, so that a gateway with work to do asks nothing, and an idle one wakes once in that time. */
#include "gateway/local/keyd_watch.h"

#include "base/mem.h"

#define QUIET_MS 10000	 /* as long as it has been heard within this it is taken to answer */
#define PATIENCE_MS 8000 /* longer than a busy one takes (health.c) */

struct keyd_watch {
	struct loop *loop;
	struct pool *workers;
	struct keyd_client *keyd;
	const char *key_id;
	struct timer timer;
	struct job job;
	atomic_bool is_stopped;
};

static void
run(struct job *job)
{
	struct keyd_watch *w = CONTAINER_OF(job, struct keyd_watch, job);

	keyd_client_probe(w->keyd, w->key_id, PATIENCE_MS, &w->is_stopped);
}

static void
on_done(struct job *job)
{
	timer_arm(&CONTAINER_OF(job, struct keyd_watch, job)->timer, QUIET_MS);
}

static void
on_timer(struct timer *timer)
{
	struct keyd_watch *w = CONTAINER_OF(timer, struct keyd_watch, timer);
	int64_t quiet_ms = keyd_client_quiet_ms(w->keyd);

	w->job = (struct job){ .run = run, .done = on_done, .owner = loop_owner(w->loop) };
	if (quiet_ms < QUIET_MS)
		timer_arm(timer, (int)(QUIET_MS - quiet_ms));
	else if (!pool_try(w->workers, &w->job))
		timer_arm(timer, QUIET_MS);
}

struct keyd_watch *
keyd_watch_new(struct loop *loop, struct pool *workers, struct keyd_client *keyd, const char *key_id)
{
	struct keyd_watch *w = NEW(keyd_watch);

	w->loop = loop;
	w->workers = workers;
	w->keyd = keyd;
	w->key_id = key_id;
	timer_init(&w->timer, loop, on_timer);
	timer_arm(&w->timer, QUIET_MS);
	return w;
}

void
keyd_watch_stop(struct keyd_watch *w)
{
	if (w)
		w->is_stopped = true;
}

void
keyd_watch_free(struct keyd_watch *w)
{
	if (!w)
		return;
	timer_cancel(&w->timer);
	mem_free(w);
}

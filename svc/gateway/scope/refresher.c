/* SPDX-License-Identifier: Apache-2.0 */
/* The times are the original's (gateway 3.4), with jitter, so that gateways that were started together do not ask together. */
#include "gateway/scope/refresher.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

#define EVERY_MS (3600 * 1000)
#define AGAIN_MIN_MS 2000
#define AGAIN_MAX_MS 60000
#define SAVE_EVERY_MS 2000

struct refresher {
	struct loop *loop;
	struct pool *workers;
	struct scope *scope;
	struct timer timer;
	struct job job;
	bool is_asking, has_failed;
	struct timer save_timer;
	struct job save_job;
	bool is_saving;
	int64_t again_ms;
	struct err err;
};

static void
run(struct job *job)
{
	struct refresher *r = CONTAINER_OF(job, struct refresher, job);

	r->err = (struct err)ERR_INIT;
	scope_refresh(r->scope, &r->err);
}

static void
try_again(struct refresher *r)
{
	timer_arm(&r->timer, r->again_ms / 2 + random_below((uint32_t)r->again_ms / 2 + 1));
	r->again_ms = r->again_ms * 2 < AGAIN_MAX_MS ? r->again_ms * 2 : AGAIN_MAX_MS;
}

static void
on_done(struct job *job)
{
	struct refresher *r = CONTAINER_OF(job, struct refresher, job);
	bool failed = r->err.kind != ERR_NONE;

	r->is_asking = false;
	if (failed) {
		if (!r->has_failed)
			log_warn("the hub can't be asked for this gateway's devices, %zu are known from before: %s",
				scope_count(r->scope), r->err.text);
		try_again(r);
	} else {
		log_info("%zu devices and modules are below this gateway", scope_count(r->scope));
		r->again_ms = AGAIN_MIN_MS;
		timer_arm(&r->timer, EVERY_MS - random_below(EVERY_MS / 10));
	}
	r->has_failed = failed;
}

static void
ask(struct refresher *r)
{
	if (r->is_asking)
		return;
	r->job = (struct job){ .run = run, .done = on_done, .owner = loop_owner(r->loop) };
	r->is_asking = pool_try(r->workers, &r->job);
	if (!r->is_asking)
		try_again(r);
}

static void
on_timer(struct timer *timer)
{
	ask(CONTAINER_OF(timer, struct refresher, timer));
}

/* -- Saving ---------------------------------------------------------------------------------------------------------------------------- */

static void
run_save(struct job *job)
{
	scope_save(CONTAINER_OF(job, struct refresher, save_job)->scope);
}

static void
on_saved(struct job *job)
{
	CONTAINER_OF(job, struct refresher, save_job)->is_saving = false;
}

static void
on_save_timer(struct timer *timer)
{
	struct refresher *r = CONTAINER_OF(timer, struct refresher, save_timer);

	if (!r->is_saving && scope_is_unsaved(r->scope)) {
		r->save_job = (struct job){ .run = run_save, .done = on_saved, .owner = loop_owner(r->loop) };
		r->is_saving = pool_try(r->workers, &r->save_job);
	}
	timer_arm(timer, SAVE_EVERY_MS);
}

struct refresher *
refresher_new(struct loop *loop, struct pool *workers, struct scope *scope)
{
	struct refresher *r = NEW(refresher);

	r->loop = loop;
	r->workers = workers;
	r->scope = scope;
	r->again_ms = AGAIN_MIN_MS;
	timer_init(&r->timer, loop, on_timer);
	timer_init(&r->save_timer, loop, on_save_timer);
	timer_arm(&r->save_timer, SAVE_EVERY_MS);
	ask(r);
	return r;
}

void
refresher_free(struct refresher *r)
{
	if (!r)
		return;
	timer_cancel(&r->timer);
	timer_cancel(&r->save_timer);
	mem_free(r);
}

void
refresher_hurry(struct refresher *r)
{
	if (!r->has_failed)
		return;
	r->again_ms = AGAIN_MIN_MS;
	ask(r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One question at a time.  What is said to have changed meanwhile waits for the next one. */
#include "gateway/scope/refresher.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/rd.h"
#include "gateway/scope/refresh_pace.h"
#include "gateway/gauges/hub_presence.h"
#include "gateway/gauges/hub_throttle.h"
#include "gateway/gauges/noted.h"

#define AGAIN_MIN_MS 2000
#define AGAIN_MAX_MS 60000
#define SAVE_EVERY_MS 2000
#define NAMES_MAX 1000 /* more that have changed are everything */

/* What is to be asked for. */
struct wish {
	struct map *names; /* values mean nothing; NULL: none */
	bool is_everything;
};

struct refresher {
	struct loop *loop;
	struct pool *workers;
	struct scope *scope;
	struct timer timer;
	struct job job;
	bool is_asking, has_failed, is_stopped;
	struct timer save_timer;
	struct job save_job;
	bool is_saving;
	int64_t again_ms;
	struct refresh_pace pace;
	int64_t whole_ms; /* boot clock of the last question for everything; 0: none */
	struct err err;
	struct wish asked; /* the job's */
	uint64_t epoch;	   /* before it */
	pthread_mutex_t lock;
	struct wish wish; /* with the lock, as is: */
	bool is_waking;
	struct post wake;
};

/* -- Asking ---------------------------------------------------------------------------------------------------------------------------- */

static void
ask_for_names(struct refresher *r)
{
	size_t n = map_count(r->asked.names), at = 0, i = 0, len;
	char **names = mem_array(n + 1, sizeof(*names));
	const void *name;

	while (map_next(r->asked.names, &at, &name, &len, NULL))
		names[i++] = slice_text((struct slice){ .text = name, .len = len });
	scope_refresh_named(r->scope, (const char *const *)names, n);
	while (i > 0)
		mem_free(names[--i]);
	mem_free(names);
}

static void
run(struct job *job)
{
	struct refresher *r = CONTAINER_OF(job, struct refresher, job);

	r->err = (struct err)ERR_INIT;
	if (!r->asked.is_everything && r->asked.names && !scope_is_by_difference(r->scope))
		ask_for_names(r);
	else
		scope_refresh(r->scope, &r->err);
}

static struct wish
take_wish(struct refresher *r)
{
	struct wish wish;

	pthread_mutex_lock(&r->lock);
	wish = r->wish;
	r->wish = (struct wish){ 0 };
	pthread_mutex_unlock(&r->lock);
	return wish;
}

static bool
has_wish(struct refresher *r)
{
	bool has;

	pthread_mutex_lock(&r->lock);
	has = r->wish.names || r->wish.is_everything;
	pthread_mutex_unlock(&r->lock);
	return has;
}

static void
try_again(struct refresher *r)
{
	timer_arm(&r->timer, hub_throttle_calls_ms() + r->again_ms / 2 + random_below((uint32_t)r->again_ms / 2 + 1));
	r->again_ms = r->again_ms * 2 < AGAIN_MAX_MS ? r->again_ms * 2 : AGAIN_MAX_MS;
}

static void on_done(struct job *job);

static void
start(struct refresher *r, struct wish wish)
{
	if (wish.is_everything)
		r->whole_ms = clock_boot_ms();
	r->asked = wish;
	r->epoch = scope_epoch(r->scope);
	r->job = (struct job){ .run = run, .done = on_done, .owner = loop_owner(r->loop) };
	r->is_asking = pool_try(r->workers, &r->job);
	if (r->is_asking)
		return;
	map_free(r->asked.names);
	r->asked = (struct wish){ 0 };
	try_again(r);
}

static void
ask(struct refresher *r)
{
	struct wish wish;

	if (r->is_asking)
		return;
	wish = take_wish(r);
	wish.is_everything = true;
	start(r, wish);
}

static void
end_wish(struct refresher *r)
{
	map_free(r->asked.names);
	r->asked = (struct wish){ 0 };
}

/* They were looked up, and everything is asked for when it was to be; or the hub went away meanwhile. */
static void
end_names(struct refresher *r)
{
	end_wish(r);
	if (scope_is_hub_away(r->scope))
		try_again(r);
}

/* The hub has too much to do, which is no word about whether it can be reached. */
static bool
is_put_off(const struct err *err)
{
	return err->kind == ERR_LIMIT;
}

/* A hub that has no such gateway, or none any more, says so by 404. */
static void
note_presence(const struct err *err)
{
	if (err->kind == ERR_NONE)
		hub_presence_reached();
	else if (err->kind == ERR_DENIED || err->kind == ERR_MISSING)
		hub_presence_refuses(err->text);
	else if (!is_put_off(err))
		hub_presence_away();
}

static void
end_everything(struct refresher *r)
{
	bool failed = r->err.kind != ERR_NONE, changed = scope_epoch(r->scope) != r->epoch;

	end_wish(r);
	noted_scope(!failed);
	note_presence(&r->err);
	if (failed) {
		if (!r->has_failed)
			log_warn("the hub can't be asked for this gateway's devices, %zu are known from before: %s",
				scope_count(r->scope), r->err.text);
		try_again(r);
	} else {
		if (changed || r->has_failed || r->pace.wait_ms == 0)
			log_info("%zu devices and modules are below this gateway", scope_count(r->scope));
		r->again_ms = AGAIN_MIN_MS;
		timer_arm(
			&r->timer, refresh_pace_next(&r->pace, scope_is_by_difference(r->scope), changed, (uint32_t)random_u64()));
	}
	r->has_failed = failed;
}

/* What was said to have changed.  A hub that sends everything is not asked for that at each word. */
static void
grant_wish(struct refresher *r)
{
	int64_t left = r->whole_ms + REFRESH_GAP_MS - clock_boot_ms();
	struct wish wish;

	if (r->is_asking || r->is_stopped || !has_wish(r))
		return;
	wish = take_wish(r);
	if (wish.is_everything && !scope_is_by_difference(r->scope) && r->whole_ms > 0 && left > 0 && !r->has_failed) {
		map_free(wish.names);
		timer_arm(&r->timer, left);
		return;
	}
	if (scope_is_by_difference(r->scope) || r->has_failed)
		wish.is_everything = true;
	start(r, wish);
}

static void
on_done(struct job *job)
{
	struct refresher *r = CONTAINER_OF(job, struct refresher, job);

	r->is_asking = false;
	if (r->asked.is_everything)
		end_everything(r);
	else
		end_names(r);
	grant_wish(r);
}

static void
on_timer(struct timer *timer)
{
	ask(CONTAINER_OF(timer, struct refresher, timer));
}

static void
on_wake(struct post *post)
{
	struct refresher *r = CONTAINER_OF(post, struct refresher, wake);

	pthread_mutex_lock(&r->lock);
	r->is_waking = false;
	pthread_mutex_unlock(&r->lock);
	grant_wish(r);
}

void
refresher_changed(struct refresher *r, const char *const *names, size_t n)
{
	pthread_mutex_lock(&r->lock);
	if (!r->wish.names)
		r->wish.names = map_new();
	if (n == 0 || n > NAMES_MAX - map_count(r->wish.names))
		r->wish.is_everything = true;
	for (size_t i = 0; i < n && !r->wish.is_everything; i++)
		map_put_text(r->wish.names, names[i], r);
	if (!r->is_waking) {
		r->is_waking = true;
		loop_post(r->loop, &r->wake);
	}
	pthread_mutex_unlock(&r->lock);
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
	r->wake.run = on_wake;
	pthread_mutex_init(&r->lock, NULL);
	timer_init(&r->timer, loop, on_timer);
	timer_init(&r->save_timer, loop, on_save_timer);
	timer_arm(&r->save_timer, SAVE_EVERY_MS);
	ask(r);
	return r;
}

void
refresher_stop(struct refresher *r)
{
	if (r)
		r->is_stopped = true;
}

void
refresher_free(struct refresher *r)
{
	if (!r)
		return;
	timer_cancel(&r->timer);
	timer_cancel(&r->save_timer);
	map_free(r->asked.names);
	map_free(r->wish.names);
	pthread_mutex_destroy(&r->lock);
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

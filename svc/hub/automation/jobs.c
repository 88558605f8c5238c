/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduled jobs go on (jobs.h).  A running job is a walk through the devices of its condition (twin_walk.h), begun anew after a restart: who has a finished row in
 * job_device is passed by. */
#include "hub/automation/jobs_inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"

#define STEP_MS 50
#define TICK_MS 200
#define IN_FLIGHT_MAX 32

/* -- Jobs that are not over ----------------------------------------------------------------------------------------------------------------- */

static struct job_active *
active_new(const char *id, json_t *doc, int64_t start_ms)
{
	struct job_active *a = NEW(job_active);

	a->id = mem_text(id);
	a->doc = json_incref(doc);
	a->start_ms = start_ms;
	a->until_ms = start_ms + scheduled_job_seconds(doc) * 1000;
	a->is_method = scheduled_job_is_method(doc);
	return a;
}

static void
active_free(struct job_active *a)
{
	if (a->is_walking)
		twin_walk_clear(&a->walk);
	json_decref(a->doc);
	mem_free(a->id);
	mem_free(a);
}

void
jobs_add_active(struct jobs *jobs, const char *id, json_t *doc, int64_t start_ms)
{
	struct job_active *a = active_new(id, doc, start_ms);

	a->next = jobs->active;
	jobs->active = a;
	atomic_fetch_add(&jobs->n_active, 1);
}

struct job_active *
jobs_find_active(struct jobs *jobs, const char *id)
{
	struct job_active *a = jobs->active;

	while (a && !text_is(a->id, id))
		a = a->next;
	return a;
}

static void
remove_active(struct jobs *jobs, struct job_active *a)
{
	struct job_active **at = &jobs->active;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	atomic_fetch_sub(&jobs->n_active, 1);
	active_free(a);
}

/* -- A job goes on ---------------------------------------------------------------------------------------------------------------------------------- */

int
jobs_end(struct jobs *jobs, struct job_active *a, enum scheduled_job_status status, const char *why, struct err *err)
{
	if (job_store_end(jobs->db, a->id, status, why, clock_wall_ms(), err) < 0)
		return -1;
	remove_active(jobs, a);
	return 0;
}

static int
begin_job(struct jobs *jobs, struct job_active *a, struct err *err)
{
	OWN(query) condition =
		query_parse_condition(json_string_value(json_object_get(a->doc, "queryCondition")), QUERY_DEVICES, err);
	struct query *query;

	if (!condition || job_store_begin(jobs->db, a->id, err) < 0)
		return -1;
	query = query_parse("SELECT deviceId FROM devices", err);
	if (!query)
		return -1;
	query->where = GIVE(condition->where);
	a->is_running = a->is_walking = true;
	return twin_walk_init(&a->walk, query, a->id, jobs->indexed_paths, jobs->n_indexed_paths, NULL, JOBS_PAGE, err);
}

static int
walk_on(struct jobs *jobs, struct job_active *a, int64_t until, struct err *err)
{
	struct twin_row_context context = { .db = jobs->db, .registry = jobs->registry, .directory = jobs->directory };

	/* Rows that are there are those of a page that failed. */
	if (json_array_size(a->walk.rows) == 0 && twin_walk_go(&a->walk, &context, until, err) < 0)
		return -1;
	if (jobs_do_page(jobs, a, a->walk.rows, err) < 0)
		return -1;
	json_array_clear(a->walk.rows);
	if (a->walk.state == TWIN_WALK_END) {
		twin_walk_clear(&a->walk);
		a->is_walking = false;
		a->is_walked = true;
	}
	return 0;
}

/* 1: something was done, and `a` may be gone; 0: it waits. */
static int
go_on(struct jobs *jobs, struct job_active *a, int64_t until, struct err *err)
{
	int64_t now = clock_wall_ms();

	if (now < a->start_ms)
		return 0;
	if (now >= a->until_ms)
		return jobs_end(jobs, a, SCHEDULED_JOB_FAILED, "its time was up", err) < 0 ? -1 : 1;
	if (!a->is_running)
		return begin_job(jobs, a, err) < 0 ? -1 : 1;
	if (a->is_walking && a->n_in_flight + JOBS_PAGE > IN_FLIGHT_MAX)
		return 0;
	if (a->is_walking)
		return walk_on(jobs, a, until, err) < 0 ? -1 : 1;
	if (a->n_in_flight > 0)
		return 0;
	return jobs_end(jobs, a, SCHEDULED_JOB_COMPLETED, NULL, err) < 0 ? -1 : 1;
}

static int
do_something(struct jobs *jobs, int64_t until, struct err *err)
{
	struct job_active *next;
	int did = jobs_write_back(jobs, err);

	for (struct job_active *a = jobs->active; a && did == 0; a = next) {
		next = a->next;
		did = go_on(jobs, a, until, err);
	}
	return did;
}

static void
run_step(struct job *job)
{
	struct jobs *jobs = CONTAINER_OF(job, struct jobs, step);
	int64_t until = clock_boot_ms() + STEP_MS;
	struct err err = ERR_INIT;
	int did = 1;

	while (did == 1 && clock_boot_ms() < until)
		did = do_something(jobs, until, &err);
	if (did < 0)
		log_error("jobs: %s", err.text); /* the next tick tries again */
}

static void
step_done(struct job *job)
{
	CONTAINER_OF(job, struct jobs, step)->is_stepping = false;
}

static void
on_tick(struct timer *timer)
{
	struct jobs *jobs = CONTAINER_OF(timer, struct jobs, timer);

	if (!jobs->is_stepping && (jobs_have_outcomes(jobs) || atomic_load(&jobs->n_active) > 0)) {
		jobs->step = (struct job){ .run = run_step, .done = step_done, .owner = loop_owner(jobs->loop) };
		jobs->is_stepping = registry_work(jobs->registry, &jobs->step);
	}
	if (!atomic_load(&jobs->stopping))
		timer_arm(&jobs->timer, TICK_MS);
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------------------------ */

static void
take_loaded(void *arg, const char *id, json_t *doc, int64_t start_ms)
{
	jobs_add_active(arg, id, doc, start_ms);
}

struct jobs *
jobs_open(struct registry *registry, struct twins *twins, struct methods *methods, struct directory *directory, struct loop *loop,
	const char *const *indexed_paths, size_t n_indexed_paths, struct err *err)
{
	struct jobs *jobs = NEW(jobs);

	jobs->registry = registry;
	jobs->twins = twins;
	jobs->methods = methods;
	jobs->directory = directory;
	jobs->loop = loop;
	jobs->indexed_paths = indexed_paths;
	jobs->n_indexed_paths = n_indexed_paths;
	jobs->db = registry_store_db(registry_store_of(registry));
	pthread_mutex_init(&jobs->lock, NULL);
	timer_init(&jobs->timer, loop, on_tick);
	if (job_store_load(jobs->db, take_loaded, jobs, err) < 0) {
		jobs_close(jobs);
		return NULL;
	}
	timer_arm(&jobs->timer, TICK_MS);
	return jobs;
}

void
jobs_stop(struct jobs *jobs)
{
	if (!jobs)
		return;
	atomic_store(&jobs->stopping, true);
	timer_cancel(&jobs->timer);
}

void
jobs_close(struct jobs *jobs)
{
	if (!jobs)
		return;
	jobs_forget_outcomes(jobs);
	while (jobs->active)
		remove_active(jobs, jobs->active);
	pthread_mutex_destroy(&jobs->lock);
	mem_free(jobs);
}

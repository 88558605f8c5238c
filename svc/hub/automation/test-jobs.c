/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs and the disk: what is done to a device and that it was done are one. */
#include <stdatomic.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/automation/job_store.h"
#include "hub/automation/jobs.h"
#include "t.h"
#include "wire/json.h"

#define N_DEVICES 5

/* dev0 to dev4 on a loop and a worker of their own. */
struct fixture {
	char path[128];
	struct loop *loop;
	struct pool *worker;
	struct registry_store *store;
	struct registry *registry;
	struct directory *directory;
	struct methods *methods;
	struct twins *twins;
	struct jobs *jobs;
	struct timer timer;
	struct job look;
	bool is_looking;
	const char *query; /* the loop stops when it gives a row */
	bool is_true;
};

/* Who a session is: no device is connected here. */
static const struct subject *
nobody(struct head_session *session)
{
	(void)session;
	return NULL;
}

static void
make_device(struct fixture *f, int n)
{
	struct registry_call call = { .op = REGISTRY_PUT, .device_id = mem_textf("dev%d", n) };

	call.wanted = identity_new(call.device_id, NULL);
	registry_run(f->registry, &call);
	CHECK_INT(call.answer, REGISTRY_OK);
	registry_call_clear(&call);
}

static struct db *
db_of(const struct fixture *f)
{
	return registry_store_db(f->store);
}

static void
look(struct job *job)
{
	struct fixture *f = CONTAINER_OF(job, struct fixture, look);
	struct err err = ERR_INIT;
	struct db_stmt *row = db_query(db_of(f), &err, f->query, "");

	f->is_true = row && db_next(row, &err) == 1;
	db_done(row);
}

static void
looked(struct job *job)
{
	struct fixture *f = CONTAINER_OF(job, struct fixture, look);

	f->is_looking = false;
	if (f->is_true)
		loop_stop(f->loop);
}

static void
on_timer(struct timer *timer)
{
	struct fixture *f = CONTAINER_OF(timer, struct fixture, timer);

	timer_arm(timer, 20);
	if (f->is_looking)
		return;
	f->look = (struct job){ .run = look, .done = looked, .owner = loop_owner(f->loop) };
	f->is_looking = registry_work(f->registry, &f->look);
}

/* Until that query gives a row; the test's own deadline ends what never comes. */
static void
run_until(struct fixture *f, const char *query)
{
	f->query = query;
	timer_init(&f->timer, f->loop, on_timer);
	timer_arm(&f->timer, 1);
	loop_run(f->loop);
	timer_cancel(&f->timer);
}

static void
fixture_new(struct fixture *f, const char *name)
{
	struct err err = ERR_INIT;

	*f = (struct fixture){ .loop = loop_new("test"), .directory = directory_new() };
	snprintf(f->path, sizeof(f->path), "%s/%s.sqlite", T_TMPDIR, name);
	f->store = registry_store_open(f->path, &err);
	f->worker = pool_new("registry", 1, 100);
	f->registry = f->store ? registry_open(f->store, f->worker, &err) : NULL;
	if (!f->registry)
		fail_msg("%s", err.text);
	for (int i = 0; i < N_DEVICES; i++)
		make_device(f, i);
	f->twins = twins_new(f->registry);
	f->methods = methods_new(f->directory, nobody);
	f->jobs = jobs_open(f->registry, f->twins, f->methods, f->directory, f->loop, NULL, 0, &err);
	CHECK(f->jobs);
}

static void
fixture_end(struct fixture *f)
{
	registry_stop(f->registry);
	jobs_stop(f->jobs);
	pool_free(f->worker);
	methods_stop(f->methods);
	loop_free(f->loop);
	methods_free(f->methods);
	jobs_close(f->jobs);
	twins_free(f->twins);
	directory_free(f->directory);
	registry_close(f->registry);
	registry_store_close(f->store);
}

static void
on_put(struct job_call *call)
{
	CHECK_INT(call->answer, JOB_OK);
	job_call_clear(call);
	mem_free(call);
}

static void
put_job(struct fixture *f, const char *doc)
{
	struct job_call *call = NEW(job_call);
	struct err err = ERR_INIT;

	call->op = JOB_PUT;
	call->id = mem_text("job1");
	call->body = json_parse(doc, strlen(doc), &err);
	CHECK_OK(scheduled_job_check(call->body, &err), err);
	call->done = on_put;
	CHECK(jobs_submit(f->jobs, call, loop_owner(f->loop)));
}

static void
do_sql(struct fixture *f, const char *sql)
{
	struct err err = ERR_INIT;

	CHECK_OK(db_run(db_of(f), &err, sql, ""), err);
}

TEST("a disk that fails between a device's twin and the job's note of it leaves neither, and no device is done twice")
{
	struct fixture f;

	fixture_new(&f, "page");
	/* RAISE(FAIL) undoes nothing by itself; a table without rows tells that the disk was asked at all. */
	do_sql(&f, "CREATE TABLE mended (yes INTEGER)");
	do_sql(&f, "CREATE TRIGGER broken BEFORE INSERT ON job_device WHEN NEW.device_id = 'dev3' AND NOT EXISTS (SELECT 1 FROM "
		   "mended)"
		   " BEGIN SELECT RAISE(ABORT, 'the disk is broken'); END");
	put_job(&f, "{\"jobId\":\"job1\",\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\","
		    "\"updateTwin\":{\"etag\":\"*\",\"tags\":{\"floor\":1}},\"maxExecutionTimeInSeconds\":60}");
	run_until(&f, "SELECT 1 FROM job WHERE status = 1"); /* running */
	for (int i = 0; i < 3; i++) {			     /* it tries, again and again */
		run_until(&f, "SELECT 1");
		run_until(&f, "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM twin) AND NOT EXISTS (SELECT 1 FROM job_device)");
	}
	run_until(&f, "INSERT INTO mended VALUES (1) RETURNING 1");
	run_until(&f, "SELECT 1 FROM job WHERE status > 1");
	run_until(&f, "SELECT 1 WHERE (SELECT count(*) FROM job_device WHERE status = 2) = 5");
	run_until(&f, "SELECT 1 WHERE (SELECT count(*) FROM twin WHERE version = 2) = 5");
	fixture_end(&f);
}

static void
put_ended(struct fixture *f, const char *id, int64_t end_ms, int n_devices)
{
	OWN_LIB(json_t) doc = json_pack("{s:s}", "type", "scheduleUpdateTwin");
	struct err err = ERR_INIT;

	CHECK_INT(job_store_add(db_of(f), id, doc, end_ms - 1, end_ms - 1, &err), 1);
	for (int i = 0; i < n_devices; i++) {
		OWN_TEXT device_id = mem_textf("dev%d", i);

		CHECK_OK(job_store_put_device(db_of(f), id, device_id, SCHEDULED_JOB_COMPLETED, NULL, &err), err);
	}
	CHECK_OK(job_store_end(db_of(f), id, SCHEDULED_JOB_COMPLETED, NULL, end_ms, &err), err);
}

static void
check_kept(struct fixture *f, const char *jobs, const char *devices)
{
	struct err err = ERR_INIT;
	struct db_stmt *row = db_query(db_of(f), &err,
		"SELECT (SELECT group_concat(id, ' ') FROM (SELECT id FROM job ORDER BY id)), (SELECT group_concat(job_id, ' ') "
		"FROM "
		"(SELECT DISTINCT job_id FROM job_device ORDER BY job_id))",
		"");

	CHECK_INT(db_next(row, &err), 1);
	CHECK_STR(db_text(row, 0), jobs);
	CHECK_STR(db_text(row, 1), devices);
	db_done(row);
}

TEST("jobs that are over are kept up to an age, a number, and a number of devices; the newest stay, and those that are not over")
{
	struct fixture f;
	struct err err = ERR_INIT;

	fixture_new(&f, "kept");
	put_ended(&f, "a", 1000, 1);
	put_ended(&f, "b", 2000, 2);
	put_ended(&f, "c", 3000, 3);
	put_ended(&f, "d", 4000, 2);
	CHECK_INT(job_store_add(db_of(&f), "waits", json_true(), 1, 1, &err), 1);
	CHECK_OK(job_store_forget(db_of(&f), 1500, 10, 100, &err), err);
	check_kept(&f, "b c d waits", "b c d");
	CHECK_OK(job_store_forget(db_of(&f), 1500, 10, 6, &err), err);
	check_kept(&f, "c d waits", "c d");
	CHECK_OK(job_store_forget(db_of(&f), 1500, 1, 100, &err), err);
	check_kept(&f, "d waits", "d");
	fixture_end(&f);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduled jobs (jobs.h).  A running job is a walk through the devices of its condition (twin_walk.h), begun anew after a restart: who has a finished row in job_device is passed
 * by.  Methods are handed to the loop, a few at a time, and their outcomes come back through a list that the next step writes down. */
#include "hub/jobs.h"

#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/twin_walk.h"
#include "wire/json.h"

#define STEP_MS 50
#define TICK_MS 200
#define PAGE 20
#define IN_FLIGHT_MAX 32
#define KEPT_MS (30ll * 24 * 3600 * 1000)
#define SECONDS_USUAL 3600
#define SECONDS_MAX (30 * 24 * 3600)

enum job_status { SCHEDULED, RUNNING, COMPLETED, FAILED, CANCELLED };
static const char *const status_names[] = { "scheduled", "running", "completed", "failed", "cancelled" };

/* A job that is not over. */
struct active {
	char *id;
	json_t *doc;
	int64_t start_ms, until_ms;
	bool is_method, is_running, is_walking, is_walked;
	struct twin_walk walk;
	size_t n_in_flight;
	struct active *next;
};

/* A method on its way to a device, and back. */
struct errand {
	struct method_call method;
	struct jobs *jobs;
	char *job_id;
	struct post post;
	struct errand *next;
	bool was_sent;
};

struct jobs {
	struct registry *registry;
	struct twins *twins;
	struct methods *methods;
	struct directory *directory;
	struct db *db;
	struct loop *loop;
	const char *const *indexed_paths;
	size_t n_indexed_paths;
	struct active *active;
	atomic_size_t n_active;
	struct timer timer;
	struct job step;
	bool is_stepping; /* the loop's */
	atomic_bool stopping;
	pthread_mutex_t lock;
	struct errand *back; /* outcomes that are to be written down */
};

/* -- What a job is ------------------------------------------------------------------------------------------------------------------------- */

static bool
is_method(const json_t *doc)
{
	return text_is_nocase(json_string_value(json_object_get(doc, "type")), "scheduleDeviceMethod");
}

static int
take_start(const json_t *doc, int64_t *ms, struct err *err)
{
	const char *text = NULL;
	int64_t wall;

	if (json_find_text(doc, "startTime", &text, err) < 0)
		return -1;
	if (!text || !*text)
		return 0;
	if (!clock_parse(text, &wall))
		return err_set(err, ERR_INVALID, "startTime is not a time");
	*ms = wall * 1000;
	return 0;
}

static int
check_update(const json_t *doc, struct err *err)
{
	json_t *update = NULL, *properties = NULL;

	if (json_find_object(doc, "updateTwin", &update, err) < 0)
		return -1;
	if (!update)
		return err_set(err, ERR_INVALID, "updateTwin is missing");
	return json_find_object(update, "properties", &properties, err);
}

int
job_check(const json_t *doc, struct err *err)
{
	const char *type, *condition;
	int64_t seconds = SECONDS_USUAL, start;
	json_t *method = NULL;
	OWN(query) query = NULL;

	if (json_get_text(doc, "type", &type, err) < 0 || json_get_text(doc, "queryCondition", &condition, err) < 0 ||
		json_find_int(doc, "maxExecutionTimeInSeconds", &seconds, err) < 0 || take_start(doc, &start, err) < 0)
		return -1;
	if (!is_method(doc) && !text_is_nocase(type, "scheduleUpdateTwin"))
		return err_set(err, ERR_INVALID, "type is scheduleUpdateTwin or scheduleDeviceMethod");
	if (seconds < 1 || seconds > SECONDS_MAX)
		return err_set(err, ERR_INVALID, "maxExecutionTimeInSeconds is from 1 to %d", SECONDS_MAX);
	query = query_parse_condition(condition, QUERY_DEVICES, err);
	if (!query)
		return err_wrap(err, "queryCondition");
	if (!is_method(doc))
		return check_update(doc, err);
	if (json_find_object(doc, "cloudToDeviceMethod", &method, err) < 0)
		return -1;
	return method ? 0 : err_set(err, ERR_INVALID, "cloudToDeviceMethod is missing");
}

static struct active *
active_new(const char *id, json_t *doc, int64_t start_ms)
{
	struct active *a = NEW(active);
	int64_t seconds = SECONDS_USUAL;
	struct err ignored = ERR_INIT; /* it was checked */

	(void)json_find_int(doc, "maxExecutionTimeInSeconds", &seconds, &ignored);
	a->id = mem_text(id);
	a->doc = json_incref(doc);
	a->start_ms = start_ms;
	a->until_ms = start_ms + seconds * 1000;
	a->is_method = is_method(doc);
	return a;
}

static void
active_free(struct active *a)
{
	if (a->is_walking)
		twin_walk_clear(&a->walk);
	json_decref(a->doc);
	mem_free(a->id);
	mem_free(a);
}

static struct active *
find_active(struct jobs *jobs, const char *id)
{
	struct active *a = jobs->active;

	while (a && !text_is(a->id, id))
		a = a->next;
	return a;
}

static void
remove_active(struct jobs *jobs, struct active *a)
{
	struct active **at = &jobs->active;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	atomic_fetch_sub(&jobs->n_active, 1);
	active_free(a);
}

/* -- What became of a device ----------------------------------------------------------------------------------------------------------------- */

static int
write_device(struct jobs *jobs, const char *job_id, const char *device_id, enum job_status status, const json_t *outcome,
	struct err *err)
{
	OWN_TEXT text = outcome ? json_line(outcome) : NULL;
	int64_t now = clock_wall_ms();

	return db_run(jobs->db, err,
		"INSERT INTO job_device (job_id, device_id, status, start_ms, updated_ms, outcome) VALUES (?, ?, ?, ?, ?, ?)"
		" ON CONFLICT (job_id, device_id) DO UPDATE SET status = excluded.status, updated_ms = excluded.updated_ms, "
		"outcome = excluded.outcome",
		"ttiiit", job_id, device_id, (int64_t)status, now, now, text);
}

/* 1: it has its row already, whatever that says. */
static int
has_row(struct jobs *jobs, const struct active *a, const char *device_id, struct err *err)
{
	struct db_stmt *row =
		db_query(jobs->db, err, "SELECT 1 FROM job_device WHERE job_id = ? AND device_id = ?", "tt", a->id, device_id);
	int got = row ? db_next(row, err) : -1;

	db_done(row);
	return got;
}

static int
change_twin(struct jobs *jobs, const struct active *a, const char *device_id, struct err *err)
{
	const json_t *update = json_object_get(a->doc, "updateTwin");
	const char *etag = json_string_value(json_object_get(update, "etag"));
	struct twin_call call = { .device_id = mem_text(device_id), .if_match = mem_text(etag && *etag ? etag : "*") };
	OWN_LIB(json_t) outcome = NULL;
	int done;

	call.tags = json_incref(json_object_get(update, "tags"));
	call.desired = json_incref(json_object_get(json_object_get(update, "properties"), "desired"));
	twins_run(jobs->twins, &call);
	if (call.answer != TWIN_OK)
		outcome = json_pack("{s:{s:s}}", "error", "description",
			call.answer == TWIN_FAILED ? "the registry could not be used" : call.err.text);
	done = write_device(jobs, a->id, device_id, call.answer == TWIN_OK ? COMPLETED : FAILED, outcome, err);
	twin_call_clear(&call);
	return done;
}

/* -- Methods ------------------------------------------------------------------------------------------------------------------------------------ */

static void
errand_free(struct errand *errand)
{
	method_call_clear(&errand->method);
	mem_free(errand->job_id);
	mem_free(errand);
}

static void
bring_back(struct errand *errand)
{
	struct jobs *jobs = errand->jobs;

	pthread_mutex_lock(&jobs->lock);
	errand->next = jobs->back;
	jobs->back = errand;
	pthread_mutex_unlock(&jobs->lock);
}

static void
on_method(struct method_call *method)
{
	bring_back(CONTAINER_OF(method, struct errand, method));
}

static void
on_loop(struct post *post)
{
	struct errand *errand = CONTAINER_OF(post, struct errand, post);
	struct jobs *jobs = errand->jobs;

	errand->method.done = on_method;
	errand->was_sent = !atomic_load(&jobs->stopping) && methods_submit(jobs->methods, &errand->method, jobs->loop);
	if (!errand->was_sent)
		bring_back(errand);
}

static int64_t
milliseconds(const json_t *method, const char *name, int64_t usual)
{
	const json_t *seconds = json_object_get(method, name);

	return (json_is_integer(seconds) ? json_integer_value(seconds) : usual) * 1000;
}

static int
call_method(struct jobs *jobs, struct active *a, const char *device_id, struct err *err)
{
	const json_t *method = json_object_get(a->doc, "cloudToDeviceMethod"), *payload = json_object_get(method, "payload");
	struct identity *identity = registry_find(jobs->registry, device_id, NULL);
	struct errand *errand;

	if (!identity)
		return 0;
	if (write_device(jobs, a->id, device_id, RUNNING, NULL, err) < 0) {
		identity_free(identity);
		return -1;
	}
	errand = NEW(errand);
	errand->jobs = jobs;
	errand->job_id = mem_text(a->id);
	errand->method.identity = identity;
	errand->method.name = mem_text(json_string_value(json_object_get(method, "methodName")));
	errand->method.payload = payload ? json_line(payload) : mem_text("null");
	errand->method.response_ms = milliseconds(method, "responseTimeoutInSeconds", 30);
	errand->method.connect_ms = milliseconds(method, "connectTimeoutInSeconds", 0);
	errand->post.run = on_loop;
	a->n_in_flight++;
	loop_post(jobs->loop, &errand->post);
	return 0;
}

static json_t *
outcome_of(const struct errand *errand)
{
	static const char *const sentences[METHOD_ANSWER_COUNT] = {
		[METHOD_NOT_ONLINE] = "it is not connected, or does not listen to methods",
		[METHOD_TIMED_OUT] = "it did not answer in time",
		[METHOD_CLOSED] = "its connection ended before it answered",
		[METHOD_GONE] = "it was deleted",
		[METHOD_BAD_RESULT] = "what it answered is not JSON",
		[METHOD_TOO_LARGE] = "its answer is too large",
	};

	if (!errand->was_sent)
		return json_pack("{s:{s:s}}", "error", "description", "too many calls are on their way");
	if (errand->method.answer == METHOD_DONE)
		return json_pack("{s:{s:i, s:O}}", "deviceMethodResponse", "status", errand->method.status, "payload",
			errand->method.result);
	return json_pack("{s:{s:s}}", "error", "description", sentences[errand->method.answer]);
}

/* 1: there was one. */
static int
write_back(struct jobs *jobs, struct err *err)
{
	struct errand *errand;
	struct active *a;
	OWN_LIB(json_t) outcome = NULL;
	int done;

	pthread_mutex_lock(&jobs->lock);
	errand = jobs->back;
	if (errand)
		jobs->back = errand->next;
	pthread_mutex_unlock(&jobs->lock);
	if (!errand)
		return 0;
	a = find_active(jobs, errand->job_id);
	if (a)
		a->n_in_flight--;
	outcome = outcome_of(errand);
	done = write_device(jobs, errand->job_id, errand->method.identity->device_id,
		errand->was_sent && errand->method.answer == METHOD_DONE ? COMPLETED : FAILED, outcome, err);
	errand_free(errand);
	return done < 0 ? -1 : 1;
}

/* -- A job goes on ---------------------------------------------------------------------------------------------------------------------------------- */

static int
end_job(struct jobs *jobs, struct active *a, enum job_status status, const char *why, struct err *err)
{
	if (db_run(jobs->db, err, "UPDATE job SET status = ?, end_ms = ?, failure = ? WHERE id = ?", "iitt", (int64_t)status,
		    clock_wall_ms(), why, a->id) < 0)
		return -1;
	remove_active(jobs, a);
	return 0;
}

static int
begin_job(struct jobs *jobs, struct active *a, struct err *err)
{
	OWN(query) condition =
		query_parse_condition(json_string_value(json_object_get(a->doc, "queryCondition")), QUERY_DEVICES, err);
	struct query *query;

	if (!condition || db_run(jobs->db, err, "UPDATE job SET status = ? WHERE id = ?", "it", (int64_t)RUNNING, a->id) < 0)
		return -1;
	query = query_parse("SELECT deviceId FROM devices", err);
	if (!query)
		return -1;
	query->where = GIVE(condition->where);
	a->is_running = a->is_walking = true;
	return twin_walk_init(&a->walk, query, a->id, jobs->indexed_paths, jobs->n_indexed_paths, NULL, PAGE, err);
}

static int
do_device(struct jobs *jobs, struct active *a, const char *device_id, struct err *err)
{
	int there = has_row(jobs, a, device_id, err);

	if (there != 0)
		return there < 0 ? -1 : 0;
	return a->is_method ? call_method(jobs, a, device_id, err) : change_twin(jobs, a, device_id, err);
}

static int
walk_on(struct jobs *jobs, struct active *a, int64_t until, struct err *err)
{
	struct twin_row_context context = { .db = jobs->db, .registry = jobs->registry, .directory = jobs->directory };
	json_t *row;
	size_t i;

	if (twin_walk_go(&a->walk, &context, until, err) < 0)
		return -1;
	json_array_foreach(a->walk.rows, i, row)
		if (do_device(jobs, a, json_string_value(json_object_get(row, "deviceId")), err) < 0)
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
go_on(struct jobs *jobs, struct active *a, int64_t until, struct err *err)
{
	int64_t now = clock_wall_ms();

	if (now < a->start_ms)
		return 0;
	if (now >= a->until_ms)
		return end_job(jobs, a, FAILED, "its time was up", err) < 0 ? -1 : 1;
	if (!a->is_running)
		return begin_job(jobs, a, err) < 0 ? -1 : 1;
	if (a->is_walking && a->n_in_flight + PAGE > IN_FLIGHT_MAX)
		return 0;
	if (a->is_walking)
		return walk_on(jobs, a, until, err) < 0 ? -1 : 1;
	if (a->n_in_flight > 0)
		return 0;
	return end_job(jobs, a, COMPLETED, NULL, err) < 0 ? -1 : 1;
}

static int
do_something(struct jobs *jobs, int64_t until, struct err *err)
{
	struct active *next;
	int did = write_back(jobs, err);

	for (struct active *a = jobs->active; a && did == 0; a = next) {
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
	bool outcomes;

	pthread_mutex_lock(&jobs->lock);
	outcomes = jobs->back != NULL;
	pthread_mutex_unlock(&jobs->lock);
	if (!jobs->is_stepping && (outcomes || atomic_load(&jobs->n_active) > 0)) {
		jobs->step = (struct job){ .run = run_step, .done = step_done, .owner = loop_owner(jobs->loop) };
		jobs->is_stepping = registry_work(jobs->registry, &jobs->step);
	}
	if (!atomic_load(&jobs->stopping))
		timer_arm(&jobs->timer, TICK_MS);
}

/* -- As they are shown -------------------------------------------------------------------------------------------------------------------------------- */

#define SELECT_JOB "SELECT id, doc, created_ms, start_ms, end_ms, status, failure FROM job"

static void
put_time(json_t *view, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT_LEN];

	json_object_set_new(view, name, ms > 0 ? json_string(clock_text_ms(ms, text)) : json_null());
}

static int
count_devices(struct jobs *jobs, json_t *view, const char *id, struct err *err)
{
	struct db_stmt *row = db_query(jobs->db, err,
		"SELECT count(*), sum(status = 2), sum(status = 3), sum(status = 1) FROM job_device WHERE job_id = ?", "t", id);
	int got = row ? db_next(row, err) : -1;

	if (got == 1)
		json_object_set_new(view, "deviceJobStatistics",
			json_pack("{s:I, s:I, s:I, s:I, s:i}", "deviceCount", (json_int_t)db_int(row, 0), "succeededCount",
				(json_int_t)db_int(row, 1), "failedCount", (json_int_t)db_int(row, 2), "runningCount",
				(json_int_t)db_int(row, 3), "pendingCount", 0));
	db_done(row);
	return got < 0 ? -1 : 0;
}

static json_t *
view_of(struct jobs *jobs, struct db_stmt *row, struct err *err)
{
	static const char *const kept[] = { "type", "queryCondition", "maxExecutionTimeInSeconds", "cloudToDeviceMethod",
		"updateTwin" };
	const char *text = db_text(row, 1), *failure = db_text(row, 6);
	OWN_LIB(json_t) doc = json_parse(text, strlen(text), err);
	OWN_LIB(json_t) view = json_object();

	if (!doc)
		return NULL;
	json_object_set_new(view, "jobId", json_string(db_text(row, 0)));
	for (size_t i = 0; i < COUNT(kept); i++)
		if (json_object_get(doc, kept[i]))
			json_object_set(view, kept[i], json_object_get(doc, kept[i]));
	put_time(view, "createdTime", db_int(row, 2));
	put_time(view, "startTime", db_int(row, 3));
	put_time(view, "endTime", db_int(row, 4));
	json_object_set_new(view, "status", json_string(status_names[db_int(row, 5) % (int64_t)COUNT(status_names)]));
	json_object_set_new(view, "failureReason", failure ? json_string(failure) : json_null());
	return count_devices(jobs, view, db_text(row, 0), err) < 0 ? NULL : GIVE(view);
}

/* -- Operations ----------------------------------------------------------------------------------------------------------------------------------------- */

static enum job_answer
get(struct jobs *jobs, struct job_call *call)
{
	struct db_stmt *row = db_query(jobs->db, &call->err, SELECT_JOB " WHERE id = ?", "t", call->id);
	int got = row ? db_next(row, &call->err) : -1;

	if (got == 1)
		call->result = view_of(jobs, row, &call->err);
	db_done(row);
	if (got == 0)
		return JOB_MISSING;
	return call->result ? JOB_OK : JOB_FAILED;
}

static enum job_answer
put(struct jobs *jobs, struct job_call *call)
{
	int64_t now = clock_wall_ms(), start = now;
	OWN_TEXT text = json_line(call->body);
	struct active *a;

	if (atomic_load(&jobs->n_active) >= JOBS_ACTIVE_MAX)
		return JOB_TOO_MANY;
	if (take_start(call->body, &start, &call->err) < 0)
		return JOB_INVALID;
	if (db_run(jobs->db, &call->err,
		    "DELETE FROM job_device WHERE job_id IN (SELECT id FROM job WHERE end_ms > 0 AND end_ms < ?)", "i",
		    now - KEPT_MS) < 0 ||
		db_run(jobs->db, &call->err, "DELETE FROM job WHERE end_ms > 0 AND end_ms < ?", "i", now - KEPT_MS) < 0)
		return JOB_FAILED;
	if (db_run(jobs->db, &call->err,
		    "INSERT OR IGNORE INTO job (id, doc, created_ms, start_ms, end_ms, status) VALUES (?, ?, ?, ?, 0, ?)", "ttiii",
		    call->id, text, now, start, (int64_t)SCHEDULED) < 0)
		return JOB_FAILED;
	if (db_changes(jobs->db) == 0)
		return JOB_EXISTS;
	a = active_new(call->id, call->body, start);
	a->next = jobs->active;
	jobs->active = a;
	atomic_fetch_add(&jobs->n_active, 1);
	return get(jobs, call);
}

static enum job_answer
cancel(struct jobs *jobs, struct job_call *call)
{
	struct active *a = find_active(jobs, call->id);
	enum job_answer answer;

	if (a && end_job(jobs, a, CANCELLED, NULL, &call->err) < 0)
		return JOB_FAILED;
	answer = get(jobs, call);
	return answer == JOB_OK && !a ? JOB_OVER : answer;
}

static bool
is_asked_for(const struct job_call *call, const json_t *view)
{
	return (!call->type || text_is_nocase(json_string_value(json_object_get(view, "type")), call->type)) &&
	       (!call->status || text_is_nocase(json_string_value(json_object_get(view, "status")), call->status));
}

static void
set_text(char **place, const char *text)
{
	char *copy = mem_text(text);

	mem_free(*place);
	*place = copy;
}

static enum job_answer
list(struct jobs *jobs, struct job_call *call)
{
	struct db_stmt *row =
		db_query(jobs->db, &call->err, SELECT_JOB " WHERE id > ? ORDER BY id", "t", call->after ? call->after : "");
	int got = row ? 0 : -1;

	call->result = json_array();
	while (row && (got = db_next(row, &call->err)) == 1) {
		OWN_LIB(json_t) view = view_of(jobs, row, &call->err);

		if (!view) {
			got = -1;
			break;
		}
		if (!is_asked_for(call, view))
			continue;
		call->more = (int64_t)json_array_size(call->result) == call->max;
		if (call->more)
			break;
		json_array_append(call->result, view);
		set_text(&call->after, db_text(row, 0));
	}
	db_done(row);
	return got < 0 ? JOB_FAILED : JOB_OK;
}

static json_t *
device_view(struct db_stmt *row)
{
	json_t *view = json_object(), *outcome = NULL;
	struct err ignored = ERR_INIT;
	const char *text = db_text(row, 6);
	int64_t status = db_int(row, 2) % (int64_t)COUNT(status_names);

	json_object_set_new(view, "deviceId", json_string(db_text(row, 1)));
	json_object_set_new(view, "jobId", json_string(db_text(row, 0)));
	json_object_set_new(view, "jobType", json_string(db_text(row, 7) ? db_text(row, 7) : ""));
	json_object_set_new(view, "status", json_string(status_names[status]));
	put_time(view, "startTimeUtc", db_int(row, 3));
	put_time(view, "endTimeUtc", status == RUNNING ? 0 : db_int(row, 4));
	put_time(view, "createdDateTimeUtc", db_int(row, 5));
	put_time(view, "lastUpdatedDateTimeUtc", db_int(row, 4));
	if (text)
		outcome = json_parse(text, strlen(text), &ignored);
	if (json_object_get(outcome, "error"))
		json_object_set(view, "error", json_object_get(outcome, "error"));
	else
		json_object_set(view, "outcome", outcome);
	json_decref(outcome);
	return view;
}

/* FROM devices.jobs: what became of each device in each job. */
static enum job_answer
list_devices(struct jobs *jobs, struct job_call *call)
{
	struct db_stmt *row = db_query(jobs->db, &call->err,
		"SELECT d.job_id, d.device_id, d.status, d.start_ms, d.updated_ms, j.created_ms, d.outcome, json_extract(j.doc, "
		"'$.type')"
		" FROM job_device d JOIN job j ON j.id = d.job_id WHERE (d.job_id, d.device_id) > (?, ?) ORDER BY d.job_id, "
		"d.device_id",
		"tt", call->after ? call->after : "", call->after_device ? call->after_device : "");
	int64_t until = clock_boot_ms() + STEP_MS;
	int got = row ? 0 : -1;

	call->result = json_array();
	while (row && (got = db_next(row, &call->err)) == 1) {
		OWN_LIB(json_t) view = NULL;

		call->more = (int64_t)json_array_size(call->result) == call->max || clock_boot_ms() > until;
		if (call->more)
			break;
		view = device_view(row);
		if (query_is_true(call->query->where, view))
			json_array_append(call->result, view);
		set_text(&call->after, db_text(row, 0));
		set_text(&call->after_device, db_text(row, 1));
	}
	db_done(row);
	return got < 0 ? JOB_FAILED : JOB_OK;
}

static void
run_call(struct job *job)
{
	static enum job_answer (*const operations[])(struct jobs *, struct job_call *) = {
		[JOB_GET] = get, [JOB_PUT] = put, [JOB_CANCEL] = cancel, [JOB_LIST] = list, [JOB_LIST_DEVICES] = list_devices
	};
	struct job_call *call = CONTAINER_OF(job, struct job_call, job);

	call->answer = operations[call->op](call->jobs, call);
}

static void
call_done(struct job *job)
{
	struct job_call *call = CONTAINER_OF(job, struct job_call, job);

	call->done(call);
}

bool
jobs_submit(struct jobs *jobs, struct job_call *call, struct owner *owner)
{
	call->jobs = jobs;
	call->job = (struct job){ .run = run_call, .done = call_done, .owner = owner };
	return registry_work(jobs->registry, &call->job);
}

void
job_call_clear(struct job_call *call)
{
	mem_free(call->id);
	mem_free(call->type);
	mem_free(call->status);
	mem_free(call->after);
	mem_free(call->after_device);
	json_decref(call->body);
	json_decref(call->result);
	query_free(call->query);
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------------------------ */

static int
load(struct jobs *jobs, struct err *err)
{
	struct db_stmt *row;
	int got = -1;

	/* Whether a method that was on its way has been carried out, nobody knows. */
	if (db_run(jobs->db, err,
		    "UPDATE job_device SET status = ?, outcome = '{\"error\":{\"description\":\"the hub was stopped meanwhile\"}}' "
		    "WHERE status = ?",
		    "ii", (int64_t)FAILED, (int64_t)RUNNING) < 0)
		return -1;
	row = db_query(jobs->db, err, SELECT_JOB " WHERE status <= ?", "i", (int64_t)RUNNING);
	while (row && (got = db_next(row, err)) == 1) {
		const char *text = db_text(row, 1);
		OWN_LIB(json_t) doc = json_parse(text, strlen(text), err);
		struct active *a;

		if (!doc || job_check(doc, err) < 0) {
			got = err_wrap(err, "%s is damaged, and left untouched: the job %s", db_path(jobs->db), db_text(row, 0));
			break;
		}
		a = active_new(db_text(row, 0), doc, db_int(row, 3));
		a->next = jobs->active;
		jobs->active = a;
		atomic_fetch_add(&jobs->n_active, 1);
	}
	db_done(row);
	return got;
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
	if (load(jobs, err) < 0) {
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
	struct errand *errand, *next;

	if (!jobs)
		return;
	for (errand = jobs->back; errand; errand = next) {
		next = errand->next;
		errand_free(errand);
	}
	while (jobs->active)
		remove_active(jobs, jobs->active);
	pthread_mutex_destroy(&jobs->lock);
	mem_free(jobs);
}

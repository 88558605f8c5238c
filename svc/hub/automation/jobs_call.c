/* SPDX-License-Identifier: Apache-2.0 */
/* What services ask of scheduled jobs: to see, put, cancel and list them (jobs.h). */
#include "hub/automation/jobs_inside.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"
#include "wire/query.h"

#define LIST_MS 50
#define KEPT_MS (30ll * 24 * 3600 * 1000)
#define KEPT_MAX 10000		  /* jobs that are over */
#define KEPT_DEVICES_MAX 10000000 /* devices in them */

static enum job_answer
get(struct jobs *jobs, struct job_call *call)
{
	int got = job_store_get(jobs->db, call->id, &call->result, &call->err);

	if (got == 0)
		return JOB_MISSING;
	return got == 1 ? JOB_OK : JOB_FAILED;
}

static enum job_answer
put(struct jobs *jobs, struct job_call *call)
{
	int64_t now = clock_wall_ms(), start = now;
	int added;

	if (atomic_load(&jobs->n_active) >= JOBS_ACTIVE_MAX)
		return JOB_TOO_MANY;
	if (scheduled_job_start(call->body, &start, &call->err) < 0)
		return JOB_INVALID;
	if (job_store_forget(jobs->db, now - KEPT_MS, KEPT_MAX, KEPT_DEVICES_MAX, &call->err) < 0)
		return JOB_FAILED;
	added = job_store_add(jobs->db, call->id, call->body, now, start, &call->err);
	if (added != 1)
		return added == 0 ? JOB_EXISTS : JOB_FAILED;
	jobs_add_active(jobs, call->id, call->body, start);
	return get(jobs, call);
}

static enum job_answer
cancel(struct jobs *jobs, struct job_call *call)
{
	struct job_active *a = jobs_find_active(jobs, call->id);
	enum job_answer answer;

	if (a && jobs_end(jobs, a, SCHEDULED_JOB_CANCELLED, NULL, &call->err) < 0)
		return JOB_FAILED;
	answer = get(jobs, call);
	return answer == JOB_OK && !a ? JOB_OVER : answer;
}

/* -- Lists ------------------------------------------------------------------------------------------------------------------------------------- */

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

static bool
is_full(const struct job_call *call)
{
	return (int64_t)json_array_size(call->result) == call->max;
}

static bool
take_job(void *arg, const char *id, json_t *view)
{
	struct job_call *call = arg;

	if (!is_asked_for(call, view))
		return true;
	call->more = is_full(call);
	if (call->more)
		return false;
	json_array_append(call->result, view);
	set_text(&call->after, id);
	return true;
}

static enum job_answer
list(struct jobs *jobs, struct job_call *call)
{
	OWN_TEXT after = mem_text(call->after ? call->after : "");

	call->result = json_array();
	return job_store_list(jobs->db, after, take_job, call, &call->err) < 0 ? JOB_FAILED : JOB_OK;
}

struct device_page {
	struct job_call *call;
	int64_t until;
};

static bool
take_device(void *arg, const char *job_id, const char *device_id, json_t *view)
{
	struct device_page *page = arg;
	struct job_call *call = page->call;

	call->more = is_full(call) || clock_boot_ms() > page->until;
	if (call->more)
		return false;
	if (query_is_true(call->query->where, view))
		json_array_append(call->result, view);
	set_text(&call->after, job_id);
	set_text(&call->after_device, device_id);
	return true;
}

/* FROM devices.jobs: what became of each device in each job. */
static enum job_answer
list_devices(struct jobs *jobs, struct job_call *call)
{
	struct device_page page = { .call = call, .until = clock_boot_ms() + LIST_MS };
	OWN_TEXT after = mem_text(call->after ? call->after : "");
	OWN_TEXT after_device = mem_text(call->after_device ? call->after_device : "");

	call->result = json_array();
	return job_store_list_devices(jobs->db, after, after_device, take_device, &page, &call->err) < 0 ? JOB_FAILED : JOB_OK;
}

/* -- Calls ------------------------------------------------------------------------------------------------------------------------------------- */

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

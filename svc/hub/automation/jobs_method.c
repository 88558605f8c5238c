/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of scheduled jobs (jobs_inside.h) are handed to the loop, a few at a time; their outcomes come back through a list that the next step writes down. */
#include "hub/automation/jobs_inside.h"

#include "base/mem.h"
#include "wire/json.h"

/* A method on its way to a device, and back. */
struct job_errand {
	struct method_call method;
	struct jobs *jobs;
	char *job_id;
	struct post post;
	struct job_errand *next;
	bool was_sent;
};

static void
errand_free(struct job_errand *errand)
{
	method_call_clear(&errand->method);
	mem_free(errand->job_id);
	mem_free(errand);
}

static void
bring_back(struct job_errand *errand)
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
	bring_back(CONTAINER_OF(method, struct job_errand, method));
}

static void
on_loop(struct post *post)
{
	struct job_errand *errand = CONTAINER_OF(post, struct job_errand, post);
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

void
jobs_call_method(struct jobs *jobs, struct job_active *a, const char *device_id)
{
	const json_t *method = json_object_get(a->doc, "cloudToDeviceMethod"), *payload = json_object_get(method, "payload");
	struct identity *identity = registry_find(jobs->registry, device_id, NULL);
	struct job_errand *errand;

	if (!identity)
		return;
	errand = NEW(job_errand);
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
}

static json_t *
outcome_of(const struct job_errand *errand)
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
		return scheduled_job_error("too many calls are on their way");
	if (errand->method.answer == METHOD_DONE)
		return json_pack("{s:{s:i, s:O}}", "deviceMethodResponse", "status", errand->method.status, "payload",
			errand->method.result);
	return scheduled_job_error(sentences[errand->method.answer]);
}

static struct job_errand *
take_back(struct jobs *jobs)
{
	struct job_errand *errand;

	pthread_mutex_lock(&jobs->lock);
	errand = jobs->back;
	if (errand)
		jobs->back = errand->next;
	pthread_mutex_unlock(&jobs->lock);
	return errand;
}

static int
write_outcome(struct jobs *jobs, const struct job_errand *errand, struct err *err)
{
	OWN_LIB(json_t) outcome = outcome_of(errand);
	bool is_done = errand->was_sent && errand->method.answer == METHOD_DONE;

	return job_store_put_device(jobs->db, errand->job_id, errand->method.identity->device_id,
		is_done ? SCHEDULED_JOB_COMPLETED : SCHEDULED_JOB_FAILED, outcome, err);
}

int
jobs_write_back(struct jobs *jobs, struct err *err)
{
	struct job_errand *errand = take_back(jobs);
	struct job_active *a;

	if (!errand)
		return 0;
	if (write_outcome(jobs, errand, err) < 0) {
		bring_back(errand); /* the next tick tries again */
		return -1;
	}
	a = jobs_find_active(jobs, errand->job_id);
	if (a)
		a->n_in_flight--;
	errand_free(errand);
	return 1;
}

bool
jobs_have_outcomes(struct jobs *jobs)
{
	bool have;

	pthread_mutex_lock(&jobs->lock);
	have = jobs->back != NULL;
	pthread_mutex_unlock(&jobs->lock);
	return have;
}

void
jobs_forget_outcomes(struct jobs *jobs)
{
	struct job_errand *errand;

	while ((errand = take_back(jobs)))
		errand_free(errand);
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* All scheduled jobs (scheduled_job.h), and their doing.  A job and what became of each device are durable, together with the change of its twin: after
 * a crash the job goes on with the devices that it has not done.  A method, which may have been carried out, is not called again, and counts as failed.
 *
 * Jobs are the registry's worker's; methods are called on the loop. */

#include "heads/method.h"
#include "hub/registry/registry.h"
#include "hub/twins/twin.h"
#include "net/loop.h"

#define JOBS_ACTIVE_MAX 100

struct jobs;
/* All borrowed. */
struct jobs *jobs_open(struct registry *registry, struct twins *twins, struct methods *methods, struct directory *directory,
	struct loop *loop, const char *const *indexed_paths, size_t n_indexed_paths, struct err *err);
void jobs_stop(struct jobs *jobs);  /* on the loop's thread, before the worker ends */
void jobs_close(struct jobs *jobs); /* once the worker and the loops have ended */

enum job_answer { JOB_OK, JOB_EXISTS, JOB_MISSING, JOB_TOO_MANY, JOB_OVER, JOB_INVALID, JOB_FAILED, JOB_ANSWER_COUNT };
enum job_op { JOB_GET, JOB_PUT, JOB_CANCEL, JOB_LIST, JOB_LIST_DEVICES };
struct job_call {
	/* The question; owned. */
	enum job_op op;
	char *id;
	json_t *body;		    /* PUT: checked by scheduled_job_check */
	char *type, *status;	    /* LIST: only these, or NULL */
	struct query *query;	    /* LIST_DEVICES: the rows that it selects */
	char *after, *after_device; /* lists: behind this one */
	int64_t max;

	/* The answer. */
	enum job_answer answer;
	struct err err;
	json_t *result; /* a job, or rows */
	bool more;	/* lists: after and after_device are where the next page begins */

	void (*done)(struct job_call *call); /* on the owner it was submitted for */
	struct jobs *jobs;
	struct job job;
};
void job_call_clear(struct job_call *call);
bool jobs_submit(struct jobs *jobs, struct job_call *call, struct owner *owner); /* false: too much waits already */

/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that share a transaction (registry_step.h): a group of the worker's jobs (pool.h) is one. */
#include "hub/registry/registry_step.h"

#include "base/mem.h"

struct registry_steps {
	struct registry_store *store;
	struct job_group group;
	struct err problem; /* why there is no transaction, or none any more */
};

static void
begin_group(struct job_group *group)
{
	struct registry_steps *steps = CONTAINER_OF(group, struct registry_steps, group);

	steps->problem = (struct err)ERR_INIT;
	registry_store_begin(steps->store, &steps->problem);
}

static bool
is_open(const struct registry_steps *steps)
{
	return steps->problem.kind == ERR_NONE;
}

static void
end_group(struct job_group *group, struct job *jobs)
{
	struct registry_steps *steps = CONTAINER_OF(group, struct registry_steps, group);
	struct registry_step *step;
	struct err problem;

	if (is_open(steps))
		registry_store_end(steps->store, 0, &steps->problem);
	problem = steps->problem; /* what is settled may begin a transaction of its own */
	for (struct job *job = jobs; job; job = job->next) {
		step = CONTAINER_OF(job, struct registry_step, job);
		step->settle(step, problem.kind == ERR_NONE ? NULL : &problem);
	}
}

static void
run_job(struct job *job)
{
	struct registry_step *step = CONTAINER_OF(job, struct registry_step, job);

	if (is_open(step->steps))
		step->run(step);
}

static void
job_done(struct job *job)
{
	struct registry_step *step = CONTAINER_OF(job, struct registry_step, job);

	step->done(step);
}

struct job *
registry_steps_job(struct registry_steps *steps, struct registry_step *step, struct owner *owner)
{
	step->steps = steps;
	step->job = (struct job){ .run = run_job, .done = job_done, .owner = owner, .group = &steps->group };
	return &step->job;
}

void
registry_steps_run(struct registry_steps *steps, struct registry_step *step)
{
	step->steps = steps;
	step->job = (struct job){ 0 };
	begin_group(&steps->group);
	run_job(&step->job);
	end_group(&steps->group, &step->job);
}

struct registry_steps *
registry_steps_new(struct registry_store *store)
{
	struct registry_steps *steps = NEW(registry_steps);

	steps->store = store;
	steps->group = (struct job_group){ begin_group, end_group };
	return steps;
}

void
registry_steps_free(struct registry_steps *steps)
{
	mem_free(steps);
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Small changes beside identities (a twin, a command) that wait for the worker together share a transaction, which costs one sync for all of them.  Each is undone alone
 * when it fails, because it runs between a begin and an end of its own; none is answered, told of, or seen outside the worker before the whole is durable. */

#include "base/err.h"
#include "base/pool.h"
#include "hub/registry/registry_store.h"

struct registry;

struct registry_step {
	/* In the transaction: what is read here may be what a step before it has just written.  Not called when there is no transaction. */
	void (*run)(struct registry_step *step);
	/* After it.  NULL: what run() did is durable; otherwise none of it is, and why.  It is told and counted here. */
	void (*settle)(struct registry_step *step, const struct err *problem);
	void (*done)(struct registry_step *step); /* on the owner it was submitted for; may free it */
	struct registry_steps *steps;		  /* the rest is registry_step.c's */
	struct job job;
};

/* Steps go into the queue of `worker`, in which other jobs stand as well: none overtakes another. */
struct registry_steps;
struct registry_steps *registry_steps_new(struct registry_store *store);
void registry_steps_free(struct registry_steps *steps);
/* The job to be given to the worker. */
struct job *registry_steps_job(struct registry_steps *steps, struct registry_step *step, struct owner *owner);
/* Run and settle one at once, on this thread, in a transaction of its own: for the worker and for tests.  done() is not called. */
void registry_steps_run(struct registry_steps *steps, struct registry_step *step);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The worker pool: whatever blocks (a token, a database, an HTTP call) runs here.  A job is a struct embedded in the request: run() is
 * called on a worker, then done() on the owner that asked.  The queue is bounded: pool_try says no when it is full. */

#include <stdbool.h>
#include <stddef.h>

#include "base/post.h"

struct pool;
struct job;

/* Jobs that are better done together: those of one group that wait one behind the other are run between its begin and its end, and only then given back.  On the worker;
 * `jobs` are linked by next, in their order. */
struct job_group {
	void (*begin)(struct job_group *group);
	void (*end)(struct job_group *group, struct job *jobs);
};
#define JOB_GROUP_MAX 256 /* how many at the most: the first waits for the last */

struct job {
	void (*run)(struct job *job);  /* on a worker; may block */
	void (*done)(struct job *job); /* on the owner; may free the job */
	struct owner *owner;
	struct job_group *group; /* NULL: on its own */
	struct job *next;	 /* the pool's */
	struct post post;	 /* the pool's */
};

struct pool *pool_new(const char *name, size_t n_threads, size_t max_queued);
void pool_free(struct pool *pool); /* waits for what is running and queued */
bool pool_try(struct pool *pool, struct job *job);

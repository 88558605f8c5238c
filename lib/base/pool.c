/* SPDX-License-Identifier: Apache-2.0 */
/* The worker pool: threads that take jobs from one bounded queue, and give each back to its owner. */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/pool.h"

struct pool {
	pthread_t *threads;
	struct job *first, **last;
	size_t n_threads, n_queued, max_queued;
	bool ending;
	pthread_mutex_t lock;
	pthread_cond_t work;
};

static void
give_back(struct post *post)
{
	struct job *job = CONTAINER_OF(post, struct job, post);

	job->done(job);
}

/* The first one that waits, and those behind it that go with it. */
static struct job *
take_jobs(struct pool *pool)
{
	struct job *first = pool->first, *last = first;
	size_t n = 1;

	while (first->group && last->next && last->next->group == first->group && n < JOB_GROUP_MAX) {
		last = last->next;
		n++;
	}
	pool->first = last->next;
	if (!pool->first)
		pool->last = &pool->first;
	pool->n_queued -= n;
	last->next = NULL;
	return first;
}

static struct job *
next_jobs(struct pool *pool)
{
	struct job *jobs;

	pthread_mutex_lock(&pool->lock);
	while (!pool->first && !pool->ending)
		pthread_cond_wait(&pool->work, &pool->lock);
	jobs = pool->first ? take_jobs(pool) : NULL;
	pthread_mutex_unlock(&pool->lock);
	return jobs;
}

static void
run_all(struct job *jobs)
{
	struct job_group *group = jobs->group;

	if (group)
		group->begin(group);
	for (struct job *job = jobs; job; job = job->next)
		job->run(job);
	if (group)
		group->end(group, jobs);
}

static void *
work(void *arg)
{
	struct pool *pool = arg;
	struct job *jobs, *next;

	while ((jobs = next_jobs(pool))) {
		run_all(jobs);
		for (struct job *job = jobs; job; job = next) {
			next = job->next; /* who gets it back may free it */
			job->post.run = give_back;
			job->owner->post(job->owner, &job->post);
		}
	}
	return NULL;
}

/* Signals are the loop's: a worker that took one would answer in the middle of a blocking call. */
static void
start_threads(struct pool *pool, const char *name, size_t n_threads)
{
	char short_name[16]; /* the kernel's limit; a longer one would be refused */
	sigset_t all, before;

	snprintf(short_name, sizeof(short_name), "%.15s", name);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (; pool->n_threads < n_threads; pool->n_threads++) {
		int failed = pthread_create(&pool->threads[pool->n_threads], NULL, work, pool);

		assert(!failed);
		pthread_setname_np(pool->threads[pool->n_threads], short_name);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct pool *
pool_new(const char *name, size_t n_threads, size_t max_queued)
{
	struct pool *pool = NEW(pool);

	assert(n_threads > 0);
	pool->threads = mem_array(n_threads, sizeof(*pool->threads));
	pool->last = &pool->first;
	pool->max_queued = max_queued;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	start_threads(pool, name, n_threads);
	return pool;
}

void
pool_free(struct pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < pool->n_threads; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	mem_free(pool->threads);
	mem_free(pool);
}

bool
pool_try(struct pool *pool, struct job *job)
{
	bool taken;

	pthread_mutex_lock(&pool->lock);
	taken = !pool->ending && pool->n_queued < pool->max_queued;
	if (taken) {
		job->next = NULL;
		*pool->last = job;
		pool->last = &job->next;
		pool->n_queued++;
		pthread_cond_signal(&pool->work);
	}
	pthread_mutex_unlock(&pool->lock);
	return taken;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>

#include "base/mem.h"
#include "base/pool.h"
#include "t.h"

/* An owner whose thread is the test: posts wait until pump() runs them. */
struct inbox {
	struct owner owner;
	struct post *first, **last;
	pthread_mutex_t lock;
	pthread_cond_t arrived;
};

struct task {
	struct job job;
	struct gate *gate; /* wait here; NULL: do not */
	pthread_t ran_on, done_on;
	bool ran, done, term_blocked;
	char thread_name[16];
	size_t *n_done; /* counts those that are done, when set */
	size_t done_as;
};

/* Closed until opened: holds a worker where the test wants it. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool reached, open;
};

static void
inbox_post(struct owner *owner, struct post *post)
{
	struct inbox *inbox = CONTAINER_OF(owner, struct inbox, owner);

	pthread_mutex_lock(&inbox->lock);
	post->next = NULL;
	*inbox->last = post;
	inbox->last = &post->next;
	pthread_cond_signal(&inbox->arrived);
	pthread_mutex_unlock(&inbox->lock);
}

static void
inbox_init(struct inbox *inbox)
{
	*inbox = (struct inbox){ .owner = { inbox_post }, .lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER };
	inbox->last = &inbox->first;
}

/* Wait for n posts and run them here. */
static void
pump(struct inbox *inbox, size_t n)
{
	for (; n > 0; n--) {
		struct post *post;

		pthread_mutex_lock(&inbox->lock);
		while (!inbox->first)
			pthread_cond_wait(&inbox->arrived, &inbox->lock);
		post = inbox->first;
		inbox->first = post->next;
		if (!inbox->first)
			inbox->last = &inbox->first;
		pthread_mutex_unlock(&inbox->lock);
		post->run(post);
	}
}

static void
gate_init(struct gate *gate)
{
	*gate = (struct gate){ .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
}

static void
gate_pass(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->reached = true;
	pthread_cond_broadcast(&gate->changed);
	while (!gate->open)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

static void
gate_await(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	while (!gate->reached)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

static void
gate_open(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->open = true;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

static void
task_run(struct job *job)
{
	struct task *task = CONTAINER_OF(job, struct task, job);
	sigset_t blocked;

	if (task->gate)
		gate_pass(task->gate);
	task->ran = true;
	task->ran_on = pthread_self();
	pthread_getname_np(pthread_self(), task->thread_name, sizeof(task->thread_name));
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	task->term_blocked = sigismember(&blocked, SIGTERM);
}

static void
task_done(struct job *job)
{
	struct task *task = CONTAINER_OF(job, struct task, job);

	task->done = true;
	task->done_on = pthread_self();
	if (task->n_done)
		task->done_as = (*task->n_done)++;
}

static struct task
task_for(struct inbox *inbox)
{
	return (struct task){ .job = { .run = task_run, .done = task_done, .owner = &inbox->owner } };
}

TEST("a job runs on a worker and is done on the owner that asked")
{
	struct pool *pool = pool_new("work", 2, 10);
	struct inbox inbox;
	struct task task;

	inbox_init(&inbox);
	task = task_for(&inbox);
	CHECK(pool_try(pool, &task.job));
	pump(&inbox, 1);
	CHECK(task.ran && task.done);
	CHECK(!pthread_equal(task.ran_on, pthread_self()));
	CHECK(pthread_equal(task.done_on, pthread_self()));
	pool_free(pool);
}

TEST("workers take no signals, while the thread that made them still does")
{
	struct pool *pool = pool_new("work", 1, 10);
	struct inbox inbox;
	struct task task;
	sigset_t blocked;

	inbox_init(&inbox);
	task = task_for(&inbox);
	CHECK(pool_try(pool, &task.job));
	pump(&inbox, 1);
	CHECK(task.term_blocked);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	CHECK(!sigismember(&blocked, SIGTERM));
	pool_free(pool);
}

TEST("a full queue says no, and yes again once there is room")
{
	struct pool *pool = pool_new("work", 1, 2);
	struct inbox inbox;
	struct task tasks[4];
	struct gate gate;

	inbox_init(&inbox);
	gate_init(&gate);
	for (size_t i = 0; i < COUNT(tasks); i++)
		tasks[i] = task_for(&inbox);
	tasks[0].gate = &gate;
	CHECK(pool_try(pool, &tasks[0].job));
	gate_await(&gate); /* running: no longer queued */
	CHECK(pool_try(pool, &tasks[1].job));
	CHECK(pool_try(pool, &tasks[2].job));
	CHECK(!pool_try(pool, &tasks[3].job));
	gate_open(&gate);
	pump(&inbox, 3);
	CHECK(!tasks[3].ran);
	CHECK(pool_try(pool, &tasks[3].job));
	pump(&inbox, 1);
	CHECK(tasks[3].done);
	pool_free(pool);
}

TEST("one worker does its jobs in the order in which they were asked for")
{
	struct pool *pool = pool_new("work", 1, 100);
	struct task tasks[50];
	struct inbox inbox;
	size_t n_done = 0;

	inbox_init(&inbox);
	for (size_t i = 0; i < COUNT(tasks); i++) {
		tasks[i] = task_for(&inbox);
		tasks[i].n_done = &n_done;
		CHECK(pool_try(pool, &tasks[i].job));
	}
	pump(&inbox, COUNT(tasks));
	for (size_t i = 0; i < COUNT(tasks); i++)
		CHECK_INT(tasks[i].done_as, i);
	pool_free(pool);
}

TEST("freeing waits for what is running and what is queued")
{
	struct pool *pool = pool_new("work", 2, 100);
	struct task tasks[40];
	struct inbox inbox;

	inbox_init(&inbox);
	for (size_t i = 0; i < COUNT(tasks); i++) {
		tasks[i] = task_for(&inbox);
		CHECK(pool_try(pool, &tasks[i].job));
	}
	pool_free(pool);
	for (size_t i = 0; i < COUNT(tasks); i++)
		CHECK(tasks[i].ran && !tasks[i].done);
	pump(&inbox, COUNT(tasks));
	for (size_t i = 0; i < COUNT(tasks); i++)
		CHECK(tasks[i].done);
	pool_free(NULL);
}

TEST("jobs wait at the same time, one on each worker")
{
	struct pool *pool = pool_new("work", 3, 10);
	struct task tasks[3];
	struct gate gates[3];
	struct inbox inbox;

	inbox_init(&inbox);
	for (size_t i = 0; i < COUNT(tasks); i++) {
		gate_init(&gates[i]);
		tasks[i] = task_for(&inbox);
		tasks[i].gate = &gates[i];
		CHECK(pool_try(pool, &tasks[i].job));
	}
	for (size_t i = 0; i < COUNT(tasks); i++)
		gate_await(&gates[i]);
	for (size_t i = 0; i < COUNT(tasks); i++)
		gate_open(&gates[i]);
	pump(&inbox, COUNT(tasks));
	pool_free(pool);
}

TEST("a long name is cut to what the kernel takes")
{
	struct pool *pool = pool_new("a-name-of-more-than-fifteen", 1, 10);
	struct inbox inbox;
	struct task task;

	inbox_init(&inbox);
	task = task_for(&inbox);
	CHECK(pool_try(pool, &task.job)); /* pool_new has returned: the thread has its name */
	pump(&inbox, 1);
	CHECK_STR(task.thread_name, "a-name-of-more-");
	pool_free(pool);
}

/* What a group's worker does, a letter a step. */
struct grouped {
	struct job_group group;
	char did[64];
};

struct member {
	struct job job;
	struct grouped *grouped;
	char letter;
	size_t *n_done;
};

static void
write_down(struct grouped *grouped, char letter)
{
	grouped->did[strlen(grouped->did)] = letter;
}

static void
group_begin(struct job_group *group)
{
	write_down(CONTAINER_OF(group, struct grouped, group), '(');
}

static void
group_end(struct job_group *group, struct job *jobs)
{
	struct grouped *grouped = CONTAINER_OF(group, struct grouped, group);

	for (struct job *job = jobs; job; job = job->next)
		CHECK(!job->post.run); /* not given back yet */
	write_down(grouped, ')');
}

static void
member_run(struct job *job)
{
	struct member *member = CONTAINER_OF(job, struct member, job);

	write_down(member->grouped, member->letter);
}

static void
member_done(struct job *job)
{
	++*CONTAINER_OF(job, struct member, job)->n_done;
}

TEST("jobs of a group that wait one behind the other are done together, and given back after it; another job ends it")
{
	struct pool *pool = pool_new("work", 1, 20);
	struct grouped grouped = { .group = { group_begin, group_end } };
	struct member members[6];
	struct inbox inbox;
	struct task first;
	struct gate gate;
	size_t n_done = 0;

	inbox_init(&inbox);
	gate_init(&gate);
	first = task_for(&inbox);
	first.gate = &gate;
	CHECK(pool_try(pool, &first.job));
	gate_await(&gate);
	for (size_t i = 0; i < COUNT(members); i++) {
		members[i] = (struct member){ .grouped = &grouped, .letter = (char)('a' + (int)i), .n_done = &n_done };
		members[i].job = (struct job){ .run = member_run, .done = member_done, .owner = &inbox.owner };
		members[i].job.group = i == 3 ? NULL : &grouped.group;
		CHECK(pool_try(pool, &members[i].job));
	}
	gate_open(&gate);
	pump(&inbox, 1);
	pool_free(pool); /* waits for all */
	CHECK_STR(grouped.did, "(abc)d(ef)");
	CHECK_INT(n_done, 0);
	pump(&inbox, COUNT(members));
	CHECK_INT(n_done, COUNT(members));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The event log's writing side: appends from any thread are collected while the writer thread waits for the disk; then all that arrived is one
 * group: sealed, written with one pwrite, made durable with one fdatasync, and completed with one post to each owner.  So a slow disk makes
 * groups larger instead of making every message wait its turn.  The bytes are segment.c's, the file that is written segment_tip.c's, those that are complete
 * old_segments.c's; a group on its way is append_group.c's, and who is told of new records event_subscribers.c's. */
#include "store/event_log.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/append_group.h"
#include "store/event_subscribers.h"
#include "store/old_segments.h"
#include "store/segment.h"
#include "store/segment_tip.h"

#define SEGMENT_BYTES_DEFAULT (64u << 20)
#define RECORD_MAX_DEFAULT (1u << 20)
#define AGE_PARTS 4 /* segments in the time that is kept */
#define LOOK_MAX_MS 60000

struct event_log {
	struct event_log_config config;
	struct segment_tip tip;	     /* the writer thread's */
	struct old_segments old;     /* the writer thread's */
	struct append_group writing; /* the writer thread's */
	pthread_t thread;

	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t wake;
	struct append_group pending;
	struct event_subscribers subscribers;
	struct segment_tally tally[SEGMENT_PARTITIONS_MAX];
	uint64_t begin[SEGMENT_PARTITIONS_MAX];
	uint64_t first, end_of_oldest, next, bytes, forget_below;
	size_t in_write; /* of the group that the writer has, not yet in `bytes` */
	struct err problem;
	bool closing;
};

/* -- Who is told ------------------------------------------------------------------------------------------------------------- */

void
event_log_subscribe(struct event_log *log, struct owner *owner, struct post *notify)
{
	pthread_mutex_lock(&log->lock);
	event_subscribers_add(&log->subscribers, owner, notify);
	pthread_mutex_unlock(&log->lock);
}

bool
event_log_wait(struct event_log *log, struct event_wait *wait, uint64_t offset, struct owner *owner, struct post *notify)
{
	bool there;

	pthread_mutex_lock(&log->lock);
	there = log->next > offset;
	if (!there)
		event_subscribers_wait(&log->subscribers, wait, owner, notify);
	pthread_mutex_unlock(&log->lock);
	return there;
}

bool
event_log_wait_no_more(struct event_log *log, struct event_wait *wait)
{
	bool waiting;

	pthread_mutex_lock(&log->lock);
	waiting = event_subscribers_wait_no_more(&log->subscribers, wait);
	pthread_mutex_unlock(&log->lock);
	return waiting;
}

/* -- The writer thread --------------------------------------------------------------------------------------------------------- */

/* Where the partitions begin, which the first segment's header says. */
static void
find_begin(struct event_log *log)
{
	struct segment_head head;
	struct err err = ERR_INIT;

	if (old_segments_head(&log->old, &log->tip, &head, &err) < 0)
		return; /* as it was: some of what it names is gone */
	pthread_mutex_lock(&log->lock);
	for (unsigned i = 0; i < SEGMENT_PARTITIONS_MAX; i++)
		log->begin[i] = head.tally[i].next;
	pthread_mutex_unlock(&log->lock);
}

static void
remove_old(struct event_log *log, uint64_t forget_below)
{
	const struct event_log_config *config = &log->config;
	struct old_segments_limit limit = {
		.forget_below = forget_below,
		.max_bytes = config->refuse_when_full ? 0 : config->max_bytes,
		.max_age_ms = config->max_age_ms,
	};

	if (old_segments_remove(&log->old, &log->tip, &limit))
		find_begin(log);
}

static int
rotate(struct event_log *log, struct err *err)
{
	uint64_t first = log->tip.head.first, pos = log->tip.pos;

	if (segment_tip_rotate(&log->tip, err) < 0)
		return -1;
	old_segments_add(&log->old, first, pos, log->tip.head.begun_ms);
	return 0;
}

/* So that segments can go when their time has come, they are begun often enough. */
static bool
is_too_old(const struct event_log *log)
{
	int64_t max_age_ms = log->config.max_age_ms;

	return max_age_ms > 0 && log->tip.head.begun_ms < clock_wall_ms() - max_age_ms / AGE_PARTS;
}

static int
rotate_if_due(struct event_log *log, size_t len, struct err *err)
{
	if (log->tip.next == log->tip.head.first)
		return 0;
	if (log->tip.pos + len <= log->config.segment_bytes && !is_too_old(log))
		return 0;
	return rotate(log, err);
}

static int
commit(struct event_log *log, struct append_group *group, struct err *err)
{
	struct segment_tally tally[SEGMENT_PARTITIONS_MAX];

	if (rotate_if_due(log, group->bytes.len, err) < 0)
		return -1;
	append_group_seal(group, &log->tip, tally);
	return segment_tip_write(&log->tip, group->bytes.data, group->bytes.len, group->n, tally, err);
}

static void
publish(struct event_log *log, const struct err *problem)
{
	uint64_t bytes = log->old.bytes + log->tip.pos;

	pthread_mutex_lock(&log->lock);
	log->first = old_segments_first(&log->old, &log->tip);
	log->end_of_oldest = old_segments_end_of_oldest(&log->old, &log->tip);
	log->next = log->tip.next;
	memcpy(log->tally, log->tip.tally, log->tip.head.n_partitions * sizeof(*log->tally));
	log->bytes = bytes;
	log->in_write = 0;
	if (problem)
		log->problem = *problem;
	pthread_mutex_unlock(&log->lock);
}

static void
write_group(struct event_log *log, uint64_t forget_below)
{
	struct err problem = ERR_INIT;
	bool ok = commit(log, &log->writing, &problem) == 0;

	remove_old(log, forget_below);
	publish(log, &problem);
	append_group_complete(&log->writing, ok);
	append_group_reset(&log->writing);
	if (!ok)
		return;
	pthread_mutex_lock(&log->lock);
	event_subscribers_tell(&log->subscribers);
	pthread_mutex_unlock(&log->lock);
}

/* Nothing is wanted any more of the newest segment: a new one lets it go, too.  In a queue that is nearly full it may be what keeps everything out. */
static bool
is_forgotten(const struct event_log *log, uint64_t forget_below)
{
	return forget_below >= log->tip.next && log->tip.next > log->tip.head.first && log->tip.pos > log->config.segment_bytes / 2;
}

/* Nothing came: what is there grows older all the same. */
static void
on_idle(struct event_log *log, uint64_t forget_below)
{
	struct err problem = ERR_INIT;

	if (((is_too_old(log) && log->tip.next > log->tip.head.first) || is_forgotten(log, forget_below)) &&
		rotate(log, &problem) < 0)
		publish(log, &problem);
	remove_old(log, forget_below);
	publish(log, NULL);
}

static bool
has_work(const struct event_log *log, uint64_t forgotten)
{
	return log->closing || log->pending.n > 0 || log->forget_below > forgotten;
}

/* With a time limit on what is kept, there is something to look at even when nothing comes. */
static void
wait_for_work(struct event_log *log, uint64_t forgotten)
{
	int64_t look_ms = log->config.max_age_ms / AGE_PARTS / 2;
	struct timespec until;

	if (look_ms > LOOK_MAX_MS)
		look_ms = LOOK_MAX_MS;
	clock_until(look_ms + 1, &until);
	while (!has_work(log, forgotten))
		if (look_ms == 0)
			pthread_cond_wait(&log->wake, &log->lock);
		else if (pthread_cond_timedwait(&log->wake, &log->lock, &until) != 0)
			return;
}

static void *
writer_main(void *arg)
{
	struct event_log *log = arg;
	uint64_t forgotten = 0;
	bool closing;

	do {
		pthread_mutex_lock(&log->lock);
		wait_for_work(log, forgotten);
		append_group_swap(&log->pending, &log->writing);
		log->in_write = log->writing.bytes.len;
		forgotten = log->forget_below;
		closing = log->closing && log->writing.n == 0;
		pthread_mutex_unlock(&log->lock);
		if (log->writing.n > 0)
			write_group(log, forgotten);
		else
			on_idle(log, forgotten);
	} while (!closing);
	return NULL;
}

/* Signals belong to the loops. */
static int
start_writer(struct event_log *log, struct err *err)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&log->thread, NULL, writer_main, log);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return err_set(err, ERR_UNAVAILABLE, "cannot start the writer thread of the event log %s: %s", log->tip.dir,
			strerror(failed));
	pthread_setname_np(log->thread, "event_log");
	return 0;
}

/* -- The interface ----------------------------------------------------------------------------------------------------------- */

static void
log_free(struct event_log *log)
{
	segment_tip_close(&log->tip);
	event_subscribers_clear(&log->subscribers);
	append_group_clear(&log->pending);
	append_group_clear(&log->writing);
	old_segments_clear(&log->old);
	pthread_mutex_destroy(&log->lock);
	pthread_cond_destroy(&log->wake);
	mem_free(log);
}

struct event_log *
event_log_open(const struct event_log_config *config, struct err *err)
{
	struct event_log *log = NEW(event_log);
	pthread_condattr_t monotonic;

	log->config = *config;
	log->config.dir = NULL; /* the tip has its own copy */
	if (log->config.segment_bytes == 0)
		log->config.segment_bytes = SEGMENT_BYTES_DEFAULT;
	/* Room comes back by whole segments: several must fit. */
	if (log->config.max_bytes > 0 && log->config.segment_bytes > log->config.max_bytes / 4)
		log->config.segment_bytes = (size_t)(log->config.max_bytes / 4);
	if (log->config.n_partitions == 0)
		log->config.n_partitions = 1;
	if (log->config.n_partitions > EVENT_PARTITIONS_MAX)
		log->config.n_partitions = EVENT_PARTITIONS_MAX;
	if (log->config.max_record == 0)
		log->config.max_record = RECORD_MAX_DEFAULT;
	if (log->config.max_record > SEGMENT_RECORD_MAX / 2)
		log->config.max_record = SEGMENT_RECORD_MAX / 2;
	append_group_init(&log->pending);
	append_group_init(&log->writing);
	pthread_mutex_init(&log->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&log->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (segment_tip_open(&log->tip, config->dir, log->config.n_partitions, err) < 0 ||
		old_segments_find(&log->old, &log->tip, err) < 0) {
		log_free(log);
		return NULL;
	}
	log->config.n_partitions = log->tip.head.n_partitions;
	find_begin(log);
	publish(log, NULL);
	if (start_writer(log, err) < 0) {
		log_free(log);
		return NULL;
	}
	return log;
}

int
event_log_keep_out(const char *dir, struct err *err)
{
	int dir_fd, lock_fd;

	if (file_make_dir(dir, 0700, err) < 0)
		return -1;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_errno(err, "cannot open the event log %s", dir);
	lock_fd = segment_tip_lock_take(dir_fd, dir, err);
	close(dir_fd);
	return lock_fd;
}

void
event_log_close(struct event_log *log)
{
	if (!log)
		return;
	pthread_mutex_lock(&log->lock);
	log->closing = true;
	pthread_cond_signal(&log->wake);
	pthread_mutex_unlock(&log->lock);
	pthread_join(log->thread, NULL);
	pthread_mutex_lock(&log->lock);
	event_subscribers_end_waits(&log->subscribers);
	pthread_mutex_unlock(&log->lock);
	log_free(log);
}

static int
check_room(const struct event_log *log, size_t len, struct err *err)
{
	size_t size = len + SEGMENT_RECORD_LEN;

	if (log->closing)
		return err_set(err, ERR_UNAVAILABLE, "the event log is being closed");
	if (log->pending.bytes.len + size > APPEND_GROUP_MAX)
		return err_set(err, ERR_LIMIT, "%u bytes wait for the disk already", log->pending.bytes.len);
	if (log->config.refuse_when_full && log->config.max_bytes > 0 &&
		log->bytes + log->in_write + log->pending.bytes.len + size > log->config.max_bytes)
		return err_set(err, ERR_LIMIT, "the queue is full (%llu bytes of %llu)", (unsigned long long)log->bytes,
			(unsigned long long)log->config.max_bytes);
	return 0;
}

int
event_log_append(struct event_log *log, struct event_append *append, const void *data, size_t len, struct err *err)
{
	int done;

	if (len == 0 || len > log->config.max_record)
		return err_set(err, ERR_LIMIT, "a record of %zu bytes: 1 to %zu are possible", len, log->config.max_record);
	assert(append->place.partition < log->config.n_partitions);
	pthread_mutex_lock(&log->lock);
	done = check_room(log, len, err);
	if (done == 0) {
		append_group_add(&log->pending, append, data, len);
		if (log->pending.n == 1)
			pthread_cond_signal(&log->wake);
	}
	pthread_mutex_unlock(&log->lock);
	return done;
}

static uint64_t
read_locked(struct event_log *log, const uint64_t *field)
{
	uint64_t value;

	pthread_mutex_lock(&log->lock);
	value = *field;
	pthread_mutex_unlock(&log->lock);
	return value;
}

uint64_t
event_log_first(struct event_log *log)
{
	return read_locked(log, &log->first);
}

uint64_t
event_log_end_of_oldest(struct event_log *log)
{
	return read_locked(log, &log->end_of_oldest);
}

uint64_t
event_log_next(struct event_log *log)
{
	return read_locked(log, &log->next);
}

uint64_t
event_log_bytes(struct event_log *log)
{
	return read_locked(log, &log->bytes);
}

uint64_t
event_log_load(struct event_log *log)
{
	uint64_t load;

	pthread_mutex_lock(&log->lock);
	load = log->bytes + log->in_write + log->pending.bytes.len;
	pthread_mutex_unlock(&log->lock);
	return load;
}

unsigned
event_log_partitions(const struct event_log *log)
{
	return log->config.n_partitions;
}

void
event_log_partition(struct event_log *log, unsigned partition, struct event_partition *out)
{
	const struct segment_tally *tally = &log->tally[partition];

	pthread_mutex_lock(&log->lock);
	*out = (struct event_partition){ log->begin[partition], tally->next, tally->last_offset, tally->last_ms };
	pthread_mutex_unlock(&log->lock);
}

void
event_log_forget_below(struct event_log *log, uint64_t offset)
{
	pthread_mutex_lock(&log->lock);
	if (offset > log->forget_below) {
		log->forget_below = offset;
		pthread_cond_signal(&log->wake);
	}
	pthread_mutex_unlock(&log->lock);
}

bool
event_log_problem(struct event_log *log, struct err *out)
{
	bool failed;

	pthread_mutex_lock(&log->lock);
	failed = log->problem.kind != ERR_NONE;
	if (failed)
		*out = log->problem;
	pthread_mutex_unlock(&log->lock);
	return failed;
}

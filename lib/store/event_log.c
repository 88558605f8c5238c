/* SPDX-License-Identifier: Apache-2.0 */
/* The event log's writing side: appends from any thread are collected while the writer thread waits for the disk; then all that arrived is one
 * group: sealed, written with one pwrite, made durable with one fdatasync, and completed with one post to each owner.  So a slow disk makes
 * groups larger instead of making every message wait its turn.  The bytes are segment.c's, the file is segment_tip.c's. */
#include "store/event_log.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/segment.h"
#include "store/segment_tip.h"

#define SEGMENT_BYTES_DEFAULT (64u << 20)
#define RECORD_MAX_DEFAULT (1u << 20)
#define PENDING_MAX (64u << 20) /* what may wait for the disk */
#define GROUP_KEEP (1u << 20)
#define AGE_PARTS 4 /* segments in the time that is kept */
#define LOOK_MAX_MS 60000
#define COMPLETIONS_A_POST 256

/* What is collected for one commit: the records with room for their heads, and who waits for them, in the same order. */
struct group {
	struct buf bytes;
	struct event_append *head, **tail;
	size_t n;
};

/* One notification per subscriber is under way at a time; it outlives the log when its loop is late. */
struct subscription {
	struct post post;
	struct post *notify;
	struct owner *owner;
	struct subscription *next;
	pthread_mutex_t lock;
	unsigned refs;
	bool armed, closed;
};

struct old_segment {
	uint64_t first, bytes;
	int64_t end_ms; /* nothing in it is younger */
};

struct event_log {
	struct event_log_config config;
	struct segment_tip tip;	 /* the writer thread's */
	struct old_segment *old; /* ascending; the writer thread's */
	size_t n_old, room_old;
	struct group writing; /* the writer thread's */
	pthread_t thread;

	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t wake;
	struct group pending;
	struct subscription *subscriptions;
	struct event_wait *waits;
	struct segment_tally tally[SEGMENT_PARTITIONS_MAX];
	uint64_t begin[SEGMENT_PARTITIONS_MAX];
	uint64_t first, end_of_oldest, next, bytes, forget_below;
	size_t in_write; /* of the group that the writer has, not yet in `bytes` */
	struct err problem;
	bool closing;
};

static void
group_init(struct group *group)
{
	*group = (struct group){ .bytes = BUF_INIT(PENDING_MAX) };
	group->tail = &group->head;
}

static void
group_reset(struct group *group)
{
	/* What a burst needed is not kept for ever. */
	if (group->bytes.cap > GROUP_KEEP)
		buf_clear(&group->bytes);
	buf_reset(&group->bytes);
	group->head = NULL;
	group->tail = &group->head;
	group->n = 0;
}

static void
group_swap(struct group *a, struct group *b)
{
	struct group old = *a;

	*a = *b;
	*b = old;
	if (!a->head)
		a->tail = &a->head;
	if (!b->head)
		b->tail = &b->head;
}

/* Until the commit the length stands in the place of the record's head. */
static void
group_add(struct group *group, struct event_append *append, const void *data, size_t len)
{
	uint8_t *at = buf_extend(&group->bytes, SEGMENT_RECORD_LEN + len);
	uint64_t room = len;

	assert(at); /* check_room */
	memcpy(at, &room, sizeof(room));
	memcpy(at + SEGMENT_RECORD_LEN, data, len);
	append->next = NULL;
	*group->tail = append;
	group->tail = &append->next;
	group->n++;
}

/* Give the records their places behind what the tip has, and count them. */
static void
group_seal(struct group *group, const struct segment_tip *tip, struct segment_tally *tally)
{
	struct event_append *append = group->head;
	uint8_t *at = group->bytes.data;
	int64_t now_ms = segment_tip_time(tip);
	uint64_t len;

	memcpy(tally, tip->tally, sizeof(tip->tally));
	for (uint32_t back = 0; append; append = append->next, back++) {
		struct event_place *place = &append->place;

		memcpy(&len, at, sizeof(len));
		place->offset = tip->next + back;
		place->sequence = tally[place->partition].next;
		place->time_ms = now_ms;
		tally[place->partition] = (struct segment_tally){ place->sequence + 1, place->offset, now_ms };
		segment_seal(at, len, place, back, tip->head.salt);
		at += SEGMENT_RECORD_LEN + len;
	}
}

/* -- Completions ------------------------------------------------------------------------------------------------------------- */

struct batch {
	struct post post;
	struct owner *owner;
	struct event_append *head, **tail;
	struct batch *next;
	bool ok;
};

/* A slow disk makes large groups: the loop is not kept for all of one at a time. */
static void
run_batch(struct post *post)
{
	struct batch *batch = CONTAINER_OF(post, struct batch, post);

	for (int n = COMPLETIONS_A_POST; n > 0 && batch->head; n--) {
		struct event_append *append = batch->head;

		batch->head = append->next;
		append->done(append, batch->ok);
	}
	if (batch->head)
		batch->owner->post(batch->owner, &batch->post);
	else
		mem_free(batch);
}

static struct batch *
batch_for(struct batch **batches, struct owner *owner, bool ok)
{
	struct batch *batch = *batches;

	while (batch && batch->owner != owner)
		batch = batch->next;
	if (batch)
		return batch;
	batch = NEW(batch);
	batch->post.run = run_batch;
	batch->owner = owner;
	batch->tail = &batch->head;
	batch->ok = ok;
	batch->next = *batches;
	*batches = batch;
	return batch;
}

static void
complete(struct group *group, bool ok)
{
	struct batch *batches = NULL, *batch, *next_batch;
	struct event_append *append = group->head, *next;

	for (; append; append = next) {
		next = append->next;
		append->next = NULL;
		batch = batch_for(&batches, append->owner, ok);
		*batch->tail = append;
		batch->tail = &append->next;
	}
	for (batch = batches; batch; batch = next_batch) {
		next_batch = batch->next;
		batch->owner->post(batch->owner, &batch->post);
	}
}

/* -- Subscribers ------------------------------------------------------------------------------------------------------------- */

static void
subscription_unref(struct subscription *s)
{
	bool last;

	pthread_mutex_lock(&s->lock);
	last = --s->refs == 0;
	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&s->lock);
	mem_free(s);
}

static void
run_subscription(struct post *post)
{
	struct subscription *s = CONTAINER_OF(post, struct subscription, post);
	bool closed;

	pthread_mutex_lock(&s->lock);
	s->armed = false;
	closed = s->closed;
	pthread_mutex_unlock(&s->lock);
	if (!closed)
		s->notify->run(s->notify);
	subscription_unref(s);
}

static void
subscription_fire(struct subscription *s)
{
	bool fire;

	pthread_mutex_lock(&s->lock);
	fire = !s->armed;
	s->armed = true;
	s->refs += fire;
	pthread_mutex_unlock(&s->lock);
	if (fire)
		s->owner->post(s->owner, &s->post);
}

void
event_log_subscribe(struct event_log *log, struct owner *owner, struct post *notify)
{
	struct subscription *s = NEW(subscription);

	s->post.run = run_subscription;
	s->notify = notify;
	s->owner = owner;
	s->refs = 1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_lock(&log->lock);
	s->next = log->subscriptions;
	log->subscriptions = s;
	pthread_mutex_unlock(&log->lock);
}

static void
close_subscriptions(struct event_log *log)
{
	struct subscription *s = log->subscriptions, *next;

	for (; s; s = next) {
		next = s->next;
		pthread_mutex_lock(&s->lock);
		s->closed = true;
		pthread_mutex_unlock(&s->lock);
		subscription_unref(s);
	}
}

/* -- Waiting once --------------------------------------------------------------------------------------------------------------- */

bool
event_log_wait(struct event_log *log, struct event_wait *wait, uint64_t offset, struct owner *owner, struct post *notify)
{
	bool there;

	pthread_mutex_lock(&log->lock);
	there = log->next > offset;
	if (!there) {
		*wait = (struct event_wait){ .notify = notify, .owner = owner, .next = log->waits, .waiting = true };
		log->waits = wait;
	}
	pthread_mutex_unlock(&log->lock);
	return there;
}

bool
event_log_wait_no_more(struct event_log *log, struct event_wait *wait)
{
	bool waiting;

	pthread_mutex_lock(&log->lock);
	waiting = wait->waiting;
	for (struct event_wait **at = &log->waits; waiting && *at; at = &(*at)->next)
		if (*at == wait) {
			*at = wait->next;
			break;
		}
	wait->waiting = false;
	pthread_mutex_unlock(&log->lock);
	return waiting;
}

/* All of them: the offset that each waits for is that of the next record. */
static void
end_waits(struct event_log *log)
{
	struct event_wait *wait = log->waits, *next;

	log->waits = NULL;
	for (; wait; wait = next) {
		next = wait->next;
		wait->waiting = false;
		wait->owner->post(wait->owner, wait->notify);
	}
}

/* -- Segments that are complete ----------------------------------------------------------------------------------------------- */

static void
remember_old(struct event_log *log, uint64_t first, uint64_t bytes, int64_t end_ms)
{
	if (log->n_old == log->room_old) {
		log->room_old = log->room_old ? log->room_old * 2 : 16;
		log->old = mem_resize(log->old, log->room_old * sizeof(*log->old));
	}
	log->old[log->n_old++] = (struct old_segment){ first, bytes, end_ms };
}

static uint64_t
old_bytes(const struct event_log *log)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < log->n_old; i++)
		bytes += log->old[i].bytes;
	return bytes;
}

/* The header of a segment that is complete. */
static int
read_head(const struct event_log *log, uint64_t first, struct segment_head *head, struct err *err)
{
	char name[SEGMENT_NAME_LEN];
	OWN_TEXT path = file_join(log->tip.dir, segment_name(first, name));
	uint8_t bytes[SEGMENT_HEADER_LEN + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t got;

	if (fd < 0)
		return err_errno(err, "cannot open %s", path);
	got = pread(fd, bytes, sizeof(bytes), 0);
	close(fd);
	if (segment_check_header(head, bytes, got < 0 ? 0 : (size_t)got, first, path, err) == 1)
		return 0;
	return err_set(err, ERR_BROKEN, "%s: the header at offset 0 cannot be read", path);
}

static int
find_old(struct event_log *log, struct err *err)
{
	char name[SEGMENT_NAME_LEN];
	struct segment_head head;
	uint64_t *firsts = NULL;
	struct stat st;
	size_t n = 0;
	int done;

	done = segment_list(log->tip.dir, &firsts, &n, err);
	for (size_t i = 0; done == 0 && i + 1 < n; i++) {
		done = read_head(log, firsts[i + 1], &head, err);
		remember_old(log, firsts[i],
			fstatat(log->tip.dir_fd, segment_name(firsts[i], name), &st, 0) == 0 ? (uint64_t)st.st_size : 0,
			head.begun_ms);
	}
	mem_free(firsts);
	return done;
}

/* Where the partitions begin, which the first segment's header says. */
static void
find_begin(struct event_log *log)
{
	struct segment_head head = log->tip.head;
	struct err err = ERR_INIT;

	if (log->n_old > 0 && read_head(log, log->old[0].first, &head, &err) < 0)
		return; /* as it was: some of what it names is gone */
	pthread_mutex_lock(&log->lock);
	for (unsigned i = 0; i < SEGMENT_PARTITIONS_MAX; i++)
		log->begin[i] = head.tally[i].next;
	pthread_mutex_unlock(&log->lock);
}

/* May the oldest segment, of so many bytes in all, go? */
static bool
is_over(const struct event_log *log, const struct old_segment *oldest, uint64_t end, uint64_t bytes, uint64_t forget_below)
{
	const struct event_log_config *config = &log->config;

	if (end <= forget_below)
		return true;
	if (config->max_age_ms > 0 && oldest->end_ms < clock_wall_ms() - config->max_age_ms)
		return true;
	return !config->refuse_when_full && config->max_bytes > 0 && bytes > config->max_bytes;
}

/* Remove whole segments: those below what may be forgotten, and the oldest beyond the retention.  A removal that a crash undoes is
 * made again. */
static void
remove_old(struct event_log *log, uint64_t forget_below)
{
	uint64_t bytes = old_bytes(log) + log->tip.pos, end;
	char name[SEGMENT_NAME_LEN];
	size_t n = 0;

	for (; n < log->n_old; n++) {
		end = n + 1 < log->n_old ? log->old[n + 1].first : log->tip.head.first;
		if (!is_over(log, &log->old[n], end, bytes, forget_below))
			break;
		if (unlinkat(log->tip.dir_fd, segment_name(log->old[n].first, name), 0) < 0 && errno != ENOENT)
			break;
		bytes -= log->old[n].bytes;
	}
	if (n == 0)
		return;
	log->n_old -= n;
	memmove(log->old, log->old + n, log->n_old * sizeof(*log->old));
	find_begin(log);
}

/* -- The writer thread --------------------------------------------------------------------------------------------------------- */

static int
rotate(struct event_log *log, struct err *err)
{
	uint64_t first = log->tip.head.first, pos = log->tip.pos;

	if (segment_tip_rotate(&log->tip, err) < 0)
		return -1;
	remember_old(log, first, pos, log->tip.head.begun_ms);
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
commit(struct event_log *log, struct group *group, struct err *err)
{
	struct segment_tally tally[SEGMENT_PARTITIONS_MAX];

	if (rotate_if_due(log, group->bytes.len, err) < 0)
		return -1;
	group_seal(group, &log->tip, tally);
	return segment_tip_write(&log->tip, group->bytes.data, group->bytes.len, group->n, tally, err);
}

static void
publish(struct event_log *log, const struct err *problem)
{
	uint64_t bytes = old_bytes(log) + log->tip.pos;

	pthread_mutex_lock(&log->lock);
	log->first = log->n_old > 0 ? log->old[0].first : log->tip.head.first;
	log->end_of_oldest = log->n_old == 0 ? 0 : log->n_old > 1 ? log->old[1].first : log->tip.head.first;
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
	complete(&log->writing, ok);
	group_reset(&log->writing);
	if (!ok)
		return;
	pthread_mutex_lock(&log->lock);
	for (struct subscription *s = log->subscriptions; s; s = s->next)
		subscription_fire(s);
	end_waits(log);
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
		group_swap(&log->pending, &log->writing);
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
	close_subscriptions(log);
	buf_clear(&log->pending.bytes);
	buf_clear(&log->writing.bytes);
	mem_free(log->old);
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
	group_init(&log->pending);
	group_init(&log->writing);
	pthread_mutex_init(&log->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&log->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (segment_tip_open(&log->tip, config->dir, log->config.n_partitions, err) < 0 || find_old(log, err) < 0) {
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
	end_waits(log);
	pthread_mutex_unlock(&log->lock);
	log_free(log);
}

static int
check_room(const struct event_log *log, size_t len, struct err *err)
{
	size_t size = len + SEGMENT_RECORD_LEN;

	if (log->closing)
		return err_set(err, ERR_UNAVAILABLE, "the event log is being closed");
	if (log->pending.bytes.len + size > PENDING_MAX)
		return err_set(err, ERR_LIMIT, "%zu bytes wait for the disk already", log->pending.bytes.len);
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
		group_add(&log->pending, append, data, len);
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

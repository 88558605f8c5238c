/* SPDX-License-Identifier: Apache-2.0 */
/* The event log's writing side: appends from any thread are collected while the writer thread waits for the disk; then all that arrived is one
 * group: sealed, written with one pwrite, made durable with one fdatasync, and completed with one post to each owner.  So a slow disk makes
 * groups larger instead of making every message wait its turn.  The bytes are segment.c's, the file is segment_tip.c's. */
#include "store/event_log.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/segment.h"
#include "store/segment_tip.h"

#define SEGMENT_BYTES_DEFAULT (64u << 20)
#define RECORD_MAX_DEFAULT (1u << 20)
#define PENDING_MAX (64u << 20) /* what may wait for the disk */
#define GROUP_KEEP (1u << 20)

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
	uint64_t first, next, bytes, forget_below;
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
	uint8_t head[SEGMENT_RECORD_LEN] = { 0 };
	uint64_t room = len;

	memcpy(head, &room, sizeof(room));
	buf_put(&group->bytes, head, sizeof(head));
	buf_put(&group->bytes, data, len);
	append->next = NULL;
	*group->tail = append;
	group->tail = &append->next;
	group->n++;
}

/* Give the records their offsets. */
static void
group_seal(struct group *group, uint64_t next, uint32_t salt)
{
	struct event_append *append = group->head;
	uint8_t *at = group->bytes.data;
	uint64_t len;

	for (uint32_t back = 0; append; append = append->next, back++) {
		memcpy(&len, at, sizeof(len));
		append->offset = next + back;
		segment_seal(at, len, append->offset, back, salt);
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

static void
run_batch(struct post *post)
{
	struct batch *batch = CONTAINER_OF(post, struct batch, post);
	struct event_append *append = batch->head, *next;

	for (; append; append = next) {
		next = append->next;
		append->done(append, batch->ok);
	}
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

/* -- Segments that are complete ----------------------------------------------------------------------------------------------- */

static void
remember_old(struct event_log *log, uint64_t first, uint64_t bytes)
{
	if (log->n_old == log->room_old) {
		log->room_old = log->room_old ? log->room_old * 2 : 16;
		log->old = mem_resize(log->old, log->room_old * sizeof(*log->old));
	}
	log->old[log->n_old++] = (struct old_segment){ .first = first, .bytes = bytes };
}

static uint64_t
old_bytes(const struct event_log *log)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < log->n_old; i++)
		bytes += log->old[i].bytes;
	return bytes;
}

static int
find_old(struct event_log *log, struct err *err)
{
	char name[SEGMENT_NAME_LEN];
	uint64_t *firsts = NULL;
	struct stat st;
	size_t n = 0;

	if (segment_list(log->tip.dir, &firsts, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (firsts[i] != log->tip.first)
			remember_old(log, firsts[i],
				fstatat(log->tip.dir_fd, segment_name(firsts[i], name), &st, 0) == 0 ? (uint64_t)st.st_size : 0);
	mem_free(firsts);
	return 0;
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
		end = n + 1 < log->n_old ? log->old[n + 1].first : log->tip.first;
		if (end > forget_below &&
			(log->config.refuse_when_full || log->config.max_bytes == 0 || bytes <= log->config.max_bytes))
			break;
		if (unlinkat(log->tip.dir_fd, segment_name(log->old[n].first, name), 0) < 0 && errno != ENOENT)
			break;
		bytes -= log->old[n].bytes;
	}
	log->n_old -= n;
	if (n > 0)
		memmove(log->old, log->old + n, log->n_old * sizeof(*log->old));
}

/* -- The writer thread --------------------------------------------------------------------------------------------------------- */

static int
rotate_if_full(struct event_log *log, size_t len, struct err *err)
{
	uint64_t first = log->tip.first, pos = log->tip.pos;

	if (pos + len <= log->config.segment_bytes || log->tip.next == first)
		return 0;
	if (segment_tip_rotate(&log->tip, err) < 0)
		return -1;
	remember_old(log, first, pos);
	return 0;
}

static int
commit(struct event_log *log, struct group *group, struct err *err)
{
	if (rotate_if_full(log, group->bytes.len, err) < 0)
		return -1;
	group_seal(group, log->tip.next, log->tip.salt);
	return segment_tip_write(&log->tip, group->bytes.data, group->bytes.len, group->n, err);
}

static void
publish(struct event_log *log, const struct err *problem)
{
	uint64_t bytes = old_bytes(log) + log->tip.pos;

	pthread_mutex_lock(&log->lock);
	log->first = log->n_old > 0 ? log->old[0].first : log->tip.first;
	log->next = log->tip.next;
	log->bytes = bytes;
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
	pthread_mutex_unlock(&log->lock);
}

static bool
has_work(const struct event_log *log, uint64_t forgotten)
{
	return log->closing || log->pending.n > 0 || log->forget_below > forgotten;
}

static void *
writer_main(void *arg)
{
	struct event_log *log = arg;
	uint64_t forgotten = 0;
	bool closing;

	do {
		pthread_mutex_lock(&log->lock);
		while (!has_work(log, forgotten))
			pthread_cond_wait(&log->wake, &log->lock);
		group_swap(&log->pending, &log->writing);
		forgotten = log->forget_below;
		closing = log->closing && log->writing.n == 0;
		pthread_mutex_unlock(&log->lock);
		if (log->writing.n > 0) {
			write_group(log, forgotten);
		} else {
			remove_old(log, forgotten);
			publish(log, NULL);
		}
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

	log->config = *config;
	log->config.dir = NULL; /* the tip has its own copy */
	if (log->config.segment_bytes == 0)
		log->config.segment_bytes = SEGMENT_BYTES_DEFAULT;
	/* Room comes back by whole segments: several must fit. */
	if (log->config.max_bytes > 0 && log->config.segment_bytes > log->config.max_bytes / 4)
		log->config.segment_bytes = (size_t)(log->config.max_bytes / 4);
	if (log->config.max_record == 0)
		log->config.max_record = RECORD_MAX_DEFAULT;
	if (log->config.max_record > SEGMENT_RECORD_MAX / 2)
		log->config.max_record = SEGMENT_RECORD_MAX / 2;
	group_init(&log->pending);
	group_init(&log->writing);
	pthread_mutex_init(&log->lock, NULL);
	pthread_cond_init(&log->wake, NULL);
	if (segment_tip_open(&log->tip, config->dir, err) < 0 || find_old(log, err) < 0) {
		log_free(log);
		return NULL;
	}
	publish(log, NULL);
	if (start_writer(log, err) < 0) {
		log_free(log);
		return NULL;
	}
	return log;
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
		log->bytes + log->pending.bytes.len + size > log->config.max_bytes)
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
event_log_next(struct event_log *log)
{
	return read_locked(log, &log->next);
}

uint64_t
event_log_bytes(struct event_log *log)
{
	return read_locked(log, &log->bytes);
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

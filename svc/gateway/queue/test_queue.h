/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For the tests of the queue: a log of messages "0", "1", ... of dev1, each of about a hundred bytes. */

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/queue/queue_reader.h"
#include "store/event_log.h"
#include "store/message.h"
#include "t.h"

struct stored {
	struct event_append append;
};

/* An owner is one thread; the writers of several logs, which post here, and who stores for it are one at a time.  Who runs may store. */
static pthread_mutex_t one_at_a_time = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static inline void
run_post_at_once(struct owner *owner, struct post *post)
{
	(void)owner;
	pthread_mutex_lock(&one_at_a_time);
	post->run(post);
	pthread_mutex_unlock(&one_at_a_time);
}

static struct owner at_once = { .post = run_post_at_once };
static atomic_bool storing_failed;

static inline void
on_stored(struct event_append *append, bool ok)
{
	struct stored *stored = CONTAINER_OF(append, struct stored, append);

	if (!ok)
		storing_failed = true;
	mem_free(stored);
}

static inline void
store_bytes(struct event_log *log, const void *data, size_t len)
{
	struct stored *stored = NEW(stored);
	struct err err = ERR_INIT;

	stored->append = (struct event_append){ .done = on_stored, .owner = &at_once };
	CHECK_OK(event_log_append(log, &stored->append, data, len, &err), err);
}

static inline void
store_message(struct event_log *log, const struct message *message)
{
	struct buf record = BUF_INIT(1 << 20);

	message_encode(&record, message);
	store_bytes(log, record.data, record.len);
	buf_clear(&record);
}

/* "0", "1", ... of a device. */
static inline void
store_of(struct event_log *log, const char *device_id, int from, int n, int64_t expires_ms)
{
	for (int i = from; i < from + n; i++) {
		OWN_TEXT payload = mem_textf("%d", i);

		store_message(log, &(struct message){ .source = MESSAGE_TELEMETRY,
					   .device_id = slice_of(device_id),
					   .payload = slice_of(payload),
					   .expires_ms = expires_ms });
	}
}

static inline void
store_numbers(struct event_log *log, int from, int n)
{
	for (int i = from; i < from + n; i++) {
		OWN_TEXT payload = mem_textf("%d", i);
		OWN_TEXT bag = mem_textf("n=%d&filler=%070d", i, i);

		store_message(log, &(struct message){ .source = MESSAGE_TELEMETRY,
					   .device_id = slice_of("dev1"),
					   .generation_id = slice_of("g1"),
					   .bag = slice_of(bag),
					   .payload = slice_of(payload) });
	}
}

/* A log that is closed has all of it on the disk. */
static inline struct event_log *
log_with(const char *dir, size_t segment_bytes, int n)
{
	struct err err = ERR_INIT;
	struct event_log_config config = { .dir = dir, .segment_bytes = segment_bytes };
	struct event_log *log = event_log_open(&config, &err);

	if (!log)
		fail_msg("%s", err.text);
	for (int i = 0; i < n; i++) { /* a group each, so that segments end when they are full */
		store_numbers(log, i, 1);
		event_log_close(log);
		log = event_log_open(&config, &err);
	}
	CHECK(!storing_failed);
	return log;
}

static inline int
number_of(const struct queued *q)
{
	OWN_TEXT text = q ? mem_textn((const char *)q->payload, q->len) : NULL;
	int64_t number;

	return text && text_to_i64(text, 0, INT_MAX, &number) ? (int)number : -1;
}

static inline char *
fresh_dir(const char *name)
{
	return mem_textf("%s/%s", T_TMPDIR, name);
}

static inline struct queue_reader *
reader_of(const char *dir, struct event_log *log, struct queue_places *places)
{
	struct queue_reader_config config = { .dir = dir, .log = log, .places = places, .patience_ms = 1 };
	struct err err = ERR_INIT;
	struct queue_reader *reader = queue_reader_open(&config, &err);

	if (!reader)
		fail_msg("%s", err.text);
	return reader;
}

static inline void
save_position(struct queue_reader *reader)
{
	struct queue_position *position = queue_reader_position(reader);
	struct err err = ERR_INIT;

	if (!position)
		return;
	CHECK_OK(queue_position_save(position, &err), err);
	queue_reader_saved(reader, position, true);
	queue_position_free(position);
}

/* false: there is but one segment.  *n: of it that was neither done nor in memory. */
static inline bool
drop_oldest(struct queue_reader *reader, size_t *n)
{
	struct queue_drop *drop;

	while (queue_reader_is_dropping(reader)) /* the writer has it from the one before */
		sched_yield();
	drop = queue_reader_drop(reader);
	*n = 0;
	if (!drop)
		return false;
	queue_drop_count(drop);
	*n = queue_reader_dropped(reader, drop);
	return true;
}

/* As many messages of devices as there are, from who is asked until it is neither tired nor waits any more. */
static inline struct queued *
next_of(struct queue_reader *reader)
{
	struct err err = ERR_INIT;
	struct queued *q;

	do
		q = queue_reader_next(reader, &err);
	while (!q && queue_reader_rest(reader) != QUEUE_EMPTY);
	CHECK_INT(err.kind, ERR_NONE);
	return q;
}

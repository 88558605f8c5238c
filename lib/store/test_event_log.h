/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of the event log share: an owner whose posts run where the test waits for them, a log with numbered records, and its files. */

#include <pthread.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/event_log.h"
#include "t.h"

/* -- An owner whose posts run where the test waits for them ------------------------------------------------------------------- */

struct desk {
	struct owner owner;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct post *head, **tail;
	size_t n_posts;
};

static inline void
desk_post(struct owner *owner, struct post *post)
{
	struct desk *desk = CONTAINER_OF(owner, struct desk, owner);

	pthread_mutex_lock(&desk->lock);
	post->next = NULL;
	*desk->tail = post;
	desk->tail = &post->next;
	desk->n_posts++;
	pthread_cond_signal(&desk->wake);
	pthread_mutex_unlock(&desk->lock);
}

static inline void
desk_init(struct desk *desk)
{
	*desk = (struct desk){ .owner.post = desk_post, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
	desk->tail = &desk->head;
}

static inline bool
desk_run_one(struct desk *desk, bool wait)
{
	struct post *post;

	pthread_mutex_lock(&desk->lock);
	while (wait && !desk->head)
		pthread_cond_wait(&desk->wake, &desk->lock);
	post = desk->head;
	if (post) {
		desk->head = post->next;
		if (!desk->head)
			desk->tail = &desk->head;
	}
	pthread_mutex_unlock(&desk->lock);
	if (post)
		post->run(post);
	return post != NULL;
}

/* -- A log with records "0000 ...", "0001 ..." -------------------------------------------------------------------------------------- */

struct one {
	struct event_append append;
	bool done, ok;
};

static inline void
on_done(struct event_append *append, bool ok)
{
	struct one *one = CONTAINER_OF(append, struct one, append);

	one->done = true;
	one->ok = ok;
}

static inline size_t
record_text(char *out, size_t room, uint64_t i)
{
	return (size_t)snprintf(out, room, "%04llu the reading of a sensor", (unsigned long long)i);
}

/* Append one and wait for it. */
static inline bool
append_text(struct event_log *log, struct desk *desk, const char *text, uint64_t *offset)
{
	struct one one = { .append = { .done = on_done, .owner = &desk->owner } };
	struct err err = ERR_INIT;

	CHECK_OK(event_log_append(log, &one.append, text, strlen(text), &err), err);
	while (!one.done)
		desk_run_one(desk, true);
	if (offset)
		*offset = one.append.place.offset;
	return one.ok;
}

static inline bool
append_number(struct event_log *log, struct desk *desk, uint64_t i)
{
	char text[64];
	uint64_t offset = 0;
	bool ok;

	record_text(text, sizeof(text), i);
	ok = append_text(log, desk, text, &offset);
	if (ok)
		CHECK_INT(offset, i);
	return ok;
}

static inline struct event_log *
open_partitioned(const char *dir, size_t segment_bytes, unsigned n)
{
	struct event_log_config config = { .dir = dir, .segment_bytes = segment_bytes, .n_partitions = n };
	struct err err = ERR_INIT;
	struct event_log *log = event_log_open(&config, &err);

	if (!log)
		fail_msg("%s", err.text);
	return log;
}

static inline struct event_log *
open_log(const char *dir, size_t segment_bytes)
{
	return open_partitioned(dir, segment_bytes, 0);
}

static inline void
open_fails(const char *dir, enum err_kind kind, const char *part)
{
	struct event_log_config config = { .dir = dir };
	struct err err = ERR_INIT;

	CHECK(!event_log_open(&config, &err));
	CHECK_ERR(err, kind, part);
}

/* A reader, which is an operator's tool, says the same where the writer refuses: it never ends as if the log did. */
static inline void
reading_fails(const char *dir, const char *part)
{
	struct err err = ERR_INIT;
	struct event_reader *reader = event_reader_open(dir, &(struct event_start){ .value = 0 }, &err);
	struct event_record record;
	int got = reader ? 1 : -1;

	while (got == 1)
		got = event_reader_next(reader, &record, &err);
	event_reader_close(reader);
	CHECK_INT(got, -1);
	CHECK(strstr(err.text, part) != NULL);
}

/* Read all from an offset on: the records must be numbered without a gap.  Returns the offset after the last one. */
static inline uint64_t
read_all(const char *dir, uint64_t from)
{
	struct err err = ERR_INIT;
	struct event_reader *reader = event_reader_open(dir, &(struct event_start){ .value = from }, &err);
	struct event_record record;
	uint64_t next = from;
	char text[64];
	int got;

	if (!reader)
		fail_msg("%s", err.text);
	while ((got = event_reader_next(reader, &record, &err)) == 1) {
		CHECK_INT(record.place.offset, next);
		CHECK_INT(record.len, record_text(text, sizeof(text), next));
		CHECK_MEM(record.data, text, record.len);
		next++;
	}
	if (got < 0)
		fail_msg("%s", err.text);
	event_reader_close(reader);
	return next;
}

static inline const char *
new_dir(void)
{
	static char dir[128];
	static int n;

	snprintf(dir, sizeof(dir), "%s/log-%d", T_TMPDIR, n++);
	return dir;
}

static inline void
fill(const char *dir, size_t segment_bytes, uint64_t n)
{
	struct event_log *log = open_log(dir, segment_bytes);
	struct desk desk;

	desk_init(&desk);
	for (uint64_t i = 0; i < n; i++)
		CHECK(append_number(log, &desk, i));
	event_log_close(log);
}

struct bytes {
	uint8_t *data;
	size_t len;
};

static inline struct bytes
load(const char *path)
{
	struct buf b = BUF_INIT(1 << 24);
	struct err err = ERR_INIT;

	CHECK_OK(file_load(&b, path, &err), err);
	return (struct bytes){ b.data, b.len };
}

static inline void
store(const char *path, const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;

	CHECK_OK(file_save(path, data, len, 0600, &err), err);
}

static inline char *
first_segment(const char *dir)
{
	return mem_textf("%s/00000000000000000000.log", dir);
}

static inline void
forget_durable(const char *dir)
{
	OWN_TEXT lock = mem_textf("%s/lock", dir);

	CHECK(truncate(lock, 0) == 0);
}

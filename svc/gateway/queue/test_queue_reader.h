/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests: a log, what is stored in it, and then its reader. */

#include "gateway/queue/test_queue.h"

struct fixture {
	char *dir;
	struct event_log *log;
	struct queue_places places;
	struct queue_reader *reader;
};

static inline struct event_log *
open_log(const char *dir, size_t segment_bytes)
{
	struct err err = ERR_INIT;
	struct event_log *log = event_log_open(&(struct event_log_config){ .dir = dir, .segment_bytes = segment_bytes }, &err);

	if (!log)
		fail_msg("%s", err.text);
	return log;
}

static inline void
fixture_start(struct fixture *f, const char *name, size_t n_places)
{
	*f = (struct fixture){ .dir = fresh_dir(name), .places = { .n_max = n_places, .bytes_max = 64 << 20 } };
	f->log = open_log(f->dir, 0);
}

/* All that was stored is on the disk then. */
static inline void
fixture_read(struct fixture *f)
{
	event_log_close(f->log);
	f->log = open_log(f->dir, 0);
	f->reader = reader_of(f->dir, f->log, &f->places);
}

static inline void
fixture_close(struct fixture *f)
{
	queue_reader_close(f->reader);
	event_log_close(f->log);
	mem_free(f->dir);
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The segment log: the hub's events and the gateway's queue.  Records are appended in order, made durable in groups (one writer thread
 * collects what arrived, writes, fdatasync, then completes), and read by offset.  Files: DIR/<20 digits first offset>.log, each with a versioned
 * header; each record with length and CRC-32C.  A torn tail is cut off at opening; damage elsewhere, or a newer version, is refused and left untouched,
 * with the path and offset in the error.  One process opens it for writing (lock file); readers may be other processes. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/post.h"

struct event_log;

struct event_log_config {
	const char *dir;
	size_t segment_bytes;  /* 0: 64 MiB */
	uint64_t max_bytes;    /* retention: oldest segments go beyond it; 0: keep all */
	bool refuse_when_full; /* instead of dropping the oldest: append fails with LIMIT (a gateway's queue) */
	size_t max_record;     /* 0: 1 MiB */
};

struct event_log *event_log_open(const struct event_log_config *config, struct err *err);
void event_log_close(struct event_log *log); /* completes what was appended */

/* An append, embedded in the request.  `done` runs on `owner` after the record is on disk (ok) or could not be written; appends completed by one
 * commit arrive as one batch per owner.  offset is the record's own. */
struct event_append {
	void (*done)(struct event_append *append, bool ok);
	struct owner *owner;
	uint64_t offset;
	struct event_append *next; /* the log's */
};
/* Any thread; the data is copied before it returns.  -1 (LIMIT, UNAVAILABLE): not accepted, done will not run. */
int event_log_append(struct event_log *log, struct event_append *append, const void *data, size_t len, struct err *err);

uint64_t event_log_first(struct event_log *log); /* the oldest offset still there */
uint64_t event_log_next(struct event_log *log);	 /* the offset the next record gets: durable ones are below */
uint64_t event_log_bytes(struct event_log *log);
/* Why the last commit failed; false when it did not. */
bool event_log_problem(struct event_log *log, struct err *out);
/* Everything below `offset` may be forgotten (a queue's consumer is done with it): whole segments are removed. */
void event_log_forget_below(struct event_log *log, uint64_t offset);
/* Call `notify` on `owner` whenever new records became durable (one at a time, coalesced). */
void event_log_subscribe(struct event_log *log, struct owner *owner, struct post *notify);

/* Reading, also from another process than the writer.  A reader sees durable records only when it is in the writer's process; otherwise whole ones. */
struct event_reader;
struct event_reader *event_reader_open(
	const char *dir, uint64_t from, struct err *err); /* from: an offset; below the first means the first */
void event_reader_close(struct event_reader *reader);
/* 1: a record (data borrowed until the next call), 0: none now, -1: damage. */
int event_reader_next(struct event_reader *reader, uint64_t *offset, const uint8_t **data, size_t *len, struct err *err);

/* A consumer's position, kept durably beside the log. */
int event_cursor_load(const char *dir, const char *name, uint64_t *offset, struct err *err); /* 0 when there is none */
int event_cursor_save(const char *dir, const char *name, uint64_t offset, struct err *err);

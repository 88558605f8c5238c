/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The segment log: the hub's events and the gateway's queue.  Records are appended in order, made durable in groups (one writer thread
 * collects what arrived, writes, fdatasync, then completes), and read from an offset, a sequence number or a time on.  All partitions are in one sequence of
 * files: N logs would be N fdatasyncs where one is enough, and what one place says (PARTITION:SEQUENCE) is a position in all of them.
 * Files: DIR/<20 digits first offset>.log, each with a versioned header; each record with length and CRC-32C.  A torn tail is cut off at opening; damage elsewhere, or a newer version, is refused and left untouched,
 * with the path and offset in the error.  One process opens it for writing (lock file); readers may be other processes. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/post.h"
#include "store/event_place.h"

#define EVENT_PARTITIONS_MAX 32

struct event_log;

struct event_log_config {
	const char *dir;
	size_t segment_bytes;  /* 0: 64 MiB */
	uint64_t max_bytes;    /* retention: oldest segments go beyond it; 0: keep all */
	int64_t max_age_ms;    /* retention: segments go when all in them is older; they are begun anew often enough; 0: keep all */
	unsigned n_partitions; /* of a new log; 0: 1.  One that is there keeps what it has. */
	bool refuse_when_full; /* instead of dropping the oldest: append fails with LIMIT (a gateway's queue) */
	size_t max_record;     /* 0: 1 MiB */
};

struct event_log *event_log_open(const struct event_log_config *config, struct err *err);
void event_log_close(struct event_log *log); /* completes what was appended */
/* Keep every writer out without being one: a descriptor, which ends that when it is closed, or -1; ERR_CONFLICT: there is a writer. */
int event_log_keep_out(const char *dir, struct err *err);

/* An append, embedded in the request.  `done` runs on `owner` after the record is on disk (ok) or could not be written; appends completed by one
 * commit arrive in order, a few hundred a post.  The place is the record's own. */
struct event_append {
	void (*done)(struct event_append *append, bool ok);
	struct owner *owner;
	struct event_place place;  /* the caller gives the partition */
	struct event_append *next; /* the log's */
};
/* Any thread; the data is copied before it returns.  -1 (LIMIT, UNAVAILABLE): not accepted, done will not run. */
int event_log_append(struct event_log *log, struct event_append *append, const void *data, size_t len, struct err *err);

uint64_t event_log_first(struct event_log *log);	 /* the oldest offset still there */
uint64_t event_log_end_of_oldest(struct event_log *log); /* the first offset of its second segment; 0: it has but one */
uint64_t event_log_next(struct event_log *log);		 /* the offset the next record gets: durable ones are below */
uint64_t event_log_bytes(struct event_log *log);
uint64_t event_log_load(struct event_log *log); /* with what waits for the disk */
unsigned event_log_partitions(const struct event_log *log);
/* What is in a partition: the sequence numbers from `begin` to before `next`.  The last record's offset and time tell something when next > 0. */
struct event_partition {
	uint64_t begin, next, last_offset;
	int64_t last_ms;
};
void event_log_partition(struct event_log *log, unsigned partition, struct event_partition *out);
/* Why the last commit failed; false when it did not. */
bool event_log_problem(struct event_log *log, struct err *out);
/* Everything below `offset` may be forgotten (a queue's consumer is done with it): whole segments are removed; the newest, too, when it is forgotten to its end. */
void event_log_forget_below(struct event_log *log, uint64_t offset);
/* Call `notify` on `owner` whenever new records became durable (one at a time, coalesced). */
void event_log_subscribe(struct event_log *log, struct owner *owner, struct post *notify);

/* The same once, and given back when nobody wants to know any more: is there a record at or behind `offset`, or else call `notify` on `owner` when there
 * is one, or when the log is closed. */
struct event_wait {
	struct post *notify;
	struct owner *owner;
	struct event_wait *next; /* the log's */
	bool waiting;
};
bool event_log_wait(struct event_log *log, struct event_wait *wait, uint64_t offset, struct owner *owner, struct post *notify);
bool event_log_wait_no_more(
	struct event_log *log, struct event_wait *wait); /* false: `notify` is on its way, or was never asked for */

/* Reading, also from another process than the writer.  A reader sees durable records only when it is in the writer's process; otherwise whole ones.
 * Opening may read a whole segment. */
struct event_start {
	enum { EVENT_AT_OFFSET, EVENT_AT_SEQUENCE, EVENT_AT_TIME, EVENT_AT_GROUP } kind;
	uint64_t value;	    /* what is before the first one means the first; what is not there yet, the end */
	unsigned partition; /* whose sequence number it is */
	/* The first record of any partition at or behind its number here, for all EVENT_PARTITIONS_MAX; those outside the group don't matter (NULL: none is). */
	const uint64_t *group;
	const bool *in_group;
};
struct event_reader;
struct event_reader *event_reader_open(const char *dir, const struct event_start *start, struct err *err);
void event_reader_close(struct event_reader *reader);

struct event_record {
	struct event_place place;
	const uint8_t *data; /* borrowed until the next call */
	size_t len;
};
/* 1: a record, 0: none now, -1: damage. */
int event_reader_next(struct event_reader *reader, struct event_record *out, struct err *err);
uint64_t event_reader_offset(const struct event_reader *reader); /* of the next one */
void event_reader_rest(struct event_reader *reader);		 /* gives its memory back until more is read */

/* A consumer's position, kept durably beside the log. */
int event_cursor_load(const char *dir, const char *name, uint64_t *offset, struct err *err); /* 0 when there is none */
int event_cursor_save(const char *dir, const char *name, uint64_t offset, struct err *err);

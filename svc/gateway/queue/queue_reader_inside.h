/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside the reader of one log: queue_reader.c has its two readings, queue_reading.c one of them, queue_line.c who sends, queued.c a message in memory, queue_position.c what of all that is on disk,
 * queue_room.c what is dropped to make room. */

#include <stdatomic.h>

#include "auth/identity.h"
#include "gateway/queue/queue_lost.h"
#include "gateway/queue/queue_reader.h"

struct map;
struct queue_line {
	char *name;
	uint32_t sender;		/* 0: not known yet */
	struct queued *oldest, *newest; /* of those in memory */
	size_t n, bytes, low;		/* low: it has room again below this */
	int64_t moved_ms,
		full_ms; /* boot clock: something of it has ended, or come while there was nothing; it is waited for (0: it is not) */
	uint64_t full_at; /* how many had ended then */
	bool is_behind, has_room, is_called;
	uint64_t from;	     /* behind: the oldest that was skipped */
	uint64_t done_below; /* of what is read again after a restart */
	size_t n_skipped;
	struct queue_line *next, **link; /* of those behind */
};

struct queue_reading {
	struct event_reader *reader; /* NULL: none */
	uint64_t next;		     /* what it looks at next */
	struct message message;	     /* what it looks at, at `next` */
	bool has_message;
};

struct queue_reader {
	struct queue_reader_config config;
	char *dir;
	char id[MESSAGE_MARK_LOG_LEN + 1]; /* the log's, for ever */
	struct queue_reading ahead, again; /* the first and the second one */
	struct map *lines;
	struct queue_line *behind;
	size_t n_room, n_called;
	bool is_round, has_moved, has_lines_file;
	enum queue_rest rest;
	uint64_t n_ended;
	size_t n_looked;
	uint64_t cursor;	 /* as it is on disk */
	uint64_t floor;		 /* what is older was dropped */
	struct queue_drop *drop; /* that is being counted */
	bool is_drop_failed;	 /* said so */
	struct queue_lost lost;
	struct err damage;							   /* found in the log; what else fails may pass */
	_Atomic uint64_t n_read, n_held, n_done, n_expired, n_given_up, n_dropped; /* n_held: in memory and skipped */
};

struct queued *queued_new(struct queue_reader *r, uint64_t offset, const struct message *m);
size_t queued_size(const struct queued *q);
void queued_give_back(struct queued *q); /* its place is free, and it is gone */

#define QUEUE_LINE_NAME_MAX (2 * IDENTITY_ID_MAX + 2)
/* Whose a message is; in `room`, if it is not in the message. */
struct slice queue_line_name(bool one_line, const struct message *m, char room[static QUEUE_LINE_NAME_MAX]);
/* The line that a message is of; NULL: none is known. */
struct queue_line *queue_line_find(const struct queue_reader *r, const struct message *m);
struct queue_line *queue_line_make(struct queue_reader *r, const char *name, size_t len);
struct queue_line *queue_line_get(struct queue_reader *r, const struct message *m);
void queue_line_free(struct queue_line *line);
void queue_line_forget_if_idle(struct queue_reader *r, struct queue_line *line);
uint64_t queue_line_position(const struct queue_line *line); /* the first of its messages that is not done */
void queue_line_set_room(struct queue_reader *r, struct queue_line *line, bool has_room);
void queue_line_set_called(struct queue_reader *r, struct queue_line *line, bool is_called);
void queue_line_fall_behind(struct queue_reader *r, struct queue_line *line, uint64_t from);
void queue_line_catch_up(struct queue_reader *r, struct queue_line *line);
void queue_line_call(struct queue_reader *r, struct queue_line *line); /* it has room again */

/* 1: m is the next message, 0: there is none, -1: damage.  A whole record that is no message is left out. */
int queue_reading_read(struct event_reader *reader, struct message *m, uint64_t *offset, bool say, struct err *err);
int queue_reading_look(struct queue_reading *reading, bool say, struct err *err); /* 1: it looks at a message */
void queue_reading_pass(struct queue_reading *reading);
void queue_reading_close(struct queue_reading *reading);
void queue_drop_note_caught_up(struct queue_drop *drop, const struct queue_line *line); /* what was skipped of it counts no more */
int queue_reading_open(struct queue_reader *r, struct queue_reading *reading, uint64_t from, struct err *err);

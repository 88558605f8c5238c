/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One log of the queue on its way out.  A bounded number of its messages is in memory; they may be done in any order, and make place for others then.  What is done stays done
 * through a restart, but for the last moment before a crash: some are sent again then and none is missing.
 *
 * The log is read in its order, but dealt out by lines (who sent a message): a line may have as many messages in memory as places are free.  While it moves, the reading waits for it.  If
 * it does not, or others go much faster, what it has is skipped from then on, and fetched by a second reading when it has moved: so one slow device holds up its own messages only, and
 * hundreds of them still leave places for the others.
 * On disk stands the oldest message that is not done (the cursor) and, when lines are behind, how far each of them is.  One thread, but for what says otherwise. */

#include "gateway/queue/queue_position.h"
#include "gateway/queue/queue_share.h"
#include "store/event_log.h"
#include "store/message.h"
#include "wire/message_mark.h"

struct queue_reader;
struct queue_line;

struct queued {
	uint64_t offset;
	const char *device_id, *module_id; /* module_id NULL: a device's */
	const char *generation_id;
	const char *bag;
	const uint8_t *payload;
	size_t len;
	int64_t enqueued_ms, expires_ms; /* wall clock; expires_ms 0: never */
	int64_t read_ms, sent_ms;	 /* boot clock; sent_ms is of whoever sends it */
	int priority;
	bool retain;
	struct queued *next; /* whoever has it may chain it here */
	/* The reader's. */
	struct queue_reader *reader;
	struct queue_line *line;
	struct queued *older, *newer;
	uint32_t sender;
	size_t share; /* of the queue, of that sender */
};
/* Which message of which log it is, for who knows it again by that (wire/message_mark.h); previous: as there. */
const char *queued_log(const struct queued *q); /* the id of its log */
void queued_mark(const struct queued *q, uint64_t previous, struct message_mark *out);
bool queued_is_expired(const struct queued *q, int64_t now_ms);

/* Places in memory, which several readers may share. */
struct queue_places {
	size_t n, n_max, bytes, bytes_max;
	bool is_away; /* nobody can be delivered for, it seems: nobody is skipped for a minute */
};

struct queue_reader_config {
	const char *dir;
	struct event_log *log;
	struct queue_places *places;
	struct queue_share *share; /* told what leaves; what is there already was added to it (queue_log.h); NULL: nobody is */
	int priority;
	bool one_line;	 /* all messages have one way, so there is nobody to be fair to */
	int patience_ms; /* with a line that does not move at all; 0: 2 s */
};
struct queue_reader *queue_reader_open(const struct queue_reader_config *config, struct err *err);
/* Saves where it is; what was not done comes again next time.  The log may be closed already. */
void queue_reader_close(struct queue_reader *reader);
void queue_reader_discard(struct queue_reader *reader); /* the same, but its log goes: it saves nothing */

/* The next message, the reader's own until it has ended.  NULL: there is none now (err->kind ERR_NONE), or it can't be read: for good where it is damaged. */
struct queued *queue_reader_next(struct queue_reader *reader, struct err *err);
/* Why it gave none: there is none; it has looked at many; it waits for the line that is next, which has its share and moves. */
enum queue_rest { QUEUE_EMPTY, QUEUE_TIRED, QUEUE_WAITS };
enum queue_rest queue_reader_rest(const struct queue_reader *reader);
bool queue_reader_is_behind(const struct queue_reader *reader); /* there may be more to give */
enum queue_end { QUEUE_DONE, QUEUE_EXPIRED, QUEUE_GIVEN_UP };
void queue_reader_end(struct queued *q, enum queue_end how); /* it is gone after this */
/* Where it is now, to be saved and then told of; NULL: on disk it is right. */
struct queue_position *queue_reader_position(struct queue_reader *reader);
void queue_reader_saved(struct queue_reader *reader, const struct queue_position *position, bool ok);
/* To make room: the oldest segment goes, with what is in it.  The readings go on behind it at once; what is lost by that is counted on a thread that may wait, and then the disk has it back.  NULL: there is but
 * one segment, or it has one on its way out already, or it can't be read further (which was logged). */
struct queue_drop;
struct queue_drop *queue_reader_drop(struct queue_reader *reader);
void queue_drop_count(struct queue_drop *drop); /* blocks; any thread, while its reader is there */
/* How many messages that were neither done nor in memory are gone. */
size_t queue_reader_dropped(struct queue_reader *reader, struct queue_drop *drop_take);
void queue_drop_free(struct queue_drop *drop);			  /* instead: its reader is gone */
bool queue_reader_is_dropping(const struct queue_reader *reader); /* the disk has not had it back yet */

/* Any thread. */
struct queue_counts {
	const char *dir; /* the log's; borrowed */
	uint64_t length, done, expired, given_up, dropped;
};
void queue_reader_counts(struct queue_reader *reader, struct queue_counts *out);

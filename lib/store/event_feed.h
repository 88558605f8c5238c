/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The messages of an event log as a consumer wants them: from some place on, of one partition or of all, of one device, of some sources.  What streams, sinks and
 * tools have in common.  Reads files, so it belongs on a thread that may block. */

#include "store/event_group.h"
#include "store/message.h"

/* Where to begin. */
struct event_from {
	enum {
		EVENT_FROM_CHECKPOINT,
		EVENT_FROM_EARLIEST,
		EVENT_FROM_LATEST,
		EVENT_FROM_OFFSET,
		EVENT_FROM_SEQUENCE,
		EVENT_FROM_TIME,
		EVENT_FROM_BEHIND
	} kind;
	uint64_t value;	    /* offset, sequence number, ms */
	unsigned partition; /* BEHIND: of the record that was the last one seen; all that stands behind it in the log follows */
};
/* "checkpoint", "earliest", "latest", "offset:N" or only "N", "sequence:N", "time:2026-03-01T12:00:00Z". */
int event_from_parse(struct event_from *out, const char *text, struct err *err);
/* "PARTITION:SEQUENCE", the id of an event in streams. */
int event_from_parse_id(struct event_from *out, const char *id, struct err *err);

struct event_feed_config {
	const char *dir; /* borrowed, like all of it, for the time of the feed */
	struct event_from from;
	int partition;	       /* -1: all of them */
	const char *device_id; /* with its modules; NULL: of all */
	unsigned sources;      /* bits 1 << enum message_source; 0: all */
	struct event_group
		group; /* CHECKPOINT: how far it came; partitions without a place begin at the latest, or at the earliest */
	bool else_earliest;
	bool has_latest; /* known: then what comes after it is not missed while the feed is being opened */
	uint64_t latest; /* the offset behind all that there is */
};

struct event_feed;
struct event_feed *event_feed_open(const struct event_feed_config *config, struct err *err);
void event_feed_close(struct event_feed *feed);

enum event_feed_got { EVENT_FEED_FAILED = -1, EVENT_FEED_END, EVENT_FEED_MESSAGE, EVENT_FEED_OTHER };
struct event_fed {
	struct event_place place;
	struct message message; /* borrowed until the next call */
	size_t size;		/* what was read for it */
};
/* One record: a message that is wanted, another one, the end for now, or damage. */
enum event_feed_got event_feed_next(struct event_feed *feed, struct event_fed *out, struct err *err);
uint64_t event_feed_offset(const struct event_feed *feed); /* of the next record: what to wait for at the end */
void event_feed_rest(struct event_feed *feed);		   /* gives memory back until more is read */

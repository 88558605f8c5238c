/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What devices send, stored: each message becomes a record of an event log, at the hub an event, at a gateway an item of its queue, and whoever waits for
 * it is told when it is on the disk.  A lane is one loop's way in, with memory that is used again. */

#include <stdbool.h>

#include "base/err.h"
#include "base/post.h"
#include "store/event_log.h"
#include "store/message.h"

struct message_log;
struct message_log_config {
	struct event_log_config log; /* max_record is ours */
	/* Messages can't be stored (why), or can be again (NULL): once for each change, on any thread. */
	void (*on_trouble)(const char *why);
};
struct message_log *message_log_open(const struct message_log_config *config, struct err *err);
struct event_log *message_log_records(struct message_log *log); /* for whoever reads what was stored; borrowed, until the stop */
/* Completes what was given; nothing is taken after it.  The completions are on their way then: free this after the loops are finished. */
void message_log_stop(struct message_log *log);
bool message_log_is_idle(const struct message_log *log); /* every message that was to be stored has its answer */
void message_log_free(struct message_log *log);

/* The lanes are the log's; all are added before the first is asked for, which any thread may do. */
struct message_lane;
void message_log_add_lane(struct message_log *log, struct owner *owner);
struct message_lane *message_log_lane(const struct message_log *log, const struct owner *owner);

/* Store it; then done(arg, ok) on the lane's owner.  On the lane's thread; what the message borrows is copied before it returns.  When the log takes
 * no more, done is called at once with false. */
void message_lane_store(struct message_lane *lane, const struct message *message, void (*done)(void *arg, bool ok), void *arg);

/* What the service itself has to say of a device: any thread, before the stop; whoever is waiting for it reads it from the log.  done(arg, ok) comes on `owner`, those of one commit
 * perhaps in pieces between others; when the log takes no more, at once with false.  NULL: nobody asks. */
void message_log_tell(
	struct message_log *log, struct owner *owner, const struct message *message, void (*done)(void *arg, bool ok), void *arg);

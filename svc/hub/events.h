/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What devices send, stored: each message becomes a record of the event log, and whoever waits for it is told when it is on the disk.  A lane is one
 * loop's way in, with memory that is used again. */

#include <stdbool.h>

#include "base/err.h"
#include "base/post.h"
#include "store/message.h"

struct events;
struct events_config {
	const char *dir;
	uint64_t max_bytes; /* retention; 0: keep all */
};
struct events *events_open(const struct events_config *config, struct err *err);
/* Completes what was given; nothing is taken after it.  The completions are on their way then: free the lanes and this after the loops. */
void events_stop(struct events *events);
void events_free(struct events *events);

struct events_lane;
struct events_lane *events_lane_new(struct events *events, struct owner *owner);
void events_lane_free(struct events_lane *lane);

/* Store it; then done(arg, ok) on the lane's owner.  On the lane's thread; what the message borrows is copied before it returns.  When the log takes
 * no more, done is called at once with false; the reason is logged, once until it works again. */
void events_store(struct events_lane *lane, const struct message *message, void (*done)(void *arg, bool ok), void *arg);

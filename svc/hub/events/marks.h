/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Messages that gateways send a second time, because an acknowledgement was lost on the way, are stored once: for each device and each log that its gateway keeps it is remembered up to where they
 * are here (mark_track.h).  The mark of a message is on the disk with it; so what is remembered is saved now and then only, with the place in the events from which on they are looked through for
 * the rest after a crash.
 *
 * Without a file, or with one of other events, the newest million are looked through and no more.  The file is there from the first start on, so that is a hub from before there were marks, whose
 * events have none, or an operator who removed it.  A gateway sends again what was not acknowledged when it lost the connection, the last that it had sent (some hundred a device): who comes
 * back before a million others have been stored is known, and of who comes later these few are stored twice, once. */

#include "base/pool.h"
#include "net/loop.h"
#include "store/message_log.h"

struct marks;
struct marks_config {
	const char *state_dir, *events_dir;
	struct event_log *events;
	uint64_t look_back; /* so many events without a file; 0: a million */
};
/* Blocks: reads what was stored since it was saved last. */
struct marks *marks_open(const struct marks_config *config, struct err *err);
void marks_watch(struct marks *marks, struct loop *loop, struct pool *worker); /* save now and then, until marks_stop */
void marks_save_soon(struct marks *marks);				       /* on its loop, if it isn't being saved */
void marks_stop(struct marks *marks);					       /* before the events are closed; on no loop */
void marks_close(struct marks *marks);					       /* after the loops: saves */

/* As message_lane_store; one with a mark that is here already is done at once, and one that may or may not be is not ok. */
void marks_store(
	struct marks *marks, struct message_lane *lane, const struct message *message, void (*done)(void *arg, bool ok), void *arg);
void marks_forget(struct marks *marks, const char *name); /* any thread: nobody has the name any more */
uint64_t marks_n_duplicates(const struct marks *marks);

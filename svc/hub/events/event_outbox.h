/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Events about changes in the store, on their way to the event log.  An event is written in the transaction of the change that it tells of, appended to the log once that is committed, and
 * forgotten when the log has made it durable.  So there is no change without its event and no event without its change, whatever ends the hub in between: what was not yet forgotten then is looked for
 * at the end of the log, and appended at the start where it is not there.  When the clock was set back meanwhile, or the log has failed for long, it may stand there twice, word for word, which its
 * correlation-id shows; it is never missing. */

#include "hub/registry/registry.h"
#include "net/loop.h"
#include "store/message_log.h"

#define EVENT_OUTBOX_MAX 100000 /* that wait; beyond, what they would tell of is refused */

struct event_outbox;
/* What an earlier hub left is appended at once.  All borrowed; log_dir is where the log is. */
struct event_outbox *event_outbox_open(
	struct registry *registry, struct message_log *log, const char *log_dir, struct loop *loop, struct err *err);
void event_outbox_stop(struct event_outbox *outbox);  /* on the loop's thread, before the worker ends */
void event_outbox_close(struct event_outbox *outbox); /* after the worker, the log's stop and the loops, before the store */

/* On the worker, in a transaction. */
int event_outbox_put(struct event_outbox *outbox, const struct message *message, struct err *err);

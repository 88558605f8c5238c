/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the hub itself has to say, as events beside the telemetry: devices and modules that were created and deleted, that connected and disconnected, and
 * twins that changed (properties and bodies as the original's non-telemetry events).  Which of these are written is the operator's choice; the functions
 * do nothing for the others, and the events of one device come in the order of the calls.
 *
 * What changed in the store is told in the transaction of the change (event_outbox.h), so a crash loses none.  Connections are not in the store: they end with the hub. */

#include "auth/identity.h"
#include "base/post.h"
#include "hub/events/event_outbox.h"
#include "hub/twins/twin.h"
#include "store/message_log.h"

struct event_source_config {
	const char *hostname; /* the hub's name is its first label */
	struct message_log *log;
	struct event_outbox *outbox;
	struct owner *owner; /* a loop of the hub */
	unsigned sources;    /* bits 1 << enum message_source */
};
struct event_source;
struct event_source *event_source_new(const struct event_source_config *config);
void event_source_free(struct event_source *source);

/* "lifecycle,connection,twin", or "all": the bits; an empty text is none of them. */
int event_source_parse(unsigned *sources, const char *names, struct err *err);

/* deviceLifecycleEvents, with the twin of a new identity.  On the worker, in the transaction: for registry_record. */
int event_source_record_identity(void *source, const struct identity *before, const struct identity *after, struct err *err);

/* twinChangeEvents, with what the change wrote.  The same: for twins_record. */
int event_source_record_twin(void *source, const struct twin_event *event, struct err *err);

/* deviceConnectionStateEvents, on any thread.  Sessions are counted: one that takes over from another changes nothing. */
void event_source_session_began(struct event_source *source, const struct subject *subject);
void event_source_session_ended(struct event_source *source, const struct subject *subject);

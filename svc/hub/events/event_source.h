/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the hub itself has to say, as events beside the telemetry: devices and modules that were created and deleted, that connected and disconnected, and
 * twins that changed (properties and bodies as the original's non-telemetry events).  Which of these are written is the operator's choice; the functions
 * do nothing for the others.  Any thread; the events of one device come in the order of the calls.
 *
 * An event is appended after the change it tells of is durable, not together with it: a crash between the two loses the event. */

#include "auth/identity.h"
#include "base/post.h"
#include "store/message_log.h"

struct event_source_config {
	const char *hostname; /* the hub's name is its first label */
	struct message_log *log;
	struct owner *owner; /* a loop of the hub */
	unsigned sources;    /* bits 1 << enum message_source */
};
struct event_source;
struct event_source *event_source_new(const struct event_source_config *config);
void event_source_free(struct event_source *source);

/* "lifecycle,connection,twin", or "all": the bits; an empty text is none of them. */
int event_source_parse(unsigned *sources, const char *names, struct err *err);

/* deviceLifecycleEvents, with the twin as JSON; NULL: that of a new identity. */
void event_source_lifecycle(struct event_source *source, const struct identity *identity, bool created, const char *twin);
/* For registry_watch: creations and removals. */
void event_source_on_lifecycle(void *source, const struct identity *before, const struct identity *after);

/* twinChangeEvents.  `json` is an object: of an update the changed "tags" and "properties" with their $metadata, of a replacement the twin.  The version is
 * put into it. */
enum event_twin_change { EVENT_TWIN_UPDATED, EVENT_TWIN_REPLACED };
void event_source_twin_changed(struct event_source *source, const struct identity *identity, enum event_twin_change what,
	const json_t *json, int64_t version);

/* deviceConnectionStateEvents.  Sessions are counted: one that takes over from another changes nothing. */
void event_source_session_began(struct event_source *source, const struct subject *subject);
void event_source_session_ended(struct event_source *source, const struct subject *subject);

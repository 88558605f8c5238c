/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One consumer that is sent events as they come, as server-sent events: "id: PARTITION:SEQUENCE" and the event as one line of JSON.  The log is read on a thread of the
 * readers' pool, a piece at a time, and the next piece only when the consumer has taken this one: a slow one holds one piece, and nobody up. */

#include "hub/events/event_readers.h"
#include "net/http_server.h"
#include "store/event_feed.h"

struct event_stream_wish {
	char *group, *device_id; /* owned; the device may be NULL */
	char *token;		 /* by which it was let in; owned */
	/* Is it still?  Asked on the loop before something is sent, and at each heartbeat: when not, the stream ends, and may come again with something newer. */
	bool (*stands)(void *arg, const char *token);
	void *arg;
	struct event_feed_config feed;
	int64_t heartbeat_ms;
	bool ends; /* with the last event that there is, instead of waiting for more */
};
void event_stream_wish_clear(struct event_stream_wish *wish);

/* Answers the request, on its loop, and takes the wish.  false: there are as many streams as there may be, and nothing has happened. */
bool event_stream_begin(struct event_readers *readers, struct http_request *req, struct event_stream_wish *wish_take);

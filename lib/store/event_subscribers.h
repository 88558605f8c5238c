/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who is told that the event log has new records: each time (event_log_subscribe), or once (event_log_wait).  All of it under the log's lock. */

#include "store/event_log.h"

struct event_subscribers {
	struct event_subscription *first; /* each time */
	struct event_wait *waits;	  /* once */
};

void event_subscribers_add(struct event_subscribers *all, struct owner *owner, struct post *notify);
void event_subscribers_wait(struct event_subscribers *all, struct event_wait *wait, struct owner *owner, struct post *notify);
bool event_subscribers_wait_no_more(
	struct event_subscribers *all, struct event_wait *wait); /* false: it is on its way, or was never there */
void event_subscribers_tell(struct event_subscribers *all);	 /* there are new records */
void event_subscribers_end_waits(struct event_subscribers *all); /* the log is being closed */
void event_subscribers_clear(struct event_subscribers *all);	 /* after that: a notification that is late finds nobody */

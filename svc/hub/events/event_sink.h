/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where the hub itself passes its events on to: its standard output, a JSON object a line, or a web hook, which is sent them in JSON arrays by POST.  A sink is a consumer
 * group of its own ($stdout, $webhook): it begins with what comes after it was first asked for, moves on when a batch was taken, and tries again until it is.  So each event
 * comes at least once, in order.  It has a thread of its own and holds one batch: one that stands holds up nothing but itself. */

#include "hub/events/event_readers.h"
#include "pki/chain.h"

struct event_sink_config {
	const char *to;		/* "stdout" or "https://..." */
	const char *ca_path;	/* the roots that a web hook's server is trusted by */
	const char *connect_to; /* TCP goes there; NULL: to the host of the address */
	struct event_readers *readers;
};
struct event_sink;
int event_sink_check(const char *to, const char *ca_path, struct err *err);
struct event_sink *event_sink_start(const struct event_sink_config *config, struct err *err);
void event_sink_stop(
	struct event_sink *sink); /* what was being sent is given up, and sent again next time; before the log is closed */

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside the forwarder: one downstream identity's way to the hub.  A connection of its own, opened with the gateway's token on behalf of the device (gateway 4.7),
 * over which its messages go in their order; there while there is something to send, and for a while after. */

#include "base/pool.h"
#include "gateway/upstream/forward.h"
#include "gateway/queue/queue_window.h"

struct forward_line;

/* What lines share. */
struct forward_lines {
	const struct forward_config *config;
	struct queue_window *window;
	/* A line has given messages back as done: there may be place in the window again. */
	void (*on_done)(struct forward_lines *lines);
	/* A line could not reach the hub, or lost it. */
	void (*on_unreached)(struct forward_lines *lines);
	/* The hub has acknowledged something to a line: the others may hurry. */
	void (*on_reached)(struct forward_lines *lines);
};

struct forward_line *forward_line_new(struct forward_lines *lines, const struct queued *first);
void forward_line_stop(struct forward_line *line); /* begins nothing new */
void forward_line_free(struct forward_line *line); /* once no job of its is on the pool */
void forward_line_send(struct forward_line *line, struct queued *message);
void forward_line_hurry(struct forward_line *line);

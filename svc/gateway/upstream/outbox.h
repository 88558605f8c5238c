/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside the forwarder: the messages of one downstream identity on their way to the hub, by their priorities and in their order, over its line. */

#include "gateway/queue/queue_window.h"
#include "gateway/upstream/line.h"

struct outbox;

/* What outboxes share. */
struct outboxes {
	struct queue_window *window;
	struct outbox *first;
	struct buf bag; /* of the message that is being sent; its memory stays */
	/* One has given messages back as done: there may be place in the window again. */
	void (*on_done)(struct outboxes *outboxes);
};

struct outbox *outbox_of(struct outboxes *outboxes, struct line *line); /* the line's; there is one from now on */
void outbox_send(struct outbox *outbox, struct queued *message);
void outboxes_expire(struct outboxes *outboxes); /* what waits for longer than it may is let go */

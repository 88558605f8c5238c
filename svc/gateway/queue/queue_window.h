/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The part of the queue that is on its way to the hub: a bounded number of messages, read ahead of the cursor.  They may be done in any order, and make place for others
 * then; the cursor is at the oldest that is not done, and is kept on disk a moment later, so after a crash some are sent again and none is missing.  One thread. */

#include "store/event_log.h"
#include "store/message.h"

#define QUEUE_CURSOR "upstream" /* how far the queue was sent */

struct queue_window;

struct queued {
	uint64_t offset;
	char *device_id, *module_id; /* module_id NULL: a device's */
	char *generation_id;
	char *bag;
	uint8_t *payload;
	size_t len;
	bool retain;
	struct queued *older, *newer; /* the window's */
	struct queued *next;	      /* whoever has it may chain it here */
};

struct queue_window *queue_window_open(const char *dir, struct event_log *log, struct err *err);
/* Saves the cursor; what was not done comes again next time.  The log may be closed already. */
void queue_window_close(struct queue_window *window);

/* The next message, the window's own until it is done.  NULL: there is none now (err->kind ERR_NONE), or it can't be read: for good where it is damaged. */
struct queued *queue_window_next(struct queue_window *window, struct err *err);
/* It need not be sent any more, and is gone after this. */
void queue_window_done(struct queue_window *window, struct queued *message);
int queue_window_save(struct queue_window *window, struct err *err); /* when the cursor has moved; blocks */

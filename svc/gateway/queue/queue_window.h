/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* All that waits for one sink (the hub, or an input of a module): a reader for each priority, and whose turn it is.  Lives on one loop. */

#include "gateway/queue/queue_reader.h"
#include "net/loop.h"

struct queue_window;
struct queue_window *queue_window_new(bool one_line, size_t n_max, size_t bytes_max);
void queue_window_free(struct queue_window *window); /* saves */
struct queue_places *queue_window_places(struct queue_window *window);
/* The readers are the window's; of each priority there is one. */
void queue_window_add(struct queue_window *window, struct queue_reader *reader_take, int priority, struct event_log *log);
struct queue_reader *queue_window_remove(
	struct queue_window *window, int priority); /* nothing of it waits, or is with anybody; the caller owns it */
/* Calls `more` on the loop whenever there may be more to take: something was stored, or a reading goes on. */
void queue_window_listen(struct queue_window *window, struct loop *loop, void (*more)(void *arg), void *arg);
void queue_window_deafen(struct queue_window *window); /* before the loop is freed */
void queue_window_stop(struct queue_window *window);   /* its logs are being closed: it gives no more */

void queue_window_set_away(struct queue_window *window, bool is_away); /* nobody can be delivered for */

/* The next message, the window's own until it has ended; NULL as queue_reader_next. */
struct queued *queue_window_next(struct queue_window *window, struct err *err);
void queue_window_end(struct queue_window *window, struct queued *message, enum queue_end how); /* gone after this */
void queue_window_done(struct queue_window *window, struct queued *message);			/* it was delivered */

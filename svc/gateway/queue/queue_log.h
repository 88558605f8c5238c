/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The folder of one of the queue's logs at the start.  A damaged one must neither lock all devices out, as refusing to start would, nor be passed over: what can still be read
 * becomes the new queue, and the damaged folder is set aside for whoever can read more.  Blocks. */

#include "gateway/queue/queue_share.h"
#include "store/message_log.h"

/* Into `waiting`, a table without anything, comes what a reader of it will read, by who has sent it; NULL: nobody asks. */
struct message_log *queue_log_open(const char *dir, size_t segment_bytes, struct queue_share *waiting, struct err *err);
#define QUEUE_LOG_GONE ".gone" /* what a folder is called while it is removed: a half of one is never opened */
void queue_log_remove(const char *dir);
char *queue_log_set_aside(const char *dir); /* its name is free at once; what it is called while it is removed, or NULL: it stays */
void queue_log_remove_rest(const char *gone); /* that, or what a crash has left */

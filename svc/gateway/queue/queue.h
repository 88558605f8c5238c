/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The queue's folder at the start.  A damaged queue must neither lock all devices out, as refusing to start would, nor be passed over: what can still be read
 * becomes the new queue, and the damaged folder is set aside for whoever can read more.  Blocks. */

#include "store/message_log.h"

/* Nothing is taken beyond max_bytes. */
struct message_log *queue_open(const char *dir, uint64_t max_bytes, struct err *err);

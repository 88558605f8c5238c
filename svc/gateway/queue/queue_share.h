/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who may have how much of a queue that refuses when it is full.  Three quarters are whoever's that comes.  Of the last quarter one device or module takes no more than it leaves: alone
 * half of it, and of what is left then the next one half again, so that who sends little finds room as long as others flood.  Any thread. */

#include "base/mem.h"
#include "store/message.h"

struct queue_share;
struct queue_share *queue_share_new(void);
void queue_share_free(struct queue_share *share);
OWN_DEFINE(queue_share);

/* May the sender have `size` more, where `used` bytes of `max` are taken?  If so, he has them. */
bool queue_share_take(struct queue_share *share, const struct message *message, uint64_t size, uint64_t used, uint64_t max);

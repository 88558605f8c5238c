/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who may have how much of a queue that refuses when it is full.  Seven eighths are whoever's that comes.  Beyond them a sender is taken as long as all that waits of it is no more than what is left then: so who
 * floods is stopped there, the next one has half of the last eighth at the most, another one half of what is left then, and who sends little finds room.
 *
 * A device is one sender with all of its modules, of which it could have fifty to flood with, each taking half of what is left; but of the gateway's own device, whose modules are the operator's, each is one.
 *
 * Counted is what still waits: what was there at the start (queue_log.h), and what has been given to the disk since, until it has left the queue, however it did: no count stays too high.  Any thread. */

#include "base/mem.h"
#include "store/message.h"

struct queue_share;
struct queue_share *queue_share_new(const char *edge_id); /* the gateway's own device */
void queue_share_free(struct queue_share *share);
OWN_DEFINE(queue_share);

/* A number for who has sent it, in this process. */
uint32_t queue_share_sender(
	const struct queue_share *share, struct slice device_id, struct slice module_id); /* module_id empty: a device */
size_t queue_share_size(const struct message *message);					  /* what it takes of a log, about */
/* May it have so many bytes more, where `used` of `max` are taken? */
bool queue_share_may(const struct queue_share *share, uint32_t sender, uint64_t size, uint64_t used, uint64_t max);
void queue_share_add(struct queue_share *share, uint32_t sender, uint64_t size);
void queue_share_leave(struct queue_share *share, uint32_t sender, uint64_t size);
void queue_share_clear(struct queue_share *share); /* no thread else */
void queue_share_add_all(struct queue_share *share, const struct queue_share *more);
uint64_t queue_share_waiting(const struct queue_share *share, uint32_t sender); /* of it, and perhaps of somebody else */

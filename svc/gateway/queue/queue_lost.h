/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What leaves a log without being sent, by who had sent it (edgehub_messages_dropped_total).  There may be a million of them at once, of devices that are gone: so some of the series are at hand.  One thread. */

#include "store/message.h"

#define LOST_AT_HAND 32

struct metric;
struct queue_lost {
	struct lost_sender {
		uint64_t number; /* its, in this process */
		struct metric *expired, *given_up;
	} sender[LOST_AT_HAND];
};

enum queue_loss { QUEUE_LOST_EXPIRED, QUEUE_LOST_GIVEN_UP };
/* Of the message only who has sent it is looked at. */
void queue_lost_count(struct queue_lost *lost, enum queue_loss how, const struct message *message);

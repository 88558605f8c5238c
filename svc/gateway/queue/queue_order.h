/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whose turn is it among the priorities of one sink?  The lowest number's that has something, as in the original; but a priority that was passed over for a while gets a short
 * turn: what it keeps on the disk counts against what everybody may keep, so that starving it would end with nothing being taken any more, of any priority.  Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "gateway/routes/routes.h"

#define QUEUE_PASSED_OVER_MS 10000 /* then it has a turn */
#define QUEUE_TURN 64		   /* of so many messages */

struct queue_order {
	struct {
		int64_t passed_over_ms; /* since when; 0: it is not */
		int turn;		/* messages that it has left */
	} level[ROUTE_PRIORITIES];
};
/* The priority whose message goes next, or -1; `has_some` of ROUTE_PRIORITIES. */
int queue_order_next(struct queue_order *order, const bool *has_some, int64_t now_ms);

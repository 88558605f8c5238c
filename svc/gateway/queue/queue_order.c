/* SPDX-License-Identifier: Apache-2.0 */
/* Strict, but for turns that are won by waiting (queue_order.h). */
#include "gateway/queue/queue_order.h"

static void
look_at(struct queue_order *order, int priority, int64_t now_ms)
{
	if (order->level[priority].passed_over_ms == 0)
		order->level[priority].passed_over_ms = now_ms;
	if (now_ms - order->level[priority].passed_over_ms < QUEUE_PASSED_OVER_MS)
		return;
	order->level[priority].passed_over_ms = now_ms;
	order->level[priority].turn = QUEUE_TURN;
}

int
queue_order_next(struct queue_order *order, const bool *has_some, int64_t now_ms)
{
	int first = -1, turn = -1;

	for (int i = 0; i < ROUTE_PRIORITIES; i++) {
		if (has_some[i] && first >= 0) {
			look_at(order, i, now_ms);
		} else {
			order->level[i].passed_over_ms = 0;
			order->level[i].turn = 0;
		}
		if (has_some[i] && first < 0)
			first = i;
		if (turn < 0 && order->level[i].turn > 0)
			turn = i;
	}
	if (turn < 0)
		return first;
	order->level[turn].turn--;
	return turn;
}

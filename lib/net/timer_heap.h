/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: the timers of a loop, the next one first.  A connection has one or two, so a timer is small: it knows its place in the heap, and the loop waits until
 * the first one is due (net/loop.c). */

#include <stddef.h>

#include "net/loop.h"

struct timer_heap {
	struct timer **items;
	size_t n, cap;
};
void timer_heap_clear(struct timer_heap *heap);					   /* the timers are their owners' */
void timer_heap_put(struct timer_heap *heap, struct timer *timer, int64_t due_ms); /* or move it, when it is there */
void timer_heap_remove(struct timer_heap *heap, struct timer *timer);		   /* nothing when it is not there */
struct timer *timer_heap_first(const struct timer_heap *heap);			   /* NULL: empty */

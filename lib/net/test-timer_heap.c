/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "net/timer_heap.h"
#include "t.h"

#define N 500

/* Numbers that are the same in every run. */
static unsigned
next_number(unsigned *state)
{
	*state = *state * 1103515245 + 12345;
	return *state >> 16 & 0x7fff;
}

TEST("whatever is put, moved and removed, timers leave in the order of their times, each once")
{
	struct timer timers[N] = { 0 };
	struct timer_heap heap = { 0 };
	unsigned state = 1;
	int64_t last = -1;
	size_t left = N, seen = 0;
	struct timer *first;

	for (size_t i = 0; i < N; i++)
		timer_heap_put(&heap, &timers[i], next_number(&state) % 200);
	for (size_t i = 0; i < N; i += 3)
		timer_heap_put(&heap, &timers[i], next_number(&state) % 200);
	for (size_t i = 0; i < N; i += 7, left--)
		timer_heap_remove(&heap, &timers[i]);
	while ((first = timer_heap_first(&heap)) != NULL) {
		CHECK(first->due_ms >= last);
		CHECK((first - timers) % 7 != 0);
		last = first->due_ms;
		timer_heap_remove(&heap, first);
		CHECK_INT(first->place, 0);
		seen++;
	}
	CHECK_INT(seen, left);
	timer_heap_clear(&heap);
}

TEST("a timer that is not there is removed without harm, before the first and after the last")
{
	struct timer timer = { 0 };
	struct timer_heap heap = { 0 };

	timer_heap_remove(&heap, &timer);
	timer_heap_put(&heap, &timer, 5);
	timer_heap_remove(&heap, &timer);
	timer_heap_remove(&heap, &timer);
	CHECK(timer_heap_first(&heap) == NULL);
	timer_heap_clear(&heap);
}

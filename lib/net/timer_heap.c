/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap by due_ms.  timer->place is its index and one: 0 is not there. */
#include "net/timer_heap.h"

#include "base/mem.h"

static void
set(struct timer_heap *heap, size_t at, struct timer *timer)
{
	heap->items[at] = timer;
	timer->place = at + 1;
}

/* Each moves the hole at `at` to where the timer belongs. */
static void
rise(struct timer_heap *heap, size_t at, struct timer *timer)
{
	while (at > 0 && timer->due_ms < heap->items[(at - 1) / 2]->due_ms) {
		set(heap, at, heap->items[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	set(heap, at, timer);
}

static void
sink(struct timer_heap *heap, size_t at, struct timer *timer)
{
	for (size_t child; (child = 2 * at + 1) < heap->n; at = child) {
		if (child + 1 < heap->n && heap->items[child + 1]->due_ms < heap->items[child]->due_ms)
			child++;
		if (timer->due_ms <= heap->items[child]->due_ms)
			break;
		set(heap, at, heap->items[child]);
	}
	set(heap, at, timer);
}

void
timer_heap_put(struct timer_heap *heap, struct timer *timer, int64_t due_ms)
{
	timer_heap_remove(heap, timer);
	if (heap->n == heap->cap) {
		heap->cap = heap->cap ? 2 * heap->cap : 16;
		heap->items = mem_resize(heap->items, heap->cap * sizeof(struct timer *));
	}
	timer->due_ms = due_ms;
	rise(heap, heap->n++, timer);
}

void
timer_heap_remove(struct timer_heap *heap, struct timer *timer)
{
	size_t at = timer->place;
	struct timer *last;

	if (at-- == 0)
		return;
	timer->place = 0;
	last = heap->items[--heap->n];
	if (last == timer)
		return;
	if (at > 0 && last->due_ms < heap->items[(at - 1) / 2]->due_ms)
		rise(heap, at, last);
	else
		sink(heap, at, last);
}

struct timer *
timer_heap_first(const struct timer_heap *heap)
{
	return heap->n > 0 ? heap->items[0] : NULL;
}

void
timer_heap_clear(struct timer_heap *heap)
{
	mem_free(heap->items);
	*heap = (struct timer_heap){ 0 };
}

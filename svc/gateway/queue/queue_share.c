/* SPDX-License-Identifier: Apache-2.0 */
/* What waits of each, in a table of fixed size: a sender has a counter in each of two rows, which it may share with others, and of the two the smaller one is nearer to the truth.  With a map, strangers in
 * numbers would take memory without end, and each message a lock; here one that shares both counters with who floods waits with him, which of a thousand devices not one does. */
#include "gateway/queue/queue_share.h"

#include <stdatomic.h>

#include "base/map.h"
#include "base/text.h"
#include "store/segment.h"

#define ROWS 2
#define COUNTERS 4096 /* a row; a power of two, and at most 2^16: a row has its own bits of a sender */

struct queue_share {
	char *edge_id;
	_Atomic int64_t bytes[ROWS][COUNTERS];
};

struct queue_share *
queue_share_new(const char *edge_id)
{
	struct queue_share *share = NEW(queue_share);

	share->edge_id = mem_text(edge_id);
	return share;
}

void
queue_share_free(struct queue_share *share)
{
	if (!share)
		return;
	mem_free(share->edge_id);
	mem_free(share);
}

uint32_t
queue_share_sender(const struct queue_share *share, struct slice device_id, struct slice module_id)
{
	uint64_t device = map_hash(device_id.text, device_id.len);

	/* Times an odd number: a module is not the device of its name. */
	if (module_id.len > 0 && slice_is(device_id, share->edge_id))
		device = device * 0x9e3779b97f4a7c15 + map_hash(module_id.text, module_id.len);
	return (uint32_t)device;
}

size_t
queue_share_size(const struct message *m)
{
	return m->bag.len + m->payload.len + m->device_id.len + m->module_id.len + m->generation_id.len + SEGMENT_RECORD_LEN + 64;
}

static size_t
counter_of(uint32_t sender, int row)
{
	return (sender >> (row * 16)) % COUNTERS;
}

static void
count(struct queue_share *share, uint32_t sender, int64_t bytes)
{
	for (int row = 0; row < ROWS; row++)
		atomic_fetch_add_explicit(&share->bytes[row][counter_of(sender, row)], bytes, memory_order_relaxed);
}

void
queue_share_add(struct queue_share *share, uint32_t sender, uint64_t size)
{
	count(share, sender, (int64_t)size);
}

void
queue_share_leave(struct queue_share *share, uint32_t sender, uint64_t size)
{
	count(share, sender, -(int64_t)size);
}

void
queue_share_clear(struct queue_share *share)
{
	for (int row = 0; row < ROWS; row++)
		for (size_t i = 0; i < COUNTERS; i++)
			share->bytes[row][i] = 0;
}

void
queue_share_add_all(struct queue_share *share, const struct queue_share *more)
{
	for (int row = 0; row < ROWS; row++)
		for (size_t i = 0; i < COUNTERS; i++)
			share->bytes[row][i] += more->bytes[row][i];
}

uint64_t
queue_share_waiting(const struct queue_share *share, uint32_t sender)
{
	int64_t least = INT64_MAX;

	for (int row = 0; row < ROWS; row++) {
		int64_t bytes = atomic_load_explicit(&share->bytes[row][counter_of(sender, row)], memory_order_relaxed);

		least = bytes < least ? bytes : least;
	}
	return least > 0 ? (uint64_t)least : 0;
}

bool
queue_share_may(const struct queue_share *share, uint32_t sender, uint64_t size, uint64_t used, uint64_t max)
{
	uint64_t left = used < max ? max - used : 0;

	if (size > left)
		return false;
	return left - size >= max / 8 || queue_share_waiting(share, sender) + size <= left;
}

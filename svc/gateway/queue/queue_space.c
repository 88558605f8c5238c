/* SPDX-License-Identifier: Apache-2.0 */
/* The room that there is for all logs together.  Who drops the oldest begins before it is needed, on the loop, a little at a time. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/queue/queue_inside.h"

#define ROOM_AGAIN_MS 20
#define SAY_AGAIN_MS 60000

uint64_t
queue_space_used(struct queue *queue)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < queue->n_levels; i++)
		if (queue->level[i].is_open)
			bytes += event_log_load(queue->level[i].records);
	return bytes;
}

/* Room is made before it is needed: from here on, and down to there. */
static uint64_t
room_wanted_above(const struct queue *queue)
{
	return queue->max_bytes - queue->max_bytes / 8;
}

static uint64_t
room_made_at(const struct queue *queue)
{
	return queue->max_bytes - queue->max_bytes / 8 - queue->max_bytes / 16;
}

/* The log that gives up its oldest: of the lowest priority, and of those the largest. */
static struct level *
victim(struct queue *queue, const bool *tried)
{
	struct level *found = NULL;

	for (size_t i = 0; i < queue->n_levels; i++) {
		struct level *level = &queue->level[i];

		if (level->is_open && !tried[i] &&
			(!found || level->priority > found->priority ||
				(level->priority == found->priority &&
					event_log_bytes(level->records) > event_log_bytes(found->records))))
			found = level;
	}
	return found;
}

/* Once a minute: with a queue that stays full this goes on and on. */
static void
say_dropped(struct queue *queue, size_t n)
{
	int64_t now_ms = clock_boot_ms();

	queue->n_unsaid += n;
	if (queue->n_unsaid == 0 || (queue->said_ms > 0 && now_ms - queue->said_ms < SAY_AGAIN_MS))
		return;
	log_warn("the queue is full: %zu of its oldest messages were dropped", queue->n_unsaid);
	queue->n_unsaid = 0;
	queue->said_ms = now_ms;
}

/* A segment; false: no log has one to give. */
static bool
drop_some(struct queue *queue)
{
	bool tried[QUEUE_LOGS_MAX] = { false };
	struct level *level;
	size_t n = 0;

	while ((level = victim(queue, tried))) {
		tried[level->index] = true;
		if (!queue_reader_drop_oldest(level->reader, &n))
			continue;
		say_dropped(queue, n);
		return true;
	}
	return false;
}

/* What was dropped a moment ago still counts. */
static bool
is_dropping(const struct queue *queue)
{
	for (size_t i = 0; i < queue->n_levels; i++)
		if (queue->level[i].is_open && queue_reader_is_dropping(queue->level[i].reader))
			return true;
	return false;
}

static void
on_room(struct timer *timer)
{
	struct queue *queue = CONTAINER_OF(timer, struct queue, room);

	uint64_t bytes = queue->is_stopped ? 0 : queue_space_used(queue);

	if (bytes <= room_wanted_above(queue)) {
		queue->is_room_wanted = false;
		return;
	}
	if (is_dropping(queue))
		bytes = 0;
	while (bytes > room_made_at(queue) && drop_some(queue))
		bytes -= bytes < queue->segment_bytes ? bytes : queue->segment_bytes;
	timer_arm(&queue->room, ROOM_AGAIN_MS);
}

static void
on_want_room(struct post *post)
{
	on_room(&CONTAINER_OF(post, struct queue, want_room)->room);
}

bool
queue_space_has(struct queue *queue, size_t size)
{
	uint64_t after = queue_space_used(queue) + size;

	if (queue->config.when_full == QUEUE_REFUSE)
		return after <= queue->max_bytes;
	if (after > room_wanted_above(queue) && !atomic_exchange(&queue->is_room_wanted, true))
		loop_post(queue->config.loop, &queue->want_room);
	return after <= queue->max_bytes + queue->max_bytes / 4;
}

void
queue_space_init(struct queue *queue)
{
	queue->want_room.run = on_want_room;
	timer_init(&queue->room, queue->config.loop, on_room);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The room that there is for all logs together.  Who drops the oldest begins before it is needed, a segment at a time: the log that gives one goes on behind it, what is lost is counted on the worker, and
 * then the disk has it back.  The disk may have none left before the queue has had its share of it: then the same helps, if it is for want of space that nothing can be stored. */
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/queue/queue_inside.h"

#define ROOM_AGAIN_MS 20
#define ROOM_SOON_MS 2
#define DISK_SEGMENTS 4 /* that the disk is to have room for, once it had not for one */
#define SAY_AGAIN_MS 60000
#define BEYOND_MIN (8u << 20)

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
say_dropped(struct queue *queue, size_t n, bool is_for_disk)
{
	int64_t now_ms = clock_boot_ms();

	queue->n_unsaid += n;
	if (queue->n_unsaid == 0 || (queue->said_ms > 0 && now_ms - queue->said_ms < SAY_AGAIN_MS))
		return;
	log_warn("the %s is full: %zu of its oldest messages were dropped", is_for_disk ? "disk of the queue" : "queue",
		queue->n_unsaid);
	queue->n_unsaid = 0;
	queue->said_ms = now_ms;
}

static void
run_counting(struct job *job)
{
	queue_drop_count(CONTAINER_OF(job, struct queue, counting)->drop);
}

static void
on_counted(struct job *job)
{
	struct queue *queue = CONTAINER_OF(job, struct queue, counting);
	struct level *level = GIVE(queue->dropping);

	if (queue->is_stopped)
		return;
	say_dropped(queue, queue_reader_dropped(level->reader, GIVE(queue->drop)), queue->is_making_disk);
	timer_arm(&queue->room, ROOM_SOON_MS);
}

/* A segment; false: no log has one to give. */
static bool
drop_some(struct queue *queue)
{
	bool tried[QUEUE_LOGS_MAX] = { false };
	struct level *level;

	while (!queue->drop && (level = victim(queue, tried))) {
		tried[level->index] = true;
		queue->drop = queue_reader_drop(level->reader);
		queue->dropping = queue->drop ? level : NULL;
	}
	if (!queue->drop)
		return false;
	queue->counting = (struct job){ .run = run_counting, .done = on_counted, .owner = loop_owner(queue->config.loop) };
	queue_work(queue, &queue->counting);
	return true;
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

/* -- The disk --------------------------------------------------------------------------------------------------------------------------------- */

static bool
is_troubled(const struct queue *queue)
{
	struct err why;

	for (size_t i = 0; i < queue->n_levels; i++)
		if (queue->level[i].is_open && event_log_problem(queue->level[i].records, &why))
			return true;
	return false;
}

static void
run_looking(struct job *job)
{
	struct queue *queue = CONTAINER_OF(job, struct queue, looking);
	struct statvfs fs;

	queue->disk_free = statvfs(queue->state_dir, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

/* Where it has room, but for others than us, dropping does not help. */
static void
on_looked(struct job *job)
{
	struct queue *queue = CONTAINER_OF(job, struct queue, looking);
	uint64_t wanted = queue->segment_bytes * (queue->is_making_disk ? DISK_SEGMENTS : 1);

	queue->is_looking = false;
	if (queue->is_stopped)
		return;
	queue->is_making_disk = queue->disk_free < wanted;
	if (!queue->is_making_disk)
		return;
	queue->is_making_disk = is_dropping(queue) || drop_some(queue);
	timer_arm(&queue->room, ROOM_AGAIN_MS);
}

static void
look_at_disk(struct queue *queue)
{
	if (queue->is_looking)
		return;
	queue->is_looking = true;
	queue->looking = (struct job){ .run = run_looking, .done = on_looked, .owner = loop_owner(queue->config.loop) };
	queue_work(queue, &queue->looking);
}

void
queue_space_look(struct queue *queue)
{
	if (queue->config.when_full == QUEUE_DROP_OLDEST && !queue->is_stopped && !queue->is_making_disk && is_troubled(queue))
		look_at_disk(queue);
}

/* -- Its turns -------------------------------------------------------------------------------------------------------------------------------- */

/* Too much is in it, and then a little less than that. */
static bool
is_over(struct queue *queue)
{
	uint64_t bytes = queue_space_used(queue);

	queue->is_making_room = bytes > (queue->is_making_room ? room_made_at(queue) : room_wanted_above(queue));
	return queue->is_making_room;
}

static void
on_room(struct timer *timer)
{
	struct queue *queue = CONTAINER_OF(timer, struct queue, room);

	if (queue->is_stopped || queue->drop)
		return;
	if (is_dropping(queue)) {
		timer_arm(&queue->room, ROOM_SOON_MS);
	} else if (is_over(queue)) {
		if (!drop_some(queue))
			timer_arm(&queue->room, ROOM_AGAIN_MS);
	} else {
		queue->is_room_wanted = false;
		if (queue->is_making_disk)
			look_at_disk(queue);
	}
}

static void
on_want_room(struct post *post)
{
	on_room(&CONTAINER_OF(post, struct queue, want_room)->room);
}

/* What may come while room is being made: the disk has its own pace, and a small queue is full of a few messages. */
static uint64_t
room_beyond(const struct queue *queue)
{
	return queue->max_bytes / 4 > BEYOND_MIN ? queue->max_bytes / 4 : BEYOND_MIN;
}

bool
queue_space_has(struct queue *queue, uint32_t sender, size_t size)
{
	uint64_t used = queue_space_used(queue), after = used + size;

	if (queue->config.when_full == QUEUE_REFUSE)
		return queue_share_may(queue->share, sender, size, used, queue->max_bytes);
	if (after > room_wanted_above(queue) && !atomic_exchange(&queue->is_room_wanted, true))
		loop_post(queue->config.loop, &queue->want_room);
	return after <= queue->max_bytes + room_beyond(queue);
}

void
queue_space_init(struct queue *queue)
{
	queue->want_room.run = on_want_room;
	timer_init(&queue->room, queue->config.loop, on_room);
}

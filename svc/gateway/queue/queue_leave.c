/* SPDX-License-Identifier: Apache-2.0 */
/* A log that the plan does not name any more goes when it is empty.  Lanes may still look at it, or have answers of it on their way to them: so each lane is visited first, to take the plan of now,
 * and once more when the log is closed, before it is freed. */
#include "base/mem.h"
#include "gateway/gauges/noted.h"
#include "gateway/queue/queue_inside.h"
#include "gateway/queue/queue_log.h"

static void
on_visit(struct post *post)
{
	struct queue_lane *lane = CONTAINER_OF(post, struct queue_lane, visit);
	struct queue *queue = lane->queue;

	queue_lane_plan(lane);
	lane->to[queue->leaving->index] = NULL;
	if (atomic_fetch_sub(&queue->n_visits, 1) == 1)
		loop_post(queue->config.loop, &queue->visited);
}

static void
visit_lanes(struct queue *queue, void (*then)(struct post *post))
{
	size_t n = 0;

	queue->visited.run = then;
	for (struct queue_lane *lane = queue->lanes; lane; lane = lane->next)
		n++;
	queue->n_visits = n;
	for (struct queue_lane *lane = queue->lanes; lane; lane = lane->next) {
		lane->visit.run = on_visit;
		lane->owner->post(lane->owner, &lane->visit);
	}
}

static bool
is_planned(const struct queue *queue, const struct level *level)
{
	const struct plan *plan = queue->plan;

	for (size_t i = 0; i < plan->routes->n; i++)
		if (plan->level[i] == level)
			return true;
	return false;
}

static bool
is_drained(struct level *level)
{
	struct queue_counts counts;

	queue_reader_counts(level->reader, &counts);
	return counts.length == 0 && message_log_is_idle(level->log) &&
	       event_log_load(level->records) == event_log_bytes(level->records);
}

/* Where the first log of all is has its name from before there were routes, and it stays. */
static bool
may_leave(const struct queue *queue, struct level *level)
{
	return level->index > 0 && !is_planned(queue, level) && is_drained(level);
}

/* Its answers have arrived. */
static void
on_left(struct post *post)
{
	struct queue *queue = CONTAINER_OF(post, struct queue, visited);

	message_log_free(queue->leaving->log);
	queue->leaving->log = NULL;
	queue->leaving = NULL;
}

/* On the worker. */
static void
run_removing(struct job *job)
{
	struct queue *queue = CONTAINER_OF(job, struct queue, removing);

	if (queue->left_dir)
		queue_reader_discard(GIVE(queue->left_reader));
	else
		queue_reader_close(GIVE(queue->left_reader));
	message_log_stop(queue->leaving->log);
	if (queue->left_dir)
		queue_log_remove_rest(queue->left_dir);
}

static void
on_removed(struct job *job)
{
	struct queue *queue = CONTAINER_OF(job, struct queue, removing);

	mem_free(queue->left_dir);
	queue->left_dir = NULL;
	if (!queue->is_stopped)
		visit_lanes(queue, on_left);
}

/* Nobody stores in it any more; routes that name it again will make another one. */
static void
on_forsaken(struct post *post)
{
	struct queue *queue = CONTAINER_OF(post, struct queue, visited);
	struct level *level = queue->leaving;
	struct queue_place place = {
		.module_id = level->sink->module_id, .input = level->sink->input, .priority = level->priority
	};
	OWN_TEXT dir = queue_place_path(&place, queue->state_dir);

	if (queue->is_stopped)
		return;
	if (!may_leave(queue, level)) {
		pthread_mutex_lock(&queue->lock);
		level->is_open = true;
		queue->left_dropped = queue->left_dropped_before;
		pthread_mutex_unlock(&queue->lock);
		queue->leaving = NULL;
		return;
	}
	noted_queue_length(place.module_id, place.input, place.priority, 0);
	queue->left_reader = queue_window_remove(level->sink->window, level->priority);
	level->reader = NULL;
	queue->left_dir = queue_log_set_aside(dir);
	queue->removing = (struct job){ .run = run_removing, .done = on_removed, .owner = loop_owner(queue->config.loop) };
	queue_work(queue, &queue->removing);
}

/* One at a time. */
void
queue_leave_drained(struct queue *queue)
{
	for (size_t i = 0; i < queue->n_levels && !queue->leaving && !queue->is_stopped; i++) {
		struct level *level = &queue->level[i];

		if (!level->is_open || queue->dropping == level || !may_leave(queue, level))
			continue;
		if (!queue->lanes)
			return;
		queue->leaving = level;
		pthread_mutex_lock(&queue->lock);
		level->is_open = false;
		queue->left_dropped_before = queue->left_dropped;
		queue->left_dropped += queue_level_dropped(level);
		pthread_mutex_unlock(&queue->lock);
		visit_lanes(queue, on_forsaken);
	}
}

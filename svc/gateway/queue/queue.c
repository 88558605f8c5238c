/* SPDX-License-Identifier: Apache-2.0 */
/* What changes is the plan, which row of the routes goes into which log.  A plan is never changed: lanes keep the one they know and look at a number to see that there is another. */
#include "gateway/queue/queue.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/gauges/noted.h"
#include "gateway/queue/queue_inside.h"
#include "gateway/queue/queue_log.h"

#define SEGMENT_BYTES_MAX (16u << 20)
#define SEGMENTS_IN_ALL 64 /* each log keeps up to one that is done: few beside the whole */
#define JOBS_MAX 4	   /* each kind once */
#define SAY_AGAIN_MS 60000
#define YEAR_2020_MS 1577836800000 /* before it a clock has not been set */

/* -- Plans ------------------------------------------------------------------------------------------------------------------------------- */

static void
plan_unref(struct plan *plan)
{
	if (!plan || --plan->refs > 0)
		return;
	routes_free(plan->routes);
	mem_free(plan->level);
	mem_free(plan);
}

struct plan *
queue_lane_plan(struct queue_lane *lane)
{
	struct queue *queue = lane->queue;

	if (lane->plan && lane->epoch == queue->epoch)
		return lane->plan;
	plan_unref(lane->plan);
	pthread_mutex_lock(&queue->lock);
	lane->plan = queue->plan;
	lane->plan->refs++;
	lane->epoch = queue->epoch;
	pthread_mutex_unlock(&queue->lock);
	return lane->plan;
}

/* -- Routes ------------------------------------------------------------------------------------------------------------------------------ */

static struct plan *
plan_make(struct queue *queue, struct routes *routes, struct err *err)
{
	struct plan *plan = NEW(plan);

	plan->refs = 1;
	plan->routes = routes_ref(routes);
	plan->level = mem_array(routes->n + 1, sizeof(*plan->level));
	for (size_t i = 0; i < routes->n; i++) {
		const struct routes_row *row = &routes->row[i];
		struct queue_place place = {
			.module_id = row->route->module_id, .input = row->route->input, .priority = row->priority
		};

		plan->level[i] = queue_level_get(queue, &place, err);
		if (!plan->level[i]) {
			plan_unref(plan);
			return NULL;
		}
	}
	return plan;
}

int
queue_set_routes(struct queue *queue, struct routes *routes, struct err *err)
{
	struct plan *plan = plan_make(queue, routes, err), *old;
	uint64_t max_bytes = queue->config.max_bytes;

	if (!plan)
		return -1;
	pthread_mutex_lock(&queue->lock);
	old = queue->plan;
	queue->plan = plan;
	queue->epoch++;
	pthread_mutex_unlock(&queue->lock);
	plan_unref(old);
	queue->max_bytes = routes->max_bytes > 0 && routes->max_bytes < max_bytes ? routes->max_bytes : max_bytes;
	return 0;
}

/* -- Storing ------------------------------------------------------------------------------------------------------------------------------- */

/* It is acknowledged when the last of its sinks has it. */
static void
on_stored(void *arg, bool ok)
{
	struct queue_storing *storing = arg;

	if (!ok)
		storing->why = UNAVAILABLE;
	if (!ok && storing->share)
		queue_share_leave(storing->share, storing->sender, storing->size);
	if (--storing->n_left == 0)
		storing->done(storing, storing->why);
}

static struct message_lane *
way_to(struct queue_lane *lane, const struct level *level)
{
	if (!lane->to[level->index])
		lane->to[level->index] = message_log_lane(level->log, lane->owner);
	return lane->to[level->index];
}

/* How old a message is that was taken before the clock was set, nobody knows. */
static int64_t
expires(const struct message *m, int64_t ttl_s)
{
	return ttl_s < 0 || m->enqueued_ms < YEAR_2020_MS ? 0 : m->enqueued_ms + ttl_s * 1000;
}

static void
store(struct queue_lane *lane, const struct message *message, const struct routes_row *row, struct queue_storing *storing)
{
	const struct plan *plan = lane->plan;
	struct message m = *message;

	m.expires_ms = expires(message, row->ttl_s);
	if (!row->route->module_id)
		noted_bytes(storing->size);
	message_lane_store(way_to(lane, plan->level[row - plan->routes->row]), &m, on_stored, storing);
}

/* The hub makes its own of a twin's changes. */
static size_t
leave_out_upstream(const struct routes *routes, const struct routes_row **taken, size_t n)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++)
		if (routes->sink[taken[i]->sink].module_id)
			taken[left++] = taken[i];
	return left;
}

static size_t
find_rows(const struct routes *routes, const struct message *m, bool is_own, const struct routes_row **taken)
{
	struct route_message view = {
		.device_id = m->device_id,
		.module_id = m->module_id,
		.is_own = is_own,
		.is_twin_change = m->source == MESSAGE_TWIN_CHANGE,
		.bag = m->bag,
		.payload = m->payload,
		.enqueued_ms = m->enqueued_ms,
	};
	size_t n = routes_take(routes, &view, taken);

	return view.is_twin_change ? leave_out_upstream(routes, taken, n) : n;
}

/* Once a minute: small messages may find room all the time between large ones that do not. */
static bool
is_time_to_say(_Atomic int64_t *said_ms)
{
	int64_t now_ms = clock_boot_ms(), before_ms = *said_ms;

	return (before_ms == 0 || now_ms - before_ms >= SAY_AGAIN_MS) &&
	       atomic_compare_exchange_strong(said_ms, &before_ms, now_ms);
}

static void
refuse(struct queue *queue, const struct message *m, size_t size)
{
	bool is_share = queue->share && queue_space_used(queue) + size <= queue->max_bytes;

	queue->n_refused++;
	if (is_share && is_time_to_say(&queue->share_said_ms))
		log_warn("the queue is nearly full: messages of %.*s%s%.*s are refused, of which more wait than there is room left",
			SLICE_FMT(m->device_id), m->module_id.len > 0 ? "/" : "", SLICE_FMT(m->module_id));
	if (!is_share && is_time_to_say(&queue->full_said_ms))
		log_error("messages cannot be stored: the queue is full (%llu bytes)", (unsigned long long)queue->max_bytes);
}

/* What becomes of each of its sinks is told by its end there. */
static void
begin_storing(struct queue *queue, struct queue_storing *storing, size_t n)
{
	queue->n_stored++;
	storing->share = queue->share;
	storing->n_left = n;
	storing->why = OK;
	if (storing->share)
		queue_share_add(storing->share, storing->sender, n * storing->size);
}

uint32_t
queue_sender(const struct queue_lane *lane, struct slice device_id, struct slice module_id)
{
	const struct queue_share *share = lane->queue->share;

	return share ? queue_share_sender(share, device_id, module_id) : 0;
}

bool
queue_put(struct queue_lane *lane, const struct message *message, bool is_own, struct queue_storing *storing)
{
	struct queue *queue = lane->queue;
	const struct plan *plan = queue_lane_plan(lane);
	const struct routes_row *taken[ROUTES_MAX];
	size_t n = find_rows(plan->routes, message, is_own, taken);

	if (n == 0)
		return false;
	if (queue->is_stopped) {
		storing->done(storing, UNAVAILABLE);
		return true;
	}
	storing->size = queue_share_size(message);
	if (!queue_space_has(queue, storing->sender, n * storing->size)) {
		refuse(queue, message, n * storing->size);
		storing->done(storing, QUEUE_FULL);
		return true;
	}
	begin_storing(queue, storing, n);
	for (size_t i = 0; i < n; i++)
		store(lane, message, taken[i], storing);
	return true;
}

void
queue_add_lane(struct queue *queue, struct owner *owner)
{
	struct queue_lane *lane = NEW(queue_lane);

	lane->queue = queue;
	lane->owner = owner;
	lane->next = queue->lanes;
	queue->lanes = lane;
	for (size_t i = 0; i < queue->n_levels; i++)
		if (queue->level[i].log)
			message_log_add_lane(queue->level[i].log, owner);
}

struct queue_lane *
queue_lane(const struct queue *queue, const struct owner *owner)
{
	struct queue_lane *lane = queue->lanes;

	while (lane && lane->owner != owner)
		lane = lane->next;
	assert(lane);
	return lane;
}

/* -- Delivering ----------------------------------------------------------------------------------------------------------------------------- */

struct queue_window *
queue_upstream(struct queue *queue)
{
	return queue_sink_find(queue, NULL, NULL)->window;
}

void
queue_watch_inputs(struct queue *queue,
	void (*on_input)(void *arg, const char *module_id, const char *input, struct queue_window *window), void *arg)
{
	queue->on_input = on_input;
	queue->arg = arg;
	for (struct sink *sink = queue->sinks; sink; sink = sink->next)
		if (sink->module_id)
			on_input(arg, sink->module_id, sink->input, sink->window);
}

void
queue_work(struct queue *queue, struct job *job)
{
	bool is_taken = pool_try(queue->worker, job);

	assert(is_taken);
	(void)is_taken;
}

/* -- Its life -------------------------------------------------------------------------------------------------------------------------------- */

static int
open_logs(struct queue *queue, struct err *err)
{
	const struct queue_place upstream = { .priority = ROUTE_LOWEST };
	OWN(routes) routes = routes_default();

	if (!queue_level_get(queue, &upstream, err) || queue_level_reopen_all(queue, err) < 0)
		return -1;
	return queue_set_routes(queue, routes, err);
}

struct queue *
queue_open(const struct queue_config *config, struct err *err)
{
	struct queue *queue = NEW(queue);
	uint64_t segment_bytes = config->max_bytes / SEGMENTS_IN_ALL;

	queue->config = *config;
	queue->state_dir = mem_text(config->state_dir);
	queue->segment_bytes = segment_bytes < SEGMENT_BYTES_MAX ? (size_t)segment_bytes : SEGMENT_BYTES_MAX;
	queue->share = config->when_full == QUEUE_REFUSE ? queue_share_new(config->edge_id) : NULL;
	queue_space_init(queue);
	pthread_mutex_init(&queue->lock, NULL);
	queue->worker = pool_new("queue", 1, JOBS_MAX);
	if (open_logs(queue, err) == 0)
		return queue;
	queue_free(queue);
	return NULL;
}

void
queue_stop(struct queue *queue)
{
	if (!queue)
		return;
	queue->is_stopped = true;
	pool_free(queue->worker);
	queue->worker = NULL;
	for (struct sink *sink = queue->sinks; sink; sink = sink->next)
		queue_window_stop(sink->window);
	for (size_t i = 0; i < queue->n_levels; i++)
		message_log_stop(queue->level[i].log);
}

void
queue_free(struct queue *queue)
{
	if (!queue)
		return;
	timer_cancel(&queue->room);
	pool_free(queue->worker);
	queue_drop_free(queue->drop);
	mem_free(queue->left_dir);
	for (size_t i = 0; i < QUEUE_LOGS_MAX; i++)
		queue_position_free(queue->position[i]);
	for (struct sink *sink = queue->sinks, *next; sink; sink = next) {
		next = sink->next;
		queue_window_free(sink->window);
		mem_free(sink->module_id);
		mem_free(sink->input);
		mem_free(sink);
	}
	for (size_t i = 0; i < queue->n_levels; i++)
		message_log_free(queue->level[i].log);
	for (struct queue_lane *lane = queue->lanes, *next; lane; lane = next) {
		next = lane->next;
		plan_unref(lane->plan);
		mem_free(lane);
	}
	plan_unref(queue->plan);
	queue_share_free(queue->share);
	pthread_mutex_destroy(&queue->lock);
	mem_free(queue->state_dir);
	mem_free(queue);
}

/* -- What there is to tell ----------------------------------------------------------------------------------------------------------------- */

static int64_t
least_ttl_s(const struct routes *routes)
{
	int64_t least = ROUTES_FOR_EVER;

	for (size_t i = 0; i < routes->n; i++)
		if (!routes->row[i].route->module_id && routes->row[i].ttl_s >= 0 && (least < 0 || routes->row[i].ttl_s < least))
			least = routes->row[i].ttl_s;
	return least;
}

void
queue_totals(struct queue *queue, struct queue_totals *out)
{
	uint64_t dropped;

	pthread_mutex_lock(&queue->lock);
	dropped = queue->left_dropped;
	for (size_t i = 0; i < queue->n_levels && !queue->is_stopped; i++)
		if (queue->level[i].is_open)
			dropped += queue_level_dropped(&queue->level[i]);
	*out = (struct queue_totals){
		.bytes = queue->is_stopped ? 0 : queue_space_used(queue),
		.max_bytes = queue->max_bytes,
		.stored = queue->n_stored,
		.refused = queue->n_refused,
		.dropped = dropped,
		.least_ttl_s = queue->plan ? least_ttl_s(queue->plan->routes) : ROUTES_FOR_EVER,
		.drops_oldest = queue->config.when_full == QUEUE_DROP_OLDEST,
	};
	pthread_mutex_unlock(&queue->lock);
}

void
queue_each_log(struct queue *queue, void (*each)(void *arg, const struct queue_log_counts *counts), void *arg)
{
	pthread_mutex_lock(&queue->lock);
	for (size_t i = 0; i < queue->n_levels && !queue->is_stopped; i++) {
		const struct level *level = &queue->level[i];
		struct queue_log_counts counts = {
			.slot = i,
			.priority = level->priority,
		};

		if (!level->is_open)
			continue;
		counts.module_id = level->sink->module_id;
		counts.input = level->sink->input;
		counts.bytes = event_log_bytes(level->records);
		queue_reader_counts(level->reader, &counts.counts);
		each(arg, &counts);
	}
	pthread_mutex_unlock(&queue->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What changes is the plan, which row of the routes goes into which log.  A plan is never changed: lanes keep the one they know and look at a number to see that there is another.
 *
 * A log that the plan does not name any more goes when it is empty.  Lanes may still look at it, or have answers of it on their way to them: so each lane is visited first, to take the plan of now,
 * and once more when the log is closed, before it is freed. */
#include "gateway/queue/queue.h"

#include <assert.h>
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/text.h"
#include "gateway/local/vitals.h"
#include "gateway/queue/queue_log.h"
#include "gateway/queue/queue_place.h"
#include "store/message_log.h"
#include "store/segment.h"

#define SEGMENT_BYTES_MAX (16u << 20)
#define SEGMENTS_IN_ALL 64 /* each log keeps up to one that is done: few beside the whole */
#define ROOM_AGAIN_MS 20
#define SAY_AGAIN_MS 60000
#define YEAR_2020_MS 1577836800000 /* before it a clock has not been set */
/* What is read ahead of what is done. */
#define UPSTREAM_MESSAGES 4096
#define UPSTREAM_BYTES (8u << 20)
#define INPUT_MESSAGES 256
#define INPUT_BYTES (1u << 20)

struct sink {
	char *module_id, *input; /* NULL: upstream */
	struct queue_window *window;
	struct sink *next;
};

struct level {
	atomic_bool is_open; /* false: it is free, or being closed, and nobody looks at the rest but who closes it */
	struct sink *sink;
	struct message_log *log;
	struct event_log *records;
	struct queue_reader *reader;
	int priority;
	size_t index;
};

struct plan {
	struct routes *routes;
	struct level **level; /* of each row */
	_Atomic unsigned refs;
};

struct queue_lane {
	struct queue *queue;
	struct owner *owner;
	struct plan *plan;
	unsigned epoch;
	struct message_lane *to[QUEUE_LOGS_MAX];
	struct post visit;
	struct queue_lane *next;
};

struct queue {
	struct queue_config config;
	char *state_dir;
	size_t segment_bytes;
	struct sink *sinks;
	struct level level[QUEUE_LOGS_MAX];
	_Atomic size_t n_levels;
	struct queue_lane *lanes;
	pthread_mutex_t lock; /* the plan; that a log which is looked at stays open */
	struct plan *plan;
	_Atomic unsigned epoch;
	void (*on_input)(void *arg, const char *module_id, const char *input, struct queue_window *window);
	void *arg;
	struct level *leaving;		       /* the log that is being closed */
	struct queue_counts left, left_before; /* of those that have gone; with the lock */
	atomic_size_t n_visits;
	struct post visited;
	struct post want_room;
	struct timer room;
	struct pool *saver;
	struct job saving;
	struct queue_position *position[QUEUE_LOGS_MAX]; /* of the levels, while they are being saved */
	bool is_saved[QUEUE_LOGS_MAX], is_saving;
	size_t n_unsaid; /* that were dropped */
	int64_t said_ms;
	atomic_bool is_room_wanted, is_stopped, is_full_said;
	_Atomic uint64_t max_bytes, n_stored, n_no_route, n_refused;
};

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

static struct plan *
lane_plan(struct queue_lane *lane)
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

/* -- Sinks and logs ------------------------------------------------------------------------------------------------------------------------- */

static struct sink *
sink_find(const struct queue *queue, const char *module_id, const char *input)
{
	struct sink *sink = queue->sinks;

	while (sink && !(text_is(sink->module_id, module_id) && text_is(sink->input, input)))
		sink = sink->next;
	return sink;
}

static struct sink *
sink_get(struct queue *queue, const char *module_id, const char *input)
{
	struct sink *sink = sink_find(queue, module_id, input);

	if (sink)
		return sink;
	sink = NEW(sink);
	sink->module_id = mem_text(module_id);
	sink->input = mem_text(input);
	sink->window = module_id ? queue_window_new(true, INPUT_MESSAGES, INPUT_BYTES)
				 : queue_window_new(false, UPSTREAM_MESSAGES, UPSTREAM_BYTES);
	sink->next = queue->sinks;
	queue->sinks = sink;
	if (module_id && queue->on_input)
		queue->on_input(queue->arg, sink->module_id, sink->input, sink->window);
	return sink;
}

/* One that is being left is there until it is closed: routes that name it again take it back. */
static bool
is_there(const struct queue *queue, const struct level *level)
{
	return level->is_open || (queue->leaving == level && level->reader);
}

static struct level *
level_find(struct queue *queue, const struct queue_place *place)
{
	for (size_t i = 0; i < queue->n_levels; i++) {
		struct level *level = &queue->level[i];

		if (is_there(queue, level) && level->priority == place->priority &&
			text_is(level->sink->module_id, place->module_id) && text_is(level->sink->input, place->input))
			return level;
	}
	return NULL;
}

/* NULL: there are as many as there may be. */
static struct level *
free_level(struct queue *queue)
{
	for (size_t i = 0; i < QUEUE_LOGS_MAX; i++)
		if (!queue->level[i].log)
			return &queue->level[i];
	return NULL;
}

/* Takes the log, also when it fails. */
static struct level *
level_new(struct queue *queue, const struct queue_place *place, const char *dir, struct message_log *log_take, struct err *err)
{
	struct level *level = free_level(queue);
	struct queue_reader_config config = { .dir = dir, .priority = place->priority, .one_line = place->module_id != NULL };

	level->sink = sink_get(queue, place->module_id, place->input);
	level->priority = place->priority;
	level->index = (size_t)(level - queue->level);
	level->log = log_take;
	level->records = message_log_records(level->log);
	config.log = level->records;
	config.places = queue_window_places(level->sink->window);
	level->reader = queue_reader_open(&config, err);
	if (!level->reader) {
		message_log_free(level->log);
		level->log = NULL;
		return NULL;
	}
	for (struct queue_lane *lane = queue->lanes; lane; lane = lane->next)
		message_log_add_lane(level->log, lane->owner);
	queue_window_add(level->sink->window, level->reader, level->priority, level->records);
	level->is_open = true;
	if (level->index == queue->n_levels)
		queue->n_levels++;
	return level;
}

static struct level *
level_get(struct queue *queue, const struct queue_place *place, struct err *err)
{
	struct level *level = level_find(queue, place);
	OWN_TEXT dir = queue_place_path(place, queue->state_dir);
	struct message_log *log;

	if (level)
		return level;
	if (!free_level(queue))
		return err_null(err, ERR_LIMIT, "routes lead to more than %d inputs and priorities", QUEUE_LOGS_MAX);
	log = queue_log_open(dir, queue->segment_bytes, err);
	return log ? level_new(queue, place, dir, log, err) : NULL;
}

/* -- What was left on the disk ------------------------------------------------------------------------------------------------------------- */

static bool
is_done(const char *dir, struct message_log *log)
{
	struct err ignored = ERR_INIT;
	uint64_t cursor = 0;

	return event_cursor_load(dir, QUEUE_CURSOR, &cursor, &ignored) == 0 && cursor == event_log_next(message_log_records(log));
}

/* What routes once named and nothing is left of goes; if they name it still, it is made again. */
static int
reopen_place(struct queue *queue, const struct queue_place *place, struct err *err)
{
	OWN_TEXT dir = queue_place_path(place, queue->state_dir);
	struct message_log *log;

	if (level_find(queue, place))
		return 0;
	log = queue_log_open(dir, queue->segment_bytes, err);
	if (!log)
		return -1;
	if (is_done(dir, log)) {
		message_log_free(log);
		queue_log_remove(dir);
		return 0;
	}
	if (free_level(queue))
		return level_new(queue, place, dir, log, err) ? 0 : -1;
	message_log_free(log);
	log_error("%s is left for later: there are %d logs already", dir, QUEUE_LOGS_MAX);
	return 0;
}

/* A folder, or what a crash left of one while it was being saved (queue_log.c). */
static int
reopen(struct queue *queue, const char *entry, struct err *err)
{
	static const char saved[] = ".saved";
	size_t len = strlen(entry);
	OWN_TEXT name = mem_textn(entry, text_ends(entry, saved) ? len - strlen(saved) : len);
	struct queue_place place;
	int done;

	if (text_ends(entry, QUEUE_LOG_GONE)) {
		OWN_TEXT path = mem_textf("%s/queues/%s", queue->state_dir, entry);

		queue_log_remove_rest(path);
		return 0;
	}
	if (!queue_place_parse(name, &place))
		return 0;
	done = reopen_place(queue, &place, err);
	queue_place_clear(&place);
	return done;
}

static int
reopen_all(struct queue *queue, struct err *err)
{
	OWN_TEXT path = file_join(queue->state_dir, "queues");
	DIR *dir;
	struct dirent *entry;
	int done = 0;

	if (file_make_dir(path, 0700, err) < 0)
		return -1;
	dir = opendir(path);
	if (!dir)
		return err_errno(err, "cannot read %s", path);
	while (done == 0 && (entry = readdir(dir)))
		done = entry->d_name[0] == '.' ? 0 : reopen(queue, entry->d_name, err);
	closedir(dir);
	return done;
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

		plan->level[i] = level_get(queue, &place, err);
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

/* -- Room -------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t
load(struct queue *queue)
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

	uint64_t bytes = queue->is_stopped ? 0 : load(queue);

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

/* May so much more be kept?  Who drops its oldest does so a moment later, and by then takes what comes. */
static bool
has_room(struct queue *queue, size_t size)
{
	uint64_t after = load(queue) + size;

	if (queue->config.when_full == QUEUE_REFUSE)
		return after <= queue->max_bytes;
	if (after > room_wanted_above(queue) && !atomic_exchange(&queue->is_room_wanted, true))
		loop_post(queue->config.loop, &queue->want_room);
	return after <= queue->max_bytes + queue->max_bytes / 4;
}

static void
refuse(struct queue *queue)
{
	queue->n_refused++;
	if (!atomic_exchange(&queue->is_full_said, true))
		log_error("messages cannot be stored: the queue is full (%llu bytes)", (unsigned long long)queue->max_bytes);
}

/* -- Storing ------------------------------------------------------------------------------------------------------------------------------- */

/* One message for several sinks: acknowledged when the last of them has it. */
struct fan {
	size_t n_left;
	bool failed;
	void (*done)(void *arg, bool ok);
	void *arg;
};

static void
on_fan(void *arg, bool ok)
{
	struct fan *fan = arg;

	fan->failed = fan->failed || !ok;
	if (--fan->n_left > 0)
		return;
	fan->done(fan->arg, !fan->failed);
	mem_free(fan);
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
store(struct queue_lane *lane, const struct message *message, const struct routes_row *row, void (*done)(void *arg, bool ok),
	void *arg)
{
	const struct plan *plan = lane->plan;
	struct message m = *message;

	m.expires_ms = expires(message, row->ttl_s);
	message_lane_store(way_to(lane, plan->level[row - plan->routes->row]), &m, done, arg);
}

static size_t
size_of(const struct message *m)
{
	return m->bag.len + m->payload.len + m->device_id.len + m->module_id.len + m->generation_id.len + SEGMENT_RECORD_LEN + 64;
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

void
queue_put(struct queue_lane *lane, const struct message *message, bool is_own, void (*done)(void *arg, bool ok), void *arg)
{
	struct queue *queue = lane->queue;
	const struct plan *plan = lane_plan(lane);
	const struct routes_row *taken[ROUTES_MAX];
	size_t n = find_rows(plan->routes, message, is_own, taken);
	struct fan *fan;

	if (n == 0) {
		queue->n_no_route += message->source != MESSAGE_TWIN_CHANGE; /* of those most are for nobody */
		done(arg, true);
		return;
	}
	if (queue->is_stopped || !has_room(queue, n * size_of(message))) {
		if (!queue->is_stopped)
			refuse(queue);
		done(arg, false);
		return;
	}
	queue->is_full_said = false;
	queue->n_stored++;
	if (n == 1) {
		store(lane, message, taken[0], done, arg);
		return;
	}
	fan = NEW(fan);
	*fan = (struct fan){ .n_left = n, .done = done, .arg = arg };
	for (size_t i = 0; i < n; i++)
		store(lane, message, taken[i], on_fan, fan);
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
	return sink_find(queue, NULL, NULL)->window;
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

static void
count_in(struct queue_counts *sum, struct level *level)
{
	struct queue_counts counts;

	queue_reader_counts(level->reader, &counts);
	sum->expired += counts.expired;
	sum->given_up += counts.given_up;
	sum->dropped += counts.dropped;
}

/* -- Leaving a log --------------------------------------------------------------------------------------------------------------------------- */

static void
on_visit(struct post *post)
{
	struct queue_lane *lane = CONTAINER_OF(post, struct queue_lane, visit);
	struct queue *queue = lane->queue;

	lane_plan(lane);
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
		queue->left = queue->left_before;
		pthread_mutex_unlock(&queue->lock);
		queue->leaving = NULL;
		return;
	}
	vitals_note_log_left(place.module_id, place.input, place.priority);
	queue_window_remove(level->sink->window, level->priority);
	level->reader = NULL;
	message_log_stop(level->log);
	queue_log_remove(dir);
	visit_lanes(queue, on_left);
}

/* One at a time. */
static void
leave_drained(struct queue *queue)
{
	for (size_t i = 0; i < queue->n_levels && !queue->leaving && !queue->is_stopped; i++) {
		struct level *level = &queue->level[i];

		if (!level->is_open || !may_leave(queue, level))
			continue;
		if (!queue->lanes)
			return;
		queue->leaving = level;
		pthread_mutex_lock(&queue->lock);
		level->is_open = false;
		queue->left_before = queue->left;
		count_in(&queue->left, level);
		pthread_mutex_unlock(&queue->lock);
		visit_lanes(queue, on_forsaken);
	}
}

/* -- Positions -------------------------------------------------------------------------------------------------------------------------------- */

/* On a thread of its own, however long the disk takes. */
static void
run_saving(struct job *job)
{
	struct queue *queue = CONTAINER_OF(job, struct queue, saving);

	for (size_t i = 0; i < QUEUE_LOGS_MAX; i++) {
		struct err err = ERR_INIT;

		queue->is_saved[i] = queue->position[i] && queue_position_save(queue->position[i], &err) == 0;
		if (err.kind != ERR_NONE)
			log_error("%s", err.text);
	}
}

static void
on_saved(struct job *job)
{
	struct queue *queue = CONTAINER_OF(job, struct queue, saving);

	for (size_t i = 0; i < QUEUE_LOGS_MAX; i++) {
		if (queue->position[i] && !queue->is_stopped)
			queue_reader_saved(queue->level[i].reader, queue->position[i], queue->is_saved[i]);
		queue_position_free(queue->position[i]);
		queue->position[i] = NULL;
	}
	queue->is_saving = false;
	leave_drained(queue);
}

/* A log is only left while none is being saved: nobody writes into a folder that goes. */
void
queue_save(struct queue *queue)
{
	size_t n = 0;

	if (queue->is_saving || queue->is_stopped)
		return;
	for (size_t i = 0; i < queue->n_levels; i++) {
		queue->position[i] = queue->level[i].is_open ? queue_reader_position(queue->level[i].reader) : NULL;
		n += queue->position[i] != NULL;
	}
	if (n == 0) {
		leave_drained(queue);
		return;
	}
	queue->saving = (struct job){ .run = run_saving, .done = on_saved, .owner = loop_owner(queue->config.loop) };
	queue->is_saving = pool_try(queue->saver, &queue->saving);
	assert(queue->is_saving);
}

/* -- Its life -------------------------------------------------------------------------------------------------------------------------------- */

static int
open_logs(struct queue *queue, struct err *err)
{
	const struct queue_place upstream = { .priority = ROUTE_LOWEST };
	OWN(routes) routes = routes_default();

	if (!level_get(queue, &upstream, err) || reopen_all(queue, err) < 0)
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
	queue->want_room.run = on_want_room;
	timer_init(&queue->room, config->loop, on_room);
	pthread_mutex_init(&queue->lock, NULL);
	queue->saver = pool_new("positions", 1, 1);
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
	pool_free(queue->saver);
	queue->saver = NULL;
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
	pool_free(queue->saver);
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
	pthread_mutex_destroy(&queue->lock);
	mem_free(queue->state_dir);
	mem_free(queue);
}

/* -- What there is to tell ----------------------------------------------------------------------------------------------------------------- */

void
queue_totals(struct queue *queue, struct queue_totals *out)
{
	struct queue_counts sum;

	pthread_mutex_lock(&queue->lock);
	sum = queue->left;
	for (size_t i = 0; i < queue->n_levels && !queue->is_stopped; i++)
		if (queue->level[i].is_open)
			count_in(&sum, &queue->level[i]);
	*out = (struct queue_totals){
		.bytes = queue->is_stopped ? 0 : load(queue),
		.max_bytes = queue->max_bytes,
		.stored = queue->n_stored,
		.no_route = queue->n_no_route,
		.refused = queue->n_refused,
		.expired = sum.expired,
		.given_up = sum.given_up,
		.dropped = sum.dropped,
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

/* SPDX-License-Identifier: Apache-2.0 */
/* The queues of commands (command_queue.h).  What a call finds dead on its way ends in its transaction as well, with the feedback about it.  A sweep does the same
 * for queues that nobody asks. */
#include "hub/commands/command_queue.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "hub/commands/command_store.h"
#include "hub/commands/feedback.h"

#define SWEEP_MS (10 * 1000)
#define SWEEP_MAX 1000	    /* of one transaction */
#define BAG_MAX (60 * 1024) /* a topic has 64 KB, also of the longest names */

struct command_queue {
	struct registry *registry;
	void (*ready)(void *arg, const char *device_id, const char *module_id);
	void *ready_arg;
	struct loop *loop;
	struct timer timer;
	struct job job; /* the sweep */
	bool is_sweeping;
	pthread_mutex_t lock; /* for the counts */
	struct map *counts;   /* by the identity's name; those that are not 0 */
};

struct count {
	int64_t n;
};

static struct registry_store *
store_of(struct command_queue *queue)
{
	return registry_store_of(queue->registry);
}

/* -- The counts --------------------------------------------------------------------------------------------------------------------------- */

static void
count(struct command_queue *queue, const char *device_id, const char *module_id, int64_t by)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	struct count *count;

	if (by == 0)
		return;
	pthread_mutex_lock(&queue->lock);
	count = map_find_text(queue->counts, name);
	if (!count) {
		count = NEW(count);
		map_put_text(queue->counts, name, count);
	}
	count->n += by;
	if (count->n <= 0)
		mem_free(map_remove_text(queue->counts, name));
	pthread_mutex_unlock(&queue->lock);
}

size_t
command_queue_count(struct command_queue *queue, const char *device_id, const char *module_id)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	struct count *count;
	size_t n;

	pthread_mutex_lock(&queue->lock);
	count = map_find_text(queue->counts, name);
	n = count ? (size_t)count->n : 0;
	pthread_mutex_unlock(&queue->lock);
	return n;
}

void
command_queue_forget(struct command_queue *queue, const char *device_id, const char *module_id)
{
	OWN_TEXT name = identity_name(device_id, module_id);

	pthread_mutex_lock(&queue->lock);
	mem_free(map_remove_text(queue->counts, name));
	pthread_mutex_unlock(&queue->lock);
}

/* -- Those that have ended -------------------------------------------------------------------------------------------------------------- */

struct dead {
	int64_t sequence;
	enum command_end end;
	enum command_ack ack;
	char *device_id, *module_id, *message_id;
};

struct dead_list {
	struct dead *item;
	size_t n, cap;
	int64_t now_ms;
};

static void
dead_list_clear(struct dead_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		mem_free(list->item[i].device_id);
		mem_free(list->item[i].module_id);
		mem_free(list->item[i].message_id);
	}
	mem_free(list->item);
}

static void
note_dead(struct dead_list *list, const struct command *c, enum command_end end)
{
	if (list->n == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 8;
		list->item = mem_resize(list->item, list->cap * sizeof(*list->item));
	}
	list->item[list->n++] = (struct dead){
		.sequence = c->sequence,
		.end = end,
		.ack = c->ack,
		.device_id = slice_text(c->device_id),
		.module_id = c->module_id.len > 0 ? slice_text(c->module_id) : NULL,
		.message_id = slice_text(c->message_id),
	};
}

static int
report(struct command_queue *queue, const struct dead *dead, int64_t now_ms, struct err *err)
{
	OWN(identity) identity = NULL;
	struct feedback_record record = {
		.message_id = dead->message_id, .device_id = dead->device_id, .end = dead->end, .ended_ms = now_ms
	};

	if (!command_is_reported(dead->ack, dead->end))
		return 0;
	identity = registry_find(queue->registry, dead->device_id, dead->module_id);
	record.generation_id = identity ? identity->generation_id : "";
	return feedback_store_put(store_of(queue), &record, err);
}

static int
bury(struct command_queue *queue, const struct dead_list *list, struct err *err)
{
	for (size_t i = 0; i < list->n; i++)
		if (command_store_remove(store_of(queue), list->item[i].sequence, err) < 0 ||
			report(queue, &list->item[i], list->now_ms, err) < 0)
			return -1;
	return 0;
}

/* -- Adding ------------------------------------------------------------------------------------------------------------------------------- */

/* What a call changes in the counts. */
struct work {
	struct command_call *call;
	struct dead_list dead;
	int64_t n_added;
	bool is_ready; /* there is something new to hand out */
};

static enum command_answer
failed(int done)
{
	return done < 0 ? COMMAND_FAILED : COMMAND_OK;
}

static bool
note_if_dead(void *arg, const struct command *c, const char *lock_token)
{
	struct dead_list *list = arg;
	enum command_end end = command_judge(c, list->now_ms);

	(void)lock_token;
	if (end != COMMAND_LIVES)
		note_dead(list, c, end);
	return list->n < SWEEP_MAX;
}

/* Room is what is left when those are gone that have ended. */
static enum command_answer
make_room(struct command_queue *queue, struct work *work)
{
	struct command_call *call = work->call;

	if (command_queue_count(queue, call->device_id, call->module_id) < COMMAND_PENDING_MAX)
		return COMMAND_OK;
	if (command_store_pending(store_of(queue), call->device_id, call->module_id, note_if_dead, &work->dead, &call->err) < 0)
		return COMMAND_FAILED;
	return work->dead.n > 0 ? COMMAND_OK : COMMAND_QUEUE_FULL;
}

static enum command_answer
check_identity(struct command_queue *queue, struct command_call *call)
{
	OWN(identity) device = registry_find(queue->registry, call->device_id, NULL);
	OWN(identity) module = call->module_id ? registry_find(queue->registry, call->device_id, call->module_id) : NULL;

	if (!device)
		return COMMAND_NO_DEVICE;
	return call->module_id && !module ? COMMAND_NO_MODULE : COMMAND_OK;
}

/* It was not deleted, and perhaps made again, since it asked. */
static bool
is_same(struct command_queue *queue, const struct command_call *call)
{
	OWN(identity) now = call->generation_id ? registry_find(queue->registry, call->device_id, call->module_id) : NULL;

	return !call->generation_id || (now && text_is(now->generation_id, call->generation_id));
}

/* What its sender gave counts, and its topic must be one. */
static enum command_answer
check_size(const struct command *c)
{
	CLEAR(buf) bag = BUF_INIT(BAG_MAX);
	size_t size = c->payload.len + c->properties.len + c->message_id.len + c->correlation_id.len + c->user_id.len +
		      c->content_type.len + c->content_encoding.len;

	command_put_bag(&bag, c);
	return bag.failed || size > COMMAND_SIZE_MAX ? COMMAND_TOO_LARGE : COMMAND_OK;
}

static enum command_answer
add(struct command_queue *queue, struct work *work)
{
	struct command_call *call = work->call;
	struct command *c = &call->command;
	enum command_answer answer = check_identity(queue, call);

	if (answer != COMMAND_OK)
		return answer;
	c->device_id = slice_of(call->device_id);
	c->module_id = slice_of(call->module_id ? call->module_id : "");
	c->enqueued_ms = work->dead.now_ms;
	c->has_expiry = c->expires_ms != 0;
	if (!command_expiry(c->expires_ms, c->enqueued_ms, &c->expires_ms))
		return COMMAND_BAD_EXPIRY;
	answer = check_size(c);
	if (answer == COMMAND_OK)
		answer = make_room(queue, work);
	if (answer != COMMAND_OK)
		return answer;
	work->n_added = 1;
	work->is_ready = true;
	return failed(command_store_add(store_of(queue), c, &call->sequence, &call->err));
}

/* -- Handing out --------------------------------------------------------------------------------------------------------------------------- */

static void
parcel_clear(struct command_parcel *parcel)
{
	mem_free(parcel->lock_token);
	mem_free(parcel->bag);
	mem_free(parcel->payload);
}

static void
pack(struct command_call *call, const struct command *c)
{
	struct buf bag = BUF_INIT(BAG_MAX);
	char token[RANDOM_UUID_LEN];

	if (!call->parcels)
		call->parcels = mem_array(call->max, sizeof(*call->parcels));
	command_put_bag(&bag, c);
	call->parcels[call->n_parcels++] = (struct command_parcel){
		.sequence = c->sequence,
		.enqueued_ms = c->enqueued_ms,
		.expires_ms = c->has_expiry ? c->expires_ms : 0,
		.n_deliveries = c->n_deliveries + 1,
		.lock_token = call->is_session ? NULL : mem_text(random_uuid(token)),
		.bag = buf_take_text(&bag),
		.payload = mem_dup(c->payload.text, c->payload.len),
		.len = c->payload.len,
	};
}

static bool
take_row(void *arg, const struct command *c, const char *lock_token)
{
	struct work *work = arg;
	struct command_call *call = work->call;
	enum command_end end = command_judge(c, work->dead.now_ms);

	(void)lock_token;
	if (command_is_locked(c, work->dead.now_ms)) {
		if (call->next_ms == 0 || c->locked_until_ms < call->next_ms)
			call->next_ms = c->locked_until_ms;
	} else if (end != COMMAND_LIVES) {
		note_dead(&work->dead, c, end);
	} else {
		pack(call, c);
	}
	return call->n_parcels < call->max;
}

static enum command_answer
take(struct command_queue *queue, struct work *work)
{
	struct registry_store *store = store_of(queue);
	struct command_call *call = work->call;
	int64_t until_ms = work->dead.now_ms + COMMAND_LOCK_MS;

	if (!is_same(queue, call))
		return COMMAND_NO_DEVICE;
	if (call->is_first && command_store_release(store, call->device_id, call->module_id, &call->err) < 0)
		return COMMAND_FAILED;
	if (command_store_pending(store, call->device_id, call->module_id, take_row, work, &call->err) < 0)
		return COMMAND_FAILED;
	for (size_t i = 0; i < call->n_parcels; i++)
		if (command_store_lock(store, call->parcels[i].sequence, call->parcels[i].lock_token, until_ms, &call->err) < 0)
			return COMMAND_FAILED;
	return COMMAND_OK;
}

/* -- Settling ------------------------------------------------------------------------------------------------------------------------------- */

/* What is to be settled. */
struct target {
	struct work *work;
	int64_t sequence; /* 0: it is not there, or not theirs any more */
};

static bool
settle_row(void *arg, const struct command *c, const char *lock_token)
{
	static const enum command_end ends[] = { [COMMAND_COMPLETE] = COMMAND_SUCCESS, [COMMAND_REJECT] = COMMAND_REJECTED };
	struct target *target = arg;
	struct command_call *call = target->work->call;

	/* Who has it by a token has it as long as the lock; a session's device has it, however late it says so. */
	if (call->lock_token ? !command_is_locked(c, target->work->dead.now_ms) : lock_token != NULL)
		return false;
	if (call->n_deliveries > 0 && call->n_deliveries != c->n_deliveries)
		return false;
	target->sequence = c->sequence;
	if (call->outcome == COMMAND_COMPLETE || call->outcome == COMMAND_REJECT)
		note_dead(&target->work->dead, c, ends[call->outcome]);
	return false;
}

static enum command_answer
settle(struct command_queue *queue, struct work *work)
{
	struct command_call *call = work->call;
	struct target target = { .work = work };

	if (!is_same(queue, call))
		return COMMAND_LOCK_LOST;
	if (command_store_find(store_of(queue), call->device_id, call->module_id, call->lock_token, call->sequence, settle_row,
		    &target, &call->err) < 0)
		return COMMAND_FAILED;
	if (target.sequence == 0)
		return COMMAND_LOCK_LOST;
	if (work->dead.n > 0)
		return COMMAND_OK; /* buried with what else has ended */
	work->is_ready = true;
	return failed(command_store_unlock(store_of(queue), target.sequence, call->outcome == COMMAND_UNSENT, &call->err));
}

/* -- Purging --------------------------------------------------------------------------------------------------------------------------------- */

static bool
purge_row(void *arg, const struct command *c, const char *lock_token)
{
	struct work *work = arg;

	(void)lock_token;
	note_dead(&work->dead, c, COMMAND_PURGED);
	return true;
}

static enum command_answer
purge(struct command_queue *queue, struct work *work)
{
	struct command_call *call = work->call;
	enum command_answer answer = check_identity(queue, call);

	if (answer != COMMAND_OK)
		return answer;
	if (command_store_pending(store_of(queue), call->device_id, call->module_id, purge_row, work, &call->err) < 0)
		return COMMAND_FAILED;
	call->n_purged = (int64_t)work->dead.n;
	return COMMAND_OK;
}

/* -- A transaction --------------------------------------------------------------------------------------------------------------------------- */

static void
count_all(struct command_queue *queue, const struct dead_list *dead, int64_t by)
{
	for (size_t i = 0; i < dead->n; i++)
		count(queue, dead->item[i].device_id, dead->item[i].module_id, by);
}

static void
drop_parcels(struct command_call *call)
{
	for (size_t i = 0; i < call->n_parcels; i++)
		parcel_clear(&call->parcels[i]);
	mem_free(call->parcels);
	call->parcels = NULL;
	call->n_parcels = 0;
}

/* The counts hold what the transaction has so far: the next step in it may be about the same queue. */
static void
count_work(struct command_queue *queue, const struct work *work, int64_t sign)
{
	const struct command_call *call = work->call;

	count(queue, call->device_id, call->module_id, sign * work->n_added);
	count_all(queue, &work->dead, -sign);
}

static enum command_answer
transact(struct command_queue *queue, struct work *work)
{
	static enum command_answer (*const ops[])(struct command_queue * queue, struct work * work) = {
		[COMMAND_ADD] = add,
		[COMMAND_TAKE] = take,
		[COMMAND_SETTLE] = settle,
		[COMMAND_PURGE] = purge,
	};
	struct command_call *call = work->call;
	enum command_answer answer;

	if (registry_store_begin(store_of(queue), &call->err) < 0)
		return COMMAND_FAILED;
	answer = ops[call->op](queue, work);
	if (answer == COMMAND_OK && bury(queue, &work->dead, &call->err) < 0)
		answer = COMMAND_FAILED;
	if (registry_store_end(store_of(queue), answer == COMMAND_OK ? 0 : -1, &call->err) < 0 && answer == COMMAND_OK)
		answer = COMMAND_FAILED;
	return answer;
}

static void
work_free(struct work *work)
{
	dead_list_clear(&work->dead);
	mem_free(work);
}

static void
run_step(struct registry_step *step)
{
	struct command_call *call = CONTAINER_OF(step, struct command_call, step);

	call->work = NEW(work);
	call->work->call = call;
	call->work->dead.now_ms = clock_wall_ms();
	call->answer = transact(call->queue, call->work);
	if (call->answer == COMMAND_OK)
		count_work(call->queue, call->work, 1);
}

static void
publish(struct command_queue *queue, const struct command_call *call)
{
	if (call->work->is_ready && queue->ready)
		queue->ready(queue->ready_arg, call->device_id, call->module_id);
}

static void
undo(struct command_queue *queue, struct command_call *call, const struct err *problem)
{
	if (call->work && call->answer == COMMAND_OK)
		count_work(queue, call->work, -1);
	call->answer = COMMAND_FAILED;
	call->err = *problem;
}

static void
settle_step(struct registry_step *step, const struct err *problem)
{
	struct command_call *call = CONTAINER_OF(step, struct command_call, step);

	if (problem)
		undo(call->queue, call, problem);
	if (call->answer == COMMAND_OK)
		publish(call->queue, call);
	else
		drop_parcels(call);
	if (call->answer == COMMAND_FAILED)
		log_error("commands: %s", call->err.text);
	if (call->work)
		work_free(call->work);
	call->work = NULL;
}

/* -- Calls ------------------------------------------------------------------------------------------------------------------------------------- */

static void
step_done(struct registry_step *step)
{
	struct command_call *call = CONTAINER_OF(step, struct command_call, step);

	call->done(call);
}

static struct registry_step *
step_of(struct command_queue *queue, struct command_call *call)
{
	call->queue = queue;
	call->step = (struct registry_step){ .run = run_step, .settle = settle_step, .done = step_done };
	return &call->step;
}

bool
command_queue_submit(struct command_queue *queue, struct command_call *call, struct owner *owner)
{
	return registry_step(queue->registry, step_of(queue, call), owner);
}

void
command_queue_run(struct command_queue *queue, struct command_call *call)
{
	registry_step_now(queue->registry, step_of(queue, call));
}

void
command_call_clear(struct command_call *call)
{
	drop_parcels(call);
	mem_free(call->device_id);
	mem_free(call->module_id);
	mem_free(call->lock_token);
	mem_free(call->generation_id);
	*call = (struct command_call){ 0 };
}

/* -- The sweep --------------------------------------------------------------------------------------------------------------------------------- */

static int
sweep(struct command_queue *queue, struct dead_list *dead, struct err *err)
{
	struct registry_store *store = store_of(queue);
	int done = 0;

	if (registry_store_begin(store, err) < 0)
		return -1;
	if (command_store_overdue(store, dead->now_ms, note_if_dead, dead, err) < 0 || bury(queue, dead, err) < 0 ||
		feedback_store_trim(store, dead->now_ms, err) < 0)
		done = -1;
	return registry_store_end(store, done, err);
}

void
command_queue_sweep(struct command_queue *queue)
{
	struct dead_list dead = { .now_ms = clock_wall_ms() };
	struct err err = ERR_INIT;

	if (sweep(queue, &dead, &err) < 0)
		log_error("commands: %s", err.text);
	else
		count_all(queue, &dead, -1);
	dead_list_clear(&dead);
}

static void
run_sweep(struct job *job)
{
	command_queue_sweep(CONTAINER_OF(job, struct command_queue, job));
}

static void
sweep_done(struct job *job)
{
	CONTAINER_OF(job, struct command_queue, job)->is_sweeping = false;
}

/* Often, because the wall clock can be set while we wait. */
static void
on_timer(struct timer *timer)
{
	struct command_queue *queue = CONTAINER_OF(timer, struct command_queue, timer);

	timer_arm(timer, SWEEP_MS);
	if (queue->is_sweeping)
		return;
	queue->job = (struct job){ .run = run_sweep, .done = sweep_done, .owner = loop_owner(queue->loop) };
	queue->is_sweeping = registry_work(queue->registry, &queue->job);
}

void
command_queue_start(struct command_queue *queue, struct loop *loop)
{
	queue->loop = loop;
	timer_init(&queue->timer, loop, on_timer);
	timer_arm(&queue->timer, SWEEP_MS);
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------------- */

static void
load_count(void *arg, const char *device_id, const char *module_id, int64_t n)
{
	count(arg, device_id, module_id, n);
}

struct command_queue *
command_queue_open(struct registry *registry, struct err *err)
{
	struct command_queue *queue = NEW(command_queue);

	queue->registry = registry;
	queue->counts = map_new();
	pthread_mutex_init(&queue->lock, NULL);
	if (command_store_queues(registry_store_of(registry), load_count, queue, err) == 0)
		return queue;
	command_queue_close(queue);
	return NULL;
}

void
command_queue_watch(struct command_queue *queue, void (*ready)(void *arg, const char *device_id, const char *module_id), void *arg)
{
	queue->ready = ready;
	queue->ready_arg = arg;
}

void
command_queue_close(struct command_queue *queue)
{
	size_t at = 0;
	void *value;

	if (!queue)
		return;
	while (map_next(queue->counts, &at, NULL, NULL, &value))
		mem_free(value);
	map_free(queue->counts);
	pthread_mutex_destroy(&queue->lock);
	mem_free(queue);
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside the queue: queue.c has its plan and what is stored, queue_level.c its logs, queue_space.c the room that there is for all of them, queue_save.c how far they are on the disk, queue_leave.c a log that
 * goes.  What is not said to be any thread's is the loop's. */

#include <pthread.h>
#include <stdatomic.h>

#include "base/pool.h"
#include "gateway/queue/queue.h"
#include "gateway/queue/queue_place.h"
#include "gateway/queue/queue_share.h"
#include "net/loop.h"
#include "store/message_log.h"

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
	struct level *leaving;		  /* the log that is being closed */
	struct queue_reader *left_reader; /* its */
	char *left_dir;			  /* its, as it is called while it is removed */
	struct job removing;
	uint64_t left_dropped, left_dropped_before; /* by those that have gone; with the lock */
	atomic_size_t n_visits;
	struct post visited;
	struct queue_share *share; /* of who refuses when it is full; else NULL */
	_Atomic int64_t share_said_ms, full_said_ms;
	struct post want_room;
	struct timer room;
	struct level *dropping; /* the log that gives up its oldest */
	struct queue_drop *drop;
	struct job counting, looking;
	uint64_t disk_free;
	bool is_making_room, is_making_disk, is_looking;
	struct pool *worker; /* for what waits for the disk; each kind of job is there once */
	struct job saving;
	struct queue_position *position[QUEUE_LOGS_MAX]; /* of the levels, while they are being saved */
	bool is_saved[QUEUE_LOGS_MAX], is_saving;
	size_t n_unsaid; /* that were dropped */
	int64_t said_ms;
	atomic_bool is_room_wanted, is_stopped;
	_Atomic uint64_t max_bytes, n_stored, n_refused;
};

void queue_work(struct queue *queue, struct job *job);
struct plan *queue_lane_plan(struct queue_lane *lane); /* the plan of now; on the lane's thread */

struct sink *queue_sink_find(const struct queue *queue, const char *module_id, const char *input);
/* There is one from now on; NULL: there are as many as there may be, or it can't be made. */
struct level *queue_level_get(struct queue *queue, const struct queue_place *place, struct err *err);
int queue_level_reopen_all(struct queue *queue, struct err *err); /* what was left on the disk */
uint64_t queue_level_dropped(const struct level *level);

void queue_space_init(struct queue *queue);
uint64_t queue_space_used(
	struct queue *queue); /* on the loop and the lanes, which are visited before a log goes; any other thread: with the lock */
/* May so much more be kept, of this sender (queue_share.h)?  Who drops its oldest does so a moment later, and by then takes what comes.  On a lane. */
bool queue_space_has(struct queue *queue, uint32_t sender, size_t size);
void queue_space_look(struct queue *queue); /* now and then: is it the disk that has none? */

void queue_leave_drained(struct queue *queue); /* the next log that no route names any more and nothing is left of goes */

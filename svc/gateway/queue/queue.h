/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What devices and modules send, kept until it is delivered: in a log for each sink that its routes name, and each priority there.  A message is acknowledged when it is on the disk
 * for all of its sinks.  What no route takes is for nobody.
 *
 * All of it together takes no more of the disk than it may: beyond that new messages are refused, or the oldest are dropped (those of the lowest priority first), as it was asked for.
 *
 * Storing goes on the loops of connections, by a lane for each; everything else is on the one loop that was given, or happens before that runs. */

#include "base/post.h"
#include "diag/reason.h"
#include "gateway/queue/queue_window.h"
#include "gateway/routes/routes.h"
#include "store/message.h"

#define QUEUE_LOGS_MAX 64 /* at a time: one that no route names any more goes when it is empty */

enum queue_when_full { QUEUE_REFUSE, QUEUE_DROP_OLDEST };

struct queue_share;
struct queue_config {
	const char *state_dir;
	const char *edge_id; /* the device that the gateway is */
	uint64_t max_bytes;
	enum queue_when_full when_full;
	struct loop *loop;
};
struct queue;
struct queue *queue_open(const struct queue_config *config, struct err *err); /* with the default route */
void queue_stop(struct queue *queue);					      /* completes what was given, takes nothing more */
void queue_free(struct queue *queue);					      /* after the loops are finished */

/* From now on; -1 leaves what was.  Blocks a moment when it names a sink for the first time. */
int queue_set_routes(struct queue *queue, struct routes *routes, struct err *err);

/* -- Storing ------------------------------------------------------------------------------------------------------------------------- */
struct queue_lane;
void queue_add_lane(struct queue *queue, struct owner *owner);			     /* all before the first is asked for */
struct queue_lane *queue_lane(const struct queue *queue, const struct owner *owner); /* any thread */
/* A message on its way to the disk, embedded in what waits for that. */
struct queue_storing {
	/* On the lane's owner, perhaps at once: it is there for all of its sinks (OK), there was no room for it (QUEUE_FULL), or it could not be stored (UNAVAILABLE). */
	void (*done)(struct queue_storing *storing, enum reason why);
	uint32_t sender; /* queue_sender() */
	/* The queue's. */
	struct queue_share *share; /* NULL: it is not counted */
	size_t size;		   /* as it counts, of each sink */
	size_t n_left;		   /* sinks that it is not stored for yet */
	enum reason why;
};
/* Whose it counts as, of a queue that refuses when it is full (queue_share.h): asked once for many.  module_id empty: a device. */
uint32_t queue_sender(const struct queue_lane *lane, struct slice device_id, struct slice module_id);
/* false: no route takes it, and nothing was done.  is_own: from a module of the gateway's own device.  On the lane's thread; what the message borrows is copied. */
bool queue_put(struct queue_lane *lane, const struct message *message, bool is_own, struct queue_storing *storing);

/* -- Delivering ---------------------------------------------------------------------------------------------------------------------- */
struct queue_window *queue_upstream(struct queue *queue);
/* Calls back for each input that there is, and for each that comes with other routes. */
void queue_watch_inputs(struct queue *queue,
	void (*on_input)(void *arg, const char *module_id, const char *input, struct queue_window *window), void *arg);
void queue_save(struct queue
		*queue); /* now and then: positions; a moment later the room that they free, and logs that are left and empty */

/* -- What there is to tell, on any thread ---------------------------------------------------------------------------------------------- */
struct queue_totals {
	uint64_t bytes, max_bytes, stored, refused; /* refused: because it was full */
	uint64_t dropped;			    /* of all logs, also of those that have gone */
	int64_t least_ttl_s;			    /* the shortest time to live on the way to the hub, or ROUTES_FOR_EVER */
	bool drops_oldest;			    /* when it is full */
};
void queue_totals(struct queue *queue, struct queue_totals *out);
struct queue_log_counts {
	const char *module_id, *input; /* NULL: upstream */
	size_t slot;		       /* below QUEUE_LOGS_MAX; its own for as long as it is there */
	int priority;
	uint64_t bytes;
	struct queue_counts counts;
};
void queue_each_log(struct queue *queue, void (*each)(void *arg, const struct queue_log_counts *counts), void *arg);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Store and forward: what is in the queue goes to the hub, in order for each device, and is forgotten only when the hub has acknowledged it.  Lives on one loop
 * of its own. */

#include "base/pool.h"
#include "gateway/scope/scope.h"
#include "net/loop.h"
#include "store/event_log.h"

struct forward;

struct forward_config {
	struct loop *loop;
	struct pool *workers; /* for what blocks: signatures, questions to the hub */
	struct event_log *queue;
	const char *queue_dir;
	struct upstream *upstream;
	struct scope *scope;
	void (*on_hub_reached)(void *arg); /* on the loop, when the hub acknowledges again after it was away */
	void (*on_damage)(void *arg);	   /* on the loop: the queue is damaged, nothing comes after this (it was logged) */
	void *arg;
};

struct forward *forward_open(const struct forward_config *config, struct err *err);
/* Begin nothing new: once the loop no longer runs, before the workers are stopped. */
void forward_stop(struct forward *forward);
/* After the workers have stopped and the loop is finished, before it is freed. */
void forward_close(struct forward *forward);

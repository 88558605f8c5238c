/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The rotations that are under way (thumbprint_rotation.h): kept over restarts, promoted by connections, retired by the wall clock, each step in the log as the event
 * "rotation" with its reason.  A step writes the machine's state and the record one after the other; a stop between the two is understood at the next look, because the record
 * says which steps are done. */

#include "hub/registry/registry.h"
#include "hub/registry/thumbprint_rotation.h"
#include "net/loop.h"

struct rotation_keeper;
/* The clock runs on `loop`. */
struct rotation_keeper *rotation_keeper_open(struct registry *registry, struct loop *loop, int64_t grace_s, struct err *err);
void rotation_keeper_start(struct rotation_keeper *keeper); /* on the thread of its loop, or before it runs */
void rotation_keeper_close(struct rotation_keeper *keeper);

/* The identity was let in by this thumbprint.  Any thread; nothing waits. */
void rotation_keeper_connected(struct rotation_keeper *keeper, const struct identity *identity, const char *thumbprint);
/* What is under way for it, or NULL; a copy, the caller's. */
struct rotation *rotation_keeper_find(struct rotation_keeper *keeper, const struct identity *identity);

size_t rotation_keeper_count(const struct rotation_keeper *keeper); /* that are under way */

/* An offer; done() is called on the owner it was submitted for. */
struct rotation_call {
	/* The question; owned. */
	char *device_id, *module_id, *thumbprint;
	bool renews;	   /* rotation_renew */
	bool may_be_first; /* rotation_may_begin: it is known by this one from now on */
	/* The answer. */
	bool is_unknown; /* no such identity */
	enum rotation_answer answer;
	struct err err; /* kind is not ERR_NONE: the database */
	bool failed;
	void (*done)(struct rotation_call *call);
	struct rotation_keeper *keeper;
	struct job job;
};
bool rotation_keeper_offer(
	struct rotation_keeper *keeper, struct rotation_call *call, struct owner *owner); /* false: too much waits */
void rotation_call_clear(struct rotation_call *call);
/* The steps at once, on this thread: for the worker and for tests. */
void rotation_keeper_run_offer(struct rotation_keeper *keeper, struct rotation_call *call);
void rotation_keeper_run_promotion(struct rotation_keeper *keeper, const char *device_id, const char *module_id);
void rotation_keeper_run_retirements(struct rotation_keeper *keeper);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Twins of the hub's devices and modules (hub 1.9, 4.5): they are read and changed by calls, one after the other on the registry's worker, and a change is
 * durable before it is answered.  Who watches is told of each change after that, in the order of the versions. */

#include "auth/identity.h"
#include "base/pool.h"
#include "hub/registry/registry.h"
#include "wire/twin_doc.h"

struct twins;
struct twins *twins_new(struct registry *registry); /* borrowed */
void twins_free(struct twins *twins);		    /* after the worker */

/* A change that has happened; all borrowed. */
struct twin_event {
	const struct identity *identity;
	const struct twin *before, *after;
	const struct twin_change *change; /* what was asked for; of reported properties it is the device's */
};
/* On the worker, in turn, and before the call that did it is answered.  What model a device is, is no news.  Set before the hub serves. */
#define TWIN_WATCHERS_MAX 4
void twins_watch(struct twins *twins, void (*changed)(void *arg, const struct twin_event *event), void *arg);
/* The same within the transaction of the change, which is undone where this fails: for who writes it down.  There is one. */
void twins_record(struct twins *twins, int (*record)(void *arg, const struct twin_event *event, struct err *err), void *arg);
/* What the change wrote, for who logs it: {"version", "tags", "properties": {"desired", "reported"}}, each where it was written, with its $metadata and $version; after a
 * replacement, the whole section. */
json_t *twin_event_json(const struct twin_event *event);

enum twin_answer {
	TWIN_OK,
	TWIN_NO_DEVICE,
	TWIN_NO_MODULE,
	TWIN_GONE, /* the identity that asked was deleted, and perhaps made again */
	TWIN_WRONG_ETAG,
	TWIN_WRONG_VERSION,
	TWIN_INVALID,
	TWIN_TOO_LARGE,
	TWIN_FAILED,
	TWIN_ANSWER_COUNT,
};

/* -- Calls ------------------------------------------------------------------------------------------------------------------------ */
struct twin_call {
	/* The question; owned.  It is read where nothing is to be changed. */
	char *device_id, *module_id;	   /* module_id NULL: the device's own */
	char *generation_id;		   /* when the device itself asks: it must still be that one */
	json_t *tags, *desired, *reported; /* NULL: left alone */
	char *model_id;			   /* NULL: left alone */
	bool replace;
	char *if_match;	    /* NULL and "*": whatever is there; else its etag */
	int64_t if_version; /* of reported; 0: whatever is there */

	/* The answer. */
	enum twin_answer answer;
	struct err err; /* the sentence, unless TWIN_OK */
	struct identity *identity;
	struct twin *twin; /* as it is now */

	void (*done)(struct twin_call *call); /* on the owner it was submitted for */
	struct twins *twins;
	struct twin *before; /* NULL: nothing was changed */
	struct registry_step step;
};
void twin_call_clear(struct twin_call *call);
/* false: too much waits already. */
bool twins_submit(struct twins *twins, struct twin_call *call, struct owner *owner);
/* The same at once, on this thread: for the worker itself and for tests. */
void twins_run(struct twins *twins, struct twin_call *call);
/* For the worker, in a transaction that the caller has begun: what says no has changed nothing.  When that has ended, twins_settle is due for each. */
void twins_try(struct twins *twins, struct twin_call *call);
void twins_settle(struct twins *twins, struct twin_call *call, const struct err *problem); /* NULL: it is durable */

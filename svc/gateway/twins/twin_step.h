/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One step on a kept twin: a job on the keep's worker, which reads, changes and writes it; those that wait together share a sync.  What comes of it is gone on with on the loop. */

#include "base/err.h"
#include "gateway/keep/keep.h"
#include "gateway/twins/twin_ask.h"
#include "gateway/twins/twin_memory.h"
#include "net/loop.h"

enum twin_step_kind {
	TWIN_STEP_SHOW,	  /* it is told to its device as it is here */
	TWIN_STEP_ATTEND, /* its device begins to listen to changes */
	TWIN_STEP_TOLD,	  /* it was told all that had changed here, by `version` changes */
	TWIN_STEP_REPORT, /* the device reports `in` */
	TWIN_STEP_FULL,	  /* the hub has told all of it, `in` */
	TWIN_STEP_PATCH,  /* the hub has changed desired properties by `in` to `version` */
	TWIN_STEP_FIND_PUSH,
	TWIN_STEP_PUSHED, /* the hub has taken `in` */
	TWIN_STEP_REFUSED,
	TWIN_STEP_INSPECT,
	TWIN_STEP_DESIRE, /* `in` is desired here */
	TWIN_STEP_YIELD,  /* nothing is desired here any more */
};

struct twin_steps;
struct twin_step {
	struct twin_steps *steps;
	char *name, *generation_id; /* generation_id "": whichever it is */
	int (*run)(struct twin_step *step, struct kept_twin *twin);
	void (*done)(struct twin_step *step); /* on the loop; for steps.on_done to call */
	void *arg;			      /* of who gave it */
	json_t *in;
	int64_t version;
	struct twin_ask *asks; /* that it answers */
	struct job job;
	bool was_told; /* its device goes by what was here, which could not be written down */
	/* What came of it. */
	struct err err;
	bool is_unwritten; /* what it shows holds, but not that it was shown */
	bool is_changed, is_due, is_gap, is_refused, is_first;
	json_t *view, *news, *push, *inspection;
	int64_t ahead;
};

/* Where steps are taken; the caller's memory, until all are done. */
struct twin_steps {
	struct keep *keep;
	struct loop *loop;
	void (*on_done)(struct twin_step *step); /* on the loop: it is freed after that */
	struct job_group group;
	struct twin_memory memory; /* the worker's */
};
void twin_steps_init(struct twin_steps *steps, struct keep *keep, struct loop *loop, void (*on_done)(struct twin_step *step));
void twin_steps_clear(struct twin_steps *steps); /* after keep_stop */
int twin_steps_remove(
	struct twin_steps *steps, const char *name, struct err *err); /* on the worker: nothing is kept of it any more */

struct twin_step *twin_step_new(
	struct twin_steps *steps, enum twin_step_kind kind, const char *name, const char *generation_id, json_t *in_take);
void twin_step_free(struct twin_step *step); /* one that was not begun */
/* On the worker: what is kept under this name is of another generation than this one ("": of none). */
bool twin_is_kept_of_another(struct keep *keep, const char *name, const char *generation_id);

/* false: too much waits, and the step is still the caller's. */
bool twin_step_begin(struct twin_step *step);

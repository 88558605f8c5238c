/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Twins of downstream identities (gateway 4.3): questions are answered from the hub when it answers soon, else by what is kept here; reports are kept durably, answered at once and
 * pushed when the hub is there; what the hub changes is told to who listens, also what it changed while it could not be heard.  Lives on the loop of the lines. */

#include "gateway/keep/keep.h"
#include "gateway/twins/twin_ask.h"
#include "gateway/upstream/lines.h"
#include "heads/head.h"

struct twins_config {
	struct lines *lines;
	struct keep *keep;
	/* What is new to who listens to desired properties, if it is this generation ("": whichever): the change, which has its $version; `twin` is how the device sees all of it now.  Borrowed.  On the loop. */
	void (*on_news)(void *arg, struct line *line, const char *generation_id, const json_t *change, const json_t *twin);
	void *arg;
};

struct twins;
struct twins *twins_new(const struct twins_config *config);
/* What was reported and not pushed when the gateway ended is gone on with.  Before the loop runs. */
int twins_resume(struct twins *twins, struct err *err);
void twins_free(struct twins *twins); /* after keep_stop and the lines */

/* On the loop: somebody listens to the desired properties of this generation of it, or nobody does any more. */
void twins_attend(struct twins *twins, struct line *line, bool wants_desired, const char *generation_id);
/* Any thread: the hub has this generation of it (NULL: whichever) no more. */
void twins_forget(struct twins *twins, const char *name, const char *generation_id);
/* Any thread: some who had been disabled are enabled again, and what they reported before is gone on with. */
void twins_go_on(struct twins *twins);

void twins_ask(struct twins *twins, struct twin_ask *ask); /* any thread */

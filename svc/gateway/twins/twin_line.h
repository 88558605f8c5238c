/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One twin between its device, what is kept of it and the hub.  The hub is asked one thing at a time for each twin: first how it is, then, as long as there is any, what it is to have of it.  On the
 * loop of the lines. */

#include "gateway/twins/twin_step.h"
#include "gateway/upstream/line.h"

/* What all of them share. */
struct twin_lines {
	struct twin_steps steps;
	void (*on_news)(void *arg, struct line *line, const char *generation_id, const json_t *change,
		const json_t *twin); /* as struct twins_config */
	void *arg;
};
void twin_lines_init(struct twin_lines *lines, struct keep *keep, struct loop *loop);

struct twin_line;
struct twin_line *twin_line_find(struct line *line); /* NULL: it had none to do so far */
struct twin_line *twin_line_get(struct twin_lines *lines, struct line *line);

void twin_line_ask(struct twin_line *tl, struct twin_ask *ask);
/* Somebody listens to the desired properties of this generation of it, or nobody does any more. */
void twin_line_attend(struct twin_line *tl, bool wants_desired, const char *generation_id);
void twin_line_resume(struct twin_line *tl); /* something that was reported is not pushed yet */

/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that there are, and how each is run: read, change, write. */
#include "gateway/twins/twin_step.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/twins/kept_twin.h"
#include "wire/json.h"

#define KEPT_MAX (2 << 20)

/* -- What each does -------------------------------------------------------------------------------------------------------------------------- */

static int
do_show(struct twin_step *s, struct kept_twin *twin)
{
	s->is_changed = (!twin->is_known && (!twin->is_told || s->was_told)) | kept_twin_told(twin);
	twin->is_told = true;
	return 0;
}

static int
do_attend(struct twin_step *s, struct kept_twin *twin)
{
	s->is_changed = !twin->is_known && !twin->is_told;
	twin->is_told = true;
	s->news = kept_twin_untold(twin);
	return 0;
}

/* What has changed since is told by another. */
static int
do_told(struct twin_step *s, struct kept_twin *twin)
{
	s->is_changed = twin->ahead == s->version && kept_twin_told(twin);
	return 0;
}

static int
do_report(struct twin_step *s, struct kept_twin *twin)
{
	s->is_changed = true;
	s->is_refused = kept_twin_report(twin, s->in, &s->err) < 0;
	return s->is_refused ? -1 : 0;
}

static int
do_full(struct twin_step *s, struct kept_twin *twin)
{
	s->is_changed = true;
	s->is_first = !twin->is_known;
	if (s->asks)
		(void)kept_twin_told(twin);
	return kept_twin_full(twin, s->in, &s->news, &s->err);
}

static int
do_patch(struct twin_step *s, struct kept_twin *twin)
{
	enum kept_patch done = kept_twin_patch(twin, s->version, s->in, &s->news);

	s->is_changed = done == KEPT_APPLIED;
	s->is_gap = done == KEPT_GAP;
	return 0;
}

static int
do_find_push(struct twin_step *s, struct kept_twin *twin)
{
	s->push = kept_twin_push(twin);
	s->is_gap = !s->push && kept_twin_is_due(twin);
	return 0;
}

static int
do_pushed(struct twin_step *s, struct kept_twin *twin)
{
	s->is_changed = true;
	kept_twin_pushed(twin, s->in);
	return 0;
}

static int
do_refused(struct twin_step *s, struct kept_twin *twin)
{
	s->is_changed = true;
	kept_twin_refused(twin);
	return 0;
}

static int
do_inspect(struct twin_step *s, struct kept_twin *twin)
{
	s->inspection = kept_twin_inspect(twin);
	return 0;
}

static int
do_desire(struct twin_step *s, struct kept_twin *twin)
{
	s->is_changed = true;
	s->is_refused = kept_twin_desire(twin, s->in, &s->news, &s->err) < 0;
	return s->is_refused ? -1 : do_inspect(s, twin);
}

static int
do_yield(struct twin_step *s, struct kept_twin *twin)
{
	kept_twin_yield(twin, &s->news);
	s->is_changed = s->news != NULL;
	return do_inspect(s, twin);
}

static int (*const runs[])(struct twin_step *step, struct kept_twin *twin) = {
	[TWIN_STEP_SHOW] = do_show,
	[TWIN_STEP_ATTEND] = do_attend,
	[TWIN_STEP_TOLD] = do_told,
	[TWIN_STEP_REPORT] = do_report,
	[TWIN_STEP_FULL] = do_full,
	[TWIN_STEP_PATCH] = do_patch,
	[TWIN_STEP_FIND_PUSH] = do_find_push,
	[TWIN_STEP_PUSHED] = do_pushed,
	[TWIN_STEP_REFUSED] = do_refused,
	[TWIN_STEP_INSPECT] = do_inspect,
	[TWIN_STEP_DESIRE] = do_desire,
	[TWIN_STEP_YIELD] = do_yield,
};

/* -- On the worker ----------------------------------------------------------------------------------------------------------------------------- */

static struct kept_twin *
parse_kept(const struct buf *text, struct err *err)
{
	OWN_LIB(json_t) json = json_parse(text->data, text->len, err);

	return json ? kept_twin_from_json(json, err) : NULL;
}

/* NULL: nothing that can be read. */
static struct kept_twin *
load_kept(struct keep *keep, const char *name, struct err *err)
{
	struct buf text = BUF_INIT(KEPT_MAX);
	int got = keep_get(keep, name, &text, err);
	struct kept_twin *twin = got == 1 ? parse_kept(&text, err) : NULL;

	buf_wipe(&text);
	return twin;
}

bool
twin_is_kept_of_another(struct keep *keep, const char *name, const char *generation_id)
{
	struct err err = ERR_INIT;
	OWN(kept_twin) twin = load_kept(keep, name, &err);

	return twin && !kept_twin_is_of(twin, generation_id);
}

/* What was kept of another generation is not this one's; what can't be read is as if there were nothing. */
static struct kept_twin *
read_kept(const struct twin_step *s, bool *is_kept)
{
	struct err err = ERR_INIT;
	OWN(kept_twin) twin = twin_memory_take(&s->steps->memory, s->name);

	if (!twin)
		twin = load_kept(s->steps->keep, s->name, &err);
	if (err.kind != ERR_NONE)
		log_warn("the twin of %s that is kept can't be read, and is begun anew: %s", s->name, err.text);
	*is_kept = twin && kept_twin_is_of(twin, s->generation_id);
	return *is_kept ? GIVE(twin) : kept_twin_new(s->generation_id);
}

static int
write_kept(struct keep *keep, const struct twin_step *s, const struct kept_twin *twin, struct err *err)
{
	OWN_LIB(json_t) json = kept_twin_to_json(twin);
	OWN_TEXT text = json_line(json);

	return keep_put(keep, s->name, text, strlen(text), kept_twin_is_due(twin), err);
}

/* Who only asks how it is has an answer, whatever the disk does. */
static void
fail(struct twin_step *s, const struct err *err)
{
	s->is_unwritten = s->run == do_show;
	if (!s->is_unwritten)
		s->err = *err;
}

static bool
needs_view(const struct twin_step *s)
{
	return s->news || s->run == do_show || (s->run == do_full && s->asks);
}

static void
run_step(struct job *job)
{
	struct twin_step *s = CONTAINER_OF(job, struct twin_step, job);
	struct err err = ERR_INIT;
	bool is_kept;
	OWN(kept_twin) twin = read_kept(s, &is_kept);

	twin->is_told = twin->is_told || s->was_told;
	if (s->run(s, twin) == 0 && s->is_changed) {
		is_kept = write_kept(s->steps->keep, s, twin, &err) == 0;
		if (!is_kept)
			fail(s, &err);
	}
	s->is_due = kept_twin_is_due(twin);
	s->ahead = twin->ahead;
	s->view = needs_view(s) ? kept_twin_view(twin) : NULL;
	if (is_kept)
		twin_memory_give(&s->steps->memory, s->name, GIVE(twin));
}

static void
begin_group(struct job_group *group)
{
	struct twin_steps *steps = CONTAINER_OF(group, struct twin_steps, group);
	struct err err = ERR_INIT;

	if (keep_begin(steps->keep, &err) < 0)
		log_error("%s", err.text);
}

/* One that failed has written nothing; when the disk has not taken what the others wrote, all have failed. */
static void
end_group(struct job_group *group, struct job *jobs)
{
	struct twin_steps *steps = CONTAINER_OF(group, struct twin_steps, group);
	struct err err = ERR_INIT;

	if (keep_end(steps->keep, 0, &err) == 0)
		return;
	log_error("%s", err.text);
	twin_memory_clear(&steps->memory);
	for (struct job *job = jobs; job; job = job->next)
		fail(CONTAINER_OF(job, struct twin_step, job), &err);
}

/* -- Life -------------------------------------------------------------------------------------------------------------------------------------- */

void
twin_steps_init(struct twin_steps *steps, struct keep *keep, struct loop *loop, void (*on_done)(struct twin_step *step))
{
	*steps = (struct twin_steps){
		.keep = keep, .loop = loop, .on_done = on_done, .group = { .begin = begin_group, .end = end_group }
	};
}

void
twin_steps_clear(struct twin_steps *steps)
{
	twin_memory_clear(&steps->memory);
}

int
twin_steps_remove(struct twin_steps *steps, const char *name, struct err *err)
{
	twin_memory_forget(&steps->memory, name);
	return keep_remove(steps->keep, name, err);
}

static void
on_stepped(struct job *job)
{
	struct twin_step *s = CONTAINER_OF(job, struct twin_step, job);

	if (s->err.kind != ERR_NONE && !s->is_refused)
		log_error("the twin of %s: %s", s->name, s->err.text);
	s->steps->on_done(s);
	twin_step_free(s);
}

struct twin_step *
twin_step_new(struct twin_steps *steps, enum twin_step_kind kind, const char *name, const char *generation_id, json_t *in_take)
{
	struct twin_step *s = NEW(twin_step);

	s->steps = steps;
	s->name = mem_text(name);
	s->generation_id = mem_text(generation_id ? generation_id : "");
	s->run = runs[kind];
	s->in = in_take;
	s->job = (struct job){ .run = run_step, .done = on_stepped, .owner = loop_owner(steps->loop), .group = &steps->group };
	return s;
}

void
twin_step_free(struct twin_step *s)
{
	mem_free(s->name);
	mem_free(s->generation_id);
	json_decref(s->in);
	json_decref(s->view);
	json_decref(s->news);
	json_decref(s->push);
	json_decref(s->inspection);
	mem_free(s);
}

bool
twin_step_begin(struct twin_step *s)
{
	return keep_work(s->steps->keep, &s->job);
}

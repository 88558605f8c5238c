/* SPDX-License-Identifier: Apache-2.0 */
/* Which twin is meant, and what concerns all of them: forgetting, and going on after a start.  Each for itself is a twin_line. */
#include "gateway/twins/twins.h"

#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/twins/twin_line.h"

#define RESUME_EVERY_MS 20
#define LIST_AGAIN_MS 1000

struct resumed {
	char *name;
	struct resumed *next;
};
static void
resumed_free(struct resumed *r)
{
	for (struct resumed *next; r; r = next) {
		next = r->next;
		mem_free(r->name);
		mem_free(r);
	}
}

/* Who has something to be pushed, asked of the keep. */
struct listing {
	struct twins *twins;
	struct post post;
	struct job job;
	struct resumed *found;
};

struct twins {
	struct twins_config config;
	struct loop *loop;
	struct twin_lines lines;
	struct resumed *to_resume;
	struct timer resume;
	atomic_bool is_to_list;	 /* somebody has asked for it, and it has not begun */
	struct listing *waiting; /* for room at the keep */
};

static void
on_ask(struct post *post)
{
	struct twin_ask *ask = CONTAINER_OF(post, struct twin_ask, post);
	struct twins *twins = ask->twins;

	twin_line_ask(twin_line_get(&twins->lines, lines_get(twins->config.lines, ask->device_id, ask->module_id)), ask);
}

void
twins_ask(struct twins *twins, struct twin_ask *ask)
{
	ask->twins = twins;
	ask->next = NULL;
	ask->post.run = on_ask;
	loop_post(twins->loop, &ask->post);
}

void
twins_attend(struct twins *twins, struct line *line, bool wants_desired, const char *generation_id)
{
	if (wants_desired || twin_line_find(line))
		twin_line_attend(twin_line_get(&twins->lines, line), wants_desired, generation_id);
}

/* -- Forgetting --------------------------------------------------------------------------------------------------------------------------------------- */

struct forgetting {
	struct job job;
	struct twin_steps *steps;
	char *name, *generation_id;
};

static void
run_forget(struct job *job)
{
	struct forgetting *f = CONTAINER_OF(job, struct forgetting, job);
	struct err err = ERR_INIT;

	if (!twin_is_kept_of_another(f->steps->keep, f->name, f->generation_id) && twin_steps_remove(f->steps, f->name, &err) < 0)
		log_error("%s", err.text);
}

static void
on_forgotten(struct job *job)
{
	struct forgetting *f = CONTAINER_OF(job, struct forgetting, job);

	mem_free(f->name);
	mem_free(f->generation_id);
	mem_free(f);
}

/* Without room for it now it stays until another generation of it comes, which does not take it for its own. */
void
twins_forget(struct twins *twins, const char *name, const char *generation_id)
{
	struct forgetting *f = NEW(forgetting);

	f->steps = &twins->lines.steps;
	f->name = mem_text(name);
	f->generation_id = mem_text(generation_id ? generation_id : "");
	f->job = (struct job){ .run = run_forget, .done = on_forgotten, .owner = loop_owner(twins->loop) };
	if (!keep_work(f->steps->keep, &f->job))
		on_forgotten(&f->job);
}

/* -- Going on ----------------------------------------------------------------------------------------------------------------------------------------- */

/* Who is disabled would be refused by the hub, and is gone on with when that is over. */
static void
resume(struct twins *twins, char *name)
{
	struct lines *lines = twins->config.lines;
	char *slash = strchr(name, '/');
	const char *module_id = slash ? slash + 1 : NULL;
	int64_t confirmed;
	OWN(identity) identity = NULL;

	if (slash)
		*slash = '\0';
	identity = scope_find(lines_config(lines)->scope, name, module_id, &confirmed);
	if (!identity || identity->enabled)
		twin_line_resume(twin_line_get(&twins->lines, lines_get(lines, name, module_id)));
}

static void begin_listing(struct listing *l);

/* One after the other, or a gateway that was off for long would come down on the hub with all of them. */
static void
on_resume(struct timer *timer)
{
	struct twins *twins = CONTAINER_OF(timer, struct twins, resume);
	struct resumed *r = twins->to_resume;

	if (twins->waiting)
		begin_listing(GIVE(twins->waiting));
	if (!r)
		return;
	twins->to_resume = r->next;
	r->next = NULL;
	resume(twins, r->name);
	resumed_free(r);
	timer_arm(timer, RESUME_EVERY_MS);
}

static void
add_due(void *arg, const char *name)
{
	struct resumed **list = arg, *r = NEW(resumed);

	r->name = mem_text(name);
	r->next = *list;
	*list = r;
}

static void
run_listing(struct job *job)
{
	struct listing *l = CONTAINER_OF(job, struct listing, job);
	struct err err = ERR_INIT;

	atomic_store(&l->twins->is_to_list, false); /* who comes back from now on may have been passed over */
	if (keep_each_due(l->twins->config.keep, add_due, &l->found, &err) < 0)
		log_error("%s", err.text);
}

static void
on_listed(struct job *job)
{
	struct listing *l = CONTAINER_OF(job, struct listing, job);
	struct resumed **end = &l->twins->to_resume;

	while (*end)
		end = &(*end)->next;
	*end = l->found;
	timer_arm(&l->twins->resume, RESUME_EVERY_MS);
	mem_free(l);
}

static void
begin_listing(struct listing *l)
{
	if (keep_work(l->twins->config.keep, &l->job))
		return;
	l->twins->waiting = l;
	timer_arm(&l->twins->resume, LIST_AGAIN_MS);
}

static void
on_go_on(struct post *post)
{
	begin_listing(CONTAINER_OF(post, struct listing, post));
}

void
twins_go_on(struct twins *twins)
{
	struct listing *l;

	if (atomic_exchange(&twins->is_to_list, true))
		return;
	l = NEW(listing);
	l->twins = twins;
	l->job = (struct job){ .run = run_listing, .done = on_listed, .owner = loop_owner(twins->loop) };
	l->post.run = on_go_on;
	loop_post(twins->loop, &l->post);
}

/* -- Life ---------------------------------------------------------------------------------------------------------------------------------------------- */

struct twins *
twins_new(const struct twins_config *config)
{
	struct twins *twins = NEW(twins);

	twins->config = *config;
	twins->loop = lines_config(config->lines)->loop;
	twin_lines_init(&twins->lines, config->keep, twins->loop);
	twins->lines.on_news = config->on_news;
	twins->lines.arg = config->arg;
	timer_init(&twins->resume, twins->loop, on_resume);
	return twins;
}

int
twins_resume(struct twins *twins, struct err *err)
{
	if (keep_each_due(twins->config.keep, add_due, &twins->to_resume, err) < 0)
		return -1;
	timer_arm(&twins->resume, RESUME_EVERY_MS);
	return 0;
}

void
twins_free(struct twins *twins)
{
	if (!twins)
		return;
	timer_cancel(&twins->resume);
	resumed_free(twins->to_resume);
	mem_free(twins->waiting);
	twin_steps_clear(&twins->lines.steps);
	mem_free(twins);
}

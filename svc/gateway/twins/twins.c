/* SPDX-License-Identifier: Apache-2.0 */
/* Which twin is meant, and what concerns all of them: forgetting, and going on after a start.  Each for itself is a twin_line. */
#include "gateway/twins/twins.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/twins/twin_line.h"

#define RESUME_EVERY_MS 20

struct resumed {
	char *name;
	struct resumed *next;
};

struct twins {
	struct twins_config config;
	struct loop *loop;
	struct twin_lines lines;
	struct resumed *to_resume;
	struct timer resume;
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
	struct keep *keep;
	char *name, *generation_id;
};

static void
run_forget(struct job *job)
{
	struct forgetting *f = CONTAINER_OF(job, struct forgetting, job);
	struct err err = ERR_INIT;

	if (!twin_is_kept_of_another(f->keep, f->name, f->generation_id) && keep_remove(f->keep, f->name, &err) < 0)
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

	f->keep = twins->config.keep;
	f->name = mem_text(name);
	f->generation_id = mem_text(generation_id ? generation_id : "");
	f->job = (struct job){ .run = run_forget, .done = on_forgotten, .owner = loop_owner(twins->loop) };
	if (!keep_work(f->keep, &f->job))
		on_forgotten(&f->job);
}

/* -- Life ---------------------------------------------------------------------------------------------------------------------------------------------- */

/* One after the other, or a gateway that was off for long would come down on the hub with all of them. */
static void
on_resume(struct timer *timer)
{
	struct twins *twins = CONTAINER_OF(timer, struct twins, resume);
	struct resumed *r = twins->to_resume;
	char *slash;

	if (!r)
		return;
	twins->to_resume = r->next;
	slash = strchr(r->name, '/');
	if (slash)
		*slash = '\0';
	twin_line_resume(twin_line_get(&twins->lines, lines_get(twins->config.lines, r->name, slash ? slash + 1 : NULL)));
	mem_free(r->name);
	mem_free(r);
	timer_arm(timer, RESUME_EVERY_MS);
}

static void
add_due(void *arg, const char *name)
{
	struct twins *twins = arg;
	struct resumed *r = NEW(resumed);

	r->name = mem_text(name);
	r->next = twins->to_resume;
	twins->to_resume = r;
}

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
	if (keep_each_due(twins->config.keep, add_due, twins, err) < 0)
		return -1;
	timer_arm(&twins->resume, RESUME_EVERY_MS);
	return 0;
}

void
twins_free(struct twins *twins)
{
	struct resumed *r, *next;

	if (!twins)
		return;
	timer_cancel(&twins->resume);
	for (r = twins->to_resume; r; r = next) {
		next = r->next;
		mem_free(r->name);
		mem_free(r);
	}
	mem_free(twins);
}

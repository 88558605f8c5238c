/* SPDX-License-Identifier: Apache-2.0 */
/* A step on a kept twin is a job on the keep's worker, which reads, changes and writes it; those that wait together share a sync.  What comes of it is gone on with on the loop.  The hub is asked one
 * thing at a time for each twin: first how it is, then, as long as there is any, what it is to have of it. */
#include "gateway/twins/twins.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "gateway/twins/kept_twin.h"
#include "wire/json.h"

#define KEPT_MAX (1 << 20)
#define DEADLINE_MS 2000 /* a device waits so long for the hub's answer */
#define BACK_OFF_MIN_MS 2000
#define BACK_OFF_MAX_MS 60000
#define RESUME_EVERY_MS 20

enum { ASKED_TWIN = 1, ASKED_REPORT };

struct resumed {
	char *name;
	struct resumed *next;
};

struct twins {
	struct twins_config config;
	struct loop *loop;
	struct job_group group;
	struct resumed *to_resume;
	struct timer resume;
};

struct twin_line {
	struct line_user user;
	struct twins *twins;
	bool is_wanted; /* somebody listens to desired properties */
	bool can_ask;	/* answers are listened to on this connection */
	bool hears;	/* changes of desired properties, on this connection */
	bool is_stale;	/* the hub is to be asked how it is */
	bool is_due;	/* something is to be pushed */
	bool is_asking, is_pushing, is_stepping;
	json_t *sent; /* the push that is on its way */
	struct twin_ask *waiting;
	struct timer timer;
	int64_t from_ms, back_off_ms; /* boot clock: the hub is not asked before */
};

/* -- Steps, on the worker -------------------------------------------------------------------------------------------------------------------- */

struct step {
	struct job job;
	struct twin_line *tl;
	char *name, *generation_id; /* generation_id "": whichever it is */
	int (*run)(struct step *step, struct kept_twin *twin);
	void (*done)(struct step *step);
	json_t *in;
	int64_t version;
	struct twin_ask *asks; /* that it answers */
	/* What came of it. */
	struct err err;
	bool is_changed, is_due, is_gap, is_refused, is_first;
	json_t *view, *news, *push;
};

static void
step_free(struct step *s)
{
	mem_free(s->name);
	mem_free(s->generation_id);
	json_decref(s->in);
	json_decref(s->view);
	json_decref(s->news);
	json_decref(s->push);
	mem_free(s);
}

static struct kept_twin *
parse_kept(const struct buf *text, struct err *err)
{
	OWN_LIB(json_t) json = json_parse(text->data, text->len, err);

	return json ? kept_twin_from_json(json, err) : NULL;
}

/* What was kept of another generation is not this one's; what can't be read is as if there were nothing. */
static struct kept_twin *
read_kept(struct keep *keep, const struct step *s)
{
	struct buf text = BUF_INIT(KEPT_MAX);
	struct err err = ERR_INIT;
	int got = keep_get(keep, s->name, &text, &err);
	OWN(kept_twin) twin = got == 1 ? parse_kept(&text, &err) : NULL;

	buf_wipe(&text);
	if (err.kind != ERR_NONE)
		log_warn("the twin of %s that is kept can't be read, and is begun anew: %s", s->name, err.text);
	if (twin && (!*s->generation_id || !*twin->generation_id || text_is(twin->generation_id, s->generation_id)))
		return GIVE(twin);
	return kept_twin_new(s->generation_id);
}

static int
write_kept(struct keep *keep, const struct step *s, const struct kept_twin *twin, struct err *err)
{
	OWN_LIB(json_t) json = kept_twin_to_json(twin);
	OWN_TEXT text = json_line(json);

	return keep_put(keep, s->name, text, strlen(text), kept_twin_is_due(twin), err);
}

static void
run_step(struct job *job)
{
	struct step *s = CONTAINER_OF(job, struct step, job);
	struct keep *keep = s->tl->twins->config.keep;
	OWN(kept_twin) twin = read_kept(keep, s);

	if (s->run(s, twin) == 0 && s->is_changed)
		write_kept(keep, s, twin, &s->err);
	s->is_due = kept_twin_is_due(twin);
	s->view = kept_twin_view(twin);
}

static void
begin_group(struct job_group *group)
{
	struct twins *twins = CONTAINER_OF(group, struct twins, group);
	struct err err = ERR_INIT;

	if (keep_begin(twins->config.keep, &err) < 0)
		log_error("%s", err.text);
}

/* One that failed has written nothing; when the disk has not taken what the others wrote, all have failed. */
static void
end_group(struct job_group *group, struct job *jobs)
{
	struct twins *twins = CONTAINER_OF(group, struct twins, group);
	struct err err = ERR_INIT;

	if (keep_end(twins->config.keep, 0, &err) == 0)
		return;
	log_error("%s", err.text);
	for (struct job *job = jobs; job; job = job->next)
		CONTAINER_OF(job, struct step, job)->err = err;
}

static int
do_report(struct step *s, struct kept_twin *twin)
{
	s->is_changed = true;
	s->is_refused = kept_twin_report(twin, s->in, &s->err) < 0;
	return s->is_refused ? -1 : 0;
}

/* It is told to its device as it is here. */
static int
do_show(struct step *s, struct kept_twin *twin)
{
	s->is_changed = !twin->is_known && !twin->is_told;
	twin->is_told = true;
	return 0;
}

static int
do_full(struct step *s, struct kept_twin *twin)
{
	s->is_changed = true;
	s->is_first = !twin->is_known;
	return kept_twin_full(twin, s->in, &s->news, &s->err);
}

static int
do_patch(struct step *s, struct kept_twin *twin)
{
	enum kept_patch done = kept_twin_patch(twin, s->version, s->in);

	s->is_changed = done == KEPT_APPLIED;
	s->is_gap = done == KEPT_GAP;
	if (done == KEPT_APPLIED)
		s->news = json_incref(s->in);
	return 0;
}

static int
do_find_push(struct step *s, struct kept_twin *twin)
{
	s->push = kept_twin_push(twin);
	s->is_gap = !s->push && kept_twin_is_due(twin);
	return 0;
}

static int
do_pushed(struct step *s, struct kept_twin *twin)
{
	s->is_changed = true;
	kept_twin_pushed(twin, s->in);
	return 0;
}

static int
do_refused(struct step *s, struct kept_twin *twin)
{
	s->is_changed = true;
	kept_twin_refused(twin);
	return 0;
}

/* -- On the loop ------------------------------------------------------------------------------------------------------------------------------ */

static void go(struct twin_line *tl);

static void
on_stepped(struct job *job)
{
	struct step *s = CONTAINER_OF(job, struct step, job);
	struct twin_line *tl = s->tl;

	if (s->err.kind != ERR_NONE && !s->is_refused)
		log_error("the twin of %s: %s", s->name, s->err.text);
	tl->is_due = s->is_due;
	s->done(s);
	step_free(s);
	go(tl);
}

static struct step *
step_new(struct twin_line *tl, const char *generation_id, int (*run)(struct step *step, struct kept_twin *twin),
	void (*done)(struct step *step), json_t *in_take)
{
	struct step *s = NEW(step);

	s->tl = tl;
	s->name = mem_text(line_name(tl->user.line));
	s->generation_id = mem_text(generation_id ? generation_id : "");
	s->run = run;
	s->done = done;
	s->in = in_take;
	s->job = (struct job){
		.run = run_step, .done = on_stepped, .owner = loop_owner(tl->twins->loop), .group = &tl->twins->group
	};
	return s;
}

/* false: too much waits; the step is gone. */
static bool
submit(struct step *s)
{
	if (keep_work(s->tl->twins->config.keep, &s->job))
		return true;
	step_free(s);
	return false;
}

static void
back_off(struct twin_line *tl)
{
	int64_t ms = tl->back_off_ms ? tl->back_off_ms : BACK_OFF_MIN_MS;

	tl->from_ms = clock_boot_ms() + ms / 2 + random_below((uint32_t)(ms / 2 + 1));
	tl->back_off_ms = ms * 2 < BACK_OFF_MAX_MS ? ms * 2 : BACK_OFF_MAX_MS;
}

/* -- Answers to who asked ----------------------------------------------------------------------------------------------------------------------- */

void
twin_ask_clear(struct twin_ask *ask)
{
	mem_free(ask->device_id);
	mem_free(ask->module_id);
	mem_free(ask->generation_id);
	json_decref(ask->report);
	mem_free(ask->body);
}

static void
answer(struct twin_ask *ask, int status, const json_t *body)
{
	ask->status = status;
	ask->body = body ? json_line(body) : mem_text("");
	ask->done(ask);
}

/* Clients fail on an error without these (clients-observed 3). */
static void
answer_error(struct twin_ask *ask, int status, int code, const char *words)
{
	OWN_LIB(json_t) body = json_pack("{s:i, s:s}", "errorCode", code, "message", words);

	answer(ask, status, body);
}

static void
answer_all(struct twin_ask *asks, const struct step *s)
{
	struct twin_ask *next;

	for (; asks; asks = next) {
		next = asks->next;
		if (s->view && s->err.kind == ERR_NONE)
			answer(asks, 200, s->view);
		else
			answer_error(asks, 500, 500001, s->err.text);
	}
}

static void
on_shown(struct step *s)
{
	answer_all(s->asks, s);
}

static void
show(struct twin_line *tl, struct twin_ask *asks)
{
	struct step *s = step_new(tl, asks->generation_id, do_show, on_shown, NULL);
	struct twin_ask *next;

	s->asks = asks;
	if (submit(s))
		return;
	for (; asks; asks = next) {
		next = asks->next;
		answer_error(asks, 429, 429001, "too many changes wait; try again");
	}
}

/* The hub takes too long for those: what is kept will do, and what the hub says later is news then. */
static void
show_overdue(struct twin_line *tl, int64_t now_ms)
{
	struct twin_ask **at = &tl->waiting, *ask;

	while ((ask = *at) != NULL) {
		if (ask->due_ms > now_ms) {
			at = &ask->next;
			continue;
		}
		*at = ask->next;
		ask->next = NULL;
		show(tl, ask);
	}
}

/* -- The hub -------------------------------------------------------------------------------------------------------------------------------------- */

static void
tell_news(struct twin_line *tl, const struct step *s)
{
	if (s->news && s->err.kind == ERR_NONE)
		tl->twins->config.on_news(tl->twins->config.arg, tl->user.line, s->news, s->view);
}

static void
on_full(struct step *s)
{
	struct twin_line *tl = s->tl;

	bool is_answered = s->asks != NULL;

	tl->is_stepping = false;
	answer_all(s->asks, s);
	if (s->err.kind == ERR_NONE) {
		tl->back_off_ms = 0;
		if (!is_answered || !s->is_first) /* the answer was all of it */
			tell_news(tl, s);
		return;
	}
	tl->is_stale = true;
	back_off(tl);
}

static void
take_twin(struct twin_line *tl, int status, struct slice body)
{
	struct err err = ERR_INIT;
	json_t *json = status == 200 ? json_parse(body.text, body.len, &err) : NULL;
	struct step *s;

	if (!json) {
		tl->is_stale = tl->is_wanted || tl->is_due;
		back_off(tl);
		show_overdue(tl, INT64_MAX - 1);
		return;
	}
	s = step_new(tl, line_generation(tl->user.line), do_full, on_full, json);
	s->asks = tl->waiting;
	tl->waiting = NULL;
	tl->is_stepping = true;
	if (keep_work(tl->twins->config.keep, &s->job))
		return;
	tl->waiting = s->asks;
	tl->is_stepping = false;
	tl->is_stale = true;
	step_free(s);
	back_off(tl);
}

static void
on_pushed(struct step *s)
{
	s->tl->is_stepping = false;
	s->tl->back_off_ms = 0;
}

static bool
is_final(int status)
{
	return status >= 400 && status < 500 && status != 404 && status != 408 && status != 429;
}

static void
take_report_answer(struct twin_line *tl, int status, struct slice body)
{
	json_t *sent = GIVE(tl->sent);
	bool is_taken = status >= 200 && status < 300;

	if (!is_taken && !is_final(status)) {
		json_decref(sent);
		back_off(tl);
		return;
	}
	if (!is_taken) {
		log_error("the hub refuses what %s has reported, with status %d, and what it has holds: %.*s",
			line_name(tl->user.line), status, (int)(body.len < 300 ? body.len : 300), body.text);
		tl->is_stale = true;
	}
	tl->is_stepping = submit(step_new(tl, line_generation(tl->user.line), is_taken ? do_pushed : do_refused, on_pushed, sent));
	if (!tl->is_stepping)
		back_off(tl); /* pushed again: it makes the same of it */
}

static void
on_twin(struct line_user *user, uint64_t cookie, int status, int64_t version, struct slice body)
{
	struct twin_line *tl = CONTAINER_OF(user, struct twin_line, user);

	(void)version;
	if (cookie == ASKED_TWIN && tl->is_asking) {
		tl->is_asking = false;
		take_twin(tl, status, body);
	} else if (cookie == ASKED_REPORT && tl->is_pushing) {
		tl->is_pushing = false;
		take_report_answer(tl, status, body);
	}
	go(tl);
}

static void
on_patched(struct step *s)
{
	if (s->is_gap)
		s->tl->is_stale = true;
	tell_news(s->tl, s);
}

static void
on_desired(struct line_user *user, int64_t version, struct slice text)
{
	struct twin_line *tl = CONTAINER_OF(user, struct twin_line, user);
	struct err err = ERR_INIT;
	json_t *patch = json_parse(text.text, text.len, &err);
	struct step *s;

	if (patch) {
		s = step_new(tl, line_generation(user->line), do_patch, on_patched, patch);
		s->version = version;
		if (submit(s))
			return;
	}
	tl->is_stale = true; /* all of it tells what that one would have */
	go(tl);
}

/* -- What is next ----------------------------------------------------------------------------------------------------------------------------------- */

static void
send_push(struct step *s)
{
	struct twin_line *tl = s->tl;
	OWN_TEXT text = s->push ? json_line(s->push) : NULL;

	tl->is_stepping = false;
	tl->is_stale = tl->is_stale || s->is_gap;
	if (!text || tl->is_asking || !device_link_report(line_link(tl->user.line), slice_of(text), ASKED_REPORT))
		return;
	tl->is_pushing = true;
	tl->sent = json_incref(s->push);
}

static void
rest(struct twin_line *tl, int64_t now_ms)
{
	int64_t next_ms = INT64_MAX;

	for (struct twin_ask *ask = tl->waiting; ask; ask = ask->next)
		if (ask->due_ms < next_ms)
			next_ms = ask->due_ms;
	if (tl->from_ms > now_ms && tl->from_ms < next_ms)
		next_ms = tl->from_ms;
	else if (tl->from_ms == 0 && line_is_ready(tl->user.line) && tl->can_ask && (tl->is_stale || tl->is_due) &&
		 !tl->is_asking && !tl->is_pushing && !tl->is_stepping)
		next_ms = now_ms + 250; /* the link is busy, or about to renew */
	if (next_ms == INT64_MAX)
		timer_cancel(&tl->timer);
	else
		timer_arm(&tl->timer, next_ms > now_ms ? next_ms - now_ms : 1);
}

static void
ask_hub(struct twin_line *tl)
{
	if (tl->is_asking || tl->is_pushing || tl->is_stepping)
		return;
	if (tl->is_stale || tl->waiting) {
		tl->is_asking = device_link_get_twin(line_link(tl->user.line), ASKED_TWIN);
		tl->is_stale = tl->is_stale && !tl->is_asking;
	} else if (tl->is_due) {
		tl->is_stepping = submit(step_new(tl, line_generation(tl->user.line), do_find_push, send_push, NULL));
	}
}

static void
go(struct twin_line *tl)
{
	int64_t now_ms = clock_boot_ms();
	bool is_needed = tl->waiting || tl->is_due || tl->is_asking || tl->is_pushing;

	line_hold(tl->user.line, LINE_TWIN, is_needed);
	line_listen(tl->user.line, LINE_TWIN, DEVICE_WANTS_ANSWERS | (tl->is_wanted ? DEVICE_WANTS_DESIRED : 0));
	show_overdue(tl, now_ms);
	if (tl->from_ms <= now_ms) {
		tl->from_ms = 0;
		if (line_is_ready(tl->user.line) && tl->can_ask)
			ask_hub(tl);
	}
	rest(tl, now_ms);
}

static void
on_timer(struct timer *timer)
{
	go(CONTAINER_OF(timer, struct twin_line, timer));
}

/* -- The line --------------------------------------------------------------------------------------------------------------------------------------- */

/* What changed while nothing was heard is found by reading all of it. */
static void
on_listening(struct line_user *user, unsigned granted)
{
	struct twin_line *tl = CONTAINER_OF(user, struct twin_line, user);

	tl->can_ask = granted & DEVICE_WANTS_ANSWERS;
	tl->is_stale = tl->is_stale || (tl->is_wanted && !tl->hears);
	tl->hears = granted & DEVICE_WANTS_DESIRED;
	go(tl);
}

static void
on_lost(struct line_user *user)
{
	struct twin_line *tl = CONTAINER_OF(user, struct twin_line, user);

	tl->can_ask = tl->hears = false;
	tl->is_asking = tl->is_pushing = false;
	json_decref(tl->sent);
	tl->sent = NULL;
	tl->from_ms = 0;
}

static void
on_gone(struct line_user *user, const char *why)
{
	struct twin_line *tl = CONTAINER_OF(user, struct twin_line, user);

	(void)why;
	tl->is_due = false;
	go(tl);
}

static void
drop(struct line_user *user)
{
	struct twin_line *tl = CONTAINER_OF(user, struct twin_line, user);
	struct twin_ask *ask, *next;

	timer_cancel(&tl->timer);
	for (ask = tl->waiting; ask; ask = next) {
		next = ask->next;
		answer_error(ask, 500, 500001, "the gateway is stopping");
	}
	json_decref(tl->sent);
	mem_free(tl);
}

static const struct line_user_ops ops = {
	.on_listening = on_listening,
	.on_lost = on_lost,
	.on_gone = on_gone,
	.on_twin = on_twin,
	.on_desired = on_desired,
	.drop = drop,
};

static struct twin_line *
twin_line_of(struct twins *twins, struct line *line)
{
	struct line_user *user = line_user(line, LINE_TWIN);
	struct twin_line *tl;

	if (user)
		return CONTAINER_OF(user, struct twin_line, user);
	tl = NEW(twin_line);
	tl->user.ops = &ops;
	tl->twins = twins;
	timer_init(&tl->timer, twins->loop, on_timer);
	line_attach(line, LINE_TWIN, &tl->user);
	return tl;
}

/* -- Who asks, who listens ---------------------------------------------------------------------------------------------------------------------------- */

static bool
is_hub_away(const struct twin_line *tl)
{
	struct lines *lines = line_lines(tl->user.line);

	return !line_is_ready(tl->user.line) && (lines_is_hub_away(lines) || scope_is_hub_away(lines_config(lines)->scope));
}

static void
on_reported(struct step *s)
{
	if (s->is_refused)
		answer_error(s->asks, 400, 400000, s->err.text);
	else if (s->err.kind != ERR_NONE)
		answer_error(s->asks, 500, 500001, s->err.text);
	else
		answer(s->asks, 204, NULL);
}

static void
take_report(struct twin_line *tl, struct twin_ask *ask)
{
	struct step *s = step_new(tl, ask->generation_id, do_report, on_reported, json_incref(ask->report));

	s->asks = ask;
	if (!submit(s))
		answer_error(ask, 429, 429001, "too many changes wait; try again");
}

static void
on_ask(struct post *post)
{
	struct twin_ask *ask = CONTAINER_OF(post, struct twin_ask, post);
	struct twin_line *tl = twin_line_of(ask->twins, lines_get(ask->twins->config.lines, ask->device_id, ask->module_id));

	if (ask->report) {
		take_report(tl, ask);
	} else if (ask->is_kept || is_hub_away(tl)) {
		show(tl, ask);
	} else {
		ask->due_ms = clock_boot_ms() + DEADLINE_MS;
		ask->next = tl->waiting;
		tl->waiting = ask;
		go(tl);
	}
}

void
twins_ask(struct twins *twins, struct twin_ask *ask)
{
	ask->twins = twins;
	ask->next = NULL;
	ask->post.run = on_ask;
	loop_post(twins->loop, &ask->post);
}

static void
on_noted(struct step *s)
{
	(void)s;
}

/* Whoever begins to listen goes by what is here, were it nothing: what the hub tells later, when it hears of the subscription, is news. */
void
twins_attend(struct twins *twins, struct line *line, bool wants_desired, const char *generation_id)
{
	struct twin_line *tl;

	if (!wants_desired && !line_user(line, LINE_TWIN))
		return;
	tl = twin_line_of(twins, line);
	if (wants_desired && !tl->is_wanted)
		submit(step_new(tl, generation_id, do_show, on_noted, NULL));
	tl->is_wanted = wants_desired;
	go(tl);
}

/* -- Forgetting --------------------------------------------------------------------------------------------------------------------------------------- */

struct forgetting {
	struct job job;
	struct keep *keep;
	char *name;
};

static void
run_forget(struct job *job)
{
	struct forgetting *f = CONTAINER_OF(job, struct forgetting, job);
	struct err err = ERR_INIT;

	if (keep_remove(f->keep, f->name, &err) < 0)
		log_error("%s", err.text);
}

static void
on_forgotten(struct job *job)
{
	struct forgetting *f = CONTAINER_OF(job, struct forgetting, job);

	mem_free(f->name);
	mem_free(f);
}

/* Without room for it now it stays until another generation of it comes, which does not take it for its own. */
void
twins_forget(struct twins *twins, const char *name)
{
	struct forgetting *f = NEW(forgetting);

	f->keep = twins->config.keep;
	f->name = mem_text(name);
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
	struct twin_line *tl;

	if (!r)
		return;
	twins->to_resume = r->next;
	slash = strchr(r->name, '/');
	if (slash)
		*slash = '\0';
	tl = twin_line_of(twins, lines_get(twins->config.lines, r->name, slash ? slash + 1 : NULL));
	tl->is_due = true;
	go(tl);
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
	twins->group = (struct job_group){ .begin = begin_group, .end = end_group };
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

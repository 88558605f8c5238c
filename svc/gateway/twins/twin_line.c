/* SPDX-License-Identifier: Apache-2.0 */
/* What changes the kept twin is a step (twin_step.h); what comes of it is gone on with here. */
#include "gateway/twins/twin_line.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "gateway/upstream/lines.h"
#include "wire/json.h"

#define DEADLINE_MS 2000 /* a device waits so long for the hub's answer */
#define BACK_OFF_MIN_MS 2000
#define BACK_OFF_MAX_MS 60000

enum { ASKED_TWIN = 1, ASKED_REPORT };

struct twin_line {
	struct line_user user;
	struct twin_lines *lines;
	bool is_wanted; /* somebody listens to desired properties */
	bool can_ask;	/* answers are listened to on this connection */
	bool hears;	/* changes of desired properties, on this connection */
	bool is_stale;	/* the hub is to be asked how it is */
	bool is_due;	/* something is to be pushed */
	bool is_asking, is_pushing, is_stepping;
	bool was_told;	/* the device goes by what is here, which the disk has not taken */
	size_t n_steps; /* that will come back to it */
	json_t *sent;	/* the push that is on its way */
	struct twin_ask *waiting;
	struct timer timer;
	int64_t from_ms, back_off_ms; /* boot clock: the hub is not asked before */
};

static void go(struct twin_line *tl);

static void
on_stepped(struct twin_step *s)
{
	struct twin_line *tl = s->arg;

	tl->n_steps--;
	tl->is_due = s->is_due;
	s->done(s);
	go(tl);
}

static struct twin_step *
step_new(struct twin_line *tl, enum twin_step_kind kind, const char *generation_id, void (*done)(struct twin_step *step),
	json_t *in_take)
{
	struct twin_step *s = twin_step_new(&tl->lines->steps, kind, line_name(tl->user.line), generation_id, in_take);

	s->arg = tl;
	s->was_told = tl->was_told;
	tl->n_steps++;
	s->done = done;
	return s;
}

static void
step_drop(struct twin_step *s)
{
	struct twin_line *tl = s->arg;

	tl->n_steps--;
	twin_step_free(s);
}

/* false: too much waits; the step is gone. */
static bool
submit(struct twin_step *s)
{
	if (twin_step_begin(s))
		return true;
	step_drop(s);
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

static void
answer_all(struct twin_ask *asks, const struct twin_step *s)
{
	struct twin_ask *next;

	for (; asks; asks = next) {
		next = asks->next;
		if (s->view && s->err.kind == ERR_NONE)
			twin_ask_answer(asks, 200, s->view);
		else
			twin_ask_fail(asks, 500, 500001, s->err.text);
	}
}

static void
on_shown(struct twin_step *s)
{
	struct twin_line *tl = s->arg;

	tl->was_told = s->is_unwritten;
	answer_all(s->asks, s);
}

static void
show(struct twin_line *tl, struct twin_ask *asks)
{
	struct twin_step *s = step_new(tl, TWIN_STEP_SHOW, asks->generation_id, on_shown, NULL);
	struct twin_ask *next;

	s->asks = asks;
	if (submit(s))
		return;
	for (; asks; asks = next) {
		next = asks->next;
		twin_ask_fail_busy(asks);
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
tell_news(struct twin_line *tl, const struct twin_step *s)
{
	if (s->news && s->err.kind == ERR_NONE)
		tl->lines->on_news(tl->lines->arg, tl->user.line, s->generation_id, s->news, s->view);
}

static void
on_noted(struct twin_step *s)
{
	(void)s;
}

/* Told before that is written down: after a crash it is told again. */
static void
tell_changed_here(struct twin_line *tl, const struct twin_step *s)
{
	struct twin_step *told;

	if (!s->news || s->err.kind != ERR_NONE || !tl->is_wanted)
		return;
	tell_news(tl, s);
	told = step_new(tl, TWIN_STEP_TOLD, s->generation_id, on_noted, NULL);
	told->version = s->ahead;
	submit(told);
}

static void
on_full(struct twin_step *s)
{
	struct twin_line *tl = s->arg;
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
	struct twin_step *s;

	if (!json) {
		tl->is_stale = tl->is_wanted || tl->is_due;
		back_off(tl);
		show_overdue(tl, INT64_MAX - 1);
		return;
	}
	s = step_new(tl, TWIN_STEP_FULL, line_generation(tl->user.line), on_full, json);
	s->asks = tl->waiting;
	tl->waiting = NULL;
	tl->is_stepping = true;
	if (twin_step_begin(s))
		return;
	tl->waiting = s->asks;
	tl->is_stepping = false;
	tl->is_stale = true;
	step_drop(s);
	back_off(tl);
}

static void
on_pushed(struct twin_step *s)
{
	struct twin_line *tl = s->arg;

	tl->is_stepping = false;
	tl->back_off_ms = 0;
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
	tl->is_stepping = submit(
		step_new(tl, is_taken ? TWIN_STEP_PUSHED : TWIN_STEP_REFUSED, line_generation(tl->user.line), on_pushed, sent));
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
on_patched(struct twin_step *s)
{
	struct twin_line *tl = s->arg;

	tl->is_stale = tl->is_stale || s->is_gap;
	tell_news(tl, s);
}

static void
on_desired(struct line_user *user, int64_t version, struct slice text)
{
	struct twin_line *tl = CONTAINER_OF(user, struct twin_line, user);
	struct err err = ERR_INIT;
	json_t *patch = json_parse(text.text, text.len, &err);
	struct twin_step *s;

	if (patch) {
		s = step_new(tl, TWIN_STEP_PATCH, line_generation(user->line), on_patched, patch);
		s->version = version;
		if (submit(s))
			return;
	}
	tl->is_stale = true; /* all of it tells what that one would have */
	go(tl);
}

/* -- What is next ----------------------------------------------------------------------------------------------------------------------------------- */

static void
send_push(struct twin_step *s)
{
	struct twin_line *tl = s->arg;
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
		tl->is_stepping = submit(step_new(tl, TWIN_STEP_FIND_PUSH, line_generation(tl->user.line), send_push, NULL));
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

static bool
is_idle(struct line_user *user)
{
	return CONTAINER_OF(user, struct twin_line, user)->n_steps == 0;
}

static void
drop(struct line_user *user)
{
	struct twin_line *tl = CONTAINER_OF(user, struct twin_line, user);
	struct twin_ask *ask, *next;

	timer_cancel(&tl->timer);
	for (ask = tl->waiting; ask; ask = next) {
		next = ask->next;
		twin_ask_fail(ask, 500, 500001, "the gateway is stopping");
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
	.is_idle = is_idle,
	.drop = drop,
};

struct twin_line *
twin_line_find(struct line *line)
{
	struct line_user *user = line_user(line, LINE_TWIN);

	return user ? CONTAINER_OF(user, struct twin_line, user) : NULL;
}

struct twin_line *
twin_line_get(struct twin_lines *lines, struct line *line)
{
	struct twin_line *tl = twin_line_find(line);

	if (tl)
		return tl;
	tl = NEW(twin_line);
	tl->user.ops = &ops;
	tl->lines = lines;
	timer_init(&tl->timer, lines->steps.loop, on_timer);
	line_attach(line, LINE_TWIN, &tl->user);
	return tl;
}

/* -- The device asks ---------------------------------------------------------------------------------------------------------------------------- */

static bool
is_hub_away(const struct twin_line *tl)
{
	struct lines *lines = line_lines(tl->user.line);

	return !line_is_ready(tl->user.line) && (lines_is_hub_away(lines) || scope_is_hub_away(lines_config(lines)->scope));
}

static void
on_reported(struct twin_step *s)
{
	if (s->is_refused)
		twin_ask_fail(s->asks, 400, 400000, s->err.text);
	else if (s->err.kind != ERR_NONE)
		twin_ask_fail(s->asks, 500, 500001, s->err.text);
	else
		twin_ask_answer(s->asks, 204, NULL);
}

static void
begin(struct twin_line *tl, struct twin_ask *ask, enum twin_step_kind kind, void (*done)(struct twin_step *step))
{
	struct twin_step *s = step_new(tl, kind, ask->generation_id, done, GIVE(ask->patch));

	s->asks = ask;
	if (!submit(s))
		twin_ask_fail_busy(ask);
}

static void
take_report(struct twin_line *tl, struct twin_ask *ask)
{
	begin(tl, ask, TWIN_STEP_REPORT, on_reported);
}

static void
take_get(struct twin_line *tl, struct twin_ask *ask)
{
	if (is_hub_away(tl)) {
		show(tl, ask);
		return;
	}
	ask->due_ms = clock_boot_ms() + DEADLINE_MS;
	ask->next = tl->waiting;
	tl->waiting = ask;
	go(tl);
}

/* -- The operator -------------------------------------------------------------------------------------------------------------------------------- */

static void
on_inspected(struct twin_step *s)
{
	if (s->is_refused && s->err.kind == ERR_LIMIT)
		twin_ask_fail(s->asks, 413, 413001, s->err.text);
	else if (s->is_refused)
		twin_ask_fail(s->asks, 400, 400000, s->err.text);
	else if (s->err.kind != ERR_NONE)
		twin_ask_fail(s->asks, 500, 500001, s->err.text);
	else
		twin_ask_answer(s->asks, 200, s->inspection);
	if (s->news && s->err.kind == ERR_NONE)
		log_info("what is desired of %s was changed at this gateway", s->name);
	tell_changed_here(s->arg, s);
}

static void
take_inspect(struct twin_line *tl, struct twin_ask *ask)
{
	begin(tl, ask, TWIN_STEP_INSPECT, on_inspected);
}

static void
take_change(struct twin_line *tl, struct twin_ask *ask)
{
	if (line_is_own(tl->user.line))
		twin_ask_fail(
			ask, 400, 400000, "what the gateway itself goes by is desired at the hub, or stands in its configuration");
	else
		begin(tl, ask, ask->question == TWIN_DESIRE ? TWIN_STEP_DESIRE : TWIN_STEP_YIELD, on_inspected);
}

static void (*const takes[TWIN_QUESTIONS])(struct twin_line *tl, struct twin_ask *ask) = {
	[TWIN_GET] = take_get,
	[TWIN_GET_KEPT] = show,
	[TWIN_REPORT] = take_report,
	[TWIN_INSPECT] = take_inspect,
	[TWIN_DESIRE] = take_change,
	[TWIN_YIELD] = take_change,
};

void
twin_line_ask(struct twin_line *tl, struct twin_ask *ask)
{
	takes[ask->question](tl, ask);
}

/* -- Who listens ----------------------------------------------------------------------------------------------------------------------------------- */

static void
on_attended(struct twin_step *s)
{
	tell_changed_here(s->arg, s);
}

/* Whoever begins to listen goes by what is here, were it nothing: what the hub tells later, when it hears of the subscription, is news. */
void
twin_line_attend(struct twin_line *tl, bool wants_desired, const char *generation_id)
{
	if (wants_desired && !tl->is_wanted)
		submit(step_new(tl, TWIN_STEP_ATTEND, generation_id, on_attended, NULL));
	tl->is_wanted = wants_desired;
	go(tl);
}

void
twin_line_resume(struct twin_line *tl)
{
	tl->is_due = true;
	go(tl);
}

void
twin_lines_init(struct twin_lines *lines, struct keep *keep, struct loop *loop)
{
	twin_steps_init(&lines->steps, keep, loop, on_stepped);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Each certificate has a lock for looking and acting, which may take minutes; what is known of all has one more, held for moments, so that the status answers meanwhile. */
#include "common/renewals.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/json.h"

#define FILE_MAX (256 * 1024)
#define VERSION 1
#define STEP_S 5 /* so much more or less than the boot clock says is a clock that was set */
#define DOUBT_LOOKS 10
#define LOOK_MS 60000

struct watched {
	struct renewal_target target;
	pthread_mutex_t busy;
	/* Under the lock of all. */
	struct renewal_found found;
	struct renewal_pace pace;
	uint8_t failed[DIGEST_SHA256_LEN];	/* the certificate that the pace is of; all zero: there was none */
	int64_t attempts, checked;		/* wall clock */
	int64_t checked_boot_ms, doubted_since; /* boot clock; 0: not yet, not in doubt */
	bool tells_doubt;
	int told;			    /* the urgency that the file has; -1: none */
	uint8_t told_of[DIGEST_SHA256_LEN]; /* the certificate that it has it of */
	char error[sizeof(((struct err *)0)->text)];
};

struct renewals {
	char *path;
	struct watched item[RENEWALS_MAX];
	size_t n;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool has_thread, stopped;
};

/* -- As JSON ------------------------------------------------------------------------------------------------------------------------ */

static json_t *
time_json(int64_t wall)
{
	char text[CLOCK_TEXT_LEN];

	return wall ? json_string(clock_text(wall, text)) : json_null();
}

static json_t *
digest_json(const struct watched *w)
{
	CLEAR(buf) text = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);

	if (!w->found.current.until)
		return json_null();
	hex_encode(&text, w->found.sha256, sizeof(w->found.sha256), true);
	return json_string(buf_text(&text));
}

static bool
waits(const struct watched *w, int64_t now)
{
	return renewal_waits(&w->pace, now) && memcmp(w->failed, w->found.sha256, sizeof(w->failed)) == 0;
}

/* When something is done next, as far as that is known. */
static int64_t
next_of(const struct watched *w, int64_t now)
{
	int64_t due = renewal_due(&w->target.policy, w->found.current.from, w->found.current.until);

	if (waits(w, now))
		return w->pace.next_attempt;
	return w->found.current.until && due > now ? due : now;
}

static json_t *
watched_json(const struct watched *w, int64_t now)
{
	enum renewal_urgency urgency = renewal_urgency(&w->target.policy, &w->found.current, now);
	int64_t due = w->found.current.until ? renewal_due(&w->target.policy, w->found.current.from, w->found.current.until) : 0;

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:b, s:o}", "id", w->target.id, "status",
		renewal_urgency_name(urgency), "not_before", time_json(w->found.current.from), "not_after",
		time_json(w->found.current.until), "due", time_json(due), "next_attempt",
		w->target.act ? time_json(next_of(w, now)) : json_null(), "attempts", (json_int_t)w->attempts, "last_error",
		*w->error ? json_string(w->error) : json_null(), "failed_at", time_json(w->pace.failed_at), "checked",
		time_json(w->checked), "renews", w->target.act != NULL, "sha256", digest_json(w));
}

static json_t *
all_json(const struct renewals *r)
{
	json_t *list = json_array();
	int64_t now = clock_wall();

	for (size_t i = 0; i < r->n; i++)
		json_array_append_new(list, watched_json(&r->item[i], now));
	return json_pack("{s:i, s:o}", "version", VERSION, "renewals", list);
}

json_t *
renewals_json(struct renewals *r)
{
	json_t *json;

	pthread_mutex_lock(&r->lock);
	json = all_json(r);
	pthread_mutex_unlock(&r->lock);
	return json;
}

/* -- The file ------------------------------------------------------------------------------------------------------------------------- */

static void
save(struct renewals *r)
{
	OWN_LIB(json_t) json = r->path ? all_json(r) : NULL;
	OWN_TEXT line = json ? json_line(json) : NULL;
	struct err err = ERR_INIT;

	if (line && file_save(r->path, line, strlen(line), 0644, &err) < 0)
		log_warn("the state of renewals can't be kept, a start would try again at once: %s", err.text);
}

static int64_t
time_of(const json_t *kept, const char *key)
{
	const char *text = json_string_value(json_object_get(kept, key));
	int64_t wall = 0;

	return text && clock_parse(text, &wall) ? wall : 0;
}

/* A wait that no failure of ours could have caused is none. */
static void
take_kept(struct watched *w, const json_t *kept)
{
	const char *error = json_string_value(json_object_get(kept, "last_error"));
	const char *sha256 = json_string_value(json_object_get(kept, "sha256"));
	int64_t failed_at = time_of(kept, "failed_at"), next = time_of(kept, "next_attempt");

	if (!error || failed_at <= 0 || next <= failed_at)
		return;
	w->pace.failed_at = failed_at;
	w->pace.next_attempt = next;
	if (sha256 && !hex_decode(w->failed, sizeof(w->failed), sha256, strlen(sha256)))
		return;
	w->attempts = json_integer_value(json_object_get(kept, "attempts"));
	snprintf(w->error, sizeof(w->error), "%s", error);
}

static json_t *
load(const char *path)
{
	CLEAR(buf) text = BUF_INIT(FILE_MAX);
	struct err err = ERR_INIT;
	json_t *json = NULL;

	if (file_load(&text, path, &err) == 0)
		json = json_parse(text.data, text.len, &err);
	if (!json && err.kind != ERR_MISSING)
		log_warn("the state of renewals is begun anew: %s", err.text);
	return json;
}

static void
take_told(struct watched *w, const json_t *kept)
{
	const char *status = json_string_value(json_object_get(kept, "status"));
	const char *sha256 = json_string_value(json_object_get(kept, "sha256"));

	if (!sha256 || !hex_decode(w->told_of, sizeof(w->told_of), sha256, strlen(sha256)))
		return;
	for (int u = RENEWAL_GOOD; u <= RENEWAL_ABSENT; u++)
		if (text_is(status, renewal_urgency_name((enum renewal_urgency)u)))
			w->told = u;
}

static void
recall(struct renewals *r, struct watched *w)
{
	OWN_LIB(json_t) json = r->path ? load(r->path) : NULL;
	json_t *kept;
	size_t i;

	if (json_integer_value(json_object_get(json, "version")) != VERSION)
		return;
	json_array_foreach(json_object_get(json, "renewals"), i, kept)
		if (text_is(json_string_value(json_object_get(kept, "id")), w->target.id)) {
			take_kept(w, kept);
			take_told(w, kept);
		}
}

/* -- What came of it ------------------------------------------------------------------------------------------------------------------ */

static enum log_level
level_of(enum renewal_urgency urgency)
{
	switch (urgency) {
	case RENEWAL_GOOD:
	case RENEWAL_DUE:
		return LOG_INFO;
	case RENEWAL_LATE:
		return LOG_WARN;
	default:
		return LOG_ERROR;
	}
}

static void
note_failure(struct renewals *r, struct watched *w, int64_t now, const char *why)
{
	const struct renewal_target *t = &w->target;
	enum renewal_urgency urgency = renewal_urgency(&t->policy, &w->found.current, now);
	char next[CLOCK_TEXT_LEN], end[CLOCK_TEXT_LEN];

	pthread_mutex_lock(&r->lock);
	w->attempts += t->act ? 1 : 0;
	snprintf(w->error, sizeof(w->error), "%s", why);
	memcpy(w->failed, w->found.sha256, sizeof(w->failed));
	clock_text(renewal_failed(&w->pace, &t->policy, w->found.current.from, w->found.current.until, now), next);
	save(r);
	pthread_mutex_unlock(&r->lock);
	if (!w->found.current.until)
		log_at(LOG_ERROR, "there is no certificate %s (attempt %lld, the next at %s): %s", t->id, (long long)w->attempts,
			next, why);
	else if (!t->act)
		log_at(level_of(urgency), "the certificate %s is %s, its end is %s: %s", t->id, renewal_urgency_name(urgency),
			clock_text(w->found.current.until, end), why);
	else
		log_at(level_of(urgency),
			"the certificate %s is %s, its end is %s, and it can't be renewed (attempt %lld, the next at %s): %s",
			t->id, renewal_urgency_name(urgency), clock_text(w->found.current.until, end), (long long)w->attempts, next,
			why);
}

static void
note_success(struct renewals *r, struct watched *w, enum renewal_step step)
{
	char next[CLOCK_TEXT_LEN];

	pthread_mutex_lock(&r->lock);
	w->pace.failed_at = w->pace.next_attempt = w->attempts = 0;
	*w->error = '\0';
	save(r);
	pthread_mutex_unlock(&r->lock);
	log_info("the certificate %s %s; the next renewal is at %s", w->target.id,
		step == RENEWAL_RESTORE ? "is the one before it again, because the clock was set" : "was renewed",
		clock_text(renewal_due(&w->target.policy, w->found.current.from, w->found.current.until), next));
}

/* -- Looking -------------------------------------------------------------------------------------------------------------------------- */

static int
look(struct renewals *r, struct watched *w, int64_t now, struct err *err)
{
	struct renewal_found found = { 0 };
	bool begins;

	if (w->target.look(w->target.arg, &found, err) < 0) {
		if (err->kind != ERR_MISSING)
			return -1;
		found = (struct renewal_found){ .previous = found.previous };
	}
	begins = !found.current.until || now >= found.current.from;
	pthread_mutex_lock(&r->lock);
	w->found = found;
	w->doubted_since = begins ? 0 : w->doubted_since ? w->doubted_since : clock_boot_ms();
	w->tells_doubt = w->tells_doubt && !begins;
	pthread_mutex_unlock(&r->lock);
	*err = (struct err)ERR_INIT;
	return 0;
}

static enum renewal_step
decide(const struct watched *w, int64_t now)
{
	int64_t doubted_ms = w->doubted_since ? clock_boot_ms() - w->doubted_since : 0;

	return renewal_decide(&w->target.policy, &(struct renewal_view){ .current = w->found.current,
							 .previous = w->found.previous,
							 .now = now,
							 .doubt_is_over = doubted_ms >= (int64_t)DOUBT_LOOKS * clock_look_ms() });
}

static void
tell_doubt(struct watched *w, int64_t now)
{
	char from[CLOCK_TEXT_LEN], today[CLOCK_TEXT_LEN];

	if (!w->tells_doubt)
		log_error("the certificate %s begins at %s, and this device's clock says %s: is it set?  It stays in use, and "
			  "nothing is "
			  "renewed until that is clear",
			w->target.id, clock_text(w->found.current.from, from), clock_text(now, today));
	w->tells_doubt = true;
}

static int
act(struct renewals *r, struct watched *w, enum renewal_step step, int64_t now, struct err *err)
{
	if (waits(w, now))
		return err_set(err, ERR_UNAVAILABLE, "%s", w->error);
	if (!w->target.act) {
		note_failure(r, w, now, "it was given to this device as a file: put its successor there");
		return err_set(
			err, ERR_BROKEN, "the certificate %s has ended, or has not begun by this device's clock", w->target.id);
	}
	if (w->target.act(w->target.arg, step, err) < 0 || look(r, w, now, err) < 0) {
		note_failure(r, w, now, err->text);
		return -1;
	}
	note_success(r, w, step);
	if (step == RENEWAL_RENEW && decide(w, now) == RENEWAL_RENEW) /* or its issuer would be asked once a minute */
		note_failure(r, w, now, "what was issued has so little of its life left that it is due already");
	return 0;
}

/* Somebody else has put it right. */
static void
forget_failure(struct renewals *r, struct watched *w)
{
	if (!*w->error)
		return;
	pthread_mutex_lock(&r->lock);
	w->pace.failed_at = w->pace.next_attempt = w->attempts = 0;
	*w->error = '\0';
	save(r);
	pthread_mutex_unlock(&r->lock);
}

/* The file tells who reads it how near the end is. */
static void
keep_news(struct renewals *r, struct watched *w, int64_t now)
{
	int urgency = (int)renewal_urgency(&w->target.policy, &w->found.current, now);

	if (urgency == w->told && memcmp(w->told_of, w->found.sha256, sizeof(w->told_of)) == 0)
		return;
	w->told = urgency;
	memcpy(w->told_of, w->found.sha256, sizeof(w->told_of));
	save(r);
}

/* 0: it is good, whatever came of an attempt to renew it. */
static int
check(struct renewals *r, struct watched *w, struct err *err)
{
	int64_t now = clock_wall();
	int status = look(r, w, now, err);
	enum renewal_step step = status < 0 ? RENEWAL_REST : decide(w, now);

	if (status == 0 && step == RENEWAL_DOUBT)
		tell_doubt(w, now);
	else if (status == 0 && w->target.waits_to_be_asked && !w->found.current.until)
		status = err_set(err, ERR_MISSING, "nobody has asked for the certificate %s yet", w->target.id);
	else if (status == 0 && step == RENEWAL_REST)
		forget_failure(r, w);
	else if (status == 0 && step != RENEWAL_REST)
		status = act(r, w, step, now, err);
	pthread_mutex_lock(&r->lock);
	w->checked = now;
	w->checked_boot_ms = clock_boot_ms();
	keep_news(r, w, now);
	pthread_mutex_unlock(&r->lock);
	if (status < 0 && w->found.current.until && renewal_is_good(&w->found.current, now))
		status = 0;
	return status;
}

static bool
is_known_good(struct renewals *r, const struct watched *w)
{
	bool good;

	pthread_mutex_lock(&r->lock);
	good = w->checked_boot_ms && renewal_is_good(&w->found.current, clock_wall());
	pthread_mutex_unlock(&r->lock);
	return good;
}

/* Looked at a moment ago.  first: nor is anything to be done about it. */
static bool
is_fresh(struct renewals *r, const struct watched *w, bool first)
{
	const struct renewal_policy *policy = &w->target.policy;
	int64_t now = clock_wall();
	bool fresh;

	pthread_mutex_lock(&r->lock);
	fresh = clock_boot_ms() - w->checked_boot_ms < LOOK_MS &&
		(!first || now < renewal_due(policy, w->found.current.from, w->found.current.until) || waits(w, now));
	pthread_mutex_unlock(&r->lock);
	return fresh && is_known_good(r, w);
}

/* What is good need not wait for an issuer that is slow. */
static int
ensure(struct renewals *r, struct watched *w, bool first, struct err *err)
{
	int status;

	if (is_fresh(r, w, first))
		return 0;
	if (pthread_mutex_trylock(&w->busy) != 0) {
		if (is_known_good(r, w))
			return 0;
		pthread_mutex_lock(&w->busy);
	}
	status = check(r, w, err);
	pthread_mutex_unlock(&w->busy);
	return status;
}

bool
renewals_has_good(struct renewals *r, const char *id)
{
	for (size_t i = 0; i < r->n; i++)
		if (text_is(r->item[i].target.id, id))
			return is_known_good(r, &r->item[i]);
	return false;
}

static int
find_and_ensure(struct renewals *r, const char *id, bool first, struct err *err)
{
	for (size_t i = 0; i < r->n; i++)
		if (text_is(r->item[i].target.id, id))
			return ensure(r, &r->item[i], first, err);
	return err_set(err, ERR_MISSING, "the certificate %s is not watched", id);
}

int
renewals_ensure(struct renewals *r, const char *id, struct err *err)
{
	return find_and_ensure(r, id, false, err);
}

int
renewals_ensure_first(struct renewals *r, const char *id, struct err *err)
{
	return find_and_ensure(r, id, true, err);
}

/* -- The thread ------------------------------------------------------------------------------------------------------------------------ */

/* False: it is time to stop. */
static bool
pause_between(struct renewals *r)
{
	struct timespec until;
	bool goes_on;

	clock_until(clock_look_ms(), &until);
	pthread_mutex_lock(&r->lock);
	if (!r->stopped)
		pthread_cond_timedwait(&r->wake, &r->lock, &until);
	goes_on = !r->stopped;
	pthread_mutex_unlock(&r->lock);
	return goes_on;
}

static void
check_all(struct renewals *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct err err = ERR_INIT;

		pthread_mutex_lock(&r->item[i].busy);
		if (check(r, &r->item[i], &err) < 0)
			log_debug("%s", err.text); /* said already */
		pthread_mutex_unlock(&r->item[i].busy);
	}
}

/* In a story that moves the clock it is read often; the certificates are looked at when it was set, or a minute has gone. */
static bool
is_time(int64_t *looked_boot_ms, int64_t *looked_wall)
{
	int64_t boot = clock_boot_ms(), wall = clock_wall(), step = wall - *looked_wall - (boot - *looked_boot_ms) / 1000;

	if (boot - *looked_boot_ms < LOOK_MS && step < STEP_S && step > -STEP_S)
		return false;
	*looked_boot_ms = boot;
	*looked_wall = wall;
	return true;
}

static void *
run(void *arg)
{
	struct renewals *r = arg;
	int64_t boot_ms = 0, wall = 0;

	do {
		if (is_time(&boot_ms, &wall))
			check_all(r);
	} while (pause_between(r));
	return NULL;
}

int
renewals_start(struct renewals *r, struct err *err)
{
	int error = pthread_create(&r->thread, NULL, run, r);

	r->has_thread = error == 0;
	errno = error;
	return error ? err_errno(err, "the thread that renews certificates") : 0;
}

void
renewals_stop(struct renewals *r)
{
	if (!r || !r->has_thread)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopped = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	r->has_thread = false;
}

/* -- Making and freeing ----------------------------------------------------------------------------------------------------------------- */

struct renewals *
renewals_new(const char *path)
{
	struct renewals *r = NEW(renewals);
	pthread_condattr_t monotonic;

	r->path = mem_text(path);
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return r;
}

void
renewals_add(struct renewals *r, const struct renewal_target *target)
{
	struct watched *w = &r->item[r->n];

	if (r->n == RENEWALS_MAX)
		return;
	w->target = *target;
	w->target.id = mem_text(target->id);
	w->told = -1;
	pthread_mutex_init(&w->busy, NULL);
	recall(r, w);
	r->n++;
}

void
renewals_free(struct renewals *r)
{
	if (!r)
		return;
	renewals_stop(r);
	for (size_t i = 0; i < r->n; i++) {
		pthread_mutex_destroy(&r->item[i].busy);
		mem_free(r->item[i].target.id);
	}
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	mem_free(r->path);
	mem_free(r);
}

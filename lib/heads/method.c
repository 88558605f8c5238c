/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge (method.h).  All calls stand in one table by the device's name, under one lock that is held for a few assignments only.  A call is the caller's and
 * is touched by three threads: its own loop (the clock), the session's (sending, the answer, the end), and whoever stops the process.  Who finds it in the table
 * takes it out and posts it home; what still runs elsewhere knows it by its rid alone and finds nothing any more.  Rids count up from a random number: none is used twice, also
 * not by the next process. */
#include "heads/method.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "wire/json.h"

/* The calls to one identity, oldest first. */
struct target {
	char *name;
	struct method_call *calls;
	size_t n;
};

struct methods {
	struct directory *directory;
	const struct subject *(*trusted)(struct head_session *session);
	pthread_mutex_t lock; /* for all below */
	struct map *targets;
	size_t n;
	uint64_t last_rid;
};

const struct method_failure method_failures[METHOD_ANSWER_COUNT] = {
	[METHOD_NOT_ONLINE] = { 404, "it is not connected here, or does not listen to methods" },
	[METHOD_TIMED_OUT] = { 504, "it did not answer in time" },
	[METHOD_CLOSED] = { 504, "its connection ended before it answered" },
	[METHOD_GONE] = { 404, "it was deleted" },
	[METHOD_BAD_RESULT] = { 502, "what it answered is not JSON" },
	[METHOD_TOO_LARGE] = { 502, "its answer is larger than 128 KB" },
};

struct methods *
methods_new(struct directory *directory, const struct subject *(*trusted)(struct head_session *session))
{
	struct methods *methods = NEW(methods);

	methods->directory = directory;
	methods->trusted = trusted;
	methods->targets = map_new();
	methods->last_rid = random_u64();
	pthread_mutex_init(&methods->lock, NULL);
	return methods;
}

void
methods_free(struct methods *methods)
{
	if (!methods)
		return;
	map_free(methods->targets);
	pthread_mutex_destroy(&methods->lock);
	mem_free(methods);
}

void
method_call_clear(struct method_call *call)
{
	identity_free(call->identity);
	mem_free(call->name);
	mem_free(call->payload);
	json_decref(call->result);
	*call = (struct method_call){ 0 };
}

/* -- The table; with the lock ------------------------------------------------------------------------------------------------------------ */

static struct target *
find_target(struct methods *methods, const struct subject *subject)
{
	OWN_TEXT name = subject_name(subject);

	return map_find_text(methods->targets, name);
}

static struct target *
need_target(struct methods *methods, const struct subject *subject)
{
	struct target *target = find_target(methods, subject);

	if (target)
		return target;
	target = NEW(target);
	target->name = subject_name(subject);
	map_put_text(methods->targets, target->name, target);
	return target;
}

static struct method_call *
find_call(struct target *target, struct slice rid)
{
	struct method_call *call = target ? target->calls : NULL;

	while (call && !slice_is(rid, call->rid))
		call = call->next;
	return call;
}

static void
insert(struct methods *methods, struct target *target, struct method_call *call)
{
	struct method_call **link = &target->calls;

	while (*link)
		link = &(*link)->next;
	*link = call;
	target->n++;
	methods->n++;
	snprintf(call->rid, sizeof(call->rid), "%llx", (unsigned long long)++methods->last_rid);
}

/* From now on it is ours alone, and goes home with post_home. */
static void
take_out(struct methods *methods, struct target *target, struct method_call *call)
{
	struct method_call **link = &target->calls;

	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
	call->is_over = true;
	methods->n--;
	if (--target->n > 0)
		return;
	map_remove_text(methods->targets, target->name);
	mem_free(target->name);
	mem_free(target);
}

static void
post_home(struct method_call *call, enum method_answer answer)
{
	call->answer = answer;
	loop_post(call->loop, &call->post);
}

static void
run_done(struct post *post)
{
	struct method_call *call = CONTAINER_OF(post, struct method_call, post);

	timer_cancel(&call->timer);
	call->done(call);
}

/* -- The clock ------------------------------------------------------------------------------------------------------------------------------ */

/* It looks at least every response_ms, so that it is never late for a call that was sent since its last look. */
static void
arm(struct method_call *call, int64_t now_ms)
{
	int64_t left = call->due_ms - now_ms;

	timer_arm(&call->timer, left < call->response_ms ? left : call->response_ms);
}

static void
on_timer(struct timer *timer)
{
	struct method_call *call = CONTAINER_OF(timer, struct method_call, timer);
	struct methods *methods = call->methods;
	struct subject subject = identity_subject(call->identity);
	int64_t now_ms = clock_boot_ms();

	pthread_mutex_lock(&methods->lock);
	if (!call->is_over && now_ms < call->due_ms) {
		arm(call, now_ms);
	} else if (!call->is_over) {
		take_out(methods, find_target(methods, &subject), call);
		post_home(call, call->session ? METHOD_TIMED_OUT : METHOD_NOT_ONLINE);
	}
	pthread_mutex_unlock(&methods->lock);
}

/* -- To the session ---------------------------------------------------------------------------------------------------------------------------- */

/* What is sent; while it is being sent it is not the call's, which may end meanwhile. */
struct letter {
	char *name, *payload;
	char rid[20];
};

static void
letter_free(struct letter *letter)
{
	if (!letter)
		return;
	mem_free(letter->name);
	mem_free(letter->payload);
	mem_free(letter);
}
OWN_DEFINE(letter);

static struct method_call *
find_waiting(struct target *target)
{
	struct method_call *call = target ? target->calls : NULL;

	while (call && call->session)
		call = call->next;
	return call;
}

/* Claim the oldest call that waits: nobody else sends it. */
static struct letter *
claim(struct methods *methods, struct head_session *session, const struct subject *subject)
{
	struct letter *letter = NULL;
	struct target *target;
	struct method_call *call;

	pthread_mutex_lock(&methods->lock);
	while (!letter && (target = find_target(methods, subject)) != NULL && (call = find_waiting(target)) != NULL) {
		if (!text_is(call->identity->generation_id, subject->generation_id)) {
			take_out(methods, target, call);
			post_home(call, METHOD_GONE);
			continue;
		}
		call->session = session;
		call->due_ms = clock_boot_ms() + call->response_ms;
		letter = NEW(letter);
		letter->name = GIVE(call->name);
		letter->payload = GIVE(call->payload);
		memcpy(letter->rid, call->rid, sizeof(letter->rid));
	}
	pthread_mutex_unlock(&methods->lock);
	return letter;
}

/* Somebody looks, on the session's loop, whether the device is there and listens. */
struct knock {
	struct directory_visit visit;
	struct methods *methods;
	struct subject subject;
	uint64_t not_conn; /* that one did not take it */
	char rid[20];
};

static void
knock_free(struct knock *knock)
{
	subject_clear(&knock->subject);
	mem_free(knock);
}

/* Nobody there: who does not wait is answered. */
static void
nobody_there(struct knock *knock)
{
	struct methods *methods = knock->methods;
	struct target *target;
	struct method_call *call;

	pthread_mutex_lock(&methods->lock);
	target = find_target(methods, &knock->subject);
	call = find_call(target, slice_of(knock->rid));
	if (call && !call->session && call->connect_ms == 0) {
		take_out(methods, target, call);
		post_home(call, METHOD_NOT_ONLINE);
	}
	pthread_mutex_unlock(&methods->lock);
}

static void
on_visit(struct directory_visit *visit, struct head_session *session)
{
	struct knock *knock = CONTAINER_OF(visit, struct knock, visit);
	bool refused = session && conn_id(head_session_conn(session)) == knock->not_conn;
	const struct subject *subject = session && !refused ? knock->methods->trusted(session) : NULL;

	if (subject && (head_session_wants(session) & HEAD_WANTS_METHODS))
		methods_on_ready(knock->methods, session, subject);
	else
		nobody_there(knock);
	knock_free(knock);
}

static void
knock_at(struct methods *methods, const struct subject *subject, const char *rid, uint64_t not_conn)
{
	OWN_TEXT name = subject_name(subject);
	struct knock *knock = NEW(knock);

	knock->visit.run = on_visit;
	knock->methods = methods;
	knock->subject = subject_copy(subject);
	knock->not_conn = not_conn;
	snprintf(knock->rid, sizeof(knock->rid), "%s", rid);
	if (directory_visit(methods->directory, name, &knock->visit))
		return;
	nobody_there(knock);
	knock_free(knock);
}

/* The session is ending already: the call waits on, for the next one. */
static void
take_back(struct methods *methods, const struct subject *subject, struct letter *letter)
{
	struct method_call *call;

	pthread_mutex_lock(&methods->lock);
	call = find_call(find_target(methods, subject), slice_of(letter->rid));
	if (call) {
		call->session = NULL;
		call->due_ms = call->connect_until_ms;
		call->name = GIVE(letter->name);
		call->payload = GIVE(letter->payload);
	}
	pthread_mutex_unlock(&methods->lock);
}

void
methods_on_ready(struct methods *methods, struct head_session *session, const struct subject *subject)
{
	bool sent = true;

	while (sent) {
		OWN(letter) letter = claim(methods, session, subject);

		if (!letter)
			return;
		sent = head_session_method(session, letter->name, letter->rid, letter->payload, strlen(letter->payload));
		if (sent)
			continue;
		take_back(methods, subject, letter);
		/* The next one may have come while this one was being tried. */
		knock_at(methods, subject, letter->rid, conn_id(head_session_conn(session)));
	}
}

/* -- The interface -------------------------------------------------------------------------------------------------------------------------------- */

bool
methods_submit(struct methods *methods, struct method_call *call, struct loop *loop)
{
	int64_t now_ms = clock_boot_ms();
	struct subject subject = identity_subject(call->identity);
	struct target *target;
	bool taken;

	call->methods = methods;
	call->loop = loop;
	call->post.run = run_done;
	/* Without a time for the device to come, the clock is only there for a loop that is stuck. */
	call->due_ms = now_ms + (call->connect_ms > 0 ? call->connect_ms : call->response_ms);
	call->connect_until_ms = call->due_ms;
	timer_init(&call->timer, loop, on_timer);
	pthread_mutex_lock(&methods->lock);
	target = find_target(methods, &subject);
	taken = methods->n < METHODS_MAX && (!target || target->n < METHODS_PER_DEVICE_MAX);
	if (taken) {
		insert(methods, target ? target : need_target(methods, &subject), call);
		arm(call, now_ms);
	}
	pthread_mutex_unlock(&methods->lock);
	if (!taken)
		return false;
	knock_at(methods, &subject, call->rid, 0);
	return true;
}

static enum method_answer
take_result(struct method_call *call, int status, struct slice payload)
{
	struct err err = ERR_INIT;

	call->status = status;
	if (payload.len > METHOD_PAYLOAD_MAX)
		return METHOD_TOO_LARGE;
	call->result = payload.len > 0 ? json_parse(payload.text, payload.len, &err) : json_null();
	return call->result ? METHOD_DONE : METHOD_BAD_RESULT;
}

void
methods_on_answer(struct methods *methods, const struct subject *subject, struct slice rid, int status, struct slice payload)
{
	struct target *target;
	struct method_call *call;

	pthread_mutex_lock(&methods->lock);
	target = find_target(methods, subject);
	call = find_call(target, rid);
	if (call && !call->session)
		call = NULL; /* guessed: it was not sent yet */
	if (call)
		take_out(methods, target, call);
	pthread_mutex_unlock(&methods->lock);
	if (call)
		post_home(call, take_result(call, status, payload));
}

void
methods_on_end(struct methods *methods, struct head_session *session, const struct subject *subject)
{
	struct method_call *call, *next;
	struct target *target;

	pthread_mutex_lock(&methods->lock);
	target = find_target(methods, subject);
	for (call = target ? target->calls : NULL; call; call = next) {
		next = call->next;
		if (call->session != session)
			continue;
		take_out(methods, target, call);
		post_home(call, METHOD_CLOSED);
	}
	pthread_mutex_unlock(&methods->lock);
}

void
methods_stop(struct methods *methods)
{
	struct target *target;
	struct method_call *call;
	size_t at;
	void *value;

	if (!methods)
		return;
	pthread_mutex_lock(&methods->lock);
	for (at = 0; map_next(methods->targets, &at, NULL, NULL, &value); at = 0) {
		target = value;
		call = target->calls;
		take_out(methods, target, call);
		post_home(call, METHOD_CLOSED);
	}
	pthread_mutex_unlock(&methods->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Twins on the way to and from sessions (twin_sessions.h).  What is told in order of versions on the worker arrives in that order: posts of one sender do.  A device that was
 * away, or between two connections, hears of no change later: it asks for its twin, as the SDKs do, and sees by $version that it missed one. */
#include "hub/twins/twin_sessions.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "hub/hub_head.h"
#include "hub/rest/rest.h"
#include "wire/json.h"

#define MODEL_ID_MAX 4096

struct twin_sessions {
	struct twins *twins;
	struct directory *directory;
};

/* -- Questions -------------------------------------------------------------------------------------------------------------------------- */

struct ask {
	struct twin_call twin;
	struct head_call *call;
};

static void
ask_free(struct ask *ask)
{
	twin_call_clear(&ask->twin);
	mem_free(ask);
}

static void
answer(struct ask *ask)
{
	const struct twin_call *twin = &ask->twin;
	OWN_LIB(json_t) view = NULL;
	OWN_TEXT text = NULL;

	if (twin->answer != TWIN_OK) {
		rest_fail_question(ask->call, rest_twin_error(twin->answer), rest_twin_sentence(twin), NULL);
		return;
	}
	if (twin->reported) {
		head_answer(ask->call, 204, twin->twin->reported.version, "", 0);
		return;
	}
	view = twin_device_view(twin->twin);
	text = json_line(view);
	head_answer(ask->call, 200, 0, text, strlen(text));
}

/* Between the question and now trust may have been withdrawn: looking at it closes the session, and what is answered then goes nowhere. */
static void
on_asked(struct twin_call *twin)
{
	struct ask *ask = CONTAINER_OF(twin, struct ask, twin);
	struct head_session *session = head_call_session(ask->call);

	if (session && twin->answer == TWIN_GONE)
		head_session_close(session, SESSION_WITHDRAWN);
	else if (session)
		hub_head_subject(session);
	answer(ask);
	ask_free(ask);
}

/* false: answered. */
static bool
take_report(struct ask *ask, const struct head_request *request)
{
	OWN_TEXT version = slice_text(request->if_version);
	struct err err = ERR_INIT;

	if (request->if_version.len > 0 && !text_to_i64(version, 1, INT64_MAX, &ask->twin.if_version)) {
		rest_fail_question(ask->call, REST_ARGUMENT_INVALID, "$version is no version", NULL);
		return false;
	}
	ask->twin.reported = json_parse(request->body.text, request->body.len, &err);
	if (json_is_object(ask->twin.reported))
		return true;
	rest_fail_question(
		ask->call, REST_ARGUMENT_INVALID, ask->twin.reported ? "reported properties are a JSON object" : err.text, NULL);
	return false;
}

void
twin_sessions_on_request(struct twin_sessions *sessions, struct head_session *session, const struct subject *subject,
	const struct head_request *request, struct head_call *call)
{
	struct ask *ask = NEW(ask);

	ask->call = call;
	ask->twin.done = on_asked;
	ask->twin.device_id = mem_text(subject->device_id);
	ask->twin.module_id = mem_text(subject->module_id);
	ask->twin.generation_id = mem_text(subject->generation_id);
	if (request->kind == HEAD_TWIN_REPORT && !take_report(ask, request)) {
		ask_free(ask);
		return;
	}
	if (twins_submit(sessions->twins, &ask->twin, loop_owner(conn_loop(head_session_conn(session)))))
		return;
	rest_fail_question(call, REST_THROTTLING_EXCEPTION, "too many changes wait; try again", NULL);
	ask_free(ask);
}

/* -- The model ----------------------------------------------------------------------------------------------------------------------------- */

static void
on_model_kept(struct twin_call *twin)
{
	if (twin->answer == TWIN_FAILED)
		log_error("registry: %s", twin->err.text);
	twin_call_clear(twin);
	mem_free(twin);
}

/* It is said at each connection, so one that finds no room now is kept at the next. */
void
twin_sessions_on_live(
	struct twin_sessions *sessions, struct head_session *session, const struct subject *subject, const char *model_id)
{
	size_t len = model_id ? strlen(model_id) : 0;
	struct twin_call *twin;

	if (len == 0 || len > MODEL_ID_MAX || !text_is_utf8(model_id, len) || text_has_control(model_id, len))
		return;
	twin = NEW(twin_call);
	twin->device_id = mem_text(subject->device_id);
	twin->module_id = mem_text(subject->module_id);
	twin->generation_id = mem_text(subject->generation_id);
	twin->model_id = mem_text(model_id);
	twin->done = on_model_kept;
	if (twins_submit(sessions->twins, twin, loop_owner(conn_loop(head_session_conn(session)))))
		return;
	twin_call_clear(twin);
	mem_free(twin);
}

/* -- What the device is told ------------------------------------------------------------------------------------------------------------------ */

struct news {
	struct directory_visit visit;
	int64_t version;
	char *text;
};

static void
news_free(struct news *news)
{
	mem_free(news->text);
	mem_free(news);
}

static void
bring(struct directory_visit *visit, struct head_session *session)
{
	struct news *news = CONTAINER_OF(visit, struct news, visit);

	if (session && hub_head_subject(session))
		head_session_desired(session, news->version, news->text, strlen(news->text));
	news_free(news);
}

/* On the worker. */
static void
on_changed(void *arg, const struct twin_event *event)
{
	struct twin_sessions *sessions = arg;
	OWN_TEXT name = identity_name(event->identity->device_id, event->identity->module_id);
	OWN_LIB(json_t) json = NULL;
	struct news *news;

	if (!event->change->desired || !directory_is_connected(sessions->directory, name))
		return;
	json = twin_desired_news(event->before, event->after, event->change);
	news = NEW(news);
	news->visit.run = bring;
	news->version = event->after->desired.version;
	news->text = json_line(json);
	if (!directory_visit(sessions->directory, name, &news->visit))
		news_free(news);
}

struct twin_sessions *
twin_sessions_new(struct twins *twins, struct directory *directory)
{
	struct twin_sessions *sessions = NEW(twin_sessions);

	sessions->twins = twins;
	sessions->directory = directory;
	twins_watch(twins, on_changed, sessions);
	return sessions;
}

void
twin_sessions_free(struct twin_sessions *sessions)
{
	mem_free(sessions);
}

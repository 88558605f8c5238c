/* SPDX-License-Identifier: Apache-2.0 */
/* Questions go to the loop of the twins and their answers back to the session's; news go there by the directory, in their order. */
#include "gateway/relay/twin_relay.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/gauges/tally.h"
#include "gateway/relay/twin_change.h"
#include "wire/json.h"

struct twin_relay {
	struct twin_relay_config config;
};

/* -- Questions -------------------------------------------------------------------------------------------------------------------------------- */

struct question {
	struct twin_ask ask;
	struct twin_relay *relay;
	struct loop *loop;
	struct head_call *call;
	struct post back;
	struct queue_storing storing;
	char *reported;	  /* for those who are to hear of it; NULL: nothing */
	int64_t asked_ms; /* boot clock */
};

static void
fail(struct head_call *call, int status, int code, const char *words)
{
	OWN_LIB(json_t) body = json_pack("{s:i, s:s}", "errorCode", code, "message", words);
	OWN_TEXT text = json_line(body);

	head_answer(call, status, 0, text, strlen(text));
}

static void
question_free(struct question *q)
{
	twin_ask_clear(&q->ask);
	mem_free(q->reported);
	mem_free(q);
}

static void
question_end(struct question *q)
{
	const struct subject who = { .device_id = q->ask.device_id, .module_id = q->ask.module_id };

	tally_twin_took(&who, q->ask.question == TWIN_REPORT, clock_boot_ms() - q->asked_ms);
	head_answer(q->call, q->ask.status, 0, q->ask.body, strlen(q->ask.body));
	question_free(q);
}

/* What was reported is kept, but not for all who are to hear of it: reported again, it is the same. */
static void
on_change_kept(struct queue_storing *storing, enum reason why)
{
	struct question *q = CONTAINER_OF(storing, struct question, storing);

	if (why == OK) {
		question_end(q);
		return;
	}
	fail(q->call, 429, 429001, "there is no room for those who are to hear of it; try again");
	question_free(q);
}

static void
tell_routes(struct question *q)
{
	const struct twin_relay_config *config = &q->relay->config;
	struct twin_change change = {
		.device_id = q->ask.device_id,
		.module_id = q->ask.module_id,
		.generation_id = q->ask.generation_id,
		.reported = q->reported,
		.is_own = q->ask.module_id && text_is(q->ask.device_id, config->edge_id),
	};

	q->storing.done = on_change_kept;
	if (!twin_change_put(queue_lane(config->queue, loop_owner(q->loop)), &change, &q->storing))
		question_end(q);
}

/* Trust may have been withdrawn meanwhile: then looking at it closes the session, and what is answered goes nowhere. */
static void
on_back(struct post *post)
{
	struct question *q = CONTAINER_OF(post, struct question, back);
	struct head_session *session = head_call_session(q->call);

	(void)audience_find(&q->relay->config.audience, session, "");
	if (q->ask.question == TWIN_REPORT && q->ask.status == 204)
		tell_routes(q);
	else
		question_end(q);
}

static void
on_answered(struct twin_ask *ask)
{
	struct question *q = CONTAINER_OF(ask, struct question, ask);

	q->back.run = on_back;
	loop_post(q->loop, &q->back);
}

/* NULL: it was answered. */
static json_t *
parse_report(const struct head_request *request, struct head_call *call)
{
	struct err err = ERR_INIT;
	json_t *report = json_parse(request->body.text, request->body.len, &err);

	if (json_is_object(report))
		return report;
	json_decref(report);
	fail(call, 400, 400004, err.kind == ERR_NONE ? "reported properties are a JSON object" : err.text);
	return NULL;
}

void
twin_relay_request(struct twin_relay *relay, struct head_session *session, const struct subject *subject,
	const struct head_request *request, struct head_call *call)
{
	json_t *report = NULL;
	struct question *q;

	if (request->kind == HEAD_ISSUE_CERT) {
		fail(call, 501, 404013, "certificates are issued by the hub alone");
		return;
	}
	if (request->kind == HEAD_TWIN_REPORT && (report = parse_report(request, call)) == NULL)
		return;
	q = NEW(question);
	q->relay = relay;
	q->loop = conn_loop(head_session_conn(session));
	q->call = call;
	q->asked_ms = clock_boot_ms();
	q->ask.device_id = mem_text(subject->device_id);
	q->ask.module_id = mem_text(subject->module_id);
	q->ask.generation_id = mem_text(subject->generation_id ? subject->generation_id : "");
	q->ask.question = report ? TWIN_REPORT : TWIN_GET;
	q->ask.patch = report;
	q->reported = report ? json_line(report) : NULL;
	tally_twin(subject, report != NULL);
	q->ask.done = on_answered;
	twins_ask(relay->config.twins, &q->ask);
}

/* -- News --------------------------------------------------------------------------------------------------------------------------------------- */

struct news {
	struct directory_visit visit;
	struct twin_relay *relay;
	int64_t version;
	char *text, *generation_id;
};

static void
news_free(struct news *news)
{
	mem_free(news->text);
	mem_free(news->generation_id);
	mem_free(news);
}

static void
bring(struct directory_visit *visit, struct head_session *session)
{
	struct news *news = CONTAINER_OF(visit, struct news, visit);

	if (audience_find(&news->relay->config.audience, session, news->generation_id))
		head_session_desired(session, news->version, news->text, strlen(news->text));
	news_free(news);
}

void
twin_relay_news(struct twin_relay *relay, const char *name, const char *generation_id, const json_t *change)
{
	struct news *news = NEW(news);

	news->relay = relay;
	news->version = json_integer_value(json_object_get(change, "$version"));
	news->text = json_line(change);
	news->generation_id = mem_text(generation_id);
	news->visit.run = bring;
	if (!directory_visit(relay->config.audience.directory, name, &news->visit))
		news_free(news);
}

struct twin_relay *
twin_relay_new(const struct twin_relay_config *config)
{
	struct twin_relay *relay = NEW(twin_relay);

	relay->config = *config;
	return relay;
}

void
twin_relay_free(struct twin_relay *relay)
{
	mem_free(relay);
}

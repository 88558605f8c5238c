/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of a device about its twin and for a certificate, and what it says of the methods it was asked to carry out (hub 1.9 to 1.11).  Questions may be answered late and in any order; a
 * device with too many of them open is not read from.  Each gets an answer that every SDK understands, never silence. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "heads/mqtt_session.h"

static void
refuse(struct head_call *call)
{
	static const char body[] = "{\"errorCode\":404013,\"message\":\"this is not served here yet\"}";

	head_answer(call, 501, 0, body, strlen(body));
}

static enum head_question
question_of(enum topic_kind kind)
{
	if (kind == TOPIC_ISSUE_CERT)
		return HEAD_ISSUE_CERT;
	return kind == TOPIC_TWIN_GET ? HEAD_TWIN_GET : HEAD_TWIN_REPORT;
}

void
mqtt_in_question(struct mqtt_session *s, const struct topic *topic, struct slice body)
{
	const struct head_ops *ops = s->head->config.ops;
	struct head_call *call = NEW(head_call);
	struct head_request request = {
		.kind = question_of(topic->kind),
		.if_version = topic->version,
		.body = body,
	};

	call->session = s;
	call->kind = request.kind;
	call->rid = slice_text(topic->rid);
	call->next = s->calls;
	if (s->calls)
		s->calls->link = &call->next;
	s->calls = call;
	call->link = &s->calls;
	s->n_calls++;
	if (ops->request)
		ops->request(s->head->config.backend, s->base.domain, &s->base, &request, call);
	else
		refuse(call);
}

struct head_session *
head_call_session(struct head_call *call)
{
	return call->session ? &call->session->base : NULL;
}

static void
call_unlink(struct head_call *call)
{
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
}

static void
say(struct mqtt_session *s, const struct head_call *call, int status, int64_t version, const void *body, size_t len)
{
	bool is_cert = call->kind == HEAD_ISSUE_CERT;
	OWN_TEXT topic = mem_textf("$iothub/%s/res/%d/?$rid=%s", is_cert ? "credentials" : "twin", status, call->rid);
	OWN_TEXT with_version = version > 0 ? mem_textf("%s&$version=%lld", topic, (long long)version) : NULL;

	mqtt_out_answer(s, is_cert ? FILTER_CREDENTIALS : FILTER_TWIN_RESPONSE, with_version ? with_version : topic, body, len);
}

void
head_answer_accepted(struct head_call *call, const void *body, size_t len)
{
	if (call->session)
		say(call->session, call, 202, 0, body, len);
}

void
head_answer(struct head_call *call, int status, int64_t version, const void *body, size_t len)
{
	struct mqtt_session *s = call->session;

	if (s) {
		call_unlink(call);
		s->n_calls--;
		say(s, call, status, version, body, len);
		mqtt_session_read_on(s);
	}
	mem_free(call->rid);
	mem_free(call);
}

void
mqtt_calls_forget(struct mqtt_session *s)
{
	for (struct head_call *call = s->calls; call; call = call->next)
		call->session = NULL;
	s->calls = NULL;
	s->n_calls = 0;
}

void
mqtt_in_method_answer(struct mqtt_session *s, const struct topic *topic, struct slice payload)
{
	const struct head_ops *ops = s->head->config.ops;
	OWN_TEXT text = slice_text(topic->status);
	int64_t status = 0;

	(void)text_to_i64(text, INT32_MIN, INT32_MAX, &status); /* a topic with anything else was not taken for one */
	if (ops->method_answer)
		ops->method_answer(s->head->config.backend, s->base.domain, topic->rid, (int)status, payload);
}

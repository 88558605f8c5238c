/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of a device about its twin, and what it says of the methods it was asked to carry out (hub 1.9, 1.10).  Questions may be answered late and in any order; a
 * device with too many of them open is not read from.  Each gets an answer that every SDK understands, never silence. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "heads/mqtt_session.h"

static void
refuse(struct head_call *call)
{
	static const char body[] = "{\"errorCode\":404013,\"message\":\"twins are not served here yet\"}";

	head_answer(call, 501, 0, body, strlen(body));
}

void
mqtt_in_question(struct mqtt_session *s, const struct topic *topic, struct slice body)
{
	const struct head_ops *ops = s->head->config.ops;
	struct head_call *call = NEW(head_call);
	struct head_request request = {
		.kind = topic->kind == TOPIC_TWIN_GET ? HEAD_TWIN_GET : HEAD_TWIN_REPORT,
		.if_version = topic->version,
		.body = body,
	};

	call->session = s;
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

void
head_answer(struct head_call *call, int status, int64_t version, const void *body, size_t len)
{
	struct mqtt_session *s = call->session;
	OWN_TEXT topic = NULL;

	if (s) {
		call_unlink(call);
		s->n_calls--;
		topic = version > 0 ? mem_textf("$iothub/twin/res/%d/?$rid=%s&$version=%lld", status, call->rid, (long long)version)
				    : mem_textf("$iothub/twin/res/%d/?$rid=%s", status, call->rid);
		mqtt_out_answer(s, topic, body, len);
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

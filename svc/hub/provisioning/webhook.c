/* SPDX-License-Identifier: Apache-2.0 */
/* One POST (webhook.h). */
#include "hub/provisioning/webhook.h"

#include "base/mem.h"
#include "net/http_client.h"

#define TIMEOUT_MS 15000
#define ANSWER_MAX (256 * 1024)

void
webhook_clear(struct webhook *webhook)
{
	mem_free(webhook->url);
	json_decref(webhook->body);
	json_decref(webhook->json);
	*webhook = (struct webhook){ 0 };
}

void
webhook_ask(struct webhook *webhook, struct anchors *anchors, const atomic_bool *cancelled)
{
	struct http_answer answer;
	struct http_call call = { .method = "POST",
		.url = webhook->url,
		.anchors = anchors,
		.timeout_ms = TIMEOUT_MS,
		.max_body = ANSWER_MAX,
		.cancelled = cancelled,
		.who = "provisioning" };

	/* One that said something, if only nonsense, was there. */
	(void)http_fetch_json(&webhook->json, &answer, &call, webhook->body, &webhook->err);
	webhook->status = answer.status;
	http_answer_clear(&answer);
}

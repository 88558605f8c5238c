/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to those above. */
#include "gateway/upstream/upstream_call.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/local/hub_throttle.h"
#include "wire/json.h"

#define VERSION "api-version=2020-06-30-preview"

int
upstream_fetch(struct http_answer *out, struct upstream *u, const struct upstream_call *what, struct err *err)
{
	const struct upstream_config *c = upstream_config(u);
	OWN_TEXT url = mem_textf("https://%s:%d/devices/%s/modules/%s/%s?" VERSION, c->parent_host ? c->parent_host : c->hub_host,
		c->https_port, c->edge_id, c->workload.module_id, what->operation);
	OWN_TEXT match = what->if_match ? mem_textf("If-Match: %s", what->if_match) : NULL;
	OWN_TEXT body = json_line(what->body);
	int64_t expires;
	char *token = hub_throttle_check(err) == 0 ? upstream_token(u, &expires, err) : NULL;
	char *authorization = token ? mem_textf("Authorization: %s", token) : NULL;
	const char *headers[] = { authorization, "Content-Type: application/json; charset=utf-8", match, NULL };
	struct http_call call = {
		.method = what->method,
		.url = url,
		.connect_to = c->hub_address,
		.headers = headers,
		.body = body,
		.body_len = strlen(body),
		.anchors = upstream_anchors(u),
		.who = "gateway",
		.timeout_ms = what->within_ms,
		.cancelled = upstream_stopping(u),
	};
	int done = token ? http_fetch(out, &call, err) : -1;

	if (out->verdict)
		upstream_judged(u, out->verdict);
	if (done == 0)
		hub_throttle_note_answer(out);
	upstream_token_free(authorization);
	upstream_token_free(token);
	return done;
}

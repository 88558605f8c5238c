/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to those above. */
#include "gateway/upstream/upstream_call.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/gauges/hub_throttle.h"
#include "gateway/gauges/hub_word.h"
#include "wire/json.h"

#define VERSION "api-version=2020-06-30-preview"

/* With `json` it is an exchange of JSON (http_fetch_json).  Questions go over one connection of the thread: a handshake costs as much as a hundred of them.  What changes
 * something has one of its own: on a kept one it would be sent again when that ends without an answer. */
static int
converse(json_t **json, struct http_answer *out, struct upstream *u, const struct upstream_call *what, struct err *err)
{
	const struct upstream_config *c = upstream_config(u);
	OWN_TEXT url = mem_textf("https://%s:%d/devices/%s/modules/%s/%s?" VERSION, c->parent_host ? c->parent_host : c->hub_host,
		c->https_port, c->edge_id, c->workload.module_id, what->operation);
	OWN_TEXT body = json ? NULL : json_line(what->body);
	int64_t expires;
	char *token = hub_throttle_check(err) == 0 ? upstream_token(u, &expires, err) : NULL;
	char *authorization = token ? mem_textf("Authorization: %s", token) : NULL;
	const char *headers[5] = { authorization };
	size_t n_headers = 1;
	struct http_call call = {
		.method = what->method,
		.url = url,
		.connect_to = c->hub_address,
		.headers = headers,
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.anchors = upstream_anchors(u),
		.who = "gateway",
		.tls = what->changes ? NULL : upstream_tls(u),
		.timeout_ms = what->within_ms,
		.cancelled = upstream_stopping(u),
	};
	int done = -1;

	if (!json)
		headers[n_headers++] = "Content-Type: application/json; charset=utf-8";
	if (what->header)
		headers[n_headers++] = what->header;
	if (c->parent_host)
		headers[n_headers++] = HUB_WORD_HEADER ": tell";
	*out = (struct http_answer){ .retry_after_s = -1, .retry_at = -1, .date = -1 };
	if (token)
		done = json ? http_fetch_json(json, out, &call, what->body, err) : http_fetch(out, &call, err);
	if (out->verdict)
		upstream_judged(u, out->verdict);
	hub_throttle_note_answer(out);
	upstream_token_free(authorization);
	upstream_token_free(token);
	return done;
}

int
upstream_fetch(struct http_answer *out, struct upstream *u, const struct upstream_call *what, struct err *err)
{
	return converse(NULL, out, u, what, err);
}

int
upstream_fetch_json(json_t **json, struct http_answer *out, struct upstream *u, const struct upstream_call *what, struct err *err)
{
	*json = NULL;
	return converse(json, out, u, what, err);
}

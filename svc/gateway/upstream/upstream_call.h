/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An operation of $edgeHub on those above, the hub or a gateway, over HTTPS with its token.  Blocks. */

#include "gateway/upstream/upstream.h"
#include "net/http_client.h"

struct upstream_call {
	const char *method, *operation; /* "POST", "getModuleOnBehalfOf" */
	const json_t *body;
	const char *header; /* one more line, "If-Match: ...", or NULL */
	int64_t within_ms;
	bool changes; /* something there; else it is a question, which may be asked again */
};
/* Whatever the answer says, there is one; -1: there is none.  The answer is the caller's in any case. */
int upstream_fetch(struct http_answer *out, struct upstream *upstream, const struct upstream_call *call, struct err *err);
/* The same as http_fetch_json has it: a status of 400 and above is a failure, too. */
int upstream_fetch_json(
	json_t **json, struct http_answer *out, struct upstream *upstream, const struct upstream_call *call, struct err *err);

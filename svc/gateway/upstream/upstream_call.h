/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An operation of $edgeHub on those above, the hub or a gateway, over HTTPS with its token.  Blocks. */

#include "gateway/upstream/upstream.h"
#include "net/http_client.h"

struct upstream_call {
	const char *method, *operation; /* "POST", "getModuleOnBehalfOf" */
	const json_t *body;
	const char *if_match; /* NULL: none */
	int64_t within_ms;
};
/* Whatever the answer says, there is one; -1: there is none. */
int upstream_fetch(struct http_answer *out, struct upstream *upstream, const struct upstream_call *call, struct err *err);

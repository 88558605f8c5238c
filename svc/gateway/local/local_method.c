/* SPDX-License-Identifier: Apache-2.0 */
/* A method that the operator calls. */
#include "gateway/local/local_method.h"

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/gauges/tally.h"
#include "heads/method_question.h"
#include "wire/json.h"

#define NAME_MAX_HERE 100
#define OPERATOR "operator" /* who calls, in metrics */

struct invocation {
	struct method_call method;
	struct http_request *req;
	int64_t called_ms; /* boot clock */
};

static void
invocation_free(struct invocation *i)
{
	method_call_clear(&i->method);
	mem_free(i);
}

static void
fail(struct invocation *i, int status, const char *message)
{
	http_respond_json(i->req, status, NULL, json_pack("{s:s}", "message", message));
	invocation_free(i);
}

static void
on_done(struct method_call *method)
{
	struct invocation *i = CONTAINER_OF(method, struct invocation, method);
	OWN_TEXT to = identity_name(method->identity->device_id, method->identity->module_id);

	tally_method_took(OPERATOR, to, clock_boot_ms() - i->called_ms);
	if (method->answer != METHOD_DONE) {
		fail(i, method_failures[method->answer].status, method_failures[method->answer].sentence);
		return;
	}
	http_respond_json(i->req, 200, NULL, json_pack("{s:i, s:O}", "status", method->status, "payload", method->result));
	invocation_free(i);
}

static bool
read_question(struct invocation *i, struct err *err)
{
	size_t len;
	const char *text = http_body(i->req, &len);
	OWN_LIB(json_t) body = json_parse(text, len, err);

	return body && method_question_take(&i->method, body, NAME_MAX_HERE, err) == 0;
}

static bool
submit(const struct local_api *api, struct invocation *i, struct loop *loop)
{
	OWN_TEXT to = identity_name(i->method.identity->device_id, i->method.identity->module_id);

	i->called_ms = clock_boot_ms();
	if (!methods_submit(api->methods, &i->method, loop))
		return false;
	tally_method(OPERATOR, to);
	return true;
}

void
local_method_call(const struct local_api *api, struct http_request *req, const char *const *ids)
{
	struct invocation *i = NEW(invocation);
	struct conn *conn = http_conn(req);
	struct err err = ERR_INIT;
	int64_t confirmed;

	i->req = req;
	i->method.done = on_done;
	i->method.identity = scope_find(api->sources.scope, ids[0], ids[1], &confirmed);
	if (!i->method.identity)
		fail(i, 404, "it is not below this gateway");
	else if (!read_question(i, &err))
		fail(i, 400, err.text);
	else if (!conn || !submit(api, i, conn_loop(conn)))
		fail(i, 429, "too many methods are on their way");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A module of this edge device calls a method of a device or module that is connected here (gateway 4.4, 6): nothing of it goes to the hub, so it works while that is away.  Who calls says so in
 * a header, and proves it with his own token; there is no api-version. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/front/front_route.h"
#include "gateway/gauges/tally.h"
#include "heads/method_question.h"
#include "wire/json.h"

#define NAME_MAX_HERE 100

struct invocation {
	const struct front_api *api;
	struct buf caller_device, caller_module;
	char *device_id, *module_id; /* who is called */
	struct method_call method;
	struct http_request *req;
	int64_t called_ms; /* boot clock */
};

static void
invocation_free(struct invocation *i)
{
	method_call_clear(&i->method);
	buf_clear(&i->caller_device);
	buf_clear(&i->caller_module);
	mem_free(i->device_id);
	mem_free(i->module_id);
	mem_free(i);
}

/* -- The answer ---------------------------------------------------------------------------------------------------------------------------- */

static char *
caller_name(struct invocation *i)
{
	return identity_name(buf_text(&i->caller_device), i->caller_module.len > 0 ? buf_text(&i->caller_module) : NULL);
}

static void
on_done(struct method_call *method)
{
	struct invocation *i = CONTAINER_OF(method, struct invocation, method);
	OWN_TEXT name = identity_name(i->device_id, i->module_id);
	OWN_TEXT from = caller_name(i);

	tally_method_took(from, name, clock_boot_ms() - i->called_ms);
	if (method->answer == METHOD_DONE)
		http_respond_json(i->req, 200, NULL, json_pack("{s:i, s:O}", "status", method->status, "payload", method->result));
	else
		front_fail(i->req, method_failures[method->answer].status, NULL, "%s: %s", name,
			method_failures[method->answer].sentence);
	invocation_free(i);
}

/* -- The question -------------------------------------------------------------------------------------------------------------------------- */

/* false: answered. */
static bool
read_question(struct invocation *i)
{
	struct err err = ERR_INIT;
	size_t len;
	const char *text = http_body(i->req, &len);
	OWN_LIB(json_t) body = json_parse(text, len, &err);

	if (body && method_question_take(&i->method, body, NAME_MAX_HERE, &err) == 0)
		return true;
	front_fail(i->req, 400, NULL, "%s", err.text);
	return false;
}

static bool
find_target(struct invocation *i)
{
	OWN_TEXT name = identity_name(i->device_id, i->module_id);
	OWN_TEXT from = caller_name(i);
	int64_t confirmed;

	i->method.identity = scope_find(i->api->scope, i->device_id, i->module_id, &confirmed);
	if (i->method.identity)
		return true;
	tally_method(from, NULL);
	front_fail(i->req, 404, NULL, "%s is not below this gateway", name);
	return false;
}

static bool
submit(struct invocation *i)
{
	struct conn *conn = http_conn(i->req);
	OWN_TEXT from = caller_name(i);
	OWN_TEXT to = identity_name(i->device_id, i->module_id);

	i->called_ms = clock_boot_ms();
	if (conn && methods_submit(i->api->methods, &i->method, conn_loop(conn))) {
		tally_method(from, to);
		return true;
	}
	front_fail(i->req, 429, NULL, "too many methods are on their way; at most %d to one device", METHODS_PER_DEVICE_MAX);
	return false;
}

static void
on_admitted(struct http_request *req, void *domain, void *arg)
{
	struct invocation *i = arg;

	(void)req;
	i->method.done = on_done;
	if (!domain || !read_question(i) || !find_target(i) || !submit(i))
		invocation_free(i);
}

static void
invoke(const struct front_api *api, struct http_request *req, const char *const *ids)
{
	struct invocation *i = NEW(invocation);

	i->api = api;
	i->req = req;
	i->caller_device = i->caller_module = (struct buf)BUF_INIT(3 * IDENTITY_ID_MAX);
	i->device_id = mem_text(ids[0]);
	i->module_id = mem_text(ids[1]);
	if (http_head_module(req, &i->caller_device, &i->caller_module) && text_is(buf_text(&i->caller_device), api->edge_id)) {
		http_head_admit(api->devices, req, buf_text(&i->caller_device), buf_text(&i->caller_module), on_admitted, i);
		return;
	}
	front_fail(req, 401, NULL,
		"x-ms-edge-moduleId must be %s, a slash and a module's id: only modules of this device call methods here",
		api->edge_id);
	invocation_free(i);
}

const struct front_route front_method_routes[] = {
	{ "POST", "twins/*/methods", invoke },
	{ "POST", "twins/*/modules/*/methods", invoke },
	{ 0 },
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Direct methods over REST (hub 4.5). */
#include "heads/method_question.h"

#include "base/mem.h"
#include "base/text.h"
#include "hub/rest/rest.h"
#include "wire/json.h"

struct method_request {
	struct method_call method;
	struct http_request *req;
};

static void
method_request_free(struct method_request *request)
{
	method_call_clear(&request->method);
	mem_free(request);
}

/* -- The answer ----------------------------------------------------------------------------------------------------------------------------- */

static const struct {
	enum rest_error error;
	const char *sentence;
} failures[METHOD_ANSWER_COUNT] = {
	[METHOD_NOT_ONLINE] = { REST_DEVICE_NOT_ONLINE, "it is not connected, or does not listen to methods" },
	[METHOD_TIMED_OUT] = { REST_GATEWAY_TIMEOUT, "it did not answer in time" },
	[METHOD_CLOSED] = { REST_DEVICE_CONNECTION_CLOSED_REMOTELY, "its connection ended before it answered" },
	[METHOD_GONE] = { REST_DEVICE_NOT_FOUND, "it was deleted" },
	[METHOD_BAD_RESULT] = { REST_GENERIC_BAD_GATEWAY, "what it answered is not JSON" },
	[METHOD_TOO_LARGE] = { REST_MESSAGE_TOO_LARGE, "its answer is larger than 128 KB" },
};

void
rest_method_fail(struct http_request *req, const struct method_call *method)
{
	rest_fail(req, failures[method->answer].error, "%s: %s", method->identity->device_id, failures[method->answer].sentence);
}

static void
on_done(struct method_call *method)
{
	struct method_request *request = CONTAINER_OF(method, struct method_request, method);

	if (method->answer == METHOD_DONE)
		http_respond_json(
			request->req, 200, NULL, json_pack("{s:i, s:O}", "status", method->status, "payload", method->result));
	else
		rest_method_fail(request->req, method);
	method_request_free(request);
}

/* -- The question ------------------------------------------------------------------------------------------------------------------------------- */

int
rest_method_check(const json_t *parameters, struct err *err)
{
	OWN_LIB(json_t) copy = json_copy((json_t *)(uintptr_t)parameters);
	struct method_call method = { 0 };
	int done = method_question_take(&method, copy, METHOD_NAME_MAX, err);

	method_call_clear(&method);
	return done;
}

/* The identity that is called, or NULL: answered. */
static struct identity *
find_identity(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN(identity) device = registry_find(rest->registry, ids[0], NULL);
	struct identity *module = device && ids[1] ? registry_find(rest->registry, ids[0], ids[1]) : NULL;

	if (!device)
		rest_fail(req, REST_DEVICE_NOT_FOUND, "there is no device %s", ids[0]);
	else if (ids[1] && !module)
		rest_fail(req, REST_MODULE_NOT_FOUND, "there is no module %s on device %s", ids[1], ids[0]);
	return ids[1] ? module : GIVE(device);
}

bool
rest_method_submit(struct rest *rest, struct http_request *req, struct method_call *method)
{
	struct conn *conn = http_conn(req);

	if (conn && methods_submit(rest->methods, method, conn_loop(conn)))
		return true;
	rest_fail(req, REST_DEVICE_MAXIMUM_INFLIGHT_METHOD_EXCEEDED, "too many methods are on their way; at most %d to one device",
		METHODS_PER_DEVICE_MAX);
	return false;
}

static void
invoke(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN_LIB(json_t) body = rest_body(req);
	struct identity *identity = body ? find_identity(rest, req, ids) : NULL;
	struct method_request *request;
	struct err err = ERR_INIT;

	if (!identity)
		return;
	request = NEW(method_request);
	request->req = req;
	request->method.identity = identity;
	request->method.done = on_done;
	if (method_question_take(&request->method, body, METHOD_NAME_MAX, &err) == 0) {
		if (!rest_method_submit(rest, req, &request->method))
			method_request_free(request);
		return;
	}
	rest_fail(req, err.kind == ERR_LIMIT ? REST_MESSAGE_TOO_LARGE : REST_ARGUMENT_INVALID, "%s", err.text);
	method_request_free(request);
}

const struct rest_route rest_method_routes[] = {
	{ "POST", "twins/*/methods", REST_SERVICE_OR_MODULE, AUTH_SERVICE_CONNECT, invoke },
	{ "POST", "twins/*/modules/*/methods", REST_SERVICE_OR_MODULE, AUTH_SERVICE_CONNECT, invoke },
	{ 0 },
};

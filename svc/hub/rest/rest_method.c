/* SPDX-License-Identifier: Apache-2.0 */
/* Direct methods over REST (hub 4.5). */
#include "heads/method.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "hub/rest/rest.h"
#include "wire/json.h"

#define RESPONSE_MIN_S 5
#define RESPONSE_DEFAULT_S 30
#define WAIT_MAX_S 300

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

static int
take_seconds(int64_t *out_ms, json_t *body, const char *name, int64_t usual, int64_t min, struct err *err)
{
	int64_t seconds = usual;

	if (json_find_int(body, name, &seconds, err) < 0)
		return -1;
	if (seconds < min || seconds > WAIT_MAX_S)
		return err_set(err, ERR_INVALID, "%s must be from %d to %d", name, (int)min, WAIT_MAX_S);
	*out_ms = seconds * 1000;
	return 0;
}

static int
take_name(struct method_call *method, json_t *body, struct err *err)
{
	const char *name;
	size_t len;

	if (json_get_text(body, "methodName", &name, err) < 0)
		return -1;
	len = strlen(name);
	if (len == 0 || len > METHOD_NAME_MAX || text_has_control(name, len))
		return err_set(err, ERR_INVALID, "methodName has 1 to %d characters that can be seen", METHOD_NAME_MAX);
	method->name = mem_text(name);
	return 0;
}

/* Without one the device gets the word null: clients can't read an empty payload (clients-observed 3). */
static int
take_payload(struct method_call *method, json_t *body, struct err *err)
{
	json_t *payload = json_object_get(body, "payload");

	method->payload = payload ? json_line(payload) : mem_text("null");
	if (strlen(method->payload) > METHOD_PAYLOAD_MAX)
		return err_set(err, ERR_LIMIT, "the payload is larger than 128 KB");
	return 0;
}

/* The C SDK's modules call the time to answer "timeout" (hub 2.3). */
static int
take_question(struct method_call *method, json_t *body, struct err *err)
{
	const char *response = json_object_get(body, "timeout") ? "timeout" : "responseTimeoutInSeconds";

	if (take_name(method, body, err) < 0 ||
		take_seconds(&method->response_ms, body, response, RESPONSE_DEFAULT_S, RESPONSE_MIN_S, err) < 0 ||
		take_seconds(&method->connect_ms, body, "connectTimeoutInSeconds", 0, 0, err) < 0)
		return -1;
	return take_payload(method, body, err);
}

int
rest_method_check(const json_t *parameters, struct err *err)
{
	OWN_LIB(json_t) copy = json_copy((json_t *)(uintptr_t)parameters);
	struct method_call method = { 0 };
	int done = take_question(&method, copy, err);

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
	if (take_question(&request->method, body, &err) == 0) {
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

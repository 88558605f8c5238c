/* SPDX-License-Identifier: Apache-2.0 */
/* Digital twins over REST (hub 4.5): read, patched, and their commands, which are direct methods by another name. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "hub/twins/digital_twin.h"
#include "heads/method.h"
#include "hub/rest/rest.h"
#include "wire/json.h"

#define TIMEOUT_MAX_S 300
#define RESPONSE_DEFAULT_S 30

/* -- The twin -------------------------------------------------------------------------------------------------------------------------- */

struct twin_request {
	struct twin_call twin;
	struct http_request *req;
};

static void
twin_request_free(struct twin_request *request)
{
	twin_call_clear(&request->twin);
	mem_free(request);
}

static void
on_twin(struct twin_call *twin)
{
	struct twin_request *request = CONTAINER_OF(twin, struct twin_request, twin);
	OWN_TEXT etag = twin->twin ? mem_textf("ETag: \"%s\"", twin->twin->etag) : NULL;
	OWN_TEXT location = mem_textf("Location: /digitaltwins/%s", twin->device_id);
	const char *read_headers[] = { etag, NULL }, *patch_headers[] = { etag, location, NULL };

	if (twin->answer != TWIN_OK)
		rest_fail(request->req, rest_twin_error(twin->answer), "%s", rest_twin_sentence(twin));
	else if (twin->desired)
		http_respond(request->req, 202, patch_headers, NULL, 0);
	else
		http_respond_json(request->req, 200, read_headers, digital_twin_view(twin->twin, twin->device_id));
	twin_request_free(request);
}

/* `desired_take` NULL: it is only read. */
static void
submit_twin(struct rest *rest, struct http_request *req, const char *device_id, json_t *desired_take)
{
	struct twin_request *request = NEW(twin_request);
	struct conn *conn = http_conn(req);

	request->req = req;
	request->twin.done = on_twin;
	request->twin.device_id = mem_text(device_id);
	request->twin.desired = desired_take;
	request->twin.if_match = desired_take ? rest_if_match(req) : NULL;
	if (conn && twins_submit(rest->twins, &request->twin, loop_owner(conn_loop(conn))))
		return;
	rest_fail(req, REST_THROTTLING_EXCEPTION, "too many changes wait; try again");
	twin_request_free(request);
}

static void
get(struct rest *rest, struct http_request *req, const char *const *ids)
{
	submit_twin(rest, req, ids[0], NULL);
}

static void
patch(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN_LIB(json_t) body = rest_body_array(req);
	struct err err = ERR_INIT;
	json_t *desired = body ? digital_twin_patch(body, &err) : NULL;

	if (desired)
		submit_twin(rest, req, ids[0], desired);
	else if (body)
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
}

/* -- Commands -------------------------------------------------------------------------------------------------------------------------- */

struct command_request {
	struct method_call method;
	struct http_request *req;
};

static void
command_request_free(struct command_request *request)
{
	method_call_clear(&request->method);
	mem_free(request);
}

static void
on_command(struct method_call *method)
{
	struct command_request *request = CONTAINER_OF(method, struct command_request, method);
	OWN_TEXT status = mem_textf("x-ms-command-statuscode: %d", method->status);
	const char *headers[] = { status, NULL };

	if (method->answer == METHOD_DONE)
		http_respond_json(request->req, 200, headers, json_incref(method->result));
	else
		rest_method_fail(request->req, method);
	command_request_free(request);
}

/* Seconds of the query; -1: answered. */
static int64_t
seconds_of(struct http_request *req, const char *name, int64_t usual)
{
	const char *text = http_query(req, name);
	int64_t seconds = usual;

	if (!text || text_to_i64(text, 0, TIMEOUT_MAX_S, &seconds))
		return seconds;
	rest_fail(req, REST_ARGUMENT_INVALID, "%s must be a number from 0 to %d", name, TIMEOUT_MAX_S);
	return -1;
}

/* Any JSON, or nothing at all, which the device gets as null.  NULL: answered. */
static char *
payload_of(struct http_request *req)
{
	struct err err = ERR_INIT;
	size_t len;
	const void *data = http_body(req, &len);
	OWN_LIB(json_t) whole = NULL;
	OWN_TEXT wrapped = NULL;
	char *line;

	if (len == 0)
		return mem_text("null");
	wrapped = len <= METHOD_PAYLOAD_MAX ? mem_textf("[%.*s]", (int)len, (const char *)data) : NULL;
	whole = wrapped ? json_parse(wrapped, strlen(wrapped), &err) : NULL;
	if (json_array_size(whole) == 1) {
		line = json_dumps(json_array_get(whole, 0), JSON_ENCODE_ANY | JSON_COMPACT);
		if (line)
			return line;
	}
	rest_fail(req, wrapped ? REST_DESERIALIZATION_ERROR : REST_MESSAGE_TOO_LARGE,
		"the body is not a JSON value of at most 128 KB");
	return NULL;
}

/* `component` NULL: of the model itself. */
static void
invoke(struct rest *rest, struct http_request *req, const char *device_id, const char *component, const char *command)
{
	int64_t connect_s = seconds_of(req, "connectTimeoutInSeconds", 0);
	int64_t response_s = connect_s < 0 ? -1 : seconds_of(req, "responseTimeoutInSeconds", RESPONSE_DEFAULT_S);
	OWN_TEXT payload = response_s < 0 ? NULL : payload_of(req);
	OWN(identity) identity = payload ? registry_find(rest->registry, device_id, NULL) : NULL;
	struct command_request *request;

	if (!payload)
		return;
	if (!identity) {
		rest_fail(req, REST_DEVICE_NOT_FOUND, "there is no device %s", device_id);
		return;
	}
	request = NEW(command_request);
	request->req = req;
	request->method = (struct method_call){
		.identity = GIVE(identity),
		.name = component ? mem_textf("%s*%s", component, command) : mem_text(command),
		.payload = GIVE(payload),
		.connect_ms = connect_s * 1000,
		.response_ms = response_s * 1000,
		.done = on_command,
	};
	if (!rest_method_submit(rest, req, &request->method))
		command_request_free(request);
}

static void
invoke_root(struct rest *rest, struct http_request *req, const char *const *ids)
{
	invoke(rest, req, ids[0], NULL, ids[1]);
}

static void
invoke_component(struct rest *rest, struct http_request *req, const char *const *ids)
{
	invoke(rest, req, ids[0], ids[1], ids[2]);
}

const struct rest_route rest_digital_twin_routes[] = {
	{ "GET", "digitaltwins/*", REST_SERVICE, AUTH_SERVICE_CONNECT, get },
	{ "PATCH", "digitaltwins/*", REST_SERVICE, AUTH_SERVICE_CONNECT, patch },
	{ "POST", "digitaltwins/*/commands/*", REST_SERVICE, AUTH_SERVICE_CONNECT, invoke_root },
	{ "POST", "digitaltwins/*/components/*/commands/*", REST_SERVICE, AUTH_SERVICE_CONNECT, invoke_component },
	{ 0 },
};

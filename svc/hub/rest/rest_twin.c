/* SPDX-License-Identifier: Apache-2.0 */
/* Twins over REST (hub 4.5): read, merged and replaced by services. */
#include "base/log.h"
#include "base/mem.h"
#include "hub/rest/rest.h"
#include "wire/json.h"

/* -- Errors, of sessions as well ----------------------------------------------------------------------------------------------------------- */

enum rest_error
rest_twin_error(enum twin_answer answer)
{
	static const enum rest_error errors[TWIN_ANSWER_COUNT] = {
		[TWIN_OK] = REST_SERVER_ERROR, /* which is no error */
		[TWIN_NO_DEVICE] = REST_DEVICE_NOT_FOUND,
		[TWIN_NO_MODULE] = REST_MODULE_NOT_FOUND,
		[TWIN_GONE] = REST_DEVICE_NOT_FOUND,
		[TWIN_WRONG_ETAG] = REST_PRECONDITION_FAILED,
		[TWIN_WRONG_VERSION] = REST_PRECONDITION_FAILED,
		[TWIN_INVALID] = REST_ARGUMENT_INVALID,
		[TWIN_TOO_LARGE] = REST_MESSAGE_TOO_LARGE,
		[TWIN_FAILED] = REST_SERVER_ERROR,
	};

	return errors[answer];
}

/* What the file says is the operator's. */
const char *
rest_twin_sentence(const struct twin_call *call)
{
	if (call->answer != TWIN_FAILED)
		return call->err.text;
	log_error("registry: %s", call->err.text);
	return "the registry could not be used";
}

/* -- Calls ------------------------------------------------------------------------------------------------------------------------------------- */

struct twin_request {
	struct twin_call twin;
	struct rest *rest;
	struct http_request *req;
};

static void
twin_request_free(struct twin_request *request)
{
	twin_call_clear(&request->twin);
	mem_free(request);
}

static void
respond_twin(struct twin_request *request)
{
	struct twin_call *twin = &request->twin;
	OWN_TEXT etag = mem_textf("ETag: \"%s\"", twin->twin->etag);
	const char *headers[] = { etag, NULL };
	OWN_LIB(json_t) record = rest_identity_json(request->rest, twin->identity);

	http_respond_json(request->req, 200, headers, twin_service_view(twin->twin, record));
}

static void
on_done(struct twin_call *twin)
{
	struct twin_request *request = CONTAINER_OF(twin, struct twin_request, twin);

	if (twin->answer == TWIN_OK)
		respond_twin(request);
	else
		rest_fail(request->req, rest_twin_error(twin->answer), "%s", rest_twin_sentence(twin));
	twin_request_free(request);
}

static struct twin_request *
twin_request_new(struct rest *rest, struct http_request *req, const char *const *ids)
{
	struct twin_request *request = NEW(twin_request);

	request->rest = rest;
	request->req = req;
	request->twin.done = on_done;
	request->twin.device_id = mem_text(ids[0]);
	request->twin.module_id = mem_text(ids[1]);
	return request;
}

static void
submit(struct twin_request *request)
{
	struct conn *conn = http_conn(request->req);

	if (conn && twins_submit(request->rest->twins, &request->twin, loop_owner(conn_loop(conn))))
		return;
	rest_fail(request->req, REST_THROTTLING_EXCEPTION, "too many changes wait; try again");
	twin_request_free(request);
}

/* -- Handlers --------------------------------------------------------------------------------------------------------------------------------- */

static void
get(struct rest *rest, struct http_request *req, const char *const *ids)
{
	submit(twin_request_new(rest, req, ids));
}

/* Tags and desired properties of the body; what else a whole twin has is overlooked: services send back what they got.  A replacement without one of them empties
 * it. */
static int
take_sections(struct twin_call *twin, json_t *body, struct err *err)
{
	json_t *properties = NULL;

	if (json_find_object(body, "properties", &properties, err) < 0)
		return -1;
	twin->tags = json_incref(json_object_get(body, "tags"));
	twin->desired = json_incref(json_object_get(properties, "desired"));
	if (twin->replace && !twin->tags)
		twin->tags = json_null();
	if (twin->replace && !twin->desired)
		twin->desired = json_null();
	return 0;
}

static void
change(struct rest *rest, struct http_request *req, const char *const *ids, bool replace)
{
	OWN_LIB(json_t) body = rest_body(req);
	struct twin_request *request;
	struct err err = ERR_INIT;

	if (!body)
		return;
	request = twin_request_new(rest, req, ids);
	request->twin.replace = replace;
	request->twin.if_match = rest_if_match(req);
	if (take_sections(&request->twin, body, &err) == 0) {
		submit(request);
		return;
	}
	rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
	twin_request_free(request);
}

static void
patch(struct rest *rest, struct http_request *req, const char *const *ids)
{
	change(rest, req, ids, false);
}

static void
put(struct rest *rest, struct http_request *req, const char *const *ids)
{
	change(rest, req, ids, true);
}

const struct rest_route rest_twin_routes[] = {
	{ "GET", "twins/*", REST_SERVICE, AUTH_SERVICE_CONNECT, get },
	{ "PATCH", "twins/*", REST_SERVICE, AUTH_SERVICE_CONNECT, patch },
	{ "PUT", "twins/*", REST_SERVICE, AUTH_SERVICE_CONNECT, put },
	{ "GET", "twins/*/modules/*", REST_SERVICE, AUTH_SERVICE_CONNECT, get },
	{ "PATCH", "twins/*/modules/*", REST_SERVICE, AUTH_SERVICE_CONNECT, patch },
	{ "PUT", "twins/*/modules/*", REST_SERVICE, AUTH_SERVICE_CONNECT, put },
	{ 0 },
};

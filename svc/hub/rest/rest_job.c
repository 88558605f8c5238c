/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduled jobs over REST (hub 4.5), and the page of a query FROM devices.jobs.  Import and export of devices are no part of this hub. */
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/automation/jobs.h"
#include "hub/rest/rest.h"
#include "hub/automation/scheduled_job.h"
#include "wire/codec.h"
#include "wire/json.h"
#include "wire/query.h"

#define CURSOR_MAX 2048

struct job_request {
	struct job_call call;
	struct http_request *req;
};

static void
request_free(struct job_request *request)
{
	job_call_clear(&request->call);
	mem_free(request);
}

static void
fail(struct job_request *request)
{
	static const struct {
		enum rest_error error;
		const char *sentence; /* NULL: the call has one */
	} rows[JOB_ANSWER_COUNT] = {
		[JOB_EXISTS] = { REST_JOB_ALREADY_EXISTS, "there is a job of this name" },
		[JOB_MISSING] = { REST_JOB_NOT_FOUND, "there is no job of this name" },
		[JOB_TOO_MANY] = { REST_THROTTLING_MAX_ACTIVE_JOB_COUNT_EXCEEDED, "as many jobs as there may be are not over" },
		[JOB_OVER] = { REST_OPERATION_NOT_ALLOWED_IN_CURRENT_STATE, "the job is over" },
		[JOB_INVALID] = { REST_ARGUMENT_INVALID, NULL },
		[JOB_FAILED] = { REST_SERVER_ERROR, "the jobs could not be used" },
	};
	const struct job_call *call = &request->call;

	if (call->answer == JOB_FAILED)
		log_error("jobs: %s", call->err.text);
	rest_fail(request->req, rows[call->answer].error, "%s",
		rows[call->answer].sentence ? rows[call->answer].sentence : call->err.text);
}

/* -- Cursors: where the next page begins ------------------------------------------------------------------------------------------------------- */

static char *
cursor_of(const struct job_call *call)
{
	OWN_LIB(json_t) json = json_pack("[s, s]", call->after ? call->after : "", call->after_device ? call->after_device : "");
	CLEAR(buf) out = BUF_INIT(CURSOR_MAX);
	OWN_TEXT line = json_line(json);

	base64_encode(&out, line, strlen(line));
	return buf_take_text(&out);
}

static bool
take_cursor(struct job_call *call, const char *cursor)
{
	CLEAR(buf) line = BUF_INIT(CURSOR_MAX);
	struct err ignored = ERR_INIT;
	OWN_LIB(json_t) json = NULL;

	if (!cursor || !*cursor)
		return true;
	if (base64_decode(&line, cursor, strlen(cursor), BASE64_LAX))
		json = json_parse(line.data, line.len, &ignored);
	call->after = mem_text(json_string_value(json_array_get(json, 0)));
	call->after_device = mem_text(json_string_value(json_array_get(json, 1)));
	return call->after && call->after_device;
}

/* -- Calls ------------------------------------------------------------------------------------------------------------------------------------------ */

static void
on_done(struct job_call *call)
{
	struct job_request *request = CONTAINER_OF(call, struct job_request, call);
	OWN_TEXT cursor = call->more ? cursor_of(call) : NULL;
	OWN_TEXT continuation = cursor ? mem_textf("x-ms-continuation: %s", cursor) : NULL;
	const char *headers[] = { call->op == JOB_LIST_DEVICES ? "x-ms-item-type: DeviceJob" : "x-ms-item-type: JobResponse",
		continuation, NULL };

	if (call->answer == JOB_OK)
		http_respond_json(request->req, 200, headers, json_incref(call->result));
	else
		fail(request);
	request_free(request);
}

static struct job_request *
request_new(struct http_request *req, enum job_op op, const char *id)
{
	struct job_request *request = NEW(job_request);

	request->req = req;
	request->call.op = op;
	request->call.id = mem_text(id);
	request->call.done = on_done;
	return request;
}

static void
submit(struct rest *rest, struct job_request *request)
{
	struct conn *conn = http_conn(request->req);

	if (conn && jobs_submit(rest->jobs, &request->call, loop_owner(conn_loop(conn))))
		return;
	rest_fail(request->req, REST_THROTTLING_EXCEPTION, "too many changes wait; try again");
	request_free(request);
}

static void
refuse_cursor(struct job_request *request)
{
	rest_fail(request->req, REST_ARGUMENT_INVALID, "the continuation token is not one of this list");
	request_free(request);
}

void
rest_job_devices(struct rest *rest, struct http_request *req, struct query *query_take, int64_t max)
{
	struct job_request *request = request_new(req, JOB_LIST_DEVICES, NULL);

	request->call.query = query_take;
	request->call.max = query_take->top >= 0 && query_take->top < max ? query_take->top : max;
	if (!take_cursor(&request->call, http_header(req, "x-ms-continuation")))
		refuse_cursor(request);
	else
		submit(rest, request);
}

/* -- Handlers ------------------------------------------------------------------------------------------------------------------------------------------ */

static void
get(struct rest *rest, struct http_request *req, const char *const *ids)
{
	submit(rest, request_new(req, JOB_GET, ids[0]));
}

static void
cancel(struct rest *rest, struct http_request *req, const char *const *ids)
{
	submit(rest, request_new(req, JOB_CANCEL, ids[0]));
}

static void
list(struct rest *rest, struct http_request *req, const char *const *ids)
{
	struct job_request *request;
	int64_t max;

	(void)ids;
	if (!rest_page_size(req, &max))
		return;
	request = request_new(req, JOB_LIST, NULL);
	request->call.max = max;
	request->call.type = mem_text(http_query(req, "jobType"));
	request->call.status = mem_text(http_query(req, "jobStatus"));
	if (!take_cursor(&request->call, http_header(req, "x-ms-continuation")))
		refuse_cursor(request);
	else
		submit(rest, request);
}

static int
check_body(const json_t *body, const char *id, struct err *err)
{
	const json_t *given = json_object_get(body, "jobId"), *method = json_object_get(body, "cloudToDeviceMethod");

	if (given && !json_is_null(given) && !text_is(json_string_value(given), id))
		return err_set(err, ERR_INVALID, "the jobId in the body is not that of the path");
	if (scheduled_job_check(body, err) < 0)
		return -1;
	return json_is_object(method) ? rest_method_check(method, err) : 0;
}

static void
put(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN_LIB(json_t) body = rest_body(req);
	struct job_request *request;
	struct err err = ERR_INIT;

	if (!body)
		return;
	if (check_body(body, ids[0], &err) < 0) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		return;
	}
	request = request_new(req, JOB_PUT, ids[0]);
	request->call.body = json_incref(body);
	submit(rest, request);
}

static void
unsupported(struct rest *rest, struct http_request *req, const char *const *ids)
{
	(void)rest;
	(void)ids;
	rest_fail(req, REST_FEATURE_NOT_SUPPORTED, "this hub imports and exports no devices by jobs");
}

const struct rest_route rest_job_routes[] = {
	{ "POST", "jobs/create", REST_SERVICE, AUTH_REGISTRY_WRITE, unsupported },
	{ "GET", "jobs", REST_SERVICE, AUTH_REGISTRY_READ, unsupported },
	{ "GET", "jobs/*", REST_SERVICE, AUTH_REGISTRY_READ, unsupported },
	{ "DELETE", "jobs/*", REST_SERVICE, AUTH_REGISTRY_WRITE, unsupported },
	{ "GET", "jobs/v2/query", REST_SERVICE, AUTH_SERVICE_CONNECT, list },
	{ "GET", "jobs/v2/*", REST_SERVICE, AUTH_SERVICE_CONNECT, get },
	{ "PUT", "jobs/v2/*", REST_SERVICE, AUTH_SERVICE_CONNECT, put },
	{ "POST", "jobs/v2/*/cancel", REST_SERVICE, AUTH_SERVICE_CONNECT, cancel },
	{ 0 },
};

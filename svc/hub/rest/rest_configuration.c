/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations over REST (hub 4.5). */
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/automation/configurations.h"
#include "hub/rest/rest.h"
#include "wire/json.h"
#include "wire/query.h"

#define LIST_USUAL 20
#define LIST_MAX CONFIGURATIONS_MAX

struct configuration_request {
	struct configuration_call call;
	struct http_request *req;
};

static void
request_free(struct configuration_request *request)
{
	configuration_call_clear(&request->call);
	mem_free(request);
}

static void
fail(struct configuration_request *request)
{
	static const struct {
		enum rest_error error;
		const char *sentence; /* NULL: the call has one */
	} rows[CONFIGURATION_ANSWER_COUNT] = {
		[CONFIGURATION_EXISTS] = { REST_CONFIGURATION_ALREADY_EXISTS, "there is a configuration of this name" },
		[CONFIGURATION_MISSING] = { REST_CONFIGURATION_NOT_FOUND, "there is no configuration of this name" },
		[CONFIGURATION_WRONG_ETAG] = { REST_PRECONDITION_FAILED, "the etag is not that of what is there" },
		[CONFIGURATION_TOO_MANY] = { REST_CONFIGURATION_COUNT_LIMIT_EXCEEDED,
			"there are as many configurations as there may be" },
		[CONFIGURATION_BAD_CONDITION] = { REST_INVALID_CONFIGURATION_TARGET_CONDITION, NULL },
		[CONFIGURATION_BAD_CONTENT] = { REST_INVALID_CONFIGURATION_CONTENT, NULL },
		[CONFIGURATION_BAD_METRIC] = { REST_INVALID_CONFIGURATION_CUSTOM_METRICS_QUERY, NULL },
		[CONFIGURATION_IMMUTABLE] = { REST_CANNOT_MODIFY_IMMUTABLE_CONFIGURATION_CONTENT,
			"the content of a configuration stays what it was" },
		[CONFIGURATION_INVALID] = { REST_ARGUMENT_INVALID, NULL },
		[CONFIGURATION_FAILED] = { REST_SERVER_ERROR, "the configurations could not be used" },
	};
	const struct configuration_call *call = &request->call;

	if (call->answer == CONFIGURATION_FAILED)
		log_error("configurations: %s", call->err.text);
	rest_fail(request->req, rows[call->answer].error, "%s",
		rows[call->answer].sentence ? rows[call->answer].sentence : call->err.text);
}

static void
on_done(struct configuration_call *call)
{
	struct configuration_request *request = CONTAINER_OF(call, struct configuration_request, call);
	OWN_TEXT etag = call->etag ? mem_textf("ETag: \"%s\"", call->etag) : NULL;
	const char *headers[] = { etag, NULL };

	if (call->answer != CONFIGURATION_OK)
		fail(request);
	else if (call->op == CONFIGURATION_REMOVE)
		http_respond(request->req, 204, NULL, NULL, 0);
	else
		http_respond_json(request->req, 200, headers, json_incref(call->result));
	request_free(request);
}

static struct configuration_request *
request_new(struct http_request *req, enum configuration_op op, const char *id)
{
	struct configuration_request *request = NEW(configuration_request);

	request->req = req;
	request->call.op = op;
	request->call.id = mem_text(id);
	request->call.if_match = rest_if_match(req);
	request->call.done = on_done;
	return request;
}

static void
submit(struct rest *rest, struct configuration_request *request)
{
	struct conn *conn = http_conn(request->req);

	if (conn && configurations_submit(rest->configurations, &request->call, loop_owner(conn_loop(conn))))
		return;
	rest_fail(request->req, REST_THROTTLING_EXCEPTION, "too many changes wait; try again");
	request_free(request);
}

static void
get(struct rest *rest, struct http_request *req, const char *const *ids)
{
	submit(rest, request_new(req, CONFIGURATION_GET, ids[0]));
}

static void delete (struct rest *rest, struct http_request *req, const char *const *ids)
{
	submit(rest, request_new(req, CONFIGURATION_REMOVE, ids[0]));
}

static void
list(struct rest *rest, struct http_request *req, const char *const *ids)
{
	const char *top = http_query(req, "top");
	int64_t max = LIST_USUAL;
	struct configuration_request *request;

	(void)ids;
	if (top && !text_to_i64(top, 1, LIST_MAX, &max)) {
		rest_fail(req, REST_DEVICE_INVALID_RESULT_COUNT, "top must be a number from 1 to %d", LIST_MAX);
		return;
	}
	request = request_new(req, CONFIGURATION_LIST, NULL);
	request->call.max = max;
	submit(rest, request);
}

static void
put(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN_LIB(json_t) body = rest_body(req);
	struct configuration_request *request;
	const json_t *id;

	if (!body)
		return;
	id = json_object_get(body, "id");
	if (id && !json_is_null(id) && !text_is(json_string_value(id), ids[0])) {
		rest_fail(req, REST_ARGUMENT_INVALID, "the id in the body is not that of the path");
		return;
	}
	request = request_new(req, CONFIGURATION_PUT, ids[0]);
	request->call.body = json_incref(body);
	submit(rest, request);
}

/* -- Trying a condition and metrics ---------------------------------------------------------------------------------------------------------- */

static void
put_metric_errors(json_t *out, json_t *queries)
{
	json_t *text;
	const char *name;

	json_object_foreach(queries, name, text) {
		struct err err = ERR_INIT;
		OWN(query) query = json_is_string(text) ? query_parse(json_string_value(text), &err) : NULL;

		if (!query)
			json_object_set_new(out, name, json_string(err.text[0] ? err.text : "a query is a string"));
	}
}

static void
test_queries(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN_LIB(json_t) body = rest_body(req);
	struct err err = ERR_INIT;
	const char *condition = NULL;
	json_t *queries = NULL, *errors;
	bool bad;

	(void)rest;
	(void)ids;
	if (!body)
		return;
	if (json_find_text(body, "targetCondition", &condition, &err) < 0 ||
		json_find_object(body, "customMetricQueries", &queries, &err) < 0) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		return;
	}
	bad = condition && configuration_check_condition(condition, CONTENT_DEVICE, &err) < 0;
	if (bad && configuration_check_condition(condition, CONTENT_MODULE, &err) == 0)
		bad = false;
	errors = json_object();
	put_metric_errors(errors, queries);
	http_respond_json(req, 200, NULL,
		json_pack("{s:s, s:o}", "targetConditionError", bad ? err.text : "", "customMetricQueryErrors", errors));
}

const struct rest_route rest_configuration_routes[] = {
	{ "GET", "configurations", REST_SERVICE, AUTH_SERVICE_CONNECT, list },
	{ "GET", "configurations/*", REST_SERVICE, AUTH_SERVICE_CONNECT, get },
	{ "PUT", "configurations/*", REST_SERVICE, AUTH_SERVICE_CONNECT, put },
	{ "DELETE", "configurations/*", REST_SERVICE, AUTH_SERVICE_CONNECT, delete },
	{ "POST", "configurations/testQueries", REST_SERVICE, AUTH_SERVICE_CONNECT, test_queries },
	{ 0 },
};

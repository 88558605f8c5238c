/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub job: a change of many twins or a method on many devices, from a time on, in the words of `az iot hub job`. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "hub.h"
#include "hub_tool.h"
#include "wire/codec.h"

#define TTL_S 3600

struct options {
	struct hub_tool_options tool;
	const char *job_id, *type, *condition, *start, *patch, *method, *payload, *status;
	int64_t ttl_s, response_timeout_s, connect_timeout_s, top;
};

#define ID_ROW HUB_TOOL_ROW("job-id", 0, "ID", "the job", OPTION_TEXT, job_id)

static const struct option_row create_rows[] = {
	ID_ROW,
	HUB_TOOL_ROW("job-type", 0, "TYPE", "scheduleUpdateTwin or scheduleDeviceMethod", OPTION_TEXT, type),
	HUB_TOOL_ROW(
		"query-condition", 'q', "TEXT", "of the devices that it is for: \"tags.floor = 2\", or *", OPTION_TEXT, condition),
	HUB_TOOL_ROW("start-time", 0, "TIME", "RFC 3339 (now)", OPTION_TEXT, start),
	{ "ttl", 0, "SECONDS", "how long it may take (3600)", OPTION_INT, offsetof(struct options, ttl_s), 1, INT32_MAX },
	HUB_TOOL_ROW("twin-patch", 0, "JSON", "{\"tags\": ..., \"properties\": {\"desired\": ...}}, or @FILE", OPTION_TEXT, patch),
	HUB_TOOL_ROW("method-name", 0, "NAME", "the method", OPTION_TEXT, method),
	HUB_TOOL_ROW("method-payload", 0, "JSON", "given to it; @FILE reads a file", OPTION_TEXT, payload),
	{ "method-response-timeout", 0, "SECONDS", "how long it may take to answer (30)", OPTION_INT,
		offsetof(struct options, response_timeout_s), 5, 300 },
	{ "method-connect-timeout", 0, "SECONDS", "how long a device may take to connect (0)", OPTION_INT,
		offsetof(struct options, connect_timeout_s), 0, 300 },
	HUB_TOOL_ROWS,
};
static const struct option_row job_rows[] = { ID_ROW, HUB_TOOL_ROWS };
static const struct option_row list_rows[] = {
	HUB_TOOL_ROW("job-type", 0, "TYPE", "only of this type", OPTION_TEXT, type),
	HUB_TOOL_ROW("job-status", 0, "STATUS", "only in this state: scheduled, running, completed, failed, cancelled", OPTION_TEXT,
		status),
	{ "top", 0, "N", "no more than so many", OPTION_INT, offsetof(struct options, top), 1, 10000 },
	HUB_TOOL_ROWS,
};

/* -- What is to be done -------------------------------------------------------------------------------------------------------- */

static int
put_method(json_t *job, const struct options *o, struct err *err)
{
	json_t *payload;

	if (hub_tool_need(o->method, "method-name", err) < 0)
		return -1;
	payload = o->payload ? hub_tool_json(o->payload, "method-payload", err) : json_null();
	if (!payload)
		return -1;
	return json_object_set_new(job, "cloudToDeviceMethod",
		json_pack("{s:s, s:o, s:I, s:I}", "methodName", o->method, "payload", payload, "responseTimeoutInSeconds",
			(json_int_t)(o->response_timeout_s ? o->response_timeout_s : 30), "connectTimeoutInSeconds",
			(json_int_t)o->connect_timeout_s));
}

/* The hub wants the etag of a twin that is changed; the job is for all that meet its condition, whatever they are by then. */
static int
put_patch(json_t *job, const struct options *o, struct err *err)
{
	json_t *patch;

	if (hub_tool_need(o->patch, "twin-patch", err) < 0)
		return -1;
	patch = hub_tool_json(o->patch, "twin-patch", err);
	if (!patch)
		return -1;
	if (json_is_object(patch) && !json_object_get(patch, "etag"))
		json_object_set_new(patch, "etag", json_string("*"));
	return json_object_set_new(job, "updateTwin", patch);
}

/* -- The verbs ----------------------------------------------------------------------------------------------------------------- */

static char *
path_of(const struct options *o, const char *rest, struct err *err)
{
	return hub_tool_need(o->job_id, "job-id", err) < 0 ? NULL : hub_tool_path("jobs/v2", o->job_id, NULL, rest);
}

static int
create(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = path_of(o, NULL, err);
	OWN_LIB(json_t) job = NULL;

	if (!path || hub_tool_need(o->type, "job-type", err) < 0 || hub_tool_need(o->condition, "query-condition", err) < 0)
		return -1;
	job = json_pack("{s:s, s:s, s:s, s:s*, s:I}", "jobId", o->job_id, "type", o->type, "queryCondition", o->condition,
		"startTime", o->start, "maxExecutionTimeInSeconds", (json_int_t)(o->ttl_s ? o->ttl_s : TTL_S));
	/* Another type the hub refuses with a better sentence than we could. */
	if (text_is(o->type, "scheduleDeviceMethod") ? put_method(job, o, err) < 0
						     : text_is(o->type, "scheduleUpdateTwin") && put_patch(job, o, err) < 0)
		return -1;
	return hub_session_request(s, "PUT", path, job, false, out, err);
}

static int
show(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = path_of(options, NULL, err);

	return path ? hub_session_request(s, "GET", path, NULL, false, out, err) : -1;
}

static int
cancel(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = path_of(options, "cancel", err);

	return path ? hub_session_request(s, "POST", path, NULL, false, out, err) : -1;
}

static void
put_filter(struct buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	buf_putf(out, "%s%s=", out->len ? "&" : "", name);
	percent_encode(out, value, strlen(value));
}

static int
list(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	CLEAR(buf) query = BUF_INIT(1024);

	put_filter(&query, "jobType", o->type);
	put_filter(&query, "jobStatus", o->status);
	return hub_tool_pages(s,
		&(struct hub_request){ .method = "GET", .path = "jobs/v2/query", .query = query.len ? buf_text(&query) : NULL },
		o->top, out, err);
}

static const struct hub_column columns[] = {
	{ "ID", "jobId" },
	{ "TYPE", "type" },
	{ "STATUS", "status" },
	{ "START", "startTime" },
	{ "CONDITION", "queryCondition" },
	{ 0 },
};

static const struct hub_verb verbs[] = {
	{ "create", "Change twins, or call a method, on all devices of a condition.", create_rows, create, NULL },
	{ "show", "Show a job and how far it is.", job_rows, show, NULL },
	{ "list", "List jobs.", list_rows, list, columns },
	{ "cancel", "End a job that is not over.", job_rows, cancel, NULL },
	{ 0 },
};

int
hub_job(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "job",
		.summary = "Scheduled jobs: twins changed and methods called on many devices.",
		.verbs = verbs,
		.options_size = sizeof(struct options),
	};

	return hub_noun_run(&noun, argc, argv);
}

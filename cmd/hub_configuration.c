/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub configuration: automatic configurations of devices, modules and gateways, in the words of `az iot hub configuration` and
 * `az iot edge deployment`. */
#include "base/mem.h"
#include "base/text.h"
#include "hub.h"
#include "hub_tool.h"

#define LIST_MAX 100

struct options {
	struct hub_tool_options tool;
	const char *config_id, *content, *condition, *labels, *metrics, *etag, *metric_id, *metric_type, *priority;
	int64_t top;
};

#define ID_ROW HUB_TOOL_ROW("config-id", 'c', "ID", "the configuration", OPTION_TEXT, config_id)
#define WISH_ROWS                                                                                                                  \
	HUB_TOOL_ROW(                                                                                                              \
		"target-condition", 0, "TEXT", "of the twins that it is for: \"tags.floor = 2\", or *", OPTION_TEXT, condition),   \
		HUB_TOOL_ROW("priority", 0, "N", "the highest wins where several set one thing (0)", OPTION_TEXT, priority),       \
		HUB_TOOL_ROW("labels", 0, "JSON", "names and texts for people, or @FILE", OPTION_TEXT, labels),                    \
		HUB_TOOL_ROW("metrics", 'm', "JSON", "names and queries that tell how it goes, or @FILE", OPTION_TEXT, metrics)

static const struct option_row create_rows[] = {
	ID_ROW,
	HUB_TOOL_ROW("content", 'k', "JSON",
		"{\"deviceContent\": ...}, {\"moduleContent\": ...} or {\"modulesContent\": ...}, or @FILE", OPTION_TEXT, content),
	WISH_ROWS,
	HUB_TOOL_ROWS,
};
#define ETAG_ROW HUB_TOOL_ROW("etag", 'e', "ETAG", "only if the configuration is still this one", OPTION_TEXT, etag)
static const struct option_row update_rows[] = { ID_ROW, WISH_ROWS, ETAG_ROW, HUB_TOOL_ROWS };
static const struct option_row show_rows[] = { ID_ROW, HUB_TOOL_ROWS };
static const struct option_row delete_rows[] = { ID_ROW, ETAG_ROW, HUB_TOOL_ROWS };
static const struct option_row list_rows[] = {
	{ "top", 0, "N", "no more than so many (100)", OPTION_INT, offsetof(struct options, top), 1, LIST_MAX },
	HUB_TOOL_ROWS,
};
static const struct option_row metric_rows[] = {
	ID_ROW,
	HUB_TOOL_ROW("metric-id", 'm', "NAME", "the metric", OPTION_TEXT, metric_id),
	HUB_TOOL_ROW("metric-type", 0, "TYPE", "user or system (user)", OPTION_TEXT, metric_type),
	HUB_TOOL_ROWS,
};

static char *
path_of(const struct options *o, struct err *err)
{
	return hub_tool_need(o->config_id, "config-id", err) < 0 ? NULL : hub_tool_path("configurations", o->config_id, NULL, NULL);
}

static int
ask(struct hub_session *s, const struct options *o, const char *method, const json_t *body, bool replace, json_t **out,
	struct err *err)
{
	OWN_TEXT path = path_of(o, err);
	OWN_TEXT match = mem_textf("If-Match: %s", o->etag ? o->etag : "*");
	const char *headers[] = { replace ? match : NULL, NULL };

	if (!path)
		return -1;
	return hub_session_ask(
		s, &(struct hub_request){ .method = method, .path = path, .body = body, .headers = headers }, out, NULL, err);
}

/* A bare map of queries is what `az` takes; the hub keeps them below "queries". */
static json_t *
take_metrics(const char *text, struct err *err)
{
	OWN_LIB(json_t) given = hub_tool_json(text, "metrics", err);

	if (!given || json_is_object(json_object_get(given, "queries")))
		return json_incref(given);
	return json_pack("{s:O}", "queries", given);
}

static int
put_fields(json_t *configuration, const struct options *o, struct err *err)
{
	OWN_LIB(json_t) labels = o->labels ? hub_tool_json(o->labels, "labels", err) : NULL;
	OWN_LIB(json_t) metrics = o->metrics ? take_metrics(o->metrics, err) : NULL;
	int64_t priority;

	if ((o->labels && !labels) || (o->metrics && !metrics))
		return -1;
	if (o->priority && !text_to_i64(o->priority, 0, INT32_MAX, &priority))
		return err_set(err, ERR_INVALID, "--priority is a number from 0, found '%s'", o->priority);
	if (o->condition)
		json_object_set_new(configuration, "targetCondition", json_string(o->condition));
	if (o->priority)
		json_object_set_new(configuration, "priority", json_integer(priority));
	if (labels)
		json_object_set(configuration, "labels", labels);
	if (metrics)
		json_object_set(configuration, "metrics", metrics);
	return 0;
}

/* -- The verbs ----------------------------------------------------------------------------------------------------------------- */

static int
create(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_LIB(json_t) content = NULL;
	OWN_LIB(json_t) configuration = NULL;

	if (hub_tool_need(o->content, "content", err) < 0)
		return -1;
	content = hub_tool_json(o->content, "content", err);
	if (!content)
		return -1;
	/* A file as the portal exports it has the content one level further in. */
	configuration = json_pack("{s:s?, s:O}", "id", o->config_id, "content",
		json_is_object(json_object_get(content, "content")) ? json_object_get(content, "content") : content);
	return put_fields(configuration, o, err) < 0 ? -1 : ask(s, o, "PUT", configuration, false, out, err);
}

static int
update(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_LIB(json_t) configuration = NULL;
	struct options now = *o;

	if (ask(s, o, "GET", NULL, false, &configuration, err) < 0 || put_fields(configuration, o, err) < 0)
		return -1;
	/* What somebody else wrote between the reading and the writing isn't overwritten. */
	if (!now.etag)
		now.etag = json_string_value(json_object_get(configuration, "etag"));
	return ask(s, &now, "PUT", configuration, true, out, err);
}

static int
show(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	return ask(s, options, "GET", NULL, false, out, err);
}

static int delete (struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	return ask(s, options, "DELETE", NULL, true, out, err);
}

static int
list(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT top = mem_textf("top=%lld", (long long)(o->top ? o->top : LIST_MAX));

	return hub_session_ask(s, &(struct hub_request){ .method = "GET", .path = "configurations", .query = top }, out, NULL, err);
}

/* The rows that the metric's query finds now. */
static int
show_metric(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	bool system = o->metric_type && text_is(o->metric_type, "system");
	OWN_LIB(json_t) configuration = NULL;
	OWN_LIB(json_t) body = NULL;
	json_t *query, *result = NULL;

	if (hub_tool_need(o->metric_id, "metric-id", err) < 0)
		return -1;
	if (o->metric_type && !system && !text_is(o->metric_type, "user"))
		return err_set(err, ERR_INVALID, "--metric-type is user or system");
	if (ask(s, o, "GET", NULL, false, &configuration, err) < 0)
		return -1;
	query = json_object_get(
		json_object_get(json_object_get(configuration, system ? "systemMetrics" : "metrics"), "queries"), o->metric_id);
	if (!query)
		return err_set(err, ERR_MISSING, "%s has no metric '%s' of this type", o->config_id, o->metric_id);
	body = json_pack("{s:O}", "query", query);
	if (hub_tool_pages(s, &(struct hub_request){ .method = "POST", .path = "devices/query", .body = body }, 0, &result, err) <
		0)
		return -1;
	*out = json_pack("{s:s, s:O, s:o}", "metric", o->metric_id, "query", query, "result", result);
	return 0;
}

static const struct hub_column columns[] = {
	{ "ID", "id" },
	{ "PRIORITY", "priority" },
	{ "TARGETED", "systemMetrics.results.targetedCount" },
	{ "APPLIED", "systemMetrics.results.appliedCount" },
	{ "CONDITION", "targetCondition" },
	{ 0 },
};

static const struct hub_verb verbs[] = {
	{ "create", "Keep a configuration, to be applied to all twins of its condition.", create_rows, create, NULL },
	{ "show", "Show a configuration, with its metrics.", show_rows, show, NULL },
	{ "list", "List configurations.", list_rows, list, columns },
	{ "update", "Change a configuration; what is not given stays, and the content always.", update_rows, update, NULL },
	{ "delete", "Delete a configuration; what it had set is taken back.", delete_rows, delete, NULL },
	{ "show-metric", "Show what a metric's query finds now.", metric_rows, show_metric, NULL },
	{ 0 },
};

int
hub_configuration(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "configuration",
		.summary = "Automatic configurations of devices, modules and gateways.",
		.verbs = verbs,
		.options_size = sizeof(struct options),
	};

	return hub_noun_run(&noun, argc, argv);
}

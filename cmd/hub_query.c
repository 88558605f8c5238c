/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub query: what twins say, in the hub's query language, page after page. */
#include "hub.h"
#include "hub_tool.h"

struct options {
	struct hub_tool_options tool;
	const char *query;
	int64_t top;
};

static const struct option_row rows[] = {
	HUB_TOOL_ROW("query-command", 'q', "TEXT", "\"SELECT * FROM devices WHERE tags.floor = 2\"", OPTION_TEXT, query),
	{ "top", 0, "N", "no more than so many rows", OPTION_INT, offsetof(struct options, top), 1, 10000000 },
	HUB_TOOL_ROWS,
};

static int
query(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_LIB(json_t) body = NULL;

	if (hub_tool_need(o->query, "query-command", err) < 0)
		return -1;
	body = json_pack("{s:s}", "query", o->query);
	return hub_tool_pages(
		s, &(struct hub_request){ .method = "POST", .path = "devices/query", .body = body }, o->top, out, err);
}

static const struct hub_verb verb = { "query", "What twins say, in the hub's query language (docs/query.md).", rows, query, NULL };

int
hub_query(int argc, char **argv)
{
	return hub_verb_run(&verb, sizeof(struct options), argc, argv);
}

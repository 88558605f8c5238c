/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub query: what twins say, in the hub's query language, page after page. */
#include <stdio.h>

#include "base/mem.h"
#include "hub.h"
#include "hub_tool.h"

#define PAGE 1000

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
next_page(struct hub_session *s, const struct options *o, json_t *all, char **continuation, struct err *err)
{
	int64_t left = o->top ? o->top - (int64_t)json_array_size(all) : PAGE;
	OWN_TEXT count = mem_textf("x-ms-max-item-count: %lld", (long long)(left < PAGE ? left : PAGE));
	OWN_TEXT behind = *continuation ? mem_textf("x-ms-continuation: %s", *continuation) : NULL;
	OWN_LIB(json_t) body = json_pack("{s:s}", "query", o->query);
	OWN_LIB(json_t) page = NULL;
	const char *headers[] = { count, behind, NULL };
	struct hub_request request = { .method = "POST", .path = "devices/query", .body = body, .headers = headers };

	mem_free(*continuation);
	*continuation = NULL;
	if (hub_session_ask(s, &request, &page, continuation, err) < 0)
		return -1;
	if (!json_is_array(page))
		return err_set(err, ERR_BROKEN, "the hub's answer is no list");
	return json_array_extend(all, page);
}

static int
query(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_LIB(json_t) all = json_array();
	char *continuation = NULL;
	int done;

	if (hub_tool_need(o->query, "query-command", err) < 0)
		return -1;
	do
		done = next_page(s, o, all, &continuation, err);
	while (done == 0 && continuation && (!o->top || (int64_t)json_array_size(all) < o->top));
	mem_free(continuation);
	if (done < 0)
		return -1;
	*out = json_incref(all);
	return 0;
}

static const struct hub_verb verb = { "query", "What twins say, in the hub's query language (docs/query.md).", rows, query, NULL };

int
hub_query(int argc, char **argv)
{
	return hub_verb_run(&verb, sizeof(struct options), argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge list: the modules of an edge device, by edged's management API. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "edge.h"
#include "edge_box.h"
#include "net/http_client.h"
#include "page.h"
#include "wire/json.h"

#define COMMAND "rootedge list"
#define MANAGEMENT_OF_SYSTEMD "/run/iotedge/mgmt.sock"

struct options {
	const char *state;
	bool json;
};

static const struct option_row rows[] = {
	EDGE_STATE_ROW(struct options),
	{ "json", 0, NULL, "JSON, as the management API has it", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = COMMAND,
	.arguments = "",
	.summary = "List the modules of the edge device with their status.",
	.more = "$IOTEDGE_HOST (unix:///run/iotedge/mgmt.sock) names another management socket.\n"
		"Exit status: 0 listed, 1 edged does not answer, 2 called wrongly.",
	.rows = rows,
};

/* Whose socket to ask; the caller owns it. */
static char *
find_socket(const char *state, struct err *err)
{
	const char *wish = getenv("IOTEDGE_HOST"), *path;
	OWN_LIB(json_t) status = NULL;
	struct edge_box box;

	if (wish && text_starts(wish, "unix://"))
		return mem_text(wish + 7);
	if (wish && *wish)
		return err_null(err, ERR_INVALID, "$IOTEDGE_HOST is unix:///PATH, not '%s'", wish);
	if (edge_box_find(&box, state, err) < 0)
		return NULL;
	if (box.by_systemd)
		return mem_text(MANAGEMENT_OF_SYSTEMD);
	status = edge_box_status(&box, err);
	path = json_string_value(json_object_get(status, "management"));
	return path ? mem_text(path) : NULL;
}

static json_t *
fetch(const char *path, struct err *err)
{
	struct http_answer answer = { 0 };
	struct http_call call = {
		.method = "GET", .url = "http://edged/modules?api-version=2018-06-28", .unix_path = path, .timeout_ms = 10000
	};
	json_t *modules = NULL;
	int status = http_fetch_json(&modules, &answer, &call, NULL, err);

	http_answer_clear(&answer);
	return status < 0 ? err_wrap_null(err, "edged") : modules;
}

static const char *
text_at(const json_t *module, const char *outer, const char *middle, const char *inner)
{
	const char *text = json_string_value(json_object_get(json_object_get(json_object_get(module, outer), middle), inner));

	return text ? text : "-";
}

static void
print(const json_t *answer)
{
	struct buf page = BUF_INIT(PAGE_MAX);
	const json_t *list = json_object_get(answer, "modules"), *module;
	size_t i;

	buf_putf(&page, "%-24s %-10s %-40s %s\n", "NAME", "STATUS", "DESCRIPTION", "Config");
	json_array_foreach((json_t *)(uintptr_t)list, i, module) {
		const char *name = json_string_value(json_object_get(module, "name"));

		buf_putf(&page, "%-24s %-10s %-40s %s\n", name ? name : "-", text_at(module, "status", "runtimeStatus", "status"),
			text_at(module, "status", "runtimeStatus", "description"), text_at(module, "config", "settings", "image"));
	}
	page_print(&page);
}

int
edge_list(int argc, char **argv)
{
	struct options o = { .state = EDGE_STATE_DEFAULT };
	OWN_LIB(json_t) modules = NULL;
	OWN_TEXT path = NULL;
	struct err err = ERR_INIT;
	int done = page_options(&usage, &o, argc, argv);

	if (done != 0)
		return done;
	path = find_socket(o.state, &err);
	modules = path ? fetch(path, &err) : NULL;
	if (!modules)
		return page_failure(COMMAND, &err, 1);
	if (o.json) {
		OWN_TEXT line = json_line(modules);

		puts(line);
	} else {
		print(modules);
	}
	return 0;
}

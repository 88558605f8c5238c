/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge status: each daemon of an edge device, and the last words of those that are down. */
#include <signal.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "edge.h"
#include "edge_box.h"
#include "edge_gateway.h"
#include "edge_parent.h"
#include "log_tail.h"
#include "page.h"
#include "pipe_command.h"
#include "renewals.h"
#include "wire/json.h"

#define COMMAND "rootedge status"
#define LAST_LINES 10

struct options {
	const char *state;
	bool json;
};

static const struct option_row rows[] = {
	EDGE_STATE_ROW(struct options),
	{ "json", 0, NULL, "JSON, for programs", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = COMMAND,
	.arguments = "",
	.summary = "Say of each daemon of the edge device whether it runs, what it said last when it does not, and when its "
		   "certificates are renewed.",
	.more = "Running: it serves.  Ready: systemd starts it with its first connection.  Starting, Waiting: it is on its way.  "
		"Down: it is not.\n"
		"Below a parent (parent_hostname) it looks whether that can be reached and is trusted, and says what is wrong; so "
		"it does when those above refuse this device's gateway, or that is not ready.\n"
		"Exit status: 0 none is down, 1 one is, or the parent is not what it should be, or those above refuse the gateway, "
		"or it is not ready, or there is no edge device, 2 called wrongly.",
	.rows = rows,
};

/* -- One daemon ------------------------------------------------------------------------------------------------------------------------- */

static void
put_memory(struct buf *out, const json_t *role)
{
	static const char *const names[] = { "pss_kib", "rss_kib" };

	for (size_t i = 0; i < COUNT(names); i++) {
		const json_t *kib = json_object_get(role, names[i]);

		if (!kib)
			continue;
		buf_putf(out, "%.1f MB", (double)json_integer_value(kib) * 1024 / 1e6);
		return;
	}
	buf_puts(out, "-");
}

static void
put_row(struct buf *page, const json_t *role)
{
	const json_t *pid = json_object_get(role, "pid"), *since = json_object_get(role, "for_s");
	const char *place = json_string_value(json_object_get(role, "socket"));
	CLEAR(buf) memory = BUF_INIT(64), time = BUF_INIT(64), number = BUF_INIT(32);

	put_memory(&memory, role);
	if (since)
		page_put_time(&time, json_integer_value(since));
	if (pid)
		buf_putf(&number, "%lld", (long long)json_integer_value(pid));
	buf_putf(page, "%-10s %-24s %8s %10s %14s %8lld  %s\n", json_string_value(json_object_get(role, "name")),
		json_string_value(json_object_get(role, "state")), pid ? buf_text(&number) : "-", buf_text(&memory),
		since ? buf_text(&time) : "-", (long long)json_integer_value(json_object_get(role, "restarts")),
		place ? place : "-");
}

/* -- Last words --------------------------------------------------------------------------------------------------------------------------- */

static void
put_journal(struct buf *page, const char *unit)
{
	OWN_TEXT lines = mem_textf("--lines=%d", LAST_LINES);
	const char *args[] = { "journalctl", "--unit", unit, "--no-pager", "--output=short-iso", lines, NULL };
	struct err err = ERR_INIT;

	if (pipe_command(args, page, &err) < 0)
		buf_putf(page, "(%s)\n", err.text);
}

static void
put_last_words(struct buf *page, const json_t *role)
{
	const char *name = json_string_value(json_object_get(role, "name")), *log = json_string_value(json_object_get(role, "log"));
	const json_t *next = json_object_get(role, "next_start_ms");

	buf_putf(page, "\n%s: %s", name, json_string_value(json_object_get(role, "state")));
	if (next)
		buf_putf(page, ", started again in %lld s", (long long)(json_integer_value(next) + 999) / 1000);
	buf_puts(page, "; its last lines:\n");
	if (log)
		log_tail_put(page, log, LAST_LINES);
	else
		put_journal(page, json_string_value(json_object_get(role, "unit")));
}

/* -- All ------------------------------------------------------------------------------------------------------------------------------------ */

static bool
is_down(const json_t *role)
{
	return json_is_true(json_object_get(role, "failed"));
}

static void
print(const json_t *status, const struct buf *above)
{
	struct buf page = BUF_INIT(PAGE_MAX);
	const json_t *roles = json_object_get(status, "roles"), *renewals = json_object_get(status, "renewals"), *role;
	size_t i;

	buf_putf(&page, "%-10s %-24s %8s %10s %14s %8s  %s\n", "NAME", "STATE", "PID", "MEMORY", "SINCE", "RESTARTS", "SOCKET");
	json_array_foreach((json_t *)(uintptr_t)roles, i, role)
		put_row(&page, role);
	json_array_foreach((json_t *)(uintptr_t)roles, i, role)
		if (is_down(role))
			put_last_words(&page, role);
	if (json_array_size(renewals) > 0) {
		buf_putc(&page, '\n');
		renewals_put_table(&page, renewals);
	}
	buf_put(&page, above->data, above->len);
	page_print(&page);
}

static int
exit_status(const json_t *status)
{
	const json_t *roles = json_object_get(status, "roles"), *role;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)roles, i, role)
		if (is_down(role))
			return 1;
	return json_is_false(json_object_get(json_object_get(status, "parent"), "well")) ||
	       json_is_false(json_object_get(json_object_get(status, "gateway"), "well"));
}

int
edge_status(int argc, char **argv)
{
	struct options o = { .state = EDGE_STATE_DEFAULT };
	CLEAR(buf) above = BUF_INIT(PAGE_MAX);
	OWN_LIB(json_t) status = NULL;
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct edge_box box;
	struct err err = ERR_INIT;
	int done = page_options(&usage, &o, argc, argv);

	if (done != 0)
		return done;
	sigaction(SIGPIPE, &ignore, NULL); /* libssl writes to servers that are gone */
	if (edge_box_find(&box, o.state, &err) == 0)
		status = edge_box_status(&box, &err);
	if (!status)
		return page_failure(COMMAND, &err, 1);
	json_object_set_new(status, "renewals", renewals_of(o.state));
	edge_parent_look(o.state, status, &above);
	edge_gateway_look(o.state, status, &above);
	if (o.json) {
		OWN_TEXT line = json_line(status);

		puts(line);
	} else {
		print(status, &above);
	}
	return exit_status(status);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge gateway device: who is below this gateway, and why one of them does not get in. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/visible.h"
#include "diag/reason.h"
#include "gateway_tool.h"
#include "page.h"
#include "wire/codec.h"
#include "wire/json.h"

#define COMMAND "rootedge gateway device"
#define PATH_LEN_MAX 2048

struct options {
	struct gateway_options common;
	int64_t page;
};

static const struct option_row rows[] = {
	GATEWAY_ROWS,
	{ "page", 0, "N", "list: ask for so many at a time (500)", OPTION_INT, offsetof(struct options, page), 1, 500 },
	{ 0 },
};

static char *
name_of(const json_t *device)
{
	const char *module = gateway_text_at(device, "module");

	return mem_textf("%s%s%s", gateway_text_at(device, "device"), *module ? "/" : "", module);
}

/* -- list ------------------------------------------------------------------------------------------------------------------------------------ */

static void
put_row(const json_t *device)
{
	const json_t *last = json_object_get(device, "last_decision");
	const char *reason = gateway_text_at(last, "reason");
	OWN_TEXT name = name_of(device);
	OWN_TEXT verdict = mem_textf("%.16s %s", gateway_text_at(last, "at"), text_is(reason, "OK") ? "let in" : reason);

	printf("%-32s %-9s %-20s %-9s %-17.16s %s\n", name, gateway_text_at(device, "status"), gateway_text_at(device, "auth"),
		json_is_true(json_object_get(device, "connected")) ? "connected" : "-", gateway_text_at(device, "confirmed_at"),
		json_is_object(last) ? verdict : "-");
}

static json_t *
fetch_page(const struct options *o, const char *after, struct err *err)
{
	CLEAR(buf) path = BUF_INIT(PATH_LEN_MAX);

	buf_putf(&path, "devices?limit=%lld", (long long)o->page);
	if (after) {
		buf_puts(&path, "&after=");
		percent_encode(&path, after, strlen(after));
	}
	return gateway_ask(&o->common, "GET", buf_text(&path), NULL, 0, err);
}

static int
list(const struct options *o, struct err *err)
{
	OWN_TEXT after = NULL;
	bool more = true;

	if (!o->common.json)
		printf("%-32s %-9s %-20s %-9s %-17s %s\n", "NAME", "STATUS", "AUTH", "NOW", "CONFIRMED (UTC)",
			"LAST DECISION (UTC)");
	while (more) {
		OWN_LIB(json_t) page = fetch_page(o, after, err);
		const json_t *device;
		size_t i;

		if (!page)
			return -1;
		json_array_foreach(json_object_get(page, "devices"), i, device) {
			if (o->common.json)
				gateway_print_json(device);
			else
				put_row(device);
		}
		mem_free(after);
		after = mem_text(json_string_value(json_object_get(page, "next")));
		more = after != NULL;
	}
	return 0;
}

/* -- show ------------------------------------------------------------------------------------------------------------------------------------ */

static void
put_line(const char *name, const char *value)
{
	CLEAR(buf) line = BUF_INIT(8192);

	if (!*value)
		return;
	buf_putf(&line, "%-14s ", name);
	buf_put_visible(&line, value); /* some of it is a stranger's */
	puts(buf_text(&line));
}

static void
put_reason(const char *title, const struct reason_row *reason)
{
	put_line(title, reason->code);
	put_line("", reason->sentence);
	put_line("to do", reason->fix);
}

static void
put_end(const json_t *device)
{
	const json_t *end = json_object_get(device, "last_end");
	const struct reason_row *reason = json_is_object(end) ? reason_find(gateway_text_at(end, "reason")) : NULL;

	if (!reason)
		return;
	put_line("last ended", gateway_text_at(end, "at"));
	put_reason("because", reason);
}

static void
put_decision(const json_t *last)
{
	const struct reason_row *reason = json_is_object(last) ? reason_find(gateway_text_at(last, "reason")) : NULL;
	OWN_TEXT counts = NULL;
	OWN_TEXT when = NULL;

	if (!reason) {
		put_line("last decision", "none lately");
		return;
	}
	when = mem_textf("%s, %s, from %s", text_is(reason->code, "OK") ? "let in" : "refused", gateway_text_at(last, "at"),
		gateway_text_at(last, "peer"));
	put_line("last decision", when);
	if (!text_is(reason->code, "OK")) {
		put_reason("because", reason);
		put_line("at", gateway_text_at(last, "detail"));
	}
	counts = mem_textf("let in %lld times, refused %lld times since the gateway's start",
		(long long)json_integer_value(json_object_get(last, "accepted")),
		(long long)json_integer_value(json_object_get(last, "refused")));
	put_line("in all", counts);
}

static void
print_one(const json_t *device)
{
	const json_t *thumbprint;
	OWN_TEXT name = name_of(device);
	OWN_TEXT record = NULL;
	CLEAR(buf) age = BUF_INIT(64);
	size_t i;

	put_line("name", name);
	put_line("now", json_is_true(json_object_get(device, "connected")) ? "connected" : "not connected");
	if (*gateway_text_at(device, "status")) {
		page_put_time(&age, json_integer_value(json_object_get(device, "confirmed_for_s")));
		record = mem_textf("%s, %s; the hub said so %s ago", gateway_text_at(device, "status"),
			gateway_text_at(device, "auth"), buf_text(&age));
	}
	put_line("record", record ? record : "none: the hub has not told of it");
	json_array_foreach(json_object_get(device, "thumbprints"), i, thumbprint) {
		if (json_is_string(thumbprint))
			put_line(i == 0 ? "thumbprints" : "", json_string_value(thumbprint));
	}
	put_decision(json_object_get(device, "last_decision"));
	put_end(device);
}

static int
show(const struct gateway_options *o, const char *name, struct err *err)
{
	OWN_TEXT path = gateway_device_path(name, err);
	OWN_LIB(json_t) device = path ? gateway_ask(o, "GET", path, NULL, 0, err) : NULL;

	if (!device)
		return -1;
	if (o->json)
		gateway_print_json(device);
	else
		print_one(device);
	return 0;
}

int
gateway_device(int argc, char **argv)
{
	static const struct option_usage usage = {
		.command = COMMAND,
		.arguments = "list | show DEVICE[/MODULE]",
		.summary =
			"List the devices and modules below the gateway, or show one: the hub's record with its age, whether it is "
			"connected, what was decided about it last, and why the gateway ended a session of it, or refused what it "
			"sent over HTTPS, last.",
		.more = "Exit status: 0 shown, 1 there is no such device, or no gateway, 2 called wrongly.",
		.rows = rows,
	};
	struct options o = { .common.state = GATEWAY_STATE_DEFAULT, .page = 500 };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &o, argc, argv, &err), done;

	if (n == 1 && text_is(argv[0], "list"))
		done = list(&o, &err);
	else if (n == 2 && text_is(argv[0], "show"))
		done = show(&o.common, argv[1], &err);
	else
		return page_failure(
			COMMAND, n < 0 ? &err : &(struct err){ .text = "list, or show DEVICE[/MODULE]; --help tells more" }, 2);
	return done < 0 ? page_failure(COMMAND, &err, 1) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge renewals: the certificates of an edge device that end one day, from the files in which its services keep what they know of them, whether they run or not. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cmd.h"
#include "page.h"
#include "renewals.h"
#include "wire/json.h"

#define FILE_MAX (256 * 1024)

struct options {
	const char *state;
	bool json, metrics;
};

static const struct option_row rows[] = {
	{ "state", 's', "DIR", "the edge device's state folder (/var/lib/aziot)", OPTION_TEXT, offsetof(struct options, state), 0,
		0 },
	{ "json", 0, NULL, "for programs: an object a line", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ "metrics", 0, NULL, "for Prometheus: the text format, as its node exporter reads it from a file", OPTION_FLAG,
		offsetof(struct options, metrics), 0, 0 },
	{ 0 },
};
static const struct option_usage usage = { "rootedge renewals", "",
	"List the certificates of an edge device: how near their end is, and when they are renewed (docs/renewal.md).",
	"Exit status: 0 all are valid, 1 one is not, or a file can't be read, 2 called wrongly.", rows };

static const char *const roles[] = { "certd", "identityd", "edged" };

/* -- The files ------------------------------------------------------------------------------------------------------------------------ */

static json_t *
load_file(const char *state, const char *role, struct err *err)
{
	OWN_TEXT path = mem_textf("%s/%s/renewals.json", state, role);
	CLEAR(buf) text = BUF_INIT(FILE_MAX);
	json_t *json = NULL;

	if (file_load(&text, path, err) == 0)
		json = json_parse(text.data, text.len, err);
	return json;
}

/* Added to `all`, with the role. */
static int
take_role(json_t *all, const char *state, const char *role, struct err *err)
{
	OWN_LIB(json_t) json = load_file(state, role, err);
	json_t *one;
	size_t i;

	if (!json)
		return err->kind == ERR_MISSING ? 0 : err_wrap(err, "%s", role);
	json_array_foreach(json_object_get(json, "renewals"), i, one) {
		json_object_set_new(one, "role", json_string(role));
		json_array_append(all, one);
	}
	return 0;
}

static const char *
text_of(const json_t *one, const char *key)
{
	const char *text = json_string_value(json_object_get(one, key));

	return text ? text : "";
}

static int64_t
time_of(const json_t *one, const char *key)
{
	int64_t wall = 0;

	return clock_parse(text_of(one, key), &wall) ? wall : 0;
}

static bool
is_valid(const json_t *one)
{
	int64_t now = clock_wall();

	return now >= time_of(one, "not_before") && now < time_of(one, "not_after");
}

/* What the service said when it last had something to say; the end may have come since. */
static const char *
status_of(const json_t *one)
{
	return time_of(one, "not_after") && clock_wall() >= time_of(one, "not_after") ? "ended" : text_of(one, "status");
}

/* -- For people, programs, and Prometheus --------------------------------------------------------------------------------------------- */

static const char *
short_time(const json_t *one, const char *key, char out[static CLOCK_TEXT_LEN])
{
	snprintf(out, CLOCK_TEXT_LEN, "%.16s", *text_of(one, key) ? text_of(one, key) : "-");
	return out;
}

static void
put_line(struct buf *page, const json_t *one)
{
	char until[CLOCK_TEXT_LEN], next[CLOCK_TEXT_LEN];
	const char *error = text_of(one, "last_error");

	buf_putf(page, "%-24s  %-9s  %-9s  %-16s  %-16s\n", text_of(one, "id"), text_of(one, "role"), status_of(one),
		short_time(one, "not_after", until),
		json_is_true(json_object_get(one, "renews")) ? short_time(one, "next_attempt", next) : "not here");
	if (*error)
		buf_putf(page, "    attempt %lld: %s\n", (long long)json_integer_value(json_object_get(one, "attempts")), error);
}

void
renewals_put_table(struct buf *page, const json_t *all)
{
	size_t i;
	const json_t *one;

	buf_putf(page, "%-24s  %-9s  %-9s  %-16s  %-16s\n", "CERTIFICATE", "OF", "STATUS", "ENDS (UTC)", "RENEWED NEXT");
	json_array_foreach(all, i, one)
		put_line(page, one);
}

static void
put_json(struct buf *page, const json_t *all)
{
	size_t i;
	json_t *one;

	json_array_foreach((json_t *)(uintptr_t)all, i, one) {
		OWN_TEXT line = NULL;

		json_object_set_new(one, "status", json_string(status_of(one)));
		line = json_line(one);
		buf_putf(page, "%s\n", line);
	}
}

static int64_t
attempts_of(const json_t *one)
{
	return json_integer_value(json_object_get(one, "attempts"));
}

static int64_t
not_after_of(const json_t *one)
{
	return time_of(one, "not_after");
}

static int64_t
next_attempt_of(const json_t *one)
{
	return time_of(one, "next_attempt");
}

static int64_t
valid_of(const json_t *one)
{
	return is_valid(one);
}

static const struct metric {
	const char *name, *help;
	int64_t (*value)(const json_t *one);
} metrics[] = {
	{ "rootedge_certificate_not_after_seconds", "When the certificate ends, seconds since 1970; 0: there is none.",
		not_after_of },
	{ "rootedge_certificate_next_attempt_seconds", "When it is renewed, or that is tried again; 0: not by this device.",
		next_attempt_of },
	{ "rootedge_certificate_failed_attempts", "Attempts to renew it that failed since the last that did not.", attempts_of },
	{ "rootedge_certificate_valid", "1 while it is valid by this device's clock.", valid_of },
};

static void
put_metrics(struct buf *page, const json_t *all)
{
	size_t i;
	const json_t *one;

	for (size_t m = 0; m < COUNT(metrics); m++) {
		buf_putf(page, "# HELP %s %s\n# TYPE %s gauge\n", metrics[m].name, metrics[m].help, metrics[m].name);
		json_array_foreach(all, i, one)
			buf_putf(page, "%s{id=\"%s\",role=\"%s\"} %lld\n", metrics[m].name, text_of(one, "id"),
				text_of(one, "role"), (long long)metrics[m].value(one));
	}
}

json_t *
renewals_of(const char *state_dir)
{
	json_t *all = json_array(), *one;
	size_t i;

	for (i = 0; i < COUNT(roles); i++) {
		struct err ignored = ERR_INIT;

		(void)take_role(all, state_dir, roles[i], &ignored);
	}
	json_array_foreach(all, i, one)
		json_object_set_new(one, "status", json_string(status_of(one)));
	return all;
}

int
cmd_renewals(int argc, char **argv)
{
	struct options o = { .state = "/var/lib/aziot" };
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	OWN_LIB(json_t) all = json_array();
	struct err err = ERR_INIT;
	bool valid = true;
	json_t *one;
	size_t i;

	if (option_parse(&usage, &o, argc, argv, &err) != 0)
		return page_failure(usage.command, &err, 2);
	for (i = 0; i < COUNT(roles); i++) {
		err = (struct err)ERR_INIT;
		if (take_role(all, o.state, roles[i], &err) < 0)
			return page_failure(usage.command, &err, 1);
	}
	if (json_array_size(all) == 0) {
		err_set(&err, ERR_MISSING, "no service of an edge device has kept anything below %s", o.state);
		return page_failure(usage.command, &err, 1);
	}
	(o.metrics ? put_metrics : o.json ? put_json : renewals_put_table)(&page, all);
	page_print(&page);
	json_array_foreach(all, i, one)
		valid = valid && is_valid(one);
	return valid ? 0 : 1;
}

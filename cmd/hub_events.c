/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub events: what devices sent, read from the event log itself, whether the hub runs or not.  A table for people, a JSON object a line for
 * programs.  --follow waits for more: the writer's note of what is durable changes with each commit, and that file is watched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "hub.h"
#include "hub/client.h"
#include "notice.h"
#include "store/event_log.h"
#include "store/message.h"

#define LOOK_AGAIN_MS 1000 /* where no notice comes */
#define CELL_MAX 60
#define BODY_MAX 100

struct options {
	const char *state, *device;
	int64_t from;
	bool follow, json;
};

static const struct option_row rows[] = {
	{ "state", 's', "DIR", "the hub's state folder (" HUB_STATE_DEFAULT ")", OPTION_TEXT, offsetof(struct options, state), 0,
		0 },
	{ "follow", 'f', NULL, "wait for more and print them as they come", OPTION_FLAG, offsetof(struct options, follow), 0, 0 },
	{ "json", 'j', NULL, "a JSON object a line", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ "from", 0, "OFFSET", "begin with this one (0)", OPTION_INT, offsetof(struct options, from), 0, INT64_MAX },
	{ "device", 'd', "ID", "only of this device", OPTION_TEXT, offsetof(struct options, device), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge hub events",
	.arguments = "",
	.summary = "Print what devices sent.",
	.rows = rows,
};

/* One line, no control characters, no wider than the column. */
static void
print_cell(const char *text, size_t max)
{
	size_t len = strlen(text), shown = len > max ? max - 3 : len;

	/* Not in the middle of a character. */
	while (shown < len && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
		shown--;
	for (size_t i = 0; i < shown; i++)
		putchar((unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '.' : text[i]);
	if (shown < len)
		fputs("...", stdout);
}

static void
print_value(const json_t *value, size_t max)
{
	char *text;

	if (json_is_string(value)) {
		print_cell(json_string_value(value), max);
		return;
	}
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	print_cell(text ? text : "", max);
	free(text);
}

static void
print_properties(json_t *properties)
{
	const char *name, *between = "";
	json_t *value;

	json_object_foreach(properties, name, value) {
		fputs(between, stdout);
		print_cell(name, CELL_MAX);
		if (!json_is_null(value)) {
			putchar('=');
			print_value(value, CELL_MAX);
		}
		between = " ";
	}
}

/* JSON as the device wrote it: its numbers would get other digits on the way through ours. */
static void
print_body(const json_t *body, struct slice sent)
{
	OWN_TEXT text = json_is_string(body) ? NULL : slice_text(sent);

	if (text)
		print_cell(text, BODY_MAX);
	else
		print_value(body, BODY_MAX);
}

static void
print_row(const struct message *m, uint64_t offset, const char *json)
{
	json_t *event = json_loads(json, 0, NULL);
	OWN_TEXT who = mem_textf("%.*s%s%.*s", SLICE_FMT(m->device_id), m->module_id.len > 0 ? "/" : "", SLICE_FMT(m->module_id));
	char when[CLOCK_TEXT_LEN];

	printf("%8llu  %s  %-20s  ", (unsigned long long)offset, clock_text_ms(m->enqueued_ms, when), who);
	print_body(json_object_get(event, "body"), m->payload);
	if (json_object_size(json_object_get(event, "properties")) > 0) {
		fputs("  ", stdout);
		print_properties(json_object_get(event, "properties"));
	}
	putchar('\n');
	json_decref(event);
}

static int
print_event(const struct options *o, const struct event_record *record, struct err *err)
{
	struct message message;
	OWN_TEXT json = NULL;

	if (message_decode(&message, record->data, record->len, err) < 0)
		return err_wrap(err, "record %llu", (unsigned long long)record->place.offset);
	if (o->device && !slice_is(message.device_id, o->device))
		return 0;
	json = message_json(&message, &record->place);
	if (o->json)
		puts(json);
	else
		print_row(&message, record->place.offset, json);
	return 0;
}

static int
print_all(const struct options *o, struct event_reader *reader, struct err *err)
{
	struct event_record record;
	int got;

	while ((got = event_reader_next(reader, &record, err)) == 1)
		if (print_event(o, &record, err) < 0)
			return -1;
	if (fflush(stdout) != 0)
		return err_errno(err, "cannot write");
	return got;
}

static int
follow(const struct options *o, const char *dir, struct event_reader *reader, struct err *err)
{
	OWN_TEXT lock = mem_textf("%s/lock", dir);
	int notice = notice_open(lock);
	int done;

	while ((done = print_all(o, reader, err)) == 0 && o->follow)
		(void)notice_wait(notice, -1, LOOK_AGAIN_MS);
	close(notice);
	return done;
}

int
hub_events(int argc, char **argv)
{
	struct options o = { .state = HUB_STATE_DEFAULT };
	struct event_reader *reader;
	struct err err = ERR_INIT;
	OWN_TEXT dir = NULL;
	int done;

	if (option_parse(&usage, &o, argc, argv, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	dir = hub_client_events_path(o.state);
	reader = event_reader_open(dir, &(struct event_start){ .value = (uint64_t)o.from }, &err);
	done = reader ? follow(&o, dir, reader, &err) : -1;
	event_reader_close(reader);
	if (done == 0)
		return 0;
	fprintf(stderr, "rootedge hub events: %s\n", err.text);
	return 1;
}

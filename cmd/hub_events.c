/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub events: what devices sent, and what the hub says of them; read from the event log itself, whether the hub runs or not, or from a running hub over its REST
 * API.  A table for people, a JSON object a line for programs.  --follow waits for more: at the log the writer's note of what is durable changes with each commit, and that
 * file is watched; a hub's stream that ends is asked for again behind the last event. */
#include <poll.h>
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
#include "hub_tool.h"
#include "notice.h"
#include "store/event_feed.h"
#include "wire/codec.h"
#include "wire/sse.h"

#define LOOK_AGAIN_MS 1000 /* where no notice comes */
#define COME_AGAIN_MS 2000 /* to a hub that is away */
#define CHECKPOINT_EVERY 1000
#define KEEP_EVERY_MS 5000
#define CELL_MAX 60
#define BODY_MAX 100
#define EVENT_MAX (8u << 20)

struct options {
	const char *state, *hub, *ca, *connect_to, *group, *from, *device, *source;
	int64_t partition;
	bool follow, json, checkpoint;
};

static const struct option_row rows[] = {
	{ "state", 's', "DIR", "the hub's state folder (" HUB_STATE_DEFAULT ")", OPTION_TEXT, offsetof(struct options, state), 0,
		0 },
	{ "hub", 'H', "STRING", "instead: connection string of a running hub ($ROOTEDGE_HUB); HostName may have a port",
		OPTION_TEXT, offsetof(struct options, hub), 0, 0 },
	{ "ca", 0, "FILE", "the root that the hub's certificate is trusted by ($ROOTEDGE_CA)", OPTION_TEXT,
		offsetof(struct options, ca), 0, 0 },
	{ "connect-to", 0, "ADDRESS", "TCP goes there; the name is still checked ($ROOTEDGE_CONNECT_TO)", OPTION_TEXT,
		offsetof(struct options, connect_to), 0, 0 },
	{ "follow", 'f', NULL, "wait for more and print them as they come", OPTION_FLAG, offsetof(struct options, follow), 0, 0 },
	{ "json", 'j', NULL, "a JSON object a line", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ "from", 0, "PLACE",
		"earliest, latest, checkpoint, N or offset:N, sequence:N, time:2026-03-01T12:00:00Z (earliest; of a group: "
		"checkpoint)",
		OPTION_TEXT, offsetof(struct options, from), 0, 0 },
	{ "partition", 'p', "N", "only of this partition", OPTION_INT, offsetof(struct options, partition), 0,
		EVENT_PARTITIONS_MAX - 1 },
	{ "device", 'd', "ID", "only of this device and its modules", OPTION_TEXT, offsetof(struct options, device), 0, 0 },
	{ "source", 0, "NAME", "only Telemetry, twinChangeEvents, deviceLifecycleEvents or deviceConnectionStateEvents",
		OPTION_TEXT, offsetof(struct options, source), 0, 0 },
	{ "consumer-group", 'g', "NAME", "go on where this group is", OPTION_TEXT, offsetof(struct options, group), 0, 0 },
	{ "checkpoint", 0, NULL, "keep the group's place behind what was printed", OPTION_FLAG,
		offsetof(struct options, checkpoint), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge hub events",
	.arguments = "",
	.summary = "Print what devices sent, and what the hub says of them.",
	.rows = rows,
};

/* -- Printing ---------------------------------------------------------------------------------------------------------------------------- */

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

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* `sent`: the body as it was sent, where that is at hand. */
static void
print_row(const char *json, struct slice sent)
{
	json_t *event = json_loads(json, 0, NULL);
	const json_t *annotations = json_object_get(event, "annotations");
	const char *module = text_of(annotations, "iothub-connection-module-id");
	OWN_TEXT who = mem_textf("%s%s%s", text_of(annotations, "iothub-connection-device-id"), *module ? "/" : "", module);

	printf("%8lld  %s  ", (long long)json_integer_value(json_object_get(event, "offset")),
		text_of(annotations, "iothub-enqueuedtime"));
	print_cell(who, 2 * CELL_MAX);
	printf("%*s  ", strlen(who) < 20 ? (int)(20 - strlen(who)) : 0, "");
	print_body(json_object_get(event, "body"), sent);
	if (json_object_size(json_object_get(event, "properties")) > 0) {
		fputs("  ", stdout);
		print_properties(json_object_get(event, "properties"));
	}
	putchar('\n');
	json_decref(event);
}

static void
print_event(const struct options *o, const char *json, struct slice sent)
{
	if (o->json)
		puts(json);
	else
		print_row(json, sent);
}

/* -- From the log ------------------------------------------------------------------------------------------------------------------------ */

static int
keep_place(const struct options *o, const char *dir, const struct event_group *place, struct err *err)
{
	return o->checkpoint ? event_group_save(dir, o->group, place, err) : 0;
}

static int
print_feed(const struct options *o, const char *dir, struct event_feed *feed, struct event_group *place, struct err *err)
{
	enum event_feed_got got = EVENT_FEED_OTHER;
	struct event_fed fed;
	size_t n = 0;

	while ((got = event_feed_next(feed, &fed, err)) > EVENT_FEED_END) {
		if (got == EVENT_FEED_MESSAGE) {
			OWN_TEXT json = message_json(&fed.message, &fed.place);

			print_event(o, json, fed.message.payload);
		}
		if (o->partition < 0 || fed.place.partition == (unsigned)o->partition) {
			place->next[fed.place.partition] = fed.place.sequence + 1;
			place->has[fed.place.partition] = true;
		}
		if (++n % CHECKPOINT_EVERY == 0 && (fflush(stdout) != 0 || keep_place(o, dir, place, err) < 0))
			return -1;
	}
	if (got == EVENT_FEED_FAILED)
		return -1;
	if (fflush(stdout) != 0)
		return err_errno(err, "cannot write");
	return keep_place(o, dir, place, err);
}

static int
make_feed_config(struct event_feed_config *config, const struct options *o, const char *dir, struct err *err)
{
	enum message_source source;

	*config = (struct event_feed_config){
		.dir = dir, .partition = (int)o->partition, .device_id = o->device, .else_earliest = true
	};
	if (event_from_parse(&config->from, o->from, err) < 0)
		return err_wrap(err, "--from");
	if (o->source && !message_source_find(o->source, &source))
		return err_set(err, ERR_INVALID,
			"--source: there are Telemetry, twinChangeEvents, deviceLifecycleEvents and "
			"deviceConnectionStateEvents");
	config->sources = o->source ? 1u << source : 0;
	return o->group ? event_group_load(dir, o->group, &config->group, err) : 0;
}

static int
read_log(const struct options *o, struct err *err)
{
	OWN_TEXT dir = hub_client_events_path(o->state);
	OWN_TEXT lock = mem_textf("%s/lock", dir);
	struct event_feed_config config;
	struct event_feed *feed;
	int notice, done;

	if (make_feed_config(&config, o, dir, err) < 0)
		return -1;
	feed = event_feed_open(&config, err);
	if (!feed)
		return -1;
	notice = notice_open(lock);
	while ((done = print_feed(o, dir, feed, &config.group, err)) == 0 && o->follow)
		(void)notice_wait(notice, -1, LOOK_AGAIN_MS);
	close(notice);
	event_feed_close(feed);
	return done;
}

/* -- From a hub -------------------------------------------------------------------------------------------------------------------------- */

struct remote {
	const struct options *o;
	struct hub_session session;
	struct sse_reader reader;
	int64_t seen[EVENT_PARTITIONS_MAX], kept[EVENT_PARTITIONS_MAX]; /* sequence numbers, -1: none */
	int64_t kept_at_ms;
	bool wrong; /* what came is no event */
};

static bool
on_event(void *arg, const char *json)
{
	struct remote *remote = arg;
	OWN_LIB(json_t) event = json_loads(json, 0, NULL);
	json_int_t partition = json_integer_value(json_object_get(event, "partition"));

	remote->wrong = !event || partition < 0 || partition >= EVENT_PARTITIONS_MAX;
	if (remote->wrong)
		return false;
	remote->seen[partition] = json_integer_value(json_object_get(event, "sequenceNumber"));
	print_event(remote->o, json, (struct slice){ "", 0 });
	return true;
}

/* The place is kept between two streams. */
static bool
is_time_to_keep(const struct remote *remote)
{
	return remote->o->checkpoint && remote->o->follow && clock_boot_ms() - remote->kept_at_ms > KEEP_EVERY_MS &&
	       memcmp(remote->seen, remote->kept, sizeof(remote->seen)) != 0;
}

static bool
on_body(void *arg, const void *data, size_t len)
{
	struct remote *remote = arg;

	return sse_reader_feed(&remote->reader, data, len) && fflush(stdout) == 0 && !is_time_to_keep(remote);
}

static void
put_query(struct buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	buf_putf(out, "&%s=", name);
	percent_encode(out, value, strlen(value));
}

static char *
stream_path(const struct options *o)
{
	CLEAR(buf) path = BUF_INIT(4096);

	buf_putf(&path, "events/stream?follow=%s", o->follow ? "true" : "false");
	put_query(&path, "from", o->from);
	put_query(&path, "consumerGroup", o->group);
	put_query(&path, "device", o->device);
	put_query(&path, "source", o->source);
	if (o->partition >= 0)
		buf_putf(&path, "&partition=%lld", (long long)o->partition);
	return buf_take_text(&path);
}

/* The group's place is behind what was printed, partition by partition. */
static int
keep_remote_place(struct remote *remote, struct err *err)
{
	CLEAR(buf) path = BUF_INIT(1024);

	if (!remote->o->checkpoint)
		return 0;
	buf_puts(&path, "events/consumerGroups/");
	percent_encode(&path, remote->o->group, strlen(remote->o->group));
	buf_puts(&path, "/checkpoint");
	for (int i = 0; i < EVENT_PARTITIONS_MAX; i++) {
		OWN_LIB(json_t) body = NULL;
		OWN_LIB(json_t) answer = NULL;

		if (remote->seen[i] == remote->kept[i])
			continue;
		body = json_pack("{s:i, s:I}", "partition", i, "sequenceNumber", (json_int_t)remote->seen[i]);
		if (hub_session_request(&remote->session, "POST", buf_text(&path), body, false, &answer, err) < 0)
			return -1;
		remote->kept[i] = remote->seen[i];
	}
	remote->kept_at_ms = clock_boot_ms();
	return 0;
}

/* A stream ends with the token that it was opened by, and when the hub does: with --follow that is no reason to end. */
static int
follow_hub(struct remote *remote, const char *path, struct err *err)
{
	int done;

	do {
		sse_reader_again(&remote->reader);
		done = hub_session_stream(&remote->session, path, buf_text(&remote->reader.id), on_body, remote, err);
		if (ferror(stdout))
			return err_set(err, ERR_UNAVAILABLE, "cannot write");
		if (remote->wrong)
			return err_set(err, ERR_INVALID, "what the hub sends is no event");
		if (remote->reader.line.failed || remote->reader.data.failed)
			return err_set(err, ERR_INVALID, "the hub sends an event that is larger than what is accepted");
		if (done < 0 && (!remote->o->follow || err->kind != ERR_UNAVAILABLE))
			return -1;
		if (done == 0 && keep_remote_place(remote, err) < 0)
			return -1;
		if (done < 0)
			(void)poll(NULL, 0, COME_AGAIN_MS);
		*err = (struct err)ERR_INIT;
	} while (remote->o->follow);
	return 0;
}

static int
read_hub(const struct options *o, struct err *err)
{
	struct remote remote = { .o = o };
	OWN_TEXT path = stream_path(o);
	int done;

	if (!o->ca)
		return err_set(err, ERR_INVALID, "--ca is missing, the root that the hub's certificate is trusted by");
	memset(remote.seen, 0xff, sizeof(remote.seen));
	memset(remote.kept, 0xff, sizeof(remote.kept));
	remote.kept_at_ms = clock_boot_ms();
	sse_reader_init(&remote.reader, EVENT_MAX, on_event, &remote);
	done = hub_session_open(&remote.session, o->hub, o->ca, o->connect_to, err);
	if (done == 0)
		done = follow_hub(&remote, path, err);
	hub_session_clear(&remote.session);
	sse_reader_clear(&remote.reader);
	return done;
}

/* -- The verb ------------------------------------------------------------------------------------------------------------------------------ */

/* The environment names a hub where nothing on the command line does; a folder that is given is meant. */
static void
settle(struct options *o)
{
	if (!o->state)
		o->hub = hub_tool_or_environment(o->hub, "ROOTEDGE_HUB");
	if (o->hub) {
		o->ca = hub_tool_or_environment(o->ca, "ROOTEDGE_CA");
		o->connect_to = hub_tool_or_environment(o->connect_to, "ROOTEDGE_CONNECT_TO");
	}
	if (!o->state)
		o->state = HUB_STATE_DEFAULT;
}

static int
check_options(struct options *o, struct err *err)
{
	if (o->group && !event_group_name_is_valid(o->group))
		return err_set(err, ERR_INVALID, "--consumer-group: 1 to %d letters, digits and $._-", EVENT_GROUP_NAME_MAX);
	if (o->checkpoint && !o->group)
		return err_set(err, ERR_INVALID, "--checkpoint: of which --consumer-group?");
	if (!o->from)
		o->from = o->group ? "checkpoint" : "earliest";
	return 0;
}

int
hub_events(int argc, char **argv)
{
	struct options o = { .partition = -1 };
	struct err err = ERR_INIT;

	if (option_parse(&usage, &o, argc, argv, &err) < 0 || check_options(&o, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	settle(&o);
	if ((o.hub ? read_hub(&o, &err) : read_log(&o, &err)) == 0)
		return 0;
	fprintf(stderr, "rootedge hub events: %s\n", err.text);
	return 1;
}

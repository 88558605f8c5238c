/* SPDX-License-Identifier: Apache-2.0 */
/* Events over HTTP for back-ends: what is in the partitions, a stream of what comes, and the places of consumer groups.  Ours: the original has Event Hubs for that. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/events/event_readers.h"
#include "hub/events/event_stream.h"
#include "hub/rest/rest.h"
#include "store/message.h"
#include "wire/json.h"

#define HEARTBEAT_S 15
#define HEARTBEAT_MAX_S 60

/* -- What is in the partitions -------------------------------------------------------------------------------------------------------------- */

static json_t *
partition_json(struct event_log *log, unsigned i)
{
	struct event_partition p;
	char when[CLOCK_TEXT_LEN];
	bool had_any;

	event_log_partition(log, i, &p);
	had_any = p.next > 0;
	return json_pack("{s:i, s:I, s:I, s:o, s:o, s:b}", "partition", (int)i, "beginSequenceNumber", (json_int_t)p.begin,
		"lastSequenceNumber", (json_int_t)p.next - 1, "lastOffset",
		had_any ? json_integer((json_int_t)p.last_offset) : json_null(), "lastEnqueuedTime",
		had_any && p.last_ms > 0 ? json_string(clock_text_ms(p.last_ms, when)) : json_null(), "isEmpty", p.begin == p.next);
}

static void
get_partitions(struct rest *rest, struct http_request *req, const char *const *ids)
{
	struct event_log *log = rest->readers->log;
	json_t *list = json_array();

	(void)ids;
	for (unsigned i = 0; i < event_log_partitions(log); i++)
		json_array_append_new(list, partition_json(log, i));
	http_respond_json(req, 200, NULL, json_pack("{s:o}", "partitions", list));
}

/* -- The stream ----------------------------------------------------------------------------------------------------------------------------- */

static int
parse_partition(struct event_stream_wish *wish, const struct http_request *req, struct event_log *log, struct err *err)
{
	const char *text = http_query(req, "partition");
	int64_t partition;
	unsigned n = event_log_partitions(log);

	wish->feed.partition = -1;
	if (!text)
		return 0;
	if (!text_to_i64(text, 0, n - 1, &partition))
		return err_set(err, ERR_INVALID, "partition: there are 0 to %u", n - 1);
	wish->feed.partition = (int)partition;
	return 0;
}

static int
parse_filters(struct event_stream_wish *wish, const struct http_request *req, struct err *err)
{
	const char *device = http_query(req, "device"), *source = http_query(req, "source"), *beat = http_query(req, "heartbeat");
	const char *follow = http_query(req, "follow");
	enum message_source found;
	int64_t seconds = HEARTBEAT_S;

	if (device && !identity_id_is_valid(device))
		return err_set(err, ERR_INVALID, "device: that is no id");
	if (source && !message_source_find(source, &found))
		return err_set(err, ERR_INVALID,
			"source: there are Telemetry, twinChangeEvents, deviceLifecycleEvents and deviceConnectionStateEvents");
	if (beat && !text_to_i64(beat, 1, HEARTBEAT_MAX_S, &seconds))
		return err_set(err, ERR_INVALID, "heartbeat: 1 to %d seconds", HEARTBEAT_MAX_S);
	if (follow && !text_is(follow, "true") && !text_is(follow, "false"))
		return err_set(err, ERR_INVALID, "follow: true or false");
	wish->ends = text_is(follow, "false");
	wish->device_id = mem_text(device);
	wish->feed.sources = source ? 1u << found : 0;
	wish->heartbeat_ms = seconds * 1000;
	return 0;
}

/* What will never be there is a mistake of the one who asks, who would wait for it in vain. */
static int
check_from(const struct event_stream_wish *wish, struct event_log *log, struct err *err)
{
	const struct event_from *from = &wish->feed.from;
	int wanted = wish->feed.partition, at = from->kind == EVENT_FROM_BEHIND ? (int)from->partition : wanted;
	struct event_partition p;

	if (from->kind == EVENT_FROM_OFFSET && from->value > event_log_next(log))
		return err_set(err, ERR_INVALID, "from: there is no offset %llu yet", (unsigned long long)from->value);
	if (from->kind != EVENT_FROM_SEQUENCE && from->kind != EVENT_FROM_BEHIND)
		return 0;
	if (at < 0)
		return err_set(err, ERR_INVALID, "from: a sequence number is one of a partition, which is not named");
	/* What was seen last may be another partition's than is wanted: a heartbeat says how far the log is. */
	if (at >= (int)event_log_partitions(log))
		return err_set(err, ERR_INVALID, "Last-Event-ID is of no partition that there is");
	event_log_partition(log, (unsigned)at, &p);
	if (from->value > p.next || (from->kind == EVENT_FROM_BEHIND && from->value == p.next))
		return err_set(
			err, ERR_INVALID, "partition %d has no sequence number %llu yet", at, (unsigned long long)from->value);
	return 0;
}

/* A client that comes again says what it saw last; that goes before what its address says. */
static int
parse_from(struct event_stream_wish *wish, const struct http_request *req, struct err *err)
{
	const char *from = http_query(req, "from"), *last = http_header(req, "Last-Event-ID");
	const char *group = http_query(req, "consumerGroup");

	if (group && !event_group_name_is_valid(group))
		return err_set(err, ERR_INVALID, "consumerGroup: 1 to %d letters, digits and $._-", EVENT_GROUP_NAME_MAX);
	wish->group = mem_text(group ? group : "$Default");
	if (from && event_from_parse(&wish->feed.from, from, err) < 0)
		return err_wrap(err, "from");
	if (last && *last && event_from_parse_id(&wish->feed.from, last, err) < 0)
		return err_wrap(err, "Last-Event-ID");
	return 0;
}

static bool
still_may(void *arg, const char *token)
{
	return rest_token_stands(arg, "events", token, AUTH_SERVICE_CONNECT);
}

static void
get_stream(struct rest *rest, struct http_request *req, const char *const *ids)
{
	struct event_stream_wish wish = { .stands = still_may, .arg = rest };
	struct event_log *log = rest->readers->log;
	struct err err = ERR_INIT;

	(void)ids;
	if (!http_conn(req)) { /* nobody is there any more */
		http_respond(req, 503, NULL, NULL, 0);
		return;
	}
	wish.token = mem_text(http_header(req, "Authorization"));
	wish.feed.latest = event_log_next(log);
	wish.feed.has_latest = true;
	if (parse_partition(&wish, req, log, &err) < 0 || parse_filters(&wish, req, &err) < 0 || parse_from(&wish, req, &err) < 0 ||
		check_from(&wish, log, &err) < 0)
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
	else if (!event_stream_begin(rest->readers, req, &wish))
		rest_fail(req, REST_THROTTLING_EXCEPTION, "there are %d streams already", EVENT_STREAMS_MAX);
	event_stream_wish_clear(&wish);
}

/* -- Consumer groups ------------------------------------------------------------------------------------------------------------------------ */

/* A request about groups on its way through the readers' pool: files are read and written. */
struct group_call {
	char *group;
	json_t *answer;
	struct event_readers *readers;
	struct http_request *req;
	unsigned partition;
	uint64_t next;
	int (*run)(struct group_call *call);
	struct err err;
	struct job job;
};

static void
run_call(struct job *job)
{
	struct group_call *call = CONTAINER_OF(job, struct group_call, job);

	(void)call->run(call);
}

static void
answer_call(struct group_call *call)
{
	switch (call->err.kind) {
	case ERR_NONE:
		if (call->answer)
			http_respond_json(call->req, 200, NULL, GIVE(call->answer));
		else
			http_respond(call->req, 204, NULL, NULL, 0);
		return;
	case ERR_MISSING:
		rest_fail(call->req, REST_GROUP_NOT_FOUND, "there is no consumer group %s", call->group);
		return;
	case ERR_LIMIT:
		rest_fail(call->req, REST_IOT_HUB_QUOTA_EXCEEDED, "%s", call->err.text);
		return;
	default:
		log_error("%s", call->err.text);
		rest_fail(call->req, REST_SERVER_ERROR, "the consumer group cannot be read or written");
	}
}

static void
on_called(struct job *job)
{
	struct group_call *call = CONTAINER_OF(job, struct group_call, job);

	answer_call(call);
	json_decref(call->answer);
	mem_free(call->group);
	mem_free(call);
}

static void
submit(struct rest *rest, struct http_request *req, const struct group_call *wanted, int (*run)(struct group_call *call))
{
	struct conn *conn = http_conn(req);
	struct group_call *group_call = NEW(group_call);

	*group_call = *wanted;
	group_call->readers = rest->readers;
	group_call->req = req;
	group_call->run = run;
	group_call->job = (struct job){ .run = run_call, .done = on_called, .owner = conn ? loop_owner(conn_loop(conn)) : NULL };
	if (conn && pool_try(rest->readers->pool, &group_call->job))
		return;
	rest_fail(req, REST_THROTTLING_EXCEPTION, "too much waits; try again");
	mem_free(group_call->group);
	mem_free(group_call);
}

static bool
check_group(struct http_request *req, const char *group)
{
	if (event_group_name_is_valid(group))
		return true;
	rest_fail(req, REST_ARGUMENT_INVALID, "a consumer group has 1 to %d letters, digits and $._-", EVENT_GROUP_NAME_MAX);
	return false;
}

static json_t *
group_json(const char *name, const struct event_group *group)
{
	json_t *places = json_array();

	for (unsigned i = 0; i < EVENT_PARTITIONS_MAX; i++)
		if (group->has[i])
			json_array_append_new(places,
				json_pack("{s:i, s:I}", "partition", (int)i, "sequenceNumber", (json_int_t)group->next[i] - 1));
	return json_pack("{s:s, s:o}", "consumerGroup", name, "checkpoints", places);
}

static int
run_list(struct group_call *call)
{
	json_t *list = json_array();
	struct event_group group;
	char **names;
	size_t n;

	call->answer = json_pack("{s:o}", "consumerGroups", list);
	if (event_group_list(call->readers->dir, &names, &n, &call->err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (call->err.kind == ERR_NONE && event_group_load(call->readers->dir, names[i], &group, &call->err) == 0)
			json_array_append_new(list, group_json(names[i], &group));
		mem_free(names[i]);
	}
	mem_free(names);
	return 0;
}

static void
get_groups(struct rest *rest, struct http_request *req, const char *const *ids)
{
	(void)ids;
	submit(rest, req, &(struct group_call){ 0 }, run_list);
}

static int
run_get(struct group_call *call)
{
	struct event_group group;

	if (event_group_load(call->readers->dir, call->group, &group, &call->err) < 0)
		return -1;
	call->answer = group_json(call->group, &group);
	return 0;
}

static void
get_group(struct rest *rest, struct http_request *req, const char *const *ids)
{
	if (check_group(req, ids[0]))
		submit(rest, req, &(struct group_call){ .group = mem_text(ids[0]) }, run_get);
}

static int
run_remove(struct group_call *call)
{
	return event_group_remove(call->readers->dir, call->group, &call->err);
}

static void
delete_group(struct rest *rest, struct http_request *req, const char *const *ids)
{
	if (check_group(req, ids[0]))
		submit(rest, req, &(struct group_call){ .group = mem_text(ids[0]) }, run_remove);
}

static int
run_checkpoint(struct group_call *call)
{
	if (event_readers_checkpoint(call->readers, call->group, call->partition, call->next, &call->err) < 0)
		return -1;
	call->answer = json_pack("{s:s, s:i, s:I}", "consumerGroup", call->group, "partition", (int)call->partition,
		"sequenceNumber", (json_int_t)call->next - 1);
	return 0;
}

/* {"partition":0,"sequenceNumber":41}: all up to that one is done. */
static int
parse_checkpoint(struct group_call *call, const json_t *body, struct event_log *log, struct err *err)
{
	int64_t partition = -1, sequence = -1;
	struct event_partition p;

	if (json_find_int(body, "partition", &partition, err) < 0 || json_find_int(body, "sequenceNumber", &sequence, err) < 0)
		return -1;
	if (partition < 0 || partition >= event_log_partitions(log))
		return err_set(err, ERR_INVALID, "partition: there are 0 to %u", event_log_partitions(log) - 1);
	event_log_partition(log, (unsigned)partition, &p);
	if (sequence < 0 || (uint64_t)sequence >= p.next)
		return err_set(err, ERR_INVALID, "sequenceNumber: partition %d has none like this", (int)partition);
	call->partition = (unsigned)partition;
	call->next = (uint64_t)sequence + 1;
	return 0;
}

static void
post_checkpoint(struct rest *rest, struct http_request *req, const char *const *ids)
{
	struct group_call call = { 0 };
	OWN_LIB(json_t) body = NULL;
	struct err err = ERR_INIT;

	if (!check_group(req, ids[0]))
		return;
	body = rest_body(req);
	if (!body)
		return;
	if (parse_checkpoint(&call, body, rest->readers->log, &err) < 0) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		return;
	}
	call.group = mem_text(ids[0]);
	submit(rest, req, &call, run_checkpoint);
}

const struct rest_route rest_event_routes[] = {
	{ "GET", "events/partitions", REST_SERVICE_OURS, AUTH_SERVICE_CONNECT, get_partitions },
	{ "GET", "events/stream", REST_SERVICE_OURS, AUTH_SERVICE_CONNECT, get_stream },
	{ "GET", "events/consumerGroups", REST_SERVICE_OURS, AUTH_SERVICE_CONNECT, get_groups },
	{ "GET", "events/consumerGroups/*", REST_SERVICE_OURS, AUTH_SERVICE_CONNECT, get_group },
	{ "DELETE", "events/consumerGroups/*", REST_SERVICE_OURS, AUTH_SERVICE_CONNECT, delete_group },
	{ "POST", "events/consumerGroups/*/checkpoint", REST_SERVICE_OURS, AUTH_SERVICE_CONNECT, post_checkpoint },
	{ 0 },
};

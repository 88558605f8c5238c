/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's own events (event_source.h): a message like a device's, with the properties of the kind and a body in JSON. */
#include "hub/events/event_source.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "wire/json.h"
#include "wire/property_bag.h"

#define BAG_MAX 8192

struct event_source {
	struct event_source_config config;
	char *hub_name;
	pthread_mutex_t lock;  /* for what follows, and so that connection events stand in the log in the order of their numbers */
	struct map *connected; /* name to the number of its sessions */
	int64_t started_ms;
	uint64_t n_connection_events;
};

/* One event on its way. */
struct event {
	enum message_source source;
	struct subject subject; /* borrowed */
	const char *schema, *op;
	const char *body;
};

/* -- What is written ------------------------------------------------------------------------------------------------------------------ */

static const struct source_row {
	const char *name;
	unsigned sources;
} source_rows[] = {
	{ "lifecycle", 1u << MESSAGE_LIFECYCLE },
	{ "connection", 1u << MESSAGE_CONNECTION },
	{ "twin", 1u << MESSAGE_TWIN_CHANGE },
	{ "all", 1u << MESSAGE_LIFECYCLE | 1u << MESSAGE_CONNECTION | 1u << MESSAGE_TWIN_CHANGE },
};

static unsigned
find_sources(struct slice name)
{
	for (size_t i = 0; i < COUNT(source_rows); i++)
		if (slice_is(name, source_rows[i].name))
			return source_rows[i].sources;
	return 0;
}

int
event_source_parse(unsigned *sources, const char *names, struct err *err)
{
	struct slice rest = slice_of(names), name;
	bool more = rest.len > 0;
	unsigned bits;

	*sources = 0;
	while (more) {
		more = slice_cut(&rest, ',', &name);
		bits = find_sources(name);
		if (bits == 0)
			return err_set(err, ERR_INVALID,
				"'%.*s' is no kind of events; there are lifecycle, connection, twin and all", SLICE_FMT(name));
		*sources |= bits;
	}
	return 0;
}

static bool
is_wanted(const struct event_source *source, enum message_source kind)
{
	return source->config.sources & 1u << kind;
}

/* -- Writing -------------------------------------------------------------------------------------------------------------------------- */

static void
put_bag(struct buf *bag, const struct event_source *source, const struct event *event, int64_t now_ms)
{
	char when[CLOCK_TEXT_LEN], id[RANDOM_UUID_LEN];

	property_put(bag, "$.cid", random_uuid(id));
	property_put(bag, "$.uid", source->hub_name);
	property_put(bag, "$.ct", "application/json");
	property_put(bag, "$.ce", "utf-8");
	property_put(bag, "hubName", source->hub_name);
	property_put(bag, "deviceId", event->subject.device_id);
	if (event->subject.module_id)
		property_put(bag, "moduleId", event->subject.module_id);
	property_put(bag, "opType", event->op);
	property_put(bag, "iothub-message-schema", event->schema);
	property_put(bag, "operationTimestamp", clock_text_ms(now_ms, when));
}

/* The message of an event; the bag is kept in `bag`. */
static struct message
message_of(struct event_source *source, const struct event *event, struct buf *bag)
{
	struct message message = {
		.source = event->source,
		.enqueued_ms = clock_wall_ms(),
		.device_id = slice_of(event->subject.device_id),
		.module_id = slice_of(event->subject.module_id ? event->subject.module_id : ""),
		.payload = slice_of(event->body),
	};

	put_bag(bag, source, event, message.enqueued_ms);
	message.bag = (struct slice){ buf_text(bag), bag->len };
	return message;
}

static void
tell(struct event_source *source, const struct event *event)
{
	CLEAR(buf) bag = BUF_INIT(BAG_MAX);
	struct message message = message_of(source, event, &bag);

	message_log_tell(source->config.log, source->config.owner, &message, NULL, NULL);
}

static int
record(struct event_source *source, const struct event *event, struct err *err)
{
	CLEAR(buf) bag = BUF_INIT(BAG_MAX);
	struct message message = message_of(source, event, &bag);

	return event_outbox_put(source->config.outbox, &message, err);
}

/* -- Life-cycle ----------------------------------------------------------------------------------------------------------------------- */

static json_t *
empty_section(int64_t created)
{
	char when[CLOCK_TEXT_LEN];

	return json_pack("{s:{s:s}, s:i}", "$metadata", "$lastUpdated", clock_text(created, when), "$version", 1);
}

static char *
new_twin(const struct identity *identity)
{
	OWN_LIB(json_t) twin = json_pack("{s:s, s:s*, s:s, s:i, s:{s:o, s:o}}", "deviceId", identity->device_id, "moduleId",
		identity->module_id, "etag", "AAAAAAAAAAE=", "version", 2, "properties", "desired",
		empty_section(identity->created), "reported", empty_section(identity->created));

	return json_line(twin);
}

static const char *
lifecycle_op(bool is_module, bool created)
{
	if (is_module)
		return created ? "createModuleIdentity" : "deleteModuleIdentity";
	return created ? "createDeviceIdentity" : "deleteDeviceIdentity";
}

int
event_source_record_identity(void *arg, const struct identity *before, const struct identity *after, struct err *err)
{
	struct event_source *source = arg;
	const struct identity *identity = after ? after : before;
	bool is_module = identity->module_id != NULL;
	OWN_TEXT body = NULL;
	struct event event = {
		.source = MESSAGE_LIFECYCLE,
		.subject = identity_subject(identity),
		.schema = is_module ? "moduleLifecycleNotification" : "deviceLifecycleNotification",
		.op = lifecycle_op(is_module, after != NULL),
	};

	if ((before && after) || !is_wanted(source, MESSAGE_LIFECYCLE))
		return 0;
	event.body = body = new_twin(identity);
	return record(source, &event, err);
}

/* -- Twins ---------------------------------------------------------------------------------------------------------------------------- */

int
event_source_record_twin(void *arg, const struct twin_event *change, struct err *err)
{
	struct event_source *source = arg;
	OWN_LIB(json_t) json = NULL;
	OWN_TEXT body = NULL;
	struct event event = {
		.source = MESSAGE_TWIN_CHANGE,
		.subject = identity_subject(change->identity),
		.schema = "twinChangeNotification",
		.op = change->change->replace ? "replaceTwin" : "updateTwin",
	};

	if (!is_wanted(source, MESSAGE_TWIN_CHANGE))
		return 0;
	json = twin_event_json(change);
	event.body = body = json_line(json);
	return record(source, &event, err);
}

/* -- Connections ---------------------------------------------------------------------------------------------------------------------- */

/* A number of 256 bits in hexadecimal that only grows, over restarts too, as long as the clock does. */
static void
tell_connection(struct event_source *source, const struct subject *subject, bool connected)
{
	bool is_module = subject->module_id != NULL;
	OWN_TEXT body = mem_textf("{\"sequenceNumber\":\"%032llX%032llX\"}", (unsigned long long)source->started_ms,
		(unsigned long long)++source->n_connection_events);
	struct event event = {
		.source = MESSAGE_CONNECTION,
		.subject = *subject,
		.schema = "deviceConnectionStateNotification",
		.body = body,
	};

	if (is_module)
		event.op = connected ? "moduleConnected" : "moduleDisconnected";
	else
		event.op = connected ? "deviceConnected" : "deviceDisconnected";
	tell(source, &event);
}

static void
count_session(struct event_source *source, const struct subject *subject, int by)
{
	OWN_TEXT name = subject_name(subject);
	intptr_t before, after;

	pthread_mutex_lock(&source->lock);
	before = (intptr_t)map_find_text(source->connected, name);
	after = before + by;
	if (after > 0)
		map_put_text(source->connected, name, (void *)after);
	else
		map_remove_text(source->connected, name);
	if ((before > 0) != (after > 0))
		tell_connection(source, subject, after > 0);
	pthread_mutex_unlock(&source->lock);
}

void
event_source_session_began(struct event_source *source, const struct subject *subject)
{
	if (is_wanted(source, MESSAGE_CONNECTION))
		count_session(source, subject, 1);
}

void
event_source_session_ended(struct event_source *source, const struct subject *subject)
{
	if (is_wanted(source, MESSAGE_CONNECTION))
		count_session(source, subject, -1);
}

struct event_source *
event_source_new(const struct event_source_config *config)
{
	struct event_source *source = NEW(event_source);
	size_t label = strcspn(config->hostname, ".");

	source->config = *config;
	source->hub_name = mem_textf("%.*s", (int)label, config->hostname);
	source->connected = map_new();
	source->started_ms = clock_wall_ms();
	pthread_mutex_init(&source->lock, NULL);
	return source;
}

void
event_source_free(struct event_source *source)
{
	if (!source)
		return;
	pthread_mutex_destroy(&source->lock);
	map_free(source->connected);
	mem_free(source->hub_name);
	mem_free(source);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A stored message as JSON, for people and programs: what the device set (systemProperties, properties), what the hub stamped (annotations,
 * hub 1.6), and the body as what it is. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/message.h"
#include "wire/codec.h"
#include "wire/property_bag.h"

/* Text where it is text; otherwise what can be shown of it. */
static json_t *
text_value(const char *text, size_t len)
{
	CLEAR(buf) encoded = BUF_INIT(2 * len + 16);

	if (text_is_utf8(text, len) && !memchr(text, '\0', len))
		return json_stringn(text, len);
	base64_encode(&encoded, text, len);
	return json_string(buf_text(&encoded));
}

static void
put_slice(json_t *object, const char *name, struct slice value)
{
	if (value.len > 0)
		json_object_set_new(object, name, text_value(value.text, value.len));
}

/* What a device says of its model, the hub shows beside what it stamps (hub 1.6). */
static bool
is_annotation(const char *name)
{
	return text_is(name, "dt-subject") || text_is(name, "iothub-interface-id");
}

/* Who a message is from, the hub says and nobody else. */
static bool
is_the_hubs(const char *name)
{
	return text_is(name, "iothub-connection-device-id") || text_is(name, "iothub-connection-module-id");
}

static void
put_properties(json_t *system, json_t *properties, json_t *annotations, struct slice text)
{
	struct property_bag bag;

	property_bag_init(&bag, text);
	while (property_bag_next(&bag)) {
		const char *name = buf_text(&bag.name), *known = property_system_name(name);
		json_t *value = bag.has_value ? text_value(buf_text(&bag.value), bag.value.len) : json_null();

		if (known && is_the_hubs(known))
			json_decref(value);
		else if (known)
			json_object_set_new(is_annotation(known) ? annotations : system, known, value);
		else
			json_object_set_new(text_starts(name, "$.") ? system : properties, name, value);
	}
	property_bag_clear(&bag);
}

static void
put_annotations(json_t *object, const struct message *m)
{
	char when[CLOCK_TEXT_LEN];

	put_slice(object, "iothub-connection-device-id", m->device_id);
	put_slice(object, "iothub-connection-module-id", m->module_id);
	put_slice(object, "iothub-connection-auth-generation-id", m->generation_id);
	put_slice(object, "iothub-connection-auth-method", m->auth_method);
	put_slice(object, "dt-dataschema", m->model_id);
	json_object_set_new(object, "iothub-enqueuedtime", json_string(clock_text_ms(m->enqueued_ms, when)));
	json_object_set_new(object, "iothub-message-source", json_string(message_source_name(m->source)));
}

static void
put_place(json_t *event, const struct message *m, const struct event_place *place)
{
	char when[CLOCK_TEXT_LEN];

	json_object_set_new(event, "offset", json_integer((json_int_t)place->offset));
	json_object_set_new(event, "partition", json_integer((json_int_t)place->partition));
	json_object_set_new(event, "sequenceNumber", json_integer((json_int_t)place->sequence));
	json_object_set_new(
		event, "enqueuedTime", json_string(clock_text_ms(place->time_ms ? place->time_ms : m->enqueued_ms, when)));
}

static bool
is_json(const json_t *system, struct slice body)
{
	const char *type = json_string_value(json_object_get(system, "content-type"));
	json_t *value;

	if (!type || !text_starts(type, "application/json"))
		return false;
	value = json_loadb(body.text, body.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	json_decref(value);
	return value != NULL;
}

/* Text where it is text, otherwise base64, which bodyEncoding tells. */
static void
put_body(json_t *event, struct slice body)
{
	if (body.len > 0 && (!text_is_utf8(body.text, body.len) || memchr(body.text, '\0', body.len)))
		json_object_set_new(event, "bodyEncoding", json_string("base64"));
	json_object_set_new(event, "body", text_value(body.text, body.len));
}

/* A body in JSON stays as the device wrote it, so that no number gets other digits; only line breaks, which in JSON stand between words, become spaces. */
static char *
with_json_body(const char *object, struct slice body)
{
	char *text = mem_textf("%.*s,\"body\":%.*s}", (int)strlen(object) - 1, object, SLICE_FMT(body));

	for (char *c = text; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	return text;
}

char *
message_json(const struct message *message, const struct event_place *place)
{
	json_t *event = json_object(), *system = json_object(), *properties = json_object(), *annotations = json_object();
	bool json_body;
	char *text, *copy;

	put_annotations(annotations, message);
	put_properties(system, properties, annotations, message->bag);
	if (message->retain) /* hub 1.5 */
		json_object_set_new(properties, "mqtt-retain", json_string("true"));
	if (message->is_will) /* hub 1.2 */
		json_object_set_new(properties, "iothub-MessageType", json_string("Will"));
	put_place(event, message, place);
	json_object_set_new(event, "systemProperties", system);
	json_object_set_new(event, "properties", properties);
	json_object_set_new(event, "annotations", annotations);
	json_body = is_json(system, message->payload);
	if (!json_body)
		put_body(event, message->payload);
	text = json_dumps(event, JSON_COMPACT);
	json_decref(event);
	copy = !text ? mem_text("{}") : json_body ? with_json_body(text, message->payload) : mem_text(text);
	free(text);
	return copy;
}

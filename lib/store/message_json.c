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

static const char *
source_name(enum message_source source)
{
	switch (source) {
	case MESSAGE_TELEMETRY:
		return "Telemetry";
	case MESSAGE_TWIN_CHANGE:
		return "twinChangeEvents";
	case MESSAGE_LIFECYCLE:
		return "deviceLifecycleEvents";
	case MESSAGE_CONNECTION:
		return "deviceConnectionStateEvents";
	}
	return "";
}

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

static void
put_properties(json_t *system, json_t *properties, struct slice text)
{
	struct property_bag bag;

	property_bag_init(&bag, text);
	while (property_bag_next(&bag)) {
		const char *name = buf_text(&bag.name), *known = property_system_name(name);
		json_t *value = bag.has_value ? text_value(buf_text(&bag.value), bag.value.len) : json_null();

		if (known)
			json_object_set_new(system, known, value);
		else
			json_object_set_new(text_starts(name, "$.") ? system : properties, name, value);
	}
	property_bag_clear(&bag);
}

static json_t *
annotations(const struct message *m)
{
	json_t *object = json_object();
	char when[CLOCK_TEXT_LEN];

	put_slice(object, "iothub-connection-device-id", m->device_id);
	put_slice(object, "iothub-connection-module-id", m->module_id);
	put_slice(object, "iothub-connection-auth-generation-id", m->generation_id);
	put_slice(object, "iothub-connection-auth-method", m->auth_method);
	put_slice(object, "dt-dataschema", m->model_id);
	json_object_set_new(object, "iothub-enqueuedtime", json_string(clock_text_ms(m->enqueued_ms, when)));
	json_object_set_new(object, "iothub-message-source", json_string(source_name(m->source)));
	return object;
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
message_json(const struct message *message, uint64_t offset)
{
	json_t *event = json_object(), *system = json_object(), *properties = json_object();
	bool json_body;
	char *text, *copy;

	put_properties(system, properties, message->bag);
	if (message->retain) /* hub 1.5 */
		json_object_set_new(properties, "mqtt-retain", json_string("true"));
	if (message->is_will) /* hub 1.2 */
		json_object_set_new(properties, "iothub-MessageType", json_string("Will"));
	json_object_set_new(event, "offset", json_integer((json_int_t)offset));
	json_object_set_new(event, "systemProperties", system);
	json_object_set_new(event, "properties", properties);
	json_object_set_new(event, "annotations", annotations(message));
	json_body = is_json(system, message->payload);
	if (!json_body)
		put_body(event, message->payload);
	text = json_dumps(event, JSON_COMPACT);
	json_decref(event);
	copy = !text ? mem_text("{}") : json_body ? with_json_body(text, message->payload) : mem_text(text);
	free(text);
	return copy;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a device is told over MQTT (hub 1.7 to 1.10): answers about its twin, desired properties and methods at QoS 0, commands at QoS 1, each on its own topic and only where
 * the device has subscribed.  A command is settled by its PUBACK; MQTT knows no other outcome. */
#include <string.h>

#include "base/mem.h"
#include "heads/mqtt_session.h"
#include "wire/codec.h"

#define TOPIC_MAX 65535

static bool
send_publish(struct mqtt_session *s, struct slice topic, struct slice payload, uint16_t id)
{
	struct buf packet = BUF_INIT(MQTT_PACKET_MAX);

	if (s->state != MQTT_STATE_LIVE)
		return false;
	mqtt_encode_publish(&packet, &(struct mqtt_publish){ .topic = topic, .payload = payload, .qos = id ? 1 : 0, .id = id });
	mqtt_session_send(s, &packet);
	return true;
}

unsigned
mqtt_out_wants(const struct head_session *session)
{
	const struct mqtt_session *s = (const struct mqtt_session *)session; /* which it begins with */
	unsigned wants = 0;

	if (s->subscribed[FILTER_DEVICEBOUND] || s->subscribed[FILTER_MODULE_ALL])
		wants |= HEAD_WANTS_COMMANDS;
	if (s->subscribed[FILTER_TWIN_DESIRED])
		wants |= HEAD_WANTS_DESIRED;
	if (s->subscribed[FILTER_METHODS])
		wants |= HEAD_WANTS_METHODS;
	if (s->subscribed[FILTER_INPUTS] || s->subscribed[FILTER_MODULE_ALL])
		wants |= HEAD_WANTS_INPUTS;
	return wants;
}

void
mqtt_out_answer(struct mqtt_session *s, enum filter_kind filter, const char *topic, const void *body, size_t len)
{
	if (s->subscribed[filter])
		send_publish(s, slice_of(topic), (struct slice){ .text = body, .len = len }, 0);
}

bool
mqtt_out_desired(struct head_session *session, int64_t version, const void *patch, size_t len)
{
	struct mqtt_session *s = CONTAINER_OF(session, struct mqtt_session, base);
	OWN_TEXT topic = mem_textf("$iothub/twin/PATCH/properties/desired/?$version=%lld", (long long)version);

	return s->subscribed[FILTER_TWIN_DESIRED] &&
	       send_publish(s, slice_of(topic), (struct slice){ .text = patch, .len = len }, 0);
}

/* "component*command" stays as it is: devices compare the name as it comes. */
static void
put_method_name(struct buf *topic, const char *name)
{
	for (; *name; name++)
		if (*name == '*')
			buf_putc(topic, '*');
		else
			percent_encode(topic, name, 1);
}

/* Nothing may follow the rid: the C client takes the rest of the topic for it (hub 1.10). */
bool
mqtt_out_method(struct head_session *session, const char *name, const char *rid, const void *payload, size_t len)
{
	struct mqtt_session *s = CONTAINER_OF(session, struct mqtt_session, base);
	CLEAR(buf) topic = BUF_INIT(TOPIC_MAX);

	buf_putf(&topic, "$iothub/methods/POST/");
	put_method_name(&topic, name);
	buf_putf(&topic, "/?$rid=%s", rid);
	if (topic.failed || !s->subscribed[FILTER_METHODS])
		return false;
	return send_publish(s, (struct slice){ .text = (const char *)topic.data, .len = topic.len },
		(struct slice){ .text = payload, .len = len }, 0);
}

/* -- Commands ------------------------------------------------------------------------------------------------------------------------ */

static uint16_t
next_id(struct mqtt_session *s)
{
	bool used;

	do {
		s->last_id = s->last_id == UINT16_MAX ? 1 : (uint16_t)(s->last_id + 1);
		used = false;
		for (size_t i = 0; i < s->n_in_flight; i++)
			used = used || s->in_flight[i].id == s->last_id;
	} while (used);
	return s->last_id;
}

static void
command_topic(struct buf *topic, const struct mqtt_session *s, const struct head_command *command)
{
	if (command->input)
		buf_putf(topic, "devices/%s/modules/%s/inputs/%s/", s->device_id, s->module_id, command->input);
	else if (s->module_id)
		buf_putf(topic, "devices/%s/modules/%s/messages/devicebound/", s->device_id, s->module_id);
	else
		buf_putf(topic, "devices/%s/messages/devicebound/", s->device_id);
	buf_put(topic, command->bag.text, command->bag.len);
}

static bool
has_place(const struct mqtt_session *s, bool is_input)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_in_flight; i++)
		n += s->in_flight[i].is_input == is_input;
	return n < (is_input ? MQTT_INPUTS_IN_FLIGHT_MAX : MQTT_IN_FLIGHT_MAX);
}

bool
mqtt_out_deliver(struct head_session *session, const struct head_command *command)
{
	struct mqtt_session *s = CONTAINER_OF(session, struct mqtt_session, base);
	uint8_t wanted = s->subscribed[command->input ? FILTER_INPUTS : FILTER_DEVICEBOUND];
	CLEAR(buf) topic = BUF_INIT(TOPIC_MAX);
	uint16_t id = 0;

	if (!wanted)
		wanted = s->subscribed[FILTER_MODULE_ALL];
	if (!wanted || !has_place(s, command->input != NULL) || (command->input && !s->module_id))
		return false;
	command_topic(&topic, s, command);
	if (topic.failed)
		return false;
	if (wanted == MQTT_SUBSCRIBED_QOS1)
		id = next_id(s);
	if (!send_publish(s, (struct slice){ .text = (const char *)topic.data, .len = topic.len }, command->payload, id))
		return false;
	if (id && !s->in_flight)
		s->in_flight = mem_array(MQTT_IN_FLIGHT_MAX + MQTT_INPUTS_IN_FLIGHT_MAX, sizeof(*s->in_flight));
	if (id)
		s->in_flight[s->n_in_flight++] =
			(struct mqtt_in_flight){ .id = id, .command_id = command->id, .is_input = command->input != NULL };
	else if (s->head->config.ops->settled)
		s->head->config.ops->settled(s->head->config.backend, s->base.domain, session, command->id, HEAD_COMPLETED);
	return true;
}

static void
take_out(struct mqtt_session *s, size_t i)
{
	s->n_in_flight--;
	memmove(&s->in_flight[i], &s->in_flight[i + 1], (s->n_in_flight - i) * sizeof(s->in_flight[0]));
}

void
mqtt_out_forget(struct head_session *session, uint64_t command_id)
{
	struct mqtt_session *s = CONTAINER_OF(session, struct mqtt_session, base);

	for (size_t i = 0; i < s->n_in_flight; i++)
		if (s->in_flight[i].command_id == command_id) {
			take_out(s, i);
			return;
		}
}

/* An acknowledgement that names nothing is harmless: the command was settled by its first one. */
void
mqtt_in_puback(struct mqtt_session *s, const struct mqtt_frame *frame)
{
	struct err err = ERR_INIT;
	uint64_t command_id;
	uint16_t id;

	if (mqtt_decode_ack(&id, frame, &err) < 0) {
		mqtt_session_violate(s, MQTT_MALFORMED, err.text);
		return;
	}
	for (size_t i = 0; i < s->n_in_flight; i++) {
		if (s->in_flight[i].id != id)
			continue;
		command_id = s->in_flight[i].command_id;
		take_out(s, i);
		if (s->head->config.ops->settled)
			s->head->config.ops->settled(s->head->config.backend, s->base.domain, &s->base, command_id, HEAD_COMPLETED);
		return;
	}
}

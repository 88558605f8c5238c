/* SPDX-License-Identifier: Apache-2.0 */
/* PUBLISH: telemetry goes to the back end, and its PUBACK follows when it is durable.  A topic with another's id, or one that no hub knows, ends the connection: it is never
 * silently acknowledged. */
#include <string.h>

#include "base/mem.h"
#include "heads/mqtt_session.h"

static bool
slice_equals(struct slice s, const char *text)
{
	return text ? slice_is(s, text) : s.len == 0;
}

bool
mqtt_own_telemetry(const struct mqtt_session *s, const struct topic *topic)
{
	const char *device = s->device_id ? s->device_id : "", *module = s->module_id;

	return topic->kind == TOPIC_TELEMETRY && slice_equals(topic->device_id, device) && slice_equals(topic->module_id, module);
}

/* Also at QoS 0, where the id is 0 and nothing is sent: a device that is faster than the disk must wait, too, or it takes the others' room. */
static struct head_ack *
expect_ack(struct mqtt_session *s, uint16_t id)
{
	struct mqtt_ack *ack = mqtt_session_expect_ack(s);

	ack->id = id;
	return &ack->base;
}

static void
take_telemetry(struct mqtt_session *s, const struct mqtt_publish *p, const struct topic *topic)
{
	struct head_message message = { .bag = topic->bag, .payload = p->payload, .retain = p->retain, .dup = p->dup };

	if (topic->bag.len + p->payload.len > MQTT_MESSAGE_MAX) {
		mqtt_session_violate(s, MQTT_TOO_LARGE, "payload and properties");
		return;
	}
	s->head->config.ops->message(s->head->config.backend, s->base.domain, &s->base, &message, expect_ack(s, p->id));
}

static void
take_request(struct mqtt_session *s, const struct mqtt_publish *p, const struct topic *topic)
{
	if (topic->kind == TOPIC_METHOD_RESPONSE)
		mqtt_in_method_answer(s, topic, p->payload);
	else
		mqtt_in_question(s, topic, p->payload);
	if (p->qos > 0)
		head_message_done(expect_ack(s, p->id), OK);
}

static void
refuse_topic(struct mqtt_session *s, enum reason reason, struct slice topic)
{
	OWN_TEXT shown = mem_textn(topic.text, topic.len < 512 ? topic.len : 512);

	mqtt_session_violate(s, reason, shown);
}

void
mqtt_in_publish(struct mqtt_session *s, const struct mqtt_frame *frame)
{
	struct mqtt_publish p;
	struct err err = ERR_INIT;
	struct topic topic;

	if (mqtt_decode_publish(&p, frame, &err) < 0) {
		mqtt_session_violate(s, MQTT_MALFORMED, err.text);
		return;
	}
	topic = topic_parse(p.topic);
	if (p.qos == 2)
		refuse_topic(s, MQTT_QOS2, p.topic);
	else if (topic.kind == TOPIC_UNKNOWN)
		refuse_topic(s, MQTT_UNKNOWN_TOPIC, p.topic);
	else if (topic.kind == TOPIC_TELEMETRY && !mqtt_own_telemetry(s, &topic))
		refuse_topic(s, MQTT_FOREIGN_TOPIC, p.topic);
	else if (topic.kind == TOPIC_TELEMETRY)
		take_telemetry(s, &p, &topic);
	else
		take_request(s, &p, &topic);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT 3.3: PUBLISH. */
#include <string.h>

#include "wire/mqtt.h"
#include "wire/mqtt_text.h"

static int
check_topic(struct slice topic, struct err *err)
{
	if (topic.len == 0)
		return err_set(err, ERR_INVALID, "MQTT 4.7.3-1: PUBLISH with an empty topic");
	if (memchr(topic.text, '#', topic.len) || memchr(topic.text, '+', topic.len)) {
		/* A bag of properties may hold a plus (hub 1.6); a wildcard is one that stands as a whole level. */
		struct slice rest = topic, level;
		bool more = true;

		while (more) {
			more = slice_cut(&rest, '/', &level);
			if (slice_is(level, "#") || slice_is(level, "+"))
				return err_set(err, ERR_INVALID, "MQTT 3.3.2-2: a wildcard in the topic of a PUBLISH");
		}
	}
	if (!mqtt_text_is_good(topic))
		return err_set(err, ERR_INVALID, "MQTT 3.3.2-1: the topic is not UTF-8");
	return 0;
}

int
mqtt_decode_publish(struct mqtt_publish *out, const struct mqtt_frame *frame, struct err *err)
{
	struct rd in = frame->body;
	struct mqtt_publish p = { .qos = frame->flags >> 1 & 3, .dup = frame->flags & 8, .retain = frame->flags & 1 };

	if (p.qos == 3)
		return err_set(err, ERR_INVALID, "MQTT 3.3.1-4: QoS 3");
	if (p.qos == 0 && p.dup)
		return err_set(err, ERR_INVALID, "MQTT 3.3.1-2: DUP at QoS 0");
	p.topic = rd_slice16(&in);
	if (p.qos > 0)
		p.id = rd_u16(&in);
	if (in.bad)
		return err_set(err, ERR_INVALID, "MQTT 3.3.2: PUBLISH is shorter than its header");
	if (p.qos > 0 && p.id == 0)
		return err_set(err, ERR_INVALID, "MQTT 2.3.1-1: PUBLISH without a packet id");
	if (check_topic(p.topic, err) < 0)
		return -1;
	p.payload = rd_slice(&in, rd_left(&in));
	*out = p;
	return 0;
}

void
mqtt_encode_publish(struct buf *out, const struct mqtt_publish *p)
{
	uint8_t flags = (uint8_t)((p->dup ? 8 : 0) | (p->qos & 3) << 1 | (p->retain ? 1 : 0));

	mqtt_put_header(out, MQTT_PUBLISH, flags, 2 + p->topic.len + (p->qos ? 2 : 0) + p->payload.len);
	mqtt_put_text(out, p->topic);
	if (p->qos)
		buf_put_u16(out, p->id);
	buf_put(out, p->payload.text, p->payload.len);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of MQTT packets: whatever is decoded is encoded to the same body again. */
#include "fuzz.h"
#include "wire/mqtt.h"

#define PACKET_MAX (1024 * 1024)

/* The encoded packet has the body that was decoded; its length may have been written with more bytes than it takes. */
static void
check_body(struct buf *again, const struct mqtt_frame *frame)
{
	struct mqtt_frame copy;
	struct err err = ERR_INIT;
	size_t need, left = rd_left(&frame->body);

	FUZZ_CHECK(!again->failed);
	FUZZ_CHECK(mqtt_frame_cut(&copy, again->data, again->len, PACKET_MAX, &need, &err) == MQTT_CUT_DONE);
	FUZZ_CHECK(copy.type == frame->type && copy.flags == frame->flags && copy.len == again->len);
	FUZZ_CHECK(rd_left(&copy.body) == left && (left == 0 || memcmp(copy.body.at, frame->body.at, left) == 0));
}

static bool
again_connect(struct buf *out, const struct mqtt_frame *frame, struct err *err)
{
	struct mqtt_connect c;

	if (mqtt_decode_connect(&c, frame, err) < 0 || c.level != 4)
		return false;
	mqtt_encode_connect(out, &c);
	return true;
}

static bool
again_connack(struct buf *out, const struct mqtt_frame *frame, struct err *err)
{
	uint8_t code;
	bool session;

	if (mqtt_decode_connack(&code, &session, frame, err) < 0)
		return false;
	mqtt_encode_connack(out, (enum mqtt_connack)code, session);
	return true;
}

static bool
again_publish(struct buf *out, const struct mqtt_frame *frame, struct err *err)
{
	struct mqtt_publish p;

	if (mqtt_decode_publish(&p, frame, err) < 0)
		return false;
	mqtt_encode_publish(out, &p);
	return true;
}

static bool
again_filters(struct buf *out, const struct mqtt_frame *frame, struct err *err)
{
	struct mqtt_subscribe s;

	if (frame->type == MQTT_SUBSCRIBE) {
		if (mqtt_decode_subscribe(&s, frame, err) < 0)
			return false;
		mqtt_encode_subscribe(out, &s);
		return true;
	}
	if (mqtt_decode_unsubscribe(&s, frame, err) < 0)
		return false;
	mqtt_encode_unsubscribe(out, &s);
	return true;
}

static bool
again_suback(struct buf *out, const struct mqtt_frame *frame, struct err *err)
{
	uint8_t codes[MQTT_FILTERS_MAX];
	uint16_t id;
	size_t n;

	if (mqtt_decode_suback(&id, codes, &n, COUNT(codes), frame, err) < 0)
		return false;
	mqtt_encode_suback(out, id, codes, n);
	return true;
}

static bool
again_ack(struct buf *out, const struct mqtt_frame *frame, struct err *err)
{
	uint16_t id;

	if (mqtt_decode_ack(&id, frame, err) < 0)
		return false;
	mqtt_encode_ack(out, frame->type, id);
	return true;
}

static bool
again_empty(struct buf *out, const struct mqtt_frame *frame, struct err *err)
{
	if (mqtt_decode_empty(frame, err) < 0)
		return false;
	mqtt_encode_empty(out, frame->type);
	return true;
}

static bool
again(struct buf *out, const struct mqtt_frame *frame, struct err *err)
{
	switch (frame->type) {
	case MQTT_CONNECT:
		return again_connect(out, frame, err);
	case MQTT_CONNACK:
		return again_connack(out, frame, err);
	case MQTT_PUBLISH:
		return again_publish(out, frame, err);
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return again_filters(out, frame, err);
	case MQTT_SUBACK:
		return again_suback(out, frame, err);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
	case MQTT_UNSUBACK:
		return again_ack(out, frame, err);
	case MQTT_PINGREQ:
	case MQTT_PINGRESP:
	case MQTT_DISCONNECT:
		return again_empty(out, frame, err);
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mqtt_frame frame;
	struct err err = ERR_INIT;
	size_t need;

	while (mqtt_frame_cut(&frame, data, size, PACKET_MAX, &need, &err) == MQTT_CUT_DONE) {
		CLEAR(buf) out = BUF_INIT(PACKET_MAX);

		FUZZ_CHECK(frame.len <= size && need == frame.len);
		if (again(&out, &frame, &err))
			check_body(&out, &frame);
		data += frame.len;
		size -= frame.len;
	}
	return 0;
}

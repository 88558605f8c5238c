/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/mqtt.h"

#define BYTES(text) ((const uint8_t *)(text)), sizeof(text) - 1

static struct mqtt_frame
cut(const uint8_t *data, size_t len)
{
	struct mqtt_frame frame;
	struct err err = ERR_INIT;
	size_t need;

	if (mqtt_frame_cut(&frame, data, len, 300000000, &need, &err) != MQTT_CUT_DONE)
		fail_msg("not a whole packet: %s", err.text);
	CHECK_INT(frame.len, len);
	return frame;
}

/* -- The fixed header
 * ------------------------------------------------------------------------------------------------------------ */

TEST("a packet is cut from a stream, byte by byte, and tells how long it will be")
{
	static const uint8_t stream[] = "\x30\x05\x00\x01t\x68i\xc0\x00";
	struct mqtt_frame frame;
	struct err err = ERR_INIT;
	size_t need = 99;

	CHECK_INT(mqtt_frame_cut(&frame, stream, 0, 100, &need, &err), MQTT_CUT_MORE);
	CHECK_INT(need, 0);
	CHECK_INT(mqtt_frame_cut(&frame, stream, 1, 100, &need, &err), MQTT_CUT_MORE);
	CHECK_INT(need, 0);
	for (size_t len = 2; len < 7; len++) {
		CHECK_INT(mqtt_frame_cut(&frame, stream, len, 100, &need, &err), MQTT_CUT_MORE);
		CHECK_INT(need, 7);
	}
	CHECK_INT(mqtt_frame_cut(&frame, stream, sizeof(stream) - 1, 100, &need, &err), MQTT_CUT_DONE);
	CHECK_INT(frame.type, MQTT_PUBLISH);
	CHECK_INT(frame.len, 7);
	CHECK_INT(rd_left(&frame.body), 5);
}

TEST("MQTT 2.2.3 the remaining length has one to four bytes")
{
	static const uint8_t two[] = "\x30\x80\x01", four[] = "\x30\xff\xff\xff\x7f", five[] = "\x30\xff\xff\xff\xff\x01";
	struct mqtt_frame frame;
	struct err err = ERR_INIT;
	size_t need;

	CHECK_INT(mqtt_frame_cut(&frame, two, 3, 300000000, &need, &err), MQTT_CUT_MORE);
	CHECK_INT(need, 131);
	CHECK_INT(mqtt_frame_cut(&frame, four, 5, 300000000, &need, &err), MQTT_CUT_MORE);
	CHECK_INT(need, 268435460);
	CHECK_INT(mqtt_frame_cut(&frame, five, 6, 300000000, &need, &err), MQTT_CUT_BAD);
	CHECK_ERR(err, ERR_INVALID, "MQTT 2.2.3");
}

TEST("a packet above the limit is refused as soon as its length is known")
{
	struct mqtt_frame frame;
	struct err err = ERR_INIT;
	size_t need;

	CHECK_INT(mqtt_frame_cut(&frame, BYTES("\x30\x63"), 100, &need, &err), MQTT_CUT_BAD);
	CHECK_ERR(err, ERR_LIMIT, "PUBLISH packet of 101 bytes; at most 100");
	CHECK_INT(mqtt_frame_cut(&frame, BYTES("\x30\x62"), 100, &need, &err), MQTT_CUT_MORE);
}

TEST("MQTT 2.2.2-2 reserved types and flags are refused before the packet is complete")
{
	static const uint8_t first[] = { 0x00, 0x0f, 0xf0, 0x11, 0x21, 0x41, 0x51, 0x60, 0x63, 0x71, 0x80, 0x83, 0x91, 0xa0, 0xb1,
		0xc1, 0xd1, 0xe1 };

	for (size_t i = 0; i < COUNT(first); i++) {
		struct mqtt_frame frame;
		struct err err = ERR_INIT;
		size_t need;

		CHECK_INT(mqtt_frame_cut(&frame, &first[i], 1, 100, &need, &err), MQTT_CUT_BAD);
		CHECK_ERR(err, ERR_INVALID, "MQTT 2.2.");
	}
}

TEST("types have the names of the standard")
{
	CHECK_STR(mqtt_type_name(MQTT_CONNECT), "CONNECT");
	CHECK_STR(mqtt_type_name(MQTT_DISCONNECT), "DISCONNECT");
	CHECK_STR(mqtt_type_name((enum mqtt_type)0), "reserved");
}

/* -- CONNECT and CONNACK
 * --------------------------------------------------------------------------------------------------------- */

TEST("CONNECT is decoded with all that it can carry, and encoded again to the same bytes")
{
	static const uint8_t packet[] =
		"\x10\x25\x00\x04MQTT\x04\xee\x00\xb4\x00\x02id\x00\x02wt\x00\x03w\0p\x00\x04user\x00\x06secret";
	struct mqtt_frame frame = cut(packet, sizeof(packet) - 1);
	struct mqtt_connect c;
	CLEAR(buf) again = BUF_INIT(256);
	struct err err = ERR_INIT;

	CHECK_OK(mqtt_decode_connect(&c, &frame, &err), err);
	CHECK_INT(c.level, 4);
	CHECK(c.clean_session && c.has_will && c.will_retain && c.has_user && c.has_password);
	CHECK_INT(c.will_qos, 1);
	CHECK_INT(c.keep_alive_s, 180);
	CHECK(slice_is(c.client_id, "id") && slice_is(c.will_topic, "wt") && slice_is(c.user, "user") &&
		slice_is(c.password, "secret"));
	CHECK_INT(c.will_payload.len, 3);
	mqtt_encode_connect(&again, &c);
	CHECK_INT(again.len, sizeof(packet) - 1);
	CHECK_MEM(again.data, packet, again.len);
}

TEST("CONNECT of another protocol level is decoded as far as the level")
{
	static const uint8_t v3[] = "\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00",
			     v5[] = "\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00";
	struct mqtt_frame old = cut(v3, sizeof(v3) - 1), new = cut(v5, sizeof(v5) - 1);
	struct mqtt_connect c;
	struct err err = ERR_INIT;

	CHECK_OK(mqtt_decode_connect(&c, &old, &err), err);
	CHECK_INT(c.level, 3);
	CHECK_OK(mqtt_decode_connect(&c, &new, &err), err);
	CHECK_INT(c.level, 5);
}

struct refused {
	const uint8_t *packet;
	size_t len;
	const char *why;
};

TEST("CONNECT that breaks a rule is refused by the rule's number, and nothing is written")
{
	static const struct refused cases[] = {
		{ BYTES("\x10\x00"), "3.1.2-1" },
		{ BYTES("\x10\x0c\x00\x04HTTP\x04\x02\x00\x3c\x00\x00"), "3.1.2-1" },
		{ BYTES("\x10\x0c\x00\x04MQTT\x04\x03\x00\x3c\x00\x00"), "3.1.2-3" },
		{ BYTES("\x10\x0c\x00\x04MQTT\x04\x0a\x00\x3c\x00\x00"), "3.1.2-11" },
		{ BYTES("\x10\x0c\x00\x04MQTT\x04\x22\x00\x3c\x00\x00"), "3.1.2-11" },
		{ BYTES("\x10\x10\x00\x04MQTT\x04\x1e\x00\x3c\x00\x00\x00\x00\x00\x00"), "3.1.2-14" },
		{ BYTES("\x10\x0e\x00\x04MQTT\x04\x42\x00\x3c\x00\x00\x00\x00"), "3.1.2-22" },
		{ BYTES("\x10\x0b\x00\x04MQTT\x04\x02\x00\x3c\x00"), "shorter or longer" },
		{ BYTES("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\x00"), "shorter or longer" },
		{ BYTES("\x10\x0c\x00\x04MQTT\x04\x82\x00\x3c\x00\x00"), "shorter or longer" },
		{ BYTES("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01\xff"), "1.5.3" },
		{ BYTES("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01\x00"), "1.5.3" },
		{ BYTES("\x10\x0f\x00\x04MQTT\x04\x82\x00\x3c\x00\x00\x00\x01\xc0"), "1.5.3" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mqtt_frame frame = cut(cases[i].packet, cases[i].len);
		struct mqtt_connect c = { .keep_alive_s = 7 };
		struct err err = ERR_INIT;

		CHECK_INT(mqtt_decode_connect(&c, &frame, &err), -1);
		CHECK_ERR(err, ERR_INVALID, cases[i].why);
		CHECK_INT(c.keep_alive_s, 7);
	}
}

TEST("CONNACK carries a code and whether there was a session")
{
	CLEAR(buf) packet = BUF_INIT(64);
	struct mqtt_frame frame;
	struct err err = ERR_INIT;
	uint8_t code = 9;
	bool session = false;

	mqtt_encode_connack(&packet, MQTT_ACCEPTED, true);
	CHECK_MEM(packet.data, "\x20\x02\x01\x00", 4);
	frame = cut(packet.data, packet.len);
	CHECK_OK(mqtt_decode_connack(&code, &session, &frame, &err), err);
	CHECK_INT(code, 0);
	CHECK(session);
}

TEST("CONNACK with reserved flags or code, or a session beside a refusal, is refused")
{
	static const struct refused cases[] = { { BYTES("\x20\x02\x02\x00"), "3.2.2" }, { BYTES("\x20\x02\x00\x06"), "3.2.2.3" },
		{ BYTES("\x20\x02\x01\x05"), "3.2.2-4" }, { BYTES("\x20\x01\x00"), "3.2.2" },
		{ BYTES("\x20\x03\x00\x00\x00"), "3.2.2" } };

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mqtt_frame frame = cut(cases[i].packet, cases[i].len);
		struct err err = ERR_INIT;
		uint8_t code;
		bool session;

		CHECK_INT(mqtt_decode_connack(&code, &session, &frame, &err), -1);
		CHECK_ERR(err, ERR_INVALID, cases[i].why);
	}
}

/* -- PUBLISH
 * --------------------------------------------------------------------------------------------------------------------- */

TEST("PUBLISH is decoded and encoded again to the same bytes, with and without an id")
{
	static const struct refused packets[] = { { BYTES("\x30\x05\x00\x01t\x68i"), "" }, { BYTES("\x30\x03\x00\x01t"), "" },
		{ BYTES("\x3b\x07\x00\x01t\x12\x34hi"), "" }, { BYTES("\x34\x05\x00\x01t\x00\x01"), "" } };

	for (size_t i = 0; i < COUNT(packets); i++) {
		struct mqtt_frame frame = cut(packets[i].packet, packets[i].len);
		struct mqtt_publish p;
		CLEAR(buf) again = BUF_INIT(64);
		struct err err = ERR_INIT;

		CHECK_OK(mqtt_decode_publish(&p, &frame, &err), err);
		CHECK(slice_is(p.topic, "t"));
		mqtt_encode_publish(&again, &p);
		CHECK_INT(again.len, packets[i].len);
		CHECK_MEM(again.data, packets[i].packet, again.len);
	}
}

TEST("PUBLISH that breaks a rule is refused by the rule's number")
{
	static const struct refused cases[] = {
		{ BYTES("\x36\x05\x00\x01t\x00\x01"), "3.3.1-4" },
		{ BYTES("\x38\x03\x00\x01t"), "3.3.1-2" },
		{ BYTES("\x32\x03\x00\x01t"), "3.3.2" },
		{ BYTES("\x30\x02\x00\x01"), "3.3.2" },
		{ BYTES("\x30\x00"), "3.3.2" },
		{ BYTES("\x32\x05\x00\x01t\x00\x00"), "2.3.1-1" },
		{ BYTES("\x30\x02\x00\x00"), "4.7.3-1" },
		{ BYTES("\x30\x05\x00\x03\x61/#"), "3.3.2-2" },
		{ BYTES("\x30\x05\x00\x03+/a"), "3.3.2-2" },
		{ BYTES("\x30\x04\x00\x02\x61\xff"), "3.3.2-1" },
		{ BYTES("\x30\x04\x00\x02\x61\x00"), "3.3.2-1" },
		{ BYTES("\x30\x05\x00\x03\xed\xa0\x80"), "3.3.2-1" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mqtt_frame frame = cut(cases[i].packet, cases[i].len);
		struct mqtt_publish p;
		struct err err = ERR_INIT;

		if (mqtt_decode_publish(&p, &frame, &err) == 0)
			fail_msg("case %zu (%s) was accepted", i, cases[i].why);
		CHECK_ERR(err, ERR_INVALID, cases[i].why);
	}
}

TEST("hub 1.6 a plus within a property bag is no wildcard")
{
	struct mqtt_frame frame = cut(BYTES("\x30\x0c\x00\x0a\x61/k=1+1&x#"));
	struct mqtt_publish p;
	struct err err = ERR_INIT;

	CHECK_OK(mqtt_decode_publish(&p, &frame, &err), err);
}

/* -- SUBSCRIBE, UNSUBSCRIBE and what answers them
 * ---------------------------------------------------------------------------------- */

TEST("SUBSCRIBE and UNSUBSCRIBE are decoded and encoded again to the same bytes")
{
	static const uint8_t sub[] = "\x82\x0e\x00\x0a\x00\x03\x61/#\x01\x00\x03+/b\x02",
			     unsub[] = "\xa2\x07\x00\x0b\x00\x03\x61/#";
	struct mqtt_frame s_frame = cut(sub, sizeof(sub) - 1), u_frame = cut(unsub, sizeof(unsub) - 1);
	struct mqtt_subscribe s, u;
	CLEAR(buf) again = BUF_INIT(64);
	struct err err = ERR_INIT;

	CHECK_OK(mqtt_decode_subscribe(&s, &s_frame, &err), err);
	CHECK_INT(s.id, 10);
	CHECK_INT(s.n, 2);
	CHECK(slice_is(s.item[1].filter, "+/b"));
	CHECK_INT(s.item[1].qos, 2);
	mqtt_encode_subscribe(&again, &s);
	CHECK_INT(again.len, sizeof(sub) - 1);
	CHECK_MEM(again.data, sub, again.len);
	buf_reset(&again);
	CHECK_OK(mqtt_decode_unsubscribe(&u, &u_frame, &err), err);
	CHECK_INT(u.n, 1);
	mqtt_encode_unsubscribe(&again, &u);
	CHECK_INT(again.len, sizeof(unsub) - 1);
	CHECK_MEM(again.data, unsub, again.len);
}

TEST("SUBSCRIBE that breaks a rule is refused by the rule's number, and nothing is written")
{
	static const struct refused cases[] = {
		{ BYTES("\x82\x00"), "2.3.1-1" },
		{ BYTES("\x82\x06\x00\x00\x00\x01\x61\x00"), "2.3.1-1" },
		{ BYTES("\x82\x02\x00\x01"), "3.8.3-3" },
		{ BYTES("\x82\x05\x00\x01\x00\x01\x61"), "3.8.3" },
		{ BYTES("\x82\x04\x00\x01\x00\x05"), "3.8.3" },
		{ BYTES("\x82\x06\x00\x01\x00\x01\x61\x03"), "3.8.3-4" },
		{ BYTES("\x82\x06\x00\x01\x00\x01\x61\x04"), "3.8.3-4" },
		{ BYTES("\x82\x05\x00\x01\x00\x00\x00"), "4.7.1" },
		{ BYTES("\x82\x08\x00\x01\x00\x03"
			"#/a\x00"),
			"4.7.1" },
		{ BYTES("\x82\x09\x00\x01\x00\x04\x61/b#\x00"), "4.7.1" },
		{ BYTES("\x82\x07\x00\x01\x00\x02\x61#\x00"), "4.7.1" },
		{ BYTES("\x82\x07\x00\x01\x00\x02\x61+\x00"), "4.7.1" },
		{ BYTES("\x82\x07\x00\x01\x00\x02\x61\xff\x00"), "4.7.1" },
		{ BYTES("\x82\x07\x00\x01\x00\x02\x61\x1f\x00"), "4.7.1" },
		{ BYTES("\x82\x07\x00\x01\x00\x02\x61\x7f\x00"), "4.7.1" },
		{ BYTES("\x82\x07\x00\x01\x00\x02\xc2\x9f\x00"), "4.7.1" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mqtt_frame frame = cut(cases[i].packet, cases[i].len);
		struct mqtt_subscribe s = { .id = 7 };
		struct err err = ERR_INIT;

		if (mqtt_decode_subscribe(&s, &frame, &err) == 0)
			fail_msg("case %zu (%s) was accepted", i, cases[i].why);
		CHECK_ERR(err, ERR_INVALID, cases[i].why);
		CHECK_INT(s.id, 7);
	}
}

TEST("MQTT 1.5.3 a filter may hold any printable character")
{
	static const uint8_t sub[] = "\x82\x09\x00\x01\x00\x04\xc2\xa0\xc3\x9f\x00";
	struct mqtt_frame frame = cut(sub, sizeof(sub) - 1);
	struct mqtt_subscribe s;
	struct err err = ERR_INIT;

	CHECK_OK(mqtt_decode_subscribe(&s, &frame, &err), err);
}

TEST("a SUBSCRIBE may hold 64 filters and no more")
{
	CLEAR(buf) packet = BUF_INIT(1024);
	struct mqtt_subscribe s = { .id = 1, .n = MQTT_FILTERS_MAX };
	struct mqtt_subscribe got;
	struct mqtt_frame frame;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < s.n; i++)
		s.item[i].filter = slice_of("a");
	mqtt_encode_subscribe(&packet, &s);
	frame = cut(packet.data, packet.len);
	CHECK_OK(mqtt_decode_subscribe(&got, &frame, &err), err);
	CHECK_INT(got.n, MQTT_FILTERS_MAX);
	buf_put(&packet, "\x00\x01\x61\x00", 4);
	frame.body = rd_over(packet.data + 3, packet.len - 3);
	CHECK_INT(mqtt_decode_subscribe(&got, &frame, &err), -1);
	CHECK_ERR(err, ERR_LIMIT, "more than 64 filters");
}

TEST("SUBACK carries a code for each filter, of the four that there are")
{
	CLEAR(buf) packet = BUF_INIT(64);
	uint8_t codes[4];
	uint16_t id = 0;
	size_t n = 0;
	struct mqtt_frame frame;
	struct err err = ERR_INIT;

	mqtt_encode_suback(&packet, 513, (const uint8_t *)"\x00\x01\x02\x80", 4);
	frame = cut(packet.data, packet.len);
	CHECK_OK(mqtt_decode_suback(&id, codes, &n, COUNT(codes), &frame, &err), err);
	CHECK_INT(id, 513);
	CHECK_INT(n, 4);
	CHECK_MEM(codes, "\x00\x01\x02\x80", 4);
	CHECK_INT(mqtt_decode_suback(&id, codes, &n, 3, &frame, &err), -1);
	packet.data[4] = 3;
	CHECK_INT(mqtt_decode_suback(&id, codes, &n, COUNT(codes), &frame, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "3.9.3-2");
}

TEST("acknowledgements are an id, with the flags of their type")
{
	static const enum mqtt_type types[] = { MQTT_PUBACK, MQTT_PUBREC, MQTT_PUBREL, MQTT_PUBCOMP, MQTT_UNSUBACK };

	for (size_t i = 0; i < COUNT(types); i++) {
		CLEAR(buf) packet = BUF_INIT(64);
		struct mqtt_frame frame;
		struct err err = ERR_INIT;
		uint16_t id = 0;

		mqtt_encode_ack(&packet, types[i], 0x1234);
		frame = cut(packet.data, packet.len);
		CHECK_INT(frame.type, types[i]);
		CHECK_OK(mqtt_decode_ack(&id, &frame, &err), err);
		CHECK_INT(id, 0x1234);
		packet.data[2] = packet.data[3] = 0;
		CHECK_INT(mqtt_decode_ack(&id, &frame, &err), -1);
		frame.body.end--;
		CHECK_INT(mqtt_decode_ack(&id, &frame, &err), -1);
		CHECK_INT(id, 0x1234);
	}
}

TEST("PINGREQ, PINGRESP and DISCONNECT have no body")
{
	static const enum mqtt_type types[] = { MQTT_PINGREQ, MQTT_PINGRESP, MQTT_DISCONNECT };

	for (size_t i = 0; i < COUNT(types); i++) {
		CLEAR(buf) packet = BUF_INIT(64);
		struct mqtt_frame frame;
		struct err err = ERR_INIT;

		mqtt_encode_empty(&packet, types[i]);
		frame = cut(packet.data, packet.len);
		CHECK_OK(mqtt_decode_empty(&frame, &err), err);
		frame.body = rd_over("x", 1);
		CHECK_INT(mqtt_decode_empty(&frame, &err), -1);
	}
}

TEST("what does not fit into a packet fails instead of being cut")
{
	OWN_TEXT text = mem_textf("%070000d", 1);
	CLEAR(buf) packet = BUF_INIT(1024 * 1024);
	struct mqtt_publish p = { .topic = slice_of(text) };

	mqtt_encode_publish(&packet, &p);
	CHECK(packet.failed);
	buf_reset(&packet);
	p = (struct mqtt_publish){ .topic = slice_of("t"), .payload = { .text = text, .len = 268435456 } };
	mqtt_encode_publish(&packet, &p);
	CHECK(packet.failed);
	CHECK_INT(packet.len, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/websocket.h"

/* -- What a client sends ------------------------------------------------------------------------------------------------------------- */

static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

/* A masked frame; first is FIN, the reserved bits and the opcode. */
static void
put_frame(struct buf *out, uint8_t first, const void *payload, size_t len)
{
	const uint8_t *bytes = payload;

	buf_put_u8(out, first);
	if (len < 126) {
		buf_put_u8(out, (uint8_t)(0x80 | len));
	} else {
		buf_put_u8(out, 0x80 | 126);
		buf_put_u16(out, (uint16_t)len);
	}
	buf_put(out, mask, sizeof(mask));
	for (size_t i = 0; i < len; i++)
		buf_put_u8(out, bytes[i] ^ mask[i & 3]);
}

/* What a reader makes of bytes that come `step` at a time: the content, a "<ping:...>" in it for each ping, and how it ended. */
static char *
read_all(const void *bytes, size_t len, size_t step, uint64_t max, struct websocket_piece *last, enum websocket_event *event)
{
	struct websocket_reader reader;
	struct buf text = BUF_INIT(1 << 20);
	OWN_TEXT copy = mem_dup(bytes, len);
	size_t at = 0, used, given;

	websocket_reader_init(&reader, max);
	*event = WEBSOCKET_MORE;
	while (at < len && *event != WEBSOCKET_CLOSED && *event != WEBSOCKET_BROKEN) {
		given = len - at < step ? len - at : step;
		*event = websocket_read(&reader, (uint8_t *)copy + at, given, &used, last);
		at += used;
		if (*event == WEBSOCKET_CONTENT)
			buf_put(&text, last->data, last->len);
		if (*event == WEBSOCKET_PINGED)
			buf_putf(&text, "<ping:%.*s>", (int)last->len, (const char *)last->data);
		CHECK(used > 0 || *event == WEBSOCKET_BROKEN || *event == WEBSOCKET_MORE);
	}
	websocket_reader_clear(&reader);
	return buf_take_text(&text);
}

static void
check_broken(const void *bytes, size_t len, enum websocket_code code)
{
	struct websocket_piece last;
	enum websocket_event event;
	OWN_TEXT content = read_all(bytes, len, 1, 1000, &last, &event);

	CHECK_STR(content, "");
	CHECK(event == WEBSOCKET_BROKEN && last.code == code && last.why);
}

/* -- The handshake ------------------------------------------------------------------------------------------------------------------- */

TEST("the key of RFC 6455 1.3 is answered with the value that stands there")
{
	char accept[WEBSOCKET_ACCEPT_LEN];

	CHECK(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", accept));
	CHECK_STR(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST("a key that is not the base64 of 16 bytes is refused")
{
	char accept[WEBSOCKET_ACCEPT_LEN];

	CHECK(!websocket_accept(NULL, accept));
	CHECK(!websocket_accept("", accept));
	CHECK(!websocket_accept("dGhlIHNhbXBsZSBub25jZQ", accept));
	CHECK(!websocket_accept("dGhlIHNhbXBsZSBub25jZQ===", accept));
	CHECK(!websocket_accept("dGhlIHNhbXBsZSBub25jZVg=", accept));
	CHECK(!websocket_accept("dGhl\r\nIHNhbXBsZSBub25jZ", accept));
}

TEST("a subprotocol is found in any case and place of the list, and echoed as the client spells it")
{
	OWN_TEXT c_client = websocket_choose("MQTT", "mqtt");
	OWN_TEXT listed = websocket_choose("chat,\tmqttv3.1 , Mqtt ,x", "mqtt");
	OWN_TEXT none = websocket_choose("mqttv3.1, xmqtt, mqt", "mqtt");

	CHECK_STR(c_client, "MQTT");
	CHECK_STR(listed, "Mqtt");
	CHECK(!none && !websocket_choose(NULL, "mqtt") && !websocket_choose("", "mqtt") && !websocket_choose(",,", "mqtt"));
}

/* -- Frames --------------------------------------------------------------------------------------------------------------------------- */

TEST("frames, fragments and pings between them are one stream, wherever it is cut")
{
	CLEAR(buf) in = BUF_INIT(4096);
	char long_text[300];

	memset(long_text, 'y', sizeof(long_text));
	put_frame(&in, 0x82, "a", 1);
	put_frame(&in, 0x82, "", 0);
	put_frame(&in, 0x02, "bc", 2);
	put_frame(&in, 0x89, "are you there?", 14);
	put_frame(&in, 0x8a, "nobody asked", 12);
	put_frame(&in, 0x8a, "", 0);
	put_frame(&in, 0x00, "", 0);
	put_frame(&in, 0x80, "def", 3);
	put_frame(&in, 0x82, long_text, sizeof(long_text));
	put_frame(&in, 0x89, "", 0);
	for (size_t step = 1; step <= in.len; step++) {
		struct websocket_piece last;
		enum websocket_event event;
		OWN_TEXT content = read_all(in.data, in.len, step, 1000, &last, &event);

		CHECK(strncmp(content, "abc<ping:are you there?>defyyy", 30) == 0);
		CHECK_STR(content + strlen(content) - 10, "yyy<ping:>");
		CHECK(event == WEBSOCKET_PINGED);
	}
}

TEST("a frame that is not masked is refused with 1002 by its first two bytes")
{
	check_broken("\x82\x01", 2, WEBSOCKET_PROTOCOL_ERROR);
}

TEST("a text message is refused with 1003")
{
	check_broken("\x81\x81", 2, WEBSOCKET_UNSUPPORTED);
	check_broken("\x01\x81", 2, WEBSOCKET_UNSUPPORTED);
}

TEST("a frame beyond the ceiling is refused with 1009 before any of it is read")
{
	check_broken("\x82\xfe\x03\xe9"
		     "ABCD",
		8, WEBSOCKET_TOO_BIG);
	check_broken("\x82\xff\0\0\0\0\0\1\0\0ABCD", 14, WEBSOCKET_TOO_BIG);
	check_broken("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"
		     "ABCD",
		14, WEBSOCKET_TOO_BIG);
}

TEST("reserved bits, unknown opcodes, lengths in a longer form than needed, and fragments out of order are refused with 1002")
{
	check_broken("\xc2\x81", 2, WEBSOCKET_PROTOCOL_ERROR);
	check_broken("\x83\x81", 2, WEBSOCKET_PROTOCOL_ERROR);
	check_broken("\x8b\x81", 2, WEBSOCKET_PROTOCOL_ERROR);
	check_broken("\x82\xfe\x00\x7d"
		     "ABCD",
		8, WEBSOCKET_PROTOCOL_ERROR);
	check_broken("\x82\xff\0\0\0\0\0\0\xff\xff"
		     "ABCD",
		14, WEBSOCKET_PROTOCOL_ERROR);
	check_broken("\x80\x81", 2, WEBSOCKET_PROTOCOL_ERROR);
	check_broken("\x02\x80"
		     "ABCD\x82\x80",
		8, WEBSOCKET_PROTOCOL_ERROR);
}

TEST("control frames that are fragmented or longer than 125 are refused with 1002")
{
	check_broken("\x09\x80", 2, WEBSOCKET_PROTOCOL_ERROR);
	check_broken("\x08\x80", 2, WEBSOCKET_PROTOCOL_ERROR);
	check_broken("\x89\xfe", 2, WEBSOCKET_PROTOCOL_ERROR);
}

TEST("a close is read with its code, and without one is 1000")
{
	static const struct {
		const char *payload;
		size_t len;
		enum websocket_event event;
		unsigned code;
	} rows[] = {
		{ "", 0, WEBSOCKET_CLOSED, 1000 },
		{ "\x03\xe9", 2, WEBSOCKET_CLOSED, 1001 },
		{ "\x0f\xa0"
		  "bye",
			5, WEBSOCKET_CLOSED, 4000 },
		{ "\x03", 1, WEBSOCKET_BROKEN, 1002 },
		{ "\x03\xed", 2, WEBSOCKET_BROKEN, 1002 }, /* 1005 is never sent */
		{ "\xff\xff", 2, WEBSOCKET_BROKEN, 1002 },
		{ "\x03\xe8\xc3\x28", 4, WEBSOCKET_BROKEN, 1007 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEAR(buf) in = BUF_INIT(256);
		struct websocket_piece last;
		enum websocket_event event;
		OWN_TEXT content = NULL;

		put_frame(&in, 0x88, rows[i].payload, rows[i].len);
		put_frame(&in, 0x82, "after the end", 13);
		content = read_all(in.data, in.len, 3, 1000, &last, &event);
		CHECK_STR(content, "");
		CHECK(event == rows[i].event && last.code == rows[i].code);
	}
}

TEST("a server's frames are whole and not masked, with lengths in their shortest form")
{
	static const struct {
		size_t len;
		const char *head;
		size_t head_len;
	} rows[] = { { 0, "\x82\x00", 2 }, { 125, "\x82\x7d", 2 }, { 126, "\x82\x7e\x00\x7e", 4 }, { 65535, "\x82\x7e\xff\xff", 4 },
		{ 65536, "\x82\x7f\0\0\0\0\0\1\0\0", 10 } };
	OWN_TEXT payload = mem_new(65536);

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEAR(buf) out = BUF_INIT(70000);

		websocket_put(&out, WEBSOCKET_BINARY, payload, rows[i].len);
		CHECK(out.len == rows[i].head_len + rows[i].len && memcmp(out.data, rows[i].head, rows[i].head_len) == 0);
	}
}

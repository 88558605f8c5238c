/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events, whole and in pieces. */
#include "base/mem.h"
#include "wire/sse.h"
#include "t.h"

static bool
on_event(void *arg, const char *data)
{
	buf_putf(arg, "[%s]", data);
	return strcmp(data, "enough") != 0;
}

static const char text[] = "retry: 2000\n\n:\n\nid: 1:7\ndata: {\"a\":1}\n\nid:1:8\r\ndata:x\r\ndata: y\r\n\r\nid: 2:0\n\nevent: "
			   "what\ndata: z\n\ndata: half";

TEST("events come with their data and ids, however the bytes are cut")
{
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		CLEAR(buf) seen = BUF_INIT(1000);
		struct sse_reader reader;

		sse_reader_init(&reader, 100, on_event, &seen);
		for (size_t at = 0; at < sizeof(text) - 1; at += piece)
			CHECK(sse_reader_feed(&reader, text + at, at + piece > sizeof(text) - 1 ? sizeof(text) - 1 - at : piece));
		CHECK_STR(buf_text(&seen), "[{\"a\":1}][x\ny][z]");
		CHECK_STR(buf_text(&reader.id), "2:0");
		sse_reader_again(&reader);
		CHECK(sse_reader_feed(&reader, "data: new\n\n", 11));
		CHECK_STR(buf_text(&seen), "[{\"a\":1}][x\ny][z][new]");
		sse_reader_clear(&reader);
	}
}

TEST("a reader that has had enough, and a line without end, end it")
{
	CLEAR(buf) seen = BUF_INIT(1000);
	struct sse_reader reader;

	sse_reader_init(&reader, 100, on_event, &seen);
	CHECK(!sse_reader_feed(&reader, "data: enough\n\ndata: more\n\n", 26));
	CHECK_STR(buf_text(&seen), "[enough]");
	sse_reader_again(&reader);
	for (int i = 0; i < 9; i++)
		CHECK(sse_reader_feed(&reader, "0123456789", 10));
	CHECK(!sse_reader_feed(&reader, "01234567890", 11));
	CHECK(reader.line.failed);
	sse_reader_clear(&reader);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: framing, ceilings, and what is kept of the head; each read in one piece and byte by byte. */
#include "net/http_answer.h"
#include "base/mem.h"
#include "t.h"

#define BODY_MAX 1000

struct reading {
	struct http_answer answer;
	enum http_answer_state state;
	size_t used;
	bool keep_alive;
};

static void
reading_clear(struct reading *r)
{
	http_answer_clear(&r->answer);
}

static void
read_in_pieces(struct reading *r, const char *text, size_t len, size_t piece, bool bodiless)
{
	struct http_answer_reader reader;
	size_t used;

	*r = (struct reading){ .answer = { .body = BUF_INIT(BODY_MAX) } };
	http_answer_begin(&reader, &r->answer, bodiless);
	while (r->state == HTTP_ANSWER_MORE && r->used < len) {
		size_t n = len - r->used < piece ? len - r->used : piece;

		r->state = http_answer_feed(&reader, text + r->used, n, &used);
		r->used += used;
		CHECK(used == n || r->state != HTTP_ANSWER_MORE);
	}
	if (r->state == HTTP_ANSWER_MORE)
		r->state = http_answer_end(&reader);
	r->keep_alive = reader.keep_alive;
	http_answer_reader_clear(&reader);
}

static enum http_answer_state
state_of(const char *text, bool bodiless)
{
	CLEAR(reading) whole = { 0 };
	CLEAR(reading) bytes = { 0 };

	read_in_pieces(&whole, text, strlen(text), SIZE_MAX, bodiless);
	read_in_pieces(&bytes, text, strlen(text), 1, bodiless);
	CHECK_INT(whole.state, bytes.state);
	return whole.state;
}

#define READ(r, text, bodiless)                                                                                                    \
	CLEAR(reading) r = { 0 };                                                                                                  \
	read_in_pieces(&r, text, strlen(text), 3, bodiless)

TEST("an answer with a length is its status, its body and the lines that are kept; what follows is left")
{
	READ(r,
		"HTTP/1.1 201 Created\r\nETag: \"7\"  \r\ncontent-TYPE:application/json\r\nIotHub-ErrorCode: None\r\nRetry-After: "
		"12\r\nX: y\r\n"
		"Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n",
		false);

	CHECK_INT(r.state, HTTP_ANSWER_WHOLE);
	CHECK_INT(r.answer.status, 201);
	CHECK_STR(buf_text(&r.answer.body), "hello");
	CHECK_STR(r.answer.etag, "\"7\"");
	CHECK_STR(r.answer.content_type, "application/json");
	CHECK_STR(r.answer.error_code, "None");
	CHECK_INT(r.answer.retry_after_s, 12);
	CHECK_INT(r.answer.retry_at, -1);
	CHECK(r.keep_alive);
}

TEST("when to come back may be a date, by the server's clock")
{
	READ(r,
		"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\nDate: Wed, 21 Oct "
		"2026 "
		"07:18:00 GMT\r\n\r\n",
		false);

	CHECK_INT(r.answer.retry_after_s, -1);
	CHECK_INT(r.answer.retry_at - r.answer.date, 600);
}

TEST("what is not there is NULL and -1")
{
	READ(r, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRetry-After: soon\r\n\r\n", false);

	CHECK_INT(r.state, HTTP_ANSWER_WHOLE);
	CHECK(!r.answer.etag && !r.answer.content_type && !r.answer.error_code);
	CHECK_INT(r.answer.retry_after_s, -1);
	CHECK_INT(r.answer.retry_at, -1);
	CHECK_INT(r.answer.body.len, 0);
}

TEST("a chunked body is put together, and its trailers are no headers")
{
	READ(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nETag: \"late\"\r\n\r\n",
		false);

	CHECK_INT(r.state, HTTP_ANSWER_WHOLE);
	CHECK_STR(buf_text(&r.answer.body), "abcde");
	CHECK_STR(r.answer.etag, NULL);
	CHECK(r.keep_alive);
}

TEST("a body without a length goes to the end of the stream, and the connection with it")
{
	READ(r, "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nall of it", false);

	CHECK_INT(r.state, HTTP_ANSWER_WHOLE);
	CHECK_STR(buf_text(&r.answer.body), "all of it");
	CHECK(!r.keep_alive);
}

TEST("announcements are read past, and nothing of them is kept")
{
	READ(r,
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nETag: \"no\"\r\nRetry-After: 5\r\nContent-Length: "
		"3\r\n\r\n"
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		false);

	CHECK_INT(r.state, HTTP_ANSWER_WHOLE);
	CHECK_INT(r.answer.status, 200);
	CHECK_STR(buf_text(&r.answer.body), "ok");
	CHECK_STR(r.answer.etag, NULL);
	CHECK_INT(r.answer.retry_after_s, -1);
}

TEST("who asked for another protocol has an answer in 101, and what follows is left, wherever it was cut")
{
	static const char text[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other/1\r\n\r\nrest";

	for (size_t piece = 1; piece <= strlen(text); piece++) {
		CLEAR(reading) r = { .answer = { .body = BUF_INIT(BODY_MAX) } };
		struct http_answer_reader reader;
		size_t used;

		http_answer_begin(&reader, &r.answer, false);
		reader.upgrades = true;
		while (r.state == HTTP_ANSWER_MORE) {
			size_t n = strlen(text) - r.used < piece ? strlen(text) - r.used : piece;

			r.state = http_answer_feed(&reader, text + r.used, n, &used);
			r.used += used;
		}
		CHECK_INT(r.state, HTTP_ANSWER_WHOLE);
		CHECK_INT(r.answer.status, 101);
		CHECK_STR(text + r.used, "rest");
		http_answer_reader_clear(&reader);
	}
}

TEST("204, 304 and the answer to HEAD have no body, whatever length they name")
{
	static const char *const texts[] = { "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n" };
	READ(head, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nETag: \"1\"\r\n\r\n", true);

	for (size_t i = 0; i < COUNT(texts); i++)
		CHECK_INT(state_of(texts[i], false), HTTP_ANSWER_WHOLE);
	CHECK_INT(head.state, HTTP_ANSWER_WHOLE);
	CHECK_STR(head.answer.etag, "\"1\"");
	CHECK(head.keep_alive);
}

TEST("Connection: close and HTTP/1.0 end the connection")
{
	READ(closes, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false);
	READ(old, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false);

	CHECK_INT(closes.state, HTTP_ANSWER_WHOLE);
	CHECK_INT(old.state, HTTP_ANSWER_WHOLE);
	CHECK(!closes.keep_alive && !old.keep_alive);
}

TEST("what ends too early, contradicts itself or is not HTTP is broken")
{
	static const char *const texts[] = {
		"",
		"HTTP/1.1 200 OK\r\nContent-Len",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 2x0 OK\r\n\r\n",
		"HTTP/1.1 000 Nothing\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"\x15\x03\x01",
		"<html>hello</html>",
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		if (state_of(texts[i], false) != HTTP_ANSWER_BROKEN)
			fail_msg("not broken: %s", texts[i]);
}

TEST("a body above the ceiling is refused: by its length before it comes, by its bytes when there is no length")
{
	struct buf text = BUF_INIT(4 * BODY_MAX);

	CHECK_INT(state_of("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", false), HTTP_ANSWER_TOO_LARGE);
	buf_puts(&text, "HTTP/1.1 200 OK\r\n\r\n");
	for (int i = 0; i < BODY_MAX; i++)
		buf_putc(&text, 'x');
	CHECK_INT(state_of(buf_text(&text), false), HTTP_ANSWER_WHOLE);
	buf_putc(&text, 'x');
	CHECK_INT(state_of(buf_text(&text), false), HTTP_ANSWER_TOO_LARGE);
	buf_clear(&text);
}

/* A head of `line` over and over, 128 KiB of it, or the end of the stream if it is taken. */
static enum http_answer_state
endless(const char *begin, const char *line)
{
	struct buf text = BUF_INIT(1 << 18);
	enum http_answer_state state;

	buf_puts(&text, begin);
	while (text.len < 1 << 17)
		buf_puts(&text, line);
	state = state_of(buf_text(&text), false);
	buf_clear(&text);
	return state;
}

TEST("a head above the ceiling is refused: in one line, in many, in trailers, in announcements, in its words")
{
	CHECK_INT(endless("HTTP/1.1 200 OK\r\nX: ", "xxxxxxxx"), HTTP_ANSWER_TOO_LARGE);
	CHECK_INT(endless("HTTP/1.1 200 OK\r\n", "x"), HTTP_ANSWER_TOO_LARGE);
	CHECK_INT(endless("HTTP/1.1 200 OK\r\n", "a:\r\n"), HTTP_ANSWER_TOO_LARGE);
	CHECK_INT(endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "a: b\r\n"), HTTP_ANSWER_TOO_LARGE);
	CHECK_INT(endless("", "HTTP/1.1 100 Continue\r\n\r\n"), HTTP_ANSWER_TOO_LARGE);
	CHECK_INT(endless("HTTP/1.1 200 ", "blah"), HTTP_ANSWER_TOO_LARGE);
}

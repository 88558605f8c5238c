/* SPDX-License-Identifier: Apache-2.0 */
/* What the screen lets pass, and what not, wherever the input is cut. */
#include "base/mem.h"
#include "net/http_screen.h"
#include "t.h"

static enum http_screen_answer
feed_in_pieces(const char *text, size_t piece, bool chunks, size_t *total)
{
	struct http_screen screen;
	enum http_screen_answer answer = HTTP_SCREEN_MORE;
	size_t len = strlen(text), used;

	if (chunks)
		http_screen_expect_chunks(&screen);
	else
		http_screen_init(&screen);
	*total = 0;
	while (answer == HTTP_SCREEN_MORE && *total < len) {
		size_t n = len - *total < piece ? len - *total : piece;

		answer = http_screen_feed(&screen, text + *total, n, &used);
		*total += used;
	}
	return answer;
}

/* The same answer, at the same place, for every size of the pieces. */
static enum http_screen_answer
feed(const char *text, bool chunks, size_t *total)
{
	enum http_screen_answer whole = feed_in_pieces(text, strlen(text), chunks, total);

	for (size_t piece = 1; piece < strlen(text); piece++) {
		size_t at;

		CHECK_INT(feed_in_pieces(text, piece, chunks, &at), whole);
		CHECK_INT(at, *total);
	}
	return whole;
}

TEST("good heads pass, up to their end and no further")
{
	static const char *const heads[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"\r\nGET / HTTP/1.0\r\n\r\n",
		"POST /a?b=c%20d HTTP/1.1\r\nHost: x\r\nEmpty:\r\nContent-Length:  3 \r\nX-Text: \tt\xc3\xa4xt\r\n\r\n",
	};

	for (size_t i = 0; i < COUNT(heads); i++) {
		OWN_TEXT with_more = mem_textf("%sbody\n", heads[i]);
		size_t total;

		CHECK_INT(feed(with_more, false, &total), HTTP_SCREEN_END);
		CHECK_INT(total, strlen(heads[i]));
	}
}

TEST("what other parsers forgive in a head does not pass")
{
	static const char *const heads[] = {
		"GET / HTTP/1.1\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n\n",
		"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n",
		"GET / HTTP/1.1\r\n A: b\r\n\r\n",
		"GET / HTTP/1.1\r\nA : b\r\n\r\n",
		"GET / HTTP/1.1\r\n: b\r\n\r\n",
		"GET / HTTP/1.1\r\nA\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\x01\r\n\r\n",
		"GET / HTTP/1.1\r\nA\xc3: b\r\n\r\n",
		"GET / HTTP/1.1\r\nA: \x7f\r\n\r\n",
		"GET /\r\n\r\n",
		"GET  / HTTP/1.1\r\n\r\n",
		"GET /  HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1 \r\n\r\n",
		"GET\t/ HTTP/1.1\r\n\r\n",
		" GET / HTTP/1.1\r\n\r\n",
		"GET /\xc3 HTTP/1.1\r\n\r\n",
		"GET / HTTP/2.0\r\n\r\n",
		"GET / HTTP/1.2\r\n\r\n",
		"GET / HTTP/11\r\n\r\n",
		"GET / http/1.1\r\n\r\n",
		"\nGET / HTTP/1.1\r\n\r\n",
		"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"\x16\x03\x01\x02",
	};

	for (size_t i = 0; i < COUNT(heads); i++) {
		size_t total;

		if (feed(heads[i], false, &total) != HTTP_SCREEN_BAD)
			fail_msg("passed: %s", heads[i]);
	}
}

TEST("chunks pass, with extensions and trailers, up to their end")
{
	static const char *const bodies[] = { "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n",
		"A;x=\"y\"\r\n0123\r\n\r\n89\r\n00000001\r\n!\r\n0\r\nA: b\r\n\r\n" };

	for (size_t i = 0; i < COUNT(bodies); i++) {
		OWN_TEXT with_more = mem_textf("%sGET", bodies[i]);
		size_t total;

		CHECK_INT(feed(with_more, true, &total), HTTP_SCREEN_END);
		CHECK_INT(total, strlen(bodies[i]));
	}
}

TEST("chunks that another parser would cut elsewhere do not pass")
{
	static const char *const bodies[] = { "5\nhello\r\n", "5\rXhello\r\n", "5\r\nhelloXX0\r\n", "5\r\nhello\n0\r\n",
		"5 \r\nhello\r\n", "5 5\r\nhello\r\n", "0x5\r\nhello\r\n", "+5\r\nhello\r\n", "-1\r\n", "\r\n", ";x\r\n",
		"5;a\nb\r\nhello\r\n", "000000001\r\n!\r\n", "100000000\r\n", "0\r\n folded\r\n\r\n", "0\r\n\n" };

	for (size_t i = 0; i < COUNT(bodies); i++) {
		size_t total;

		if (feed(bodies[i], true, &total) != HTTP_SCREEN_BAD)
			fail_msg("passed: %s", bodies[i]);
	}
}

TEST("an endless chunk extension does not pass")
{
	char body[600] = "5;";
	size_t total;

	memset(body + 2, 'x', sizeof(body) - 3);
	CHECK_INT(feed_in_pieces(body, sizeof(body), true, &total), HTTP_SCREEN_BAD);
	CHECK(total < 300);
}

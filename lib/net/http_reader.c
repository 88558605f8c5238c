/* SPDX-License-Identifier: Apache-2.0 */
/* A request is read: the screen looks at each byte (http_screen.h), http-parser reads, and what could be taken for another request than the one meant is refused. */
#include "base/mem.h"
#include "base/text.h"
#include "net/conn_inside.h"
#include "net/http_channel.h"

#define BODY_SMALL (16 * 1024) /* as much as a head costs */

static struct http_channel *
session_of(http_parser *parser)
{
	return parser->data;
}

static int
on_begin(http_parser *parser)
{
	struct http_channel *s = session_of(parser);

	s->req = http_request_new(s->server, s->conn, s->server->config.max_body);
	s->headers_len = 0;
	s->refuse = 0;
	timer_arm(&s->timer, s->server->config.arrive_ms);
	return 0;
}

static int
on_url(http_parser *parser, const char *at, size_t len)
{
	struct http_channel *s = session_of(parser);

	buf_put(&s->url, at, len);
	s->refuse = s->url.failed ? 414 : s->refuse;
	return s->url.failed;
}

static void
finish_header(struct http_channel *s)
{
	struct http_request *req = s->req;

	if (s->name.len == 0)
		return;
	if (req->n_headers == HTTP_HEADER_LINES_MAX) {
		s->refuse = 431;
		return;
	}
	req->headers[req->n_headers].name = buf_take_text(&s->name);
	req->headers[req->n_headers++].value = buf_take_text(&s->value);
}

static int
on_header(struct http_channel *s, struct buf *into, const char *at, size_t len)
{
	s->headers_len += len;
	if (s->state == HTTP_READING_HEAD)
		buf_put(into, at, len); /* trailers are read past: they come too late to be headers */
	if (into->failed || s->headers_len > HTTP_HEADERS_MAX)
		s->refuse = 431;
	return s->refuse != 0;
}

static int
on_header_field(http_parser *parser, const char *at, size_t len)
{
	struct http_channel *s = session_of(parser);

	if (s->in_value)
		finish_header(s);
	s->in_value = false;
	return on_header(s, &s->name, at, len);
}

static int
on_header_value(http_parser *parser, const char *at, size_t len)
{
	struct http_channel *s = session_of(parser);

	s->in_value = true;
	return on_header(s, &s->value, at, len);
}

/* RFC 9112 6: what one peer reads as a body must not be a request for the next one.  0, or the status to refuse with. */
static int
check_framing(const struct http_channel *s)
{
	const struct http_request *req = s->req;
	size_t lengths = http_request_count(req, "content-length"), encodings = http_request_count(req, "transfer-encoding");

	if (lengths + encodings > 1 || http_request_count(req, "host") > 1 || http_path(req)[0] != '/')
		return 400;
	if (encodings > 0 && s->parser.http_minor == 0)
		return 400;
	if (encodings > 0 && !text_is_nocase(http_header(req, "transfer-encoding"), "chunked"))
		return 501;
	return 0;
}

/* Where the body goes.  0, or 413. */
static int
choose_sink(struct http_channel *s)
{
	const struct http_server_config *config = &s->server->config;
	struct http_request *req = s->req;
	bool has_length = http_request_count(req, "content-length") > 0;

	req->sink = config->sink ? config->sink(req, config->arg) : NULL;
	if (req->sink)
		req->body.max = HTTP_STREAM_PIECE + HTTP_READ_MAX + LOOP_READ_LEN;
	return has_length && s->parser.content_length > (req->sink ? req->sink->max : config->max_body) ? 413 : 0;
}

static int
on_headers_complete(http_parser *parser)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct http_channel *s = session_of(parser);

	finish_header(s);
	s->in_value = false;
	if (s->refuse)
		return -1;
	http_request_take_url(s->req, &s->url);
	s->req->method = parser->method;
	s->req->may_chunk = parser->http_minor > 0;
	s->req->keep_alive = http_should_keep_alive(parser) && !parser->upgrade;
	s->req->upgrade = parser->upgrade && parser->method == HTTP_GET && parser->http_minor > 0;
	s->refuse = check_framing(s);
	if (!s->refuse)
		s->refuse = choose_sink(s);
	if (s->refuse)
		return -1;
	if (parser->http_minor > 0 && text_is_nocase(http_header(s->req, "expect"), "100-continue"))
		conn_write(s->conn, go_on, sizeof(go_on) - 1);
	s->state = http_header(s->req, "transfer-encoding") ? HTTP_READING_CHUNKS : HTTP_READING_LENGTH;
	http_screen_expect_chunks(&s->screen);
	return 0;
}

void
http_server_discharge(struct http_server *server, size_t len)
{
	atomic_fetch_sub_explicit(&server->bodies, len, memory_order_relaxed);
}

/* false: too much is in memory already. */
static bool
charge_body(struct http_request *req, size_t len)
{
	size_t before = atomic_fetch_add_explicit(&req->server->bodies, len, memory_order_relaxed);
	req->charged += len;
	return before + len <= req->server->config.max_bodies || req->charged <= BODY_SMALL;
}

static int
on_body(http_parser *parser, const char *at, size_t len)
{
	struct http_channel *s = session_of(parser);

	if (!charge_body(s->req, len))
		s->refuse = 503;
	if (s->refuse)
		return -1;
	buf_put(&s->req->body, at, len);
	s->req->body_len += len;
	if (s->req->body.failed || (s->req->sink && s->req->body_len > s->req->sink->max))
		s->refuse = 413;
	return s->refuse != 0;
}

static int
on_complete(http_parser *parser)
{
	struct http_channel *s = session_of(parser);

	timer_cancel(&s->timer);
	buf_wipe(&s->name);
	buf_wipe(&s->value);
	s->state = HTTP_ANSWERING;
	http_parser_pause(parser, 1); /* the next request waits for this one's answer */
	return 0;
}

static const http_parser_settings settings = {
	.on_message_begin = on_begin,
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

/* What is wrong with what was just read: 0, or the status to refuse with. */
static int
find_fault(const struct http_channel *s, enum http_screen_answer seen, enum http_channel_state before)
{
	if (s->state == HTTP_ANSWERING)
		return 0;
	if (s->refuse)
		return s->refuse;
	if (HTTP_PARSER_ERRNO(&s->parser) == HPE_HEADER_OVERFLOW)
		return 431;
	/* The last: the screen saw the end of something, and the parser did not. */
	if (HTTP_PARSER_ERRNO(&s->parser) != HPE_OK || seen == HTTP_SCREEN_BAD || (seen == HTTP_SCREEN_END && s->state == before))
		return 400;
	return 0;
}

/* The parser gets what the screen lets pass. */
size_t
http_channel_read(struct http_channel *s, const char *data, size_t len)
{
	enum http_channel_state before = s->state;
	enum http_screen_answer seen = HTTP_SCREEN_MORE;
	size_t used = len;
	int status;

	if (before != HTTP_READING_LENGTH)
		seen = http_screen_feed(&s->screen, data, len, &used);
	if (used > 0) /* http-parser takes nothing for the end of input */
		used = http_parser_execute(&s->parser, &settings, data, used);
	status = find_fault(s, seen, before);
	if (status != 0) {
		http_channel_refuse(s, status, http_status_words(status));
		return 0;
	}
	if (s->state == HTTP_ANSWERING)
		http_parser_pause(&s->parser, 0);
	return used;
}

void
http_channel_begin_reading(struct http_channel *s)
{
	s->url = (struct buf)BUF_INIT(HTTP_TARGET_MAX);
	s->name = (struct buf)BUF_INIT(HTTP_HEADERS_MAX);
	s->value = (struct buf)BUF_INIT(HTTP_HEADERS_MAX);
	http_screen_init(&s->screen);
	http_parser_init(&s->parser, HTTP_REQUEST);
	s->parser.data = s;
}

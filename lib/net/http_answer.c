/* SPDX-License-Identifier: Apache-2.0 */
/* An answer read by http-parser, which knows framing; what it leaves to its user are the ceilings, which statuses have no body, and the few header lines that anybody asks for. */
#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/http_answer.h"

#define HEAD_MAX (64 * 1024)
/* Bytes that http-parser does not show: also an endless head of nothing has an end. */
#define LINE_COST 4
#define STATUS_LINE_COST 17
#define RETRY_AFTER_MAX_S (7 * 24 * 3600)

void
http_answer_clear(struct http_answer *answer)
{
	buf_wipe(&answer->body);
	mem_free(answer->etag);
	mem_free(answer->content_type);
	mem_free(answer->error_code);
	mem_free(answer->continuation);
	mem_free(answer->retired_roots);
	mem_free(answer->hub);
	verdict_free(answer->verdict);
	*answer = (struct http_answer){ 0 };
}

/* -- The head ------------------------------------------------------------------------------------------------------------------------ */

struct kept_line {
	const char *name;
	size_t at;
};

static const struct kept_line kept_lines[] = {
	{ "etag", offsetof(struct http_answer, etag) },
	{ "content-type", offsetof(struct http_answer, content_type) },
	{ "iothub-errorcode", offsetof(struct http_answer, error_code) },
	{ "x-ms-continuation", offsetof(struct http_answer, continuation) },
	{ "x-rootedge-retired-roots", offsetof(struct http_answer, retired_roots) },
	{ "x-rootedge-hub", offsetof(struct http_answer, hub) },
};

static void
keep_line(struct http_answer *answer, const char *name, const char *value)
{
	for (size_t i = 0; i < COUNT(kept_lines); i++) {
		char **at = (char **)(void *)((char *)answer + kept_lines[i].at);

		if (!text_is_nocase(name, kept_lines[i].name))
			continue;
		mem_free(*at);
		*at = mem_text(value);
	}
	if (text_is_nocase(name, "retry-after") && !text_to_i64(value, 0, RETRY_AFTER_MAX_S, &answer->retry_after_s))
		answer->retry_after_s = -1;
	if (text_is_nocase(name, "retry-after") && !clock_parse_http(value, &answer->retry_at))
		answer->retry_at = -1;
	if (text_is_nocase(name, "date") && !clock_parse_http(value, &answer->date))
		answer->date = -1;
}

static void
finish_line(struct http_answer_reader *r)
{
	while (r->value.len > 0 && isspace(r->value.data[r->value.len - 1]))
		r->value.data[--r->value.len] = 0;
	if (r->name.len > 0)
		keep_line(r->answer, buf_text(&r->name), buf_text(&r->value));
	buf_reset(&r->name);
	buf_reset(&r->value);
	r->in_value = false;
}

static struct http_answer_reader *
reader_of(const http_parser *parser)
{
	return parser->data;
}

/* What a callback answers http-parser: nonzero stops it. */
static int
stop(struct http_answer_reader *r, enum http_answer_state state)
{
	r->state = state;
	return -1;
}

static int
count(struct http_answer_reader *r, size_t len)
{
	r->head_len += len;
	return r->head_len > HEAD_MAX ? stop(r, HTTP_ANSWER_TOO_LARGE) : 0;
}

static int
on_begin(http_parser *parser)
{
	return count(reader_of(parser), STATUS_LINE_COST);
}

static int
on_words(http_parser *parser, const char *at, size_t len)
{
	(void)at;
	return count(reader_of(parser), len);
}

/* Trailers come too late to be headers: they are counted and read past. */
static int
on_name(http_parser *parser, const char *at, size_t len)
{
	struct http_answer_reader *r = reader_of(parser);

	if (r->in_value)
		finish_line(r);
	if (!r->answer->status)
		buf_put(&r->name, at, len);
	return count(r, len + LINE_COST);
}

static int
on_value(http_parser *parser, const char *at, size_t len)
{
	struct http_answer_reader *r = reader_of(parser);

	r->in_value = true;
	if (!r->answer->status)
		buf_put(&r->value, at, len);
	return count(r, len);
}

static bool
switches(const http_parser *parser)
{
	return parser->status_code == HTTP_STATUS_SWITCHING_PROTOCOLS;
}

static bool
announces(const http_parser *parser)
{
	return parser->status_code >= 100 && parser->status_code < 200 && !switches(parser);
}

/* What an announcement says is not the answer's. */
static void
forget_announcement(struct http_answer *answer)
{
	for (size_t i = 0; i < COUNT(kept_lines); i++) {
		char **at = (char **)(void *)((char *)answer + kept_lines[i].at);

		mem_free(*at);
		*at = NULL;
	}
	answer->retry_after_s = answer->retry_at = answer->date = -1;
}

static bool
takes_pieces(const struct http_answer_reader *r)
{
	return r->on_body && r->answer->status / 100 == 2;
}

static int
on_head(http_parser *parser)
{
	struct http_answer_reader *r = reader_of(parser);
	bool announced = announces(parser), has_length = parser->content_length != UINT64_MAX;

	finish_line(r);
	if (parser->status_code < 100 || (switches(parser) && !r->upgrades))
		return stop(r, HTTP_ANSWER_BROKEN);
	if (announced) {
		forget_announcement(r->answer);
		return 1;
	}
	r->answer->status = parser->status_code;
	/* RFC 9112 6.3: a length there is that of a body which does not come. */
	if (r->bodiless || switches(parser) || parser->status_code == HTTP_STATUS_NO_CONTENT ||
		parser->status_code == HTTP_STATUS_NOT_MODIFIED)
		return 1;
	return has_length && !takes_pieces(r) && parser->content_length > r->answer->body.max ? stop(r, HTTP_ANSWER_TOO_LARGE) : 0;
}

/* -- The body ------------------------------------------------------------------------------------------------------------------------ */

static int
on_body(http_parser *parser, const char *at, size_t len)
{
	struct http_answer_reader *r = reader_of(parser);

	if (takes_pieces(r))
		return r->on_body(r->arg, at, len) ? 0 : stop(r, HTTP_ANSWER_WHOLE);
	buf_put(&r->answer->body, at, len);
	return r->answer->body.failed ? stop(r, HTTP_ANSWER_TOO_LARGE) : 0;
}

static int
on_complete(http_parser *parser)
{
	struct http_answer_reader *r = reader_of(parser);

	if (!r->answer->status)
		return 0; /* the answer itself follows */
	r->keep_alive = http_should_keep_alive(parser);
	r->state = HTTP_ANSWER_WHOLE;
	http_parser_pause(parser, 1);
	return 0;
}

static const http_parser_settings settings = {
	.on_message_begin = on_begin,
	.on_status = on_words,
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

void
http_answer_begin(struct http_answer_reader *r, struct http_answer *answer, bool bodiless)
{
	*r = (struct http_answer_reader){
		.answer = answer, .bodiless = bodiless, .name = BUF_INIT(HEAD_MAX), .value = BUF_INIT(HEAD_MAX)
	};
	answer->retry_after_s = answer->retry_at = answer->date = -1;
	http_parser_init(&r->parser, HTTP_RESPONSE);
	r->parser.data = r;
}

enum http_answer_state
http_answer_feed(struct http_answer_reader *r, const void *data, size_t len, size_t *used)
{
	*used = 0;
	if (r->state != HTTP_ANSWER_MORE || len == 0)
		return r->state; /* http-parser takes nothing for the end */
	*used = http_parser_execute(&r->parser, &settings, data, len);
	if (r->state == HTTP_ANSWER_MORE && HTTP_PARSER_ERRNO(&r->parser) != HPE_OK)
		r->state = HTTP_PARSER_ERRNO(&r->parser) == HPE_HEADER_OVERFLOW ? HTTP_ANSWER_TOO_LARGE : HTTP_ANSWER_BROKEN;
	return r->state;
}

enum http_answer_state
http_answer_end(struct http_answer_reader *r)
{
	if (r->state != HTTP_ANSWER_MORE)
		return r->state;
	http_parser_execute(&r->parser, &settings, NULL, 0);
	if (r->state == HTTP_ANSWER_MORE)
		r->state = HTTP_ANSWER_BROKEN;
	return r->state;
}

void
http_answer_reader_clear(struct http_answer_reader *r)
{
	buf_wipe(&r->name);
	buf_wipe(&r->value);
}

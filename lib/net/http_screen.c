/* SPDX-License-Identifier: Apache-2.0 */
/* The screen as a machine of one byte at a time, RFC 9112 section by section (http_screen.h says why). */
#include <stdbool.h>
#include <string.h>

#include "net/http_screen.h"

#define EMPTY_LINES_MAX 4 /* before a request line: RFC 9112 2.2 wants one forgiven */
#define CHUNK_DIGITS_MAX 8
#define CHUNK_EXT_MAX 256

enum state {
	AT_START,
	AT_START_LF,
	IN_METHOD,
	AT_TARGET,
	IN_TARGET,
	IN_VERSION,
	AT_LINE_LF,
	AT_LINE,
	IN_NAME,
	IN_VALUE,
	AT_END_LF,
	AT_CHUNK,
	IN_CHUNK_SIZE,
	IN_CHUNK_EXT,
	AT_CHUNK_LF,
	IN_CHUNK,
	AT_CHUNK_END,
	AT_CHUNK_END_LF,
	AT_END,
	BAD,
};

static bool
is_token(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c != 0 && strchr("!#$%&'*+-.^_`|~", c));
}

static bool
is_text(uint8_t c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

static int
hex_value(uint8_t c)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t lower = c >= 'A' && c <= 'F' ? (uint8_t)(c + 32) : c;
	const char *at = lower ? strchr(digits, lower) : NULL;

	return at ? (int)(at - digits) : -1;
}

static enum state
version_step(struct http_screen *s, uint8_t c)
{
	static const char wanted[] = "HTTP/1.";

	if (s->count < sizeof(wanted) - 1)
		return c == (uint8_t)wanted[s->count++] ? IN_VERSION : BAD;
	if (s->count == sizeof(wanted) - 1) {
		s->count++;
		return c == '0' || c == '1' ? IN_VERSION : BAD;
	}
	return c == '\r' ? AT_LINE_LF : BAD;
}

/* RFC 9112 3: the request line. */
static enum state
request_line_step(struct http_screen *s, uint8_t c)
{
	switch ((enum state)s->state) {
	case AT_START:
		if (c == '\r')
			return ++s->count > EMPTY_LINES_MAX ? BAD : AT_START_LF;
		return is_token(c) ? IN_METHOD : BAD;
	case AT_START_LF:
		return c == '\n' ? AT_START : BAD;
	case IN_METHOD:
		return is_token(c) ? IN_METHOD : c == ' ' ? AT_TARGET : BAD;
	case AT_TARGET:
		return c > ' ' && c < 0x7f ? IN_TARGET : BAD;
	case IN_TARGET:
		if (c == ' ') {
			s->count = 0;
			return IN_VERSION;
		}
		return c > ' ' && c < 0x7f ? IN_TARGET : BAD;
	case IN_VERSION:
		return version_step(s, c);
	default:
		return BAD;
	}
}

/* RFC 9112 5: field lines, of a head and of trailers.  A line that begins with a blank would continue the one before (5.2): refused. */
static enum state
field_step(const struct http_screen *s, uint8_t c)
{
	switch ((enum state)s->state) {
	case AT_LINE_LF:
		return c == '\n' ? AT_LINE : BAD;
	case AT_LINE:
		return c == '\r' ? AT_END_LF : is_token(c) ? IN_NAME : BAD;
	case IN_NAME:
		return c == ':' ? IN_VALUE : is_token(c) ? IN_NAME : BAD;
	case IN_VALUE:
		return c == '\r' ? AT_LINE_LF : is_text(c) ? IN_VALUE : BAD;
	case AT_END_LF:
		return c == '\n' ? AT_END : BAD;
	default:
		return BAD;
	}
}

static enum state
size_step(struct http_screen *s, uint8_t c)
{
	int digit = hex_value(c);

	if (digit >= 0) {
		s->left = s->left << 4 | (uint32_t)digit;
		return ++s->count <= CHUNK_DIGITS_MAX ? IN_CHUNK_SIZE : BAD;
	}
	if (s->count == 0)
		return BAD;
	s->ext_len = 0;
	return c == ';' ? IN_CHUNK_EXT : c == '\r' ? AT_CHUNK_LF : BAD;
}

/* RFC 9112 7.1: chunks. */
static enum state
chunk_step(struct http_screen *s, uint8_t c)
{
	switch ((enum state)s->state) {
	case AT_CHUNK:
		s->count = 0;
		s->left = 0;
		return size_step(s, c);
	case IN_CHUNK_SIZE:
		return size_step(s, c);
	case IN_CHUNK_EXT:
		return c == '\r' ? AT_CHUNK_LF : is_text(c) && ++s->ext_len <= CHUNK_EXT_MAX ? IN_CHUNK_EXT : BAD;
	case AT_CHUNK_LF:
		return c != '\n' ? BAD : s->left > 0 ? IN_CHUNK : AT_LINE;
	case AT_CHUNK_END:
		return c == '\r' ? AT_CHUNK_END_LF : BAD;
	case AT_CHUNK_END_LF:
		return c == '\n' ? AT_CHUNK : BAD;
	default:
		return BAD;
	}
}

static enum state
step(struct http_screen *s, uint8_t c)
{
	if (s->state <= IN_VERSION)
		return request_line_step(s, c);
	return s->state <= AT_END_LF ? field_step(s, c) : chunk_step(s, c);
}

void
http_screen_init(struct http_screen *screen)
{
	*screen = (struct http_screen){ .state = AT_START };
}

void
http_screen_expect_chunks(struct http_screen *screen)
{
	*screen = (struct http_screen){ .state = AT_CHUNK };
}

enum http_screen_answer
http_screen_feed(struct http_screen *screen, const void *data, size_t len, size_t *used)
{
	const uint8_t *bytes = data;
	size_t i = 0;

	while (i < len && screen->state != AT_END && screen->state != BAD) {
		if (screen->state == IN_CHUNK) {
			size_t n = len - i < screen->left ? len - i : screen->left;

			screen->left -= (uint32_t)n;
			i += n;
			if (screen->left == 0)
				screen->state = AT_CHUNK_END;
			continue;
		}
		screen->state = (uint8_t)step(screen, bytes[i]);
		i += screen->state != BAD;
	}
	*used = i;
	return screen->state == AT_END ? HTTP_SCREEN_END : screen->state == BAD ? HTTP_SCREEN_BAD : HTTP_SCREEN_MORE;
}

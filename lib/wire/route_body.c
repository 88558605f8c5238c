/* SPDX-License-Identifier: Apache-2.0 */
/* A payload as JSON, when its message says that it is: in UTF-8, or in UTF-16 or UTF-32 with a mark of their order or, without one, as that of the little end. */
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"
#include "wire/route_inside.h"

struct units {
	const uint8_t *at, *end;
	size_t width; /* bytes of one */
	bool big;
};

static uint32_t
unit(const struct units *u, const uint8_t *at)
{
	uint32_t value = 0;

	for (size_t i = 0; i < u->width; i++)
		value |= (uint32_t)at[i] << 8 * (u->big ? u->width - 1 - i : i);
	return value;
}

static struct units
units_of(struct slice payload, size_t width)
{
	const uint8_t *text = (const uint8_t *)payload.text;
	struct units u = { .at = text, .end = text + payload.len, .width = width, .big = true };

	if (payload.len < width)
		return u;
	u.big = unit(&u, text) == 0xfeff;
	if (u.big || unit(&u, text) == 0xfeff)
		u.at += width;
	return u;
}

static bool
is_high(uint32_t c)
{
	return c >= 0xd800 && c <= 0xdbff;
}

/* The next character; 0 when it is none. */
static uint32_t
next_character(struct units *u)
{
	uint32_t c = unit(u, u->at), low;

	u->at += u->width;
	if (u->width == 4)
		return c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? c : 0;
	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (!is_high(c) || (size_t)(u->end - u->at) < u->width)
		return 0;
	low = unit(u, u->at);
	u->at += u->width;
	return low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00) : 0;
}

static void
put_utf8(struct buf *out, uint32_t c)
{
	int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	static const uint8_t first[] = { 0, 0xc0, 0xe0, 0xf0 };

	buf_put_u8(out, (uint8_t)(first[more] | c >> 6 * more));
	while (more-- > 0)
		buf_put_u8(out, (uint8_t)(0x80 | (c >> 6 * more & 0x3f)));
}

static json_t *
parse_wide(struct slice payload, size_t width)
{
	struct units u = units_of(payload, width);
	CLEAR(buf) out = BUF_INIT(JSON_MAX);
	struct err ignored = ERR_INIT;
	uint32_t c;

	while ((size_t)(u.end - u.at) >= width) {
		c = next_character(&u);
		if (c == 0)
			return NULL;
		put_utf8(&out, c);
	}
	return u.at == u.end && !out.failed ? json_parse(buf_text(&out), out.len, &ignored) : NULL;
}

static json_t *
parse_utf8(struct slice payload)
{
	struct err ignored = ERR_INIT;

	if (payload.len >= 3 && memcmp(payload.text, "\xef\xbb\xbf", 3) == 0)
		payload = (struct slice){ .text = payload.text + 3, .len = payload.len - 3 };
	return json_parse(payload.text, payload.len, &ignored);
}

json_t *
route_body(const char *content_type, const char *content_encoding, struct slice payload)
{
	if (!content_type || !content_encoding || !text_is_nocase(content_type, "application/json"))
		return NULL;
	if (text_is_nocase(content_encoding, "utf-8"))
		return parse_utf8(payload);
	if (text_is_nocase(content_encoding, "utf-16"))
		return parse_wide(payload, 2);
	return text_is_nocase(content_encoding, "utf-32") ? parse_wide(payload, 4) : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* base64, hex and percent-encoding. */
#include <string.h>

#include "wire/codec.h"

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct buf *out, const void *data, size_t len)
{
	const uint8_t *in = data;

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)in[i] << 16 | (n > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (n > 2 ? in[i + 2] : 0);
		char four[4] = { base64_digits[v >> 18], base64_digits[v >> 12 & 63], '=', '=' };

		if (n > 1)
			four[2] = base64_digits[v >> 6 & 63];
		if (n > 2)
			four[3] = base64_digits[v & 63];

		buf_put(out, four, 4);
	}
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Forget what a decoder wrote before it met an error. */
static bool
give_up(struct buf *out, size_t len)
{
	buf_cut(out, len);
	return false;
}

/* The last group: two or three digits, whose unused bits must be zero. */
static bool
base64_tail(struct buf *out, uint32_t v, size_t n_digits)
{
	if (n_digits == 0)
		return true;
	if (n_digits == 1 || (v & (n_digits == 2 ? 0xf : 0x3)) != 0)
		return false;
	v <<= n_digits == 2 ? 12 : 6;
	buf_put_u8(out, (uint8_t)(v >> 16));
	if (n_digits == 3)
		buf_put_u8(out, (uint8_t)(v >> 8));
	return true;
}

bool
base64_decode(struct buf *out, const char *text, size_t len, enum base64_padding padding)
{
	size_t digits = len, before = out->len;
	uint32_t v = 0;

	while (digits > 0 && len - digits < 2 && text[digits - 1] == '=')
		digits--;
	if ((padding == BASE64_STRICT || digits < len) && len % 4 != 0)
		return false;
	for (size_t i = 0; i < digits; i++) {
		int d = base64_value(text[i]);

		if (d < 0)
			return give_up(out, before);
		v = (v << 6 | (uint32_t)d) & 0xffffff;
		if (i % 4 == 3) {
			uint8_t three[3] = { (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

			buf_put(out, three, 3);
			v = 0;
		}
	}
	return (base64_tail(out, v, digits % 4) && !out->failed) || give_up(out, before);
}

void
hex_encode(struct buf *out, const void *data, size_t len, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	const uint8_t *in = data;

	for (size_t i = 0; i < len; i++) {
		char two[2] = { digits[in[i] >> 4], digits[in[i] & 15] };

		buf_put(out, two, 2);
	}
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
hex_decode(uint8_t *out, size_t out_len, const char *text, size_t len)
{
	if (len != out_len * 2)
		return false;
	for (size_t i = 0; i < out_len; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool
is_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

static void
encode_others(struct buf *out, const char *text, size_t len, const char *keep)
{
	for (size_t i = 0; i < len; i++) {
		if (is_unreserved(text[i]) || (text[i] && strchr(keep, text[i]))) {
			buf_putc(out, text[i]);
		} else {
			buf_putc(out, '%');
			hex_encode(out, text + i, 1, true);
		}
	}
}

void
percent_encode(struct buf *out, const char *text, size_t len)
{
	encode_others(out, text, len, "");
}

void
percent_encode_segment(struct buf *out, const char *text, size_t len)
{
	encode_others(out, text, len, "!$&'()*+,;=:@");
}

bool
percent_decode(struct buf *out, const char *text, size_t len)
{
	size_t before = out->len;

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)text[i];

		if (text[i] == '%') {
			if (len - i < 3 || !hex_decode(&byte, 1, text + i + 1, 2))
				return give_up(out, before);
			i += 2;
		}
		buf_put_u8(out, byte);
	}
	return !out->failed || give_up(out, before);
}

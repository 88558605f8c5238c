/* SPDX-License-Identifier: Apache-2.0 */
/* A buffer grows by doubling up to its maximum and is always followed by a zero byte.  What it grows out of is overwritten while it
 * is small: keys and tokens pass through buffers, and buf_wipe could not reach the copies that realloc leaves behind. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define BUF_FIRST 64
#define BUF_SECRET_MAX 65536 /* no secret is larger; above, growing in place is worth more */

static void
grow(struct buf *b, uint32_t cap)
{
	uint8_t *data;

	if (!b->data || b->cap > BUF_SECRET_MAX) {
		b->data = mem_resize(b->data, cap);
		b->cap = cap;
		return;
	}
	data = mem_resize(NULL, cap);
	memcpy(data, b->data, b->cap);
	mem_wipe(b->data, b->cap);
	mem_free(b->data);
	b->data = data;
	b->cap = cap;
}

static bool
make_room_slowly(struct buf *b, size_t len)
{
	uint64_t cap = b->cap ? b->cap : BUF_FIRST;

	if (b->failed || len > b->max - b->len) {
		b->failed = true;
		return false;
	}
	if (b->len + len < b->cap)
		return true;
	while (cap <= b->len + len)
		cap *= 2;
	grow(b, cap > b->max ? b->max + 1 : (uint32_t)cap);
	return true;
}

/* Room for len more bytes, or false and the buffer has failed.  What there is of it is never more than the maximum. */
static inline bool
make_room(struct buf *b, size_t len)
{
	return (len < b->cap - b->len && !b->failed) || make_room_slowly(b, len);
}

uint8_t *
buf_extend(struct buf *b, size_t len)
{
	uint8_t *at;

	if (!make_room(b, len))
		return NULL;
	at = b->data + b->len;
	b->len += (uint32_t)len;
	b->data[b->len] = 0;
	return at;
}

void
buf_clear(struct buf *b)
{
	mem_free(b->data);
	*b = (struct buf)BUF_INIT(b->max);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = 0;
}

void
buf_wipe(struct buf *b)
{
	if (b->data)
		mem_wipe(b->data, b->cap);
	buf_clear(b);
}

void
buf_put(struct buf *b, const void *data, size_t len)
{
	if (!make_room(b, len))
		return;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += (uint32_t)len;
	b->data[b->len] = 0;
}

void
buf_puts(struct buf *b, const char *text)
{
	buf_put(b, text, strlen(text));
}

void
buf_putc(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void
buf_putf(struct buf *b, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	buf_vputf(b, fmt, args);
	va_end(args);
}

void
buf_vputf(struct buf *b, const char *fmt, va_list args)
{
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (len < 0) {
		b->failed = true;
		return;
	}
	if (!make_room(b, (size_t)len))
		return;
	vsnprintf((char *)b->data + b->len, (size_t)len + 1, fmt, args);
	b->len += (uint32_t)len;
}

void
buf_put_i64(struct buf *b, int64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);
	uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;

	do
		digits[--at] = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	if (v < 0)
		digits[--at] = '-';
	buf_put(b, digits + at, sizeof(digits) - at);
}

void
buf_put_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

static void
put_number(struct buf *b, uint64_t v, int n_bytes)
{
	uint8_t bytes[8];

	for (int i = 0; i < n_bytes; i++)
		bytes[i] = (uint8_t)(v >> (8 * (n_bytes - 1 - i)));
	buf_put(b, bytes, (size_t)n_bytes);
}

void
buf_put_u16(struct buf *b, uint16_t v)
{
	put_number(b, v, 2);
}

void
buf_put_u32(struct buf *b, uint32_t v)
{
	put_number(b, v, 4);
}

void
buf_put_u64(struct buf *b, uint64_t v)
{
	put_number(b, v, 8);
}

void
buf_drop(struct buf *b, size_t len)
{
	size_t left = len < b->len ? b->len - len : 0;

	if (left > 0)
		memmove(b->data, b->data + len, left);
	buf_cut(b, left);
}

void
buf_cut(struct buf *b, size_t len)
{
	if (len < b->len)
		b->len = (uint32_t)len;
	if (b->data)
		b->data[b->len] = 0;
}

const char *
buf_text(const struct buf *b)
{
	return b->data ? (const char *)b->data : "";
}

char *
buf_take_text(struct buf *b)
{
	char *text = b->data ? (char *)b->data : mem_text("");

	*b = (struct buf)BUF_INIT(b->max);
	return text;
}

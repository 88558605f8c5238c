/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bytes being built.  A buffer is created with its maximum; putting more sets `failed`, and everything after that is ignored, so
 * a writer puts all it has and tests once.  The data is always followed by a zero byte that is not counted, so that text can be
 * used in place.  Lengths are of 32 bits: none of what a process keeps in one piece is larger, and a connection that is idle has two of these. */

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	uint32_t len, cap, max;
	bool failed;
};

static inline uint32_t
buf_max(size_t maximum)
{
	assert(maximum < UINT32_MAX); /* the zero byte needs a place */
	return (uint32_t)maximum;
}

#define BUF_INIT(maximum)                                                                                                          \
	{                                                                                                                          \
		.max = buf_max(maximum)                                                                                            \
	}

void buf_clear(struct buf *b); /* frees; the maximum stays and the buffer can be used again */
void buf_reset(struct buf *b); /* forgets the content, keeps the memory */
void buf_wipe(struct buf *b);  /* like buf_clear, but overwrites first: for secrets */

void buf_put(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *text);
void buf_putc(struct buf *b, char c);
void buf_putf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vputf(struct buf *b, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
void buf_put_i64(struct buf *b, int64_t v); /* as text: a tenth of what buf_putf takes for it */
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v); /* numbers are big-endian, as on the wire */
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
/* len more bytes, for the caller to fill at once; NULL when they don't fit. */
uint8_t *buf_extend(struct buf *b, size_t len);
void buf_drop(struct buf *b, size_t len); /* removes the first len bytes */
void buf_cut(struct buf *b, size_t len);  /* removes what there is after them */

const char *buf_text(const struct buf *b); /* "" when empty; borrowed */
char *buf_take_text(struct buf *b);	   /* the content as text that the caller owns; the buffer is empty after */

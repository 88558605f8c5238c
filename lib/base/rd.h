/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A cursor over bytes from outside.  Reading past the end sets `bad` and yields zero or NULL from then on, so a decoder is
 * straight-line code with one test at its end.  The cursor borrows the bytes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rd {
	const uint8_t *at, *end;
	bool bad;
};

/* Text that is not terminated, borrowed from somewhere. */
struct slice {
	const char *text;
	size_t len;
};

#define SLICE_FMT(s) (int)(s).len, (s).text /* for "%.*s" */

static inline struct rd
rd_over(const void *data, size_t len)
{
	const uint8_t *at = data;

	return (struct rd){ .at = at, .end = len > 0 ? at + len : at }; /* NULL and 0 is fine */
}

static inline size_t
rd_left(const struct rd *rd)
{
	return (size_t)(rd->end - rd->at);
}

const uint8_t *rd_bytes(struct rd *rd, size_t len); /* NULL when fewer are left */
uint8_t rd_u8(struct rd *rd);
uint16_t rd_u16(struct rd *rd); /* big-endian */
uint32_t rd_u32(struct rd *rd);
uint64_t rd_u64(struct rd *rd);
struct slice rd_slice(struct rd *rd, size_t len);
struct slice rd_slice16(struct rd *rd); /* preceded by its length in two bytes */

struct slice slice_of(const char *text);
bool slice_is(struct slice s, const char *text);
bool slice_starts(struct slice s, const char *prefix);
/* Cut at the first `c`: the part before goes to *head, *rest keeps what follows; false when there is no c: *head is all of it. */
bool slice_cut(struct slice *rest, char c, struct slice *head);
char *slice_text(struct slice s); /* an own copy */

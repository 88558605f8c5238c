/* SPDX-License-Identifier: Apache-2.0 */
/* The cursor over bytes from outside, and slices of text. */
#include <endian.h>
#include <string.h>

#include "base/mem.h"
#include "base/rd.h"

const uint8_t *
rd_bytes(struct rd *rd, size_t len)
{
	const uint8_t *at = rd->at;

	if (rd->bad || len > rd_left(rd)) {
		rd->bad = true;
		return NULL;
	}
	if (len > 0)
		rd->at += len;
	return at;
}

/* Left alone, and so 0, when there is not as much. */
static void
take(struct rd *rd, void *out, size_t len)
{
	const uint8_t *bytes = rd_bytes(rd, len);

	if (bytes)
		memcpy(out, bytes, len);
}

uint8_t
rd_u8(struct rd *rd)
{
	uint8_t v = 0;

	take(rd, &v, sizeof(v));
	return v;
}

uint16_t
rd_u16(struct rd *rd)
{
	uint16_t v = 0;

	take(rd, &v, sizeof(v));
	return be16toh(v);
}

uint32_t
rd_u32(struct rd *rd)
{
	uint32_t v = 0;

	take(rd, &v, sizeof(v));
	return be32toh(v);
}

uint64_t
rd_u64(struct rd *rd)
{
	uint64_t v = 0;

	take(rd, &v, sizeof(v));
	return be64toh(v);
}

struct slice
rd_slice(struct rd *rd, size_t len)
{
	const uint8_t *bytes = rd_bytes(rd, len);

	return bytes ? (struct slice){ .text = (const char *)bytes, .len = len } : (struct slice){ .text = "", .len = 0 };
}

struct slice
rd_slice16(struct rd *rd)
{
	size_t len = rd_u16(rd);

	return rd_slice(rd, len);
}

struct slice
slice_of(const char *text)
{
	return (struct slice){ .text = text ? text : "", .len = text ? strlen(text) : 0 };
}

bool
slice_is(struct slice s, const char *text)
{
	return s.len == strlen(text) && (s.len == 0 || memcmp(s.text, text, s.len) == 0);
}

bool
slice_starts(struct slice s, const char *prefix)
{
	size_t len = strlen(prefix);

	return s.len >= len && (len == 0 || memcmp(s.text, prefix, len) == 0);
}

bool
slice_cut(struct slice *rest, char c, struct slice *head)
{
	const char *at = rest->len > 0 ? memchr(rest->text, c, rest->len) : NULL;

	*head = *rest;
	if (!at) {
		*rest = (struct slice){ .text = rest->len > 0 ? rest->text + rest->len : rest->text, .len = 0 };
		return false;
	}
	head->len = (size_t)(at - rest->text);
	rest->len -= head->len + 1;
	rest->text = at + 1;
	return true;
}

char *
slice_text(struct slice s)
{
	return mem_textn(s.text, s.len);
}

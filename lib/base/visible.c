/* SPDX-License-Identifier: Apache-2.0 */
/* Character by character (visible.h). */
#include "base/visible.h"

#include <string.h>

#include "base/text.h"

/* 0: it is to be shown as a byte. */
static size_t
visible_len(const char *text, size_t left)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t len = 1;

	if (s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && left > 1 && s[1] < 0xa0))
		return 0;
	while (len < left && (s[len] & 0xc0) == 0x80)
		len++;
	return text_is_utf8(text, len) ? len : 0;
}

void
buf_put_visible(struct buf *out, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		size_t len = visible_len(text, left);

		if (len > 0)
			buf_put(out, text, len);
		else
			buf_putf(out, "\\x%02x", (unsigned char)text[0]);
		text += len > 0 ? len : 1;
		left -= len > 0 ? len : 1;
	}
}

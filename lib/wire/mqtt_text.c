/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT 1.5.3: strings are UTF-8 behind a length of two bytes. */
#include <string.h>

#include "base/text.h"
#include "wire/mqtt_text.h"

bool
mqtt_text_is_good(struct slice s)
{
	return (s.len == 0 || !memchr(s.text, 0, s.len)) && text_is_utf8(s.text, s.len);
}

bool
mqtt_text_has_controls(struct slice s)
{
	for (size_t i = 0; i + 1 < s.len; i++)
		if ((uint8_t)s.text[i] == 0xc2 && (uint8_t)s.text[i + 1] < 0xa0)
			return true;
	return text_has_control(s.text, s.len);
}

void
mqtt_put_text(struct buf *out, struct slice s)
{
	if (s.len > UINT16_MAX) {
		out->failed = true;
		return;
	}
	buf_put_u16(out, (uint16_t)s.len);
	buf_put(out, s.text, s.len);
}

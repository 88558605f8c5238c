/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT 2.2: the fixed header, which cuts a stream into packets. */
#include "wire/mqtt.h"
#include "wire/mqtt_text.h"

#define BODY_MAX 268435455 /* what four bytes of remaining length can say */

static const char *const type_names[] = { "reserved", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "reserved" };

/* MQTT 2.2.2: the flags that each type must carry; PUBLISH has its own meaning for them. */
static const uint8_t type_flags[] = { 0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0 };

uint8_t
mqtt_type_flags(enum mqtt_type type)
{
	return type_flags[type & 15];
}

const char *
mqtt_type_name(enum mqtt_type type)
{
	return type_names[type & 15];
}

static enum mqtt_cut
bad(struct err *err, const char *what)
{
	err_set(err, ERR_INVALID, "%s", what);
	return MQTT_CUT_BAD;
}

enum mqtt_cut
mqtt_frame_cut(struct mqtt_frame *frame, const uint8_t *data, size_t len, size_t max_len, size_t *need, struct err *err)
{
	size_t body = 0, at = 1;
	uint8_t type;

	*need = 0;
	if (len == 0)
		return MQTT_CUT_MORE;
	type = data[0] >> 4;
	if (type < MQTT_CONNECT || type > MQTT_DISCONNECT)
		return bad(err, "MQTT 2.2.1: packet type 0 and 15 are reserved");
	if (type != MQTT_PUBLISH && (data[0] & 15) != type_flags[type])
		return bad(err, "MQTT 2.2.2-2: wrong flags in the fixed header");
	for (int shift = 0;; shift += 7, at++) {
		if (shift > 21)
			return bad(err, "MQTT 2.2.3: remaining length of more than four bytes");
		if (at >= len)
			return MQTT_CUT_MORE;
		body |= (size_t)(data[at] & 127) << shift;
		if (!(data[at] & 128))
			break;
	}
	at++;
	if (at + body > max_len) {
		err_set(err, ERR_LIMIT, "a %s packet of %zu bytes; at most %zu are accepted", mqtt_type_name(type), at + body,
			max_len);
		return MQTT_CUT_BAD;
	}
	*need = at + body;
	if (len < at + body)
		return MQTT_CUT_MORE;
	*frame = (struct mqtt_frame){ .type = type, .flags = data[0] & 15, .body = rd_over(data + at, body), .len = at + body };
	return MQTT_CUT_DONE;
}

void
mqtt_put_header(struct buf *out, enum mqtt_type type, uint8_t flags, size_t body)
{
	if (body > BODY_MAX) {
		out->failed = true;
		return;
	}
	buf_put_u8(out, (uint8_t)(type << 4 | flags));
	do {
		uint8_t digit = body & 127;

		body >>= 7;
		buf_put_u8(out, digit | (body ? 128 : 0));
	} while (body);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT 3.4 to 3.7, 3.11 to 3.14: the packets that hold a packet id and nothing else (PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK), and
 * those that hold nothing (PINGREQ, PINGRESP, DISCONNECT). */
#include "wire/mqtt.h"
#include "wire/mqtt_text.h"

int
mqtt_decode_ack(uint16_t *id, const struct mqtt_frame *frame, struct err *err)
{
	struct rd in = frame->body;
	uint16_t value = rd_u16(&in);

	if (in.bad || rd_left(&in) > 0 || value == 0)
		return err_set(err, ERR_INVALID, "MQTT 3.4.2: %s is not just a packet id", mqtt_type_name(frame->type));
	*id = value;
	return 0;
}

int
mqtt_decode_empty(const struct mqtt_frame *frame, struct err *err)
{
	if (rd_left(&frame->body) > 0)
		return err_set(err, ERR_INVALID, "MQTT 3.12: %s has a body", mqtt_type_name(frame->type));
	return 0;
}

void
mqtt_encode_ack(struct buf *out, enum mqtt_type type, uint16_t id)
{
	uint8_t *at = buf_extend(out, 4); /* at once: there is one for each message */

	if (!at)
		return;
	at[0] = (uint8_t)(type << 4 | mqtt_type_flags(type));
	at[1] = 2;
	at[2] = (uint8_t)(id >> 8);
	at[3] = (uint8_t)id;
}

void
mqtt_encode_empty(struct buf *out, enum mqtt_type type)
{
	mqtt_put_header(out, type, mqtt_type_flags(type), 0);
}

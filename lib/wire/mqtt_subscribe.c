/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT 3.8 to 3.10: SUBSCRIBE, SUBACK, UNSUBSCRIBE. */
#include <string.h>

#include "wire/mqtt.h"
#include "wire/mqtt_text.h"

/* MQTT 4.7.1: "#" only as the last level, "+" only as a whole level. */
static bool
filter_is_good(struct slice filter)
{
	struct slice rest = filter, level;
	bool more = true;

	if (filter.len == 0 || !mqtt_text_is_good(filter) || mqtt_text_has_controls(filter))
		return false;
	while (more) {
		more = slice_cut(&rest, '/', &level);
		if (level.len > 0 && memchr(level.text, '#', level.len) && (level.len > 1 || more))
			return false;
		if (level.len > 1 && memchr(level.text, '+', level.len))
			return false;
	}
	return true;
}

static int
decode_filters(struct mqtt_subscribe *out, const struct mqtt_frame *frame, bool with_qos, struct err *err)
{
	struct rd in = frame->body;
	const char *name = mqtt_type_name(frame->type);
	struct mqtt_subscribe s = { .id = rd_u16(&in) };

	if (in.bad || s.id == 0)
		return err_set(err, ERR_INVALID, "MQTT 2.3.1-1: %s without a packet id", name);
	if (rd_left(&in) == 0)
		return err_set(err, ERR_INVALID, "MQTT %s: %s without a filter", with_qos ? "3.8.3-3" : "3.10.3-2", name);
	while (rd_left(&in) > 0) {
		struct slice filter = rd_slice16(&in);
		uint8_t qos = with_qos ? rd_u8(&in) : 0;

		if (in.bad)
			return err_set(err, ERR_INVALID, "MQTT %s: %s ends in the middle of a filter",
				with_qos ? "3.8.3" : "3.10.3", name);
		if (!filter_is_good(filter))
			return err_set(err, ERR_INVALID, "MQTT 4.7.1: %s with a malformed filter", name);
		if (qos > 2)
			return err_set(err, ERR_INVALID, "MQTT 3.8.3-4: %s with QoS 3 or reserved bits", name);
		if (s.n == MQTT_FILTERS_MAX)
			return err_set(err, ERR_LIMIT, "%s with more than %d filters", name, MQTT_FILTERS_MAX);
		s.item[s.n].filter = filter;
		s.item[s.n++].qos = qos;
	}
	*out = s;
	return 0;
}

int
mqtt_decode_subscribe(struct mqtt_subscribe *out, const struct mqtt_frame *frame, struct err *err)
{
	return decode_filters(out, frame, true, err);
}

int
mqtt_decode_unsubscribe(struct mqtt_subscribe *out, const struct mqtt_frame *frame, struct err *err)
{
	return decode_filters(out, frame, false, err);
}

static void
encode_filters(struct buf *out, enum mqtt_type type, const struct mqtt_subscribe *s)
{
	bool with_qos = type == MQTT_SUBSCRIBE;
	size_t body = 2;

	for (size_t i = 0; i < s->n; i++)
		body += 2 + s->item[i].filter.len + (with_qos ? 1 : 0);
	mqtt_put_header(out, type, 2, body);
	buf_put_u16(out, s->id);
	for (size_t i = 0; i < s->n; i++) {
		mqtt_put_text(out, s->item[i].filter);
		if (with_qos)
			buf_put_u8(out, s->item[i].qos);
	}
}

void
mqtt_encode_subscribe(struct buf *out, const struct mqtt_subscribe *s)
{
	encode_filters(out, MQTT_SUBSCRIBE, s);
}

void
mqtt_encode_unsubscribe(struct buf *out, const struct mqtt_subscribe *s)
{
	encode_filters(out, MQTT_UNSUBSCRIBE, s);
}

/* MQTT 3.9.3-2: granted QoS 0, 1, 2 or failure; other codes are reserved. */
static bool
codes_are_good(const struct rd *codes)
{
	for (const uint8_t *c = codes->at; c < codes->end; c++)
		if (*c > 2 && *c != 0x80)
			return false;
	return true;
}

int
mqtt_decode_suback(uint16_t *id, uint8_t *codes, size_t *n, size_t max, const struct mqtt_frame *frame, struct err *err)
{
	struct rd in = frame->body;
	uint16_t value = rd_u16(&in);

	if (in.bad || value == 0 || rd_left(&in) == 0 || rd_left(&in) > max)
		return err_set(err, ERR_INVALID, "MQTT 3.9.3: SUBACK without packet id or with %zu codes", rd_left(&in));
	if (!codes_are_good(&in))
		return err_set(err, ERR_INVALID, "MQTT 3.9.3-2: SUBACK with a reserved code");
	*id = value;
	for (*n = 0; rd_left(&in) > 0; ++*n)
		codes[*n] = rd_u8(&in);
	return 0;
}

void
mqtt_encode_suback(struct buf *out, uint16_t id, const uint8_t *codes, size_t n)
{
	mqtt_put_header(out, MQTT_SUBACK, 0, 2 + n);
	buf_put_u16(out, id);
	buf_put(out, codes, n);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT 3.1 and 3.2: CONNECT and CONNACK. */
#include "wire/mqtt.h"
#include "wire/mqtt_text.h"

enum connect_flags {
	FLAG_RESERVED = 1,
	FLAG_CLEAN = 2,
	FLAG_WILL = 4,
	FLAG_WILL_QOS = 24,
	FLAG_WILL_RETAIN = 32,
	FLAG_PASSWORD = 64,
	FLAG_USER = 128,
};

static int
check_flags(uint8_t flags, struct err *err)
{
	if (flags & FLAG_RESERVED)
		return err_set(err, ERR_INVALID, "MQTT 3.1.2-3: the reserved flag of CONNECT is set");
	if (!(flags & FLAG_WILL) && (flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)))
		return err_set(err, ERR_INVALID, "MQTT 3.1.2-11: will flags without a will");
	if ((flags & FLAG_WILL_QOS) == FLAG_WILL_QOS)
		return err_set(err, ERR_INVALID, "MQTT 3.1.2-14: will QoS 3");
	if ((flags & FLAG_PASSWORD) && !(flags & FLAG_USER))
		return err_set(err, ERR_INVALID, "MQTT 3.1.2-22: a password without a user name");
	return 0;
}

static void
take_flags(struct mqtt_connect *c, uint8_t flags)
{
	c->clean_session = flags & FLAG_CLEAN;
	c->has_will = flags & FLAG_WILL;
	c->will_retain = flags & FLAG_WILL_RETAIN;
	c->will_qos = (uint8_t)((flags & FLAG_WILL_QOS) >> 3);
	c->has_user = flags & FLAG_USER;
	c->has_password = flags & FLAG_PASSWORD;
}

int
mqtt_decode_connect(struct mqtt_connect *out, const struct mqtt_frame *frame, struct err *err)
{
	struct rd in = frame->body;
	struct mqtt_connect c = { 0 };
	struct slice protocol = rd_slice16(&in);
	uint8_t flags;

	c.level = rd_u8(&in);
	if (in.bad || !(slice_is(protocol, "MQTT") || slice_is(protocol, "MQIsdp")))
		return err_set(err, ERR_INVALID, "MQTT 3.1.2-1: CONNECT is for another protocol than MQTT");
	if (c.level != 4 || !slice_is(protocol, "MQTT")) {
		c.level = c.level == 4 ? 3 : c.level;
		*out = c; /* of other versions we know no more than the level */
		return 0;
	}
	flags = rd_u8(&in);
	if (check_flags(flags, err) < 0)
		return -1;
	take_flags(&c, flags);
	c.keep_alive_s = rd_u16(&in);
	c.client_id = rd_slice16(&in);
	if (c.has_will) {
		c.will_topic = rd_slice16(&in);
		c.will_payload = rd_slice16(&in);
	}
	if (c.has_user)
		c.user = rd_slice16(&in);
	if (c.has_password)
		c.password = rd_slice16(&in);
	if (in.bad || rd_left(&in) > 0)
		return err_set(err, ERR_INVALID, "MQTT 3.1: CONNECT is shorter or longer than its parts");
	if (!mqtt_text_is_good(c.client_id) || !mqtt_text_is_good(c.will_topic) || !mqtt_text_is_good(c.user))
		return err_set(err, ERR_INVALID, "MQTT 1.5.3: CONNECT has text that is not UTF-8");
	*out = c;
	return 0;
}

void
mqtt_encode_connect(struct buf *out, const struct mqtt_connect *c)
{
	size_t body = 12 + c->client_id.len + (c->has_will ? 4 + c->will_topic.len + c->will_payload.len : 0) +
		      (c->has_user ? 2 + c->user.len : 0) + (c->has_password ? 2 + c->password.len : 0);
	int flags = (c->clean_session ? FLAG_CLEAN : 0) | (c->has_will ? FLAG_WILL | (c->will_qos & 3) << 3 : 0) |
		    (c->has_will && c->will_retain ? FLAG_WILL_RETAIN : 0) | (c->has_user ? FLAG_USER : 0) |
		    (c->has_password ? FLAG_PASSWORD : 0);

	mqtt_put_header(out, MQTT_CONNECT, 0, body);
	mqtt_put_text(out, slice_of("MQTT"));
	buf_put_u8(out, 4);
	buf_put_u8(out, (uint8_t)flags);
	buf_put_u16(out, c->keep_alive_s);
	mqtt_put_text(out, c->client_id);
	if (c->has_will) {
		mqtt_put_text(out, c->will_topic);
		mqtt_put_text(out, c->will_payload);
	}
	if (c->has_user)
		mqtt_put_text(out, c->user);
	if (c->has_password)
		mqtt_put_text(out, c->password);
}

int
mqtt_decode_connack(uint8_t *code, bool *session_present, const struct mqtt_frame *frame, struct err *err)
{
	struct rd in = frame->body;
	uint8_t flags = rd_u8(&in), value = rd_u8(&in);

	if (in.bad || rd_left(&in) > 0 || flags > 1)
		return err_set(err, ERR_INVALID, "MQTT 3.2.2: CONNACK is not two bytes of flags and code");
	if (value > MQTT_NOT_AUTHORIZED)
		return err_set(err, ERR_INVALID, "MQTT 3.2.2.3: CONNACK with the reserved code %d", value);
	if (value != MQTT_ACCEPTED && flags)
		return err_set(err, ERR_INVALID, "MQTT 3.2.2-4: a refusing CONNACK tells of a session");
	*code = value;
	*session_present = flags & 1;
	return 0;
}

void
mqtt_encode_connack(struct buf *out, enum mqtt_connack code, bool session_present)
{
	mqtt_put_header(out, MQTT_CONNACK, 0, 2);
	buf_put_u8(out, session_present ? 1 : 0);
	buf_put_u8(out, (uint8_t)code);
}

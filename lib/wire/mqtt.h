/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* MQTT 3.1.1 packets (OASIS MQTT Version 3.1.1) as pure functions on bytes, for both sides of a connection.
 *
 * A stream is cut with mqtt_frame; the body of the packet is then decoded by its type.  All slices borrow the input.  Decoders
 * refuse what the standard forbids (reserved flags, reserved bits, bad UTF-8, U+0000, wildcards in a topic name, packet id 0) and
 * name the rule ("MQTT 3.3.1-4: ...").  Encoders append to a buffer. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rd.h"

enum mqtt_type {
	MQTT_CONNECT = 1,
	MQTT_CONNACK,
	MQTT_PUBLISH,
	MQTT_PUBACK,
	MQTT_PUBREC,
	MQTT_PUBREL,
	MQTT_PUBCOMP,
	MQTT_SUBSCRIBE,
	MQTT_SUBACK,
	MQTT_UNSUBSCRIBE,
	MQTT_UNSUBACK,
	MQTT_PINGREQ,
	MQTT_PINGRESP,
	MQTT_DISCONNECT,
};
const char *mqtt_type_name(enum mqtt_type type);

struct mqtt_frame {
	enum mqtt_type type;
	uint8_t flags;	/* the low four bits of the first byte */
	struct rd body; /* the remaining length's worth of bytes */
	size_t len;	/* of the whole packet */
};

enum mqtt_cut { MQTT_CUT_DONE, MQTT_CUT_MORE, MQTT_CUT_BAD };
/* Look for one whole packet at data.  MORE: not complete yet; *need (when known, else 0) is the length of the whole packet.  BAD:
 * malformed length, type 0 or 15, or a packet above max_len; err says which. */
enum mqtt_cut mqtt_frame_cut(
	struct mqtt_frame *frame, const uint8_t *data, size_t len, size_t max_len, size_t *need, struct err *err);

enum mqtt_connack { MQTT_ACCEPTED, MQTT_BAD_PROTOCOL, MQTT_BAD_ID, MQTT_UNAVAILABLE, MQTT_BAD_USER, MQTT_NOT_AUTHORIZED };

struct mqtt_connect {
	uint8_t level; /* 4; others are decoded too, as far as the level, so that CONNACK 1 can be sent */
	bool clean_session;
	uint16_t keep_alive_s;
	struct slice client_id;
	bool has_will, will_retain, has_user, has_password;
	uint8_t will_qos;
	struct slice will_topic, will_payload, user, password;
};
struct mqtt_publish {
	struct slice topic, payload;
	uint16_t id; /* 0 at QoS 0 */
	uint8_t qos;
	bool dup, retain;
};
#define MQTT_FILTERS_MAX 64
struct mqtt_subscribe {
	uint16_t id;
	size_t n;
	struct {
		struct slice filter;
		uint8_t qos;
	} item[MQTT_FILTERS_MAX];
};

int mqtt_decode_connect(struct mqtt_connect *out, const struct mqtt_frame *frame, struct err *err);
int mqtt_decode_connack(uint8_t *code, bool *session_present, const struct mqtt_frame *frame, struct err *err);
int mqtt_decode_publish(struct mqtt_publish *out, const struct mqtt_frame *frame, struct err *err);
int mqtt_decode_subscribe(struct mqtt_subscribe *out, const struct mqtt_frame *frame, struct err *err);
int mqtt_decode_unsubscribe(struct mqtt_subscribe *out, const struct mqtt_frame *frame, struct err *err);
int mqtt_decode_suback(uint16_t *id, uint8_t *codes, size_t *n, size_t max, const struct mqtt_frame *frame, struct err *err);
int mqtt_decode_ack(uint16_t *id, const struct mqtt_frame *frame, struct err *err); /* PUBACK PUBREC PUBREL PUBCOMP UNSUBACK */
int mqtt_decode_empty(const struct mqtt_frame *frame, struct err *err);		    /* PINGREQ PINGRESP DISCONNECT */

void mqtt_encode_connect(struct buf *out, const struct mqtt_connect *c);
void mqtt_encode_connack(struct buf *out, enum mqtt_connack code, bool session_present);
void mqtt_encode_publish(struct buf *out, const struct mqtt_publish *p);
void mqtt_encode_subscribe(struct buf *out, const struct mqtt_subscribe *s);
void mqtt_encode_unsubscribe(struct buf *out, const struct mqtt_subscribe *s);
void mqtt_encode_suback(struct buf *out, uint16_t id, const uint8_t *codes, size_t n);
void mqtt_encode_ack(struct buf *out, enum mqtt_type type, uint16_t id);
void mqtt_encode_empty(struct buf *out, enum mqtt_type type);

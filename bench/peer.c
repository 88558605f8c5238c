/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT on a connection of lib/net.  What a server must not send ends it, and with it the measurement. */
#include "peer.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/conn.h"
#include "wire/mqtt.h"
#include "wire/sas.h"

#define PACKET_MAX (512 * 1024)
#define TOKEN_LIFE_S 86400
#define KEEP_ALIVE_S 1200
#define CONNECT_WITHIN_MS 300000 /* a server under callgrind is slow */
#define API_VERSION "2021-04-12"

struct peer {
	struct conn *conn;
	const struct peer_ops *ops;
	void *user;
	const struct fleet_device *is;
	char *user_name;
	struct buf token; /* empty: it shows a certificate */
	uint16_t last_id;
	bool is_live, by_us;
};

static void
send_packet(struct peer *peer, struct buf *packet)
{
	conn_write(peer->conn, packet->data, packet->len);
	buf_clear(packet);
}

static uint16_t
next_id(struct peer *peer)
{
	peer->last_id = peer->last_id % 65535 + 1;
	return peer->last_id;
}

static void
on_open(struct conn *conn)
{
	struct peer *peer = conn_user(conn);
	struct buf packet = BUF_INIT(PACKET_MAX);
	struct mqtt_connect connect = {
		.clean_session = true,
		.keep_alive_s = KEEP_ALIVE_S,
		.client_id = slice_of(peer->is->id),
		.has_user = true,
		.user = slice_of(peer->user_name),
		.has_password = peer->token.len > 0,
		.password = { .text = (const char *)peer->token.data, .len = peer->token.len },
	};

	mqtt_encode_connect(&packet, &connect);
	send_packet(peer, &packet);
}

static bool
take_connack(struct peer *peer, const struct mqtt_frame *frame)
{
	struct err err = ERR_INIT;
	bool present;
	uint8_t code;

	if (peer->is_live || mqtt_decode_connack(&code, &present, frame, &err) < 0 || code != MQTT_ACCEPTED)
		return false;
	peer->is_live = true;
	peer->ops->on_live(peer, peer->user);
	return true;
}

static bool
is_granted(const struct mqtt_frame *frame)
{
	uint8_t codes[MQTT_FILTERS_MAX];
	struct err err = ERR_INIT;
	uint16_t id;
	size_t n;

	if (mqtt_decode_suback(&id, codes, &n, MQTT_FILTERS_MAX, frame, &err) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (codes[i] > 1)
			return false;
	return true;
}

static bool
take_packet(struct peer *peer, const struct mqtt_frame *frame)
{
	if (frame->type == MQTT_CONNACK)
		return take_connack(peer, frame);
	if (!peer->is_live || (frame->type != MQTT_PUBACK && frame->type != MQTT_PINGRESP && frame->type != MQTT_SUBACK))
		return false;
	if (frame->type == MQTT_SUBACK && !is_granted(frame))
		return false;
	peer->ops->on_answer(peer, peer->user);
	return true;
}

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	struct peer *peer = conn_user(conn);
	struct mqtt_frame frame;
	struct err err = ERR_INIT;
	size_t used = 0, need;

	while (used < len) {
		enum mqtt_cut cut = mqtt_frame_cut(&frame, data + used, len - used, PACKET_MAX, &need, &err);

		if (cut == MQTT_CUT_MORE)
			return used;
		if (cut == MQTT_CUT_BAD || !take_packet(peer, &frame)) {
			conn_abort(conn, "an answer that was not wanted");
			return len;
		}
		used += frame.len;
	}
	return used;
}

static void
on_close(struct conn *conn, const char *why)
{
	struct peer *peer = conn_user(conn);

	peer->ops->on_end(peer, peer->user, peer->by_us, *why ? why : "the server closed the connection");
	buf_clear(&peer->token);
	mem_free(peer->user_name);
	mem_free(peer);
}

static const struct conn_ops conn_ops = { .on_open = on_open, .on_data = on_data, .on_close = on_close, .read_max = PACKET_MAX };

static enum fleet_kind
kind_of(const struct fleet_device *is, const struct peer_target *target)
{
	if (target->kind != FLEET_MIXED)
		return target->kind;
	return is->has_even_number ? FLEET_TOKEN : FLEET_SELF;
}

static void
make_token(struct buf *token, const struct fleet_device *is, const char *hub)
{
	OWN_TEXT resource = mem_textf("%s/devices/%s", hub, is->id);

	sas_sign(token, resource, clock_wall() + TOKEN_LIFE_S, NULL, &is->secret);
}

struct peer *
peer_connect(struct loop *loop, const struct fleet_device *is, const struct peer_target *target, const struct peer_ops *ops,
	void *user, struct err *err)
{
	enum fleet_kind kind = kind_of(is, target);
	bool by_token = kind == FLEET_TOKEN;
	struct tls_client_config config = {
		.anchors = target->roots, .chain = by_token ? NULL : &is->chain[kind], .key = by_token ? NULL : is->key
	};
	OWN(tls_client) tls = tls_client_new(&config, err);
	struct conn_target to = {
		.host = target->name, .connect_to = "127.0.0.1", .port = target->port, .tls = tls, .timeout_ms = CONNECT_WITHIN_MS
	};
	struct peer *peer;

	if (!tls)
		return NULL;
	peer = NEW(peer);
	peer->ops = ops;
	peer->user = user;
	peer->is = is;
	peer->token = (struct buf)BUF_INIT(SAS_TOKEN_MAX);
	if (by_token)
		make_token(&peer->token, is, target->hub);
	peer->user_name = mem_textf("%s/%s/?api-version=" API_VERSION, target->hub, is->id);
	peer->conn = conn_connect(loop, &to, &conn_ops, peer, err);
	return peer->conn ? peer : NULL;
}

void
peer_publish(struct peer *peer, const void *payload, size_t len)
{
	OWN_TEXT topic = mem_textf("devices/%s/messages/events/", peer->is->id);
	struct buf packet = BUF_INIT(PACKET_MAX);

	mqtt_encode_publish(&packet,
		&(struct mqtt_publish){
			.topic = slice_of(topic), .payload = { .text = payload, .len = len }, .id = next_id(peer), .qos = 1 });
	send_packet(peer, &packet);
}

void
peer_subscribe(struct peer *peer)
{
	static const char *const filters[] = { "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#",
		"$iothub/methods/POST/#" };
	struct mqtt_subscribe subscribe = { .id = next_id(peer), .n = COUNT(filters) };
	struct buf packet = BUF_INIT(PACKET_MAX);

	for (size_t i = 0; i < COUNT(filters); i++)
		subscribe.item[i].filter = slice_of(filters[i]);
	mqtt_encode_subscribe(&packet, &subscribe);
	send_packet(peer, &packet);
}

void
peer_ping(struct peer *peer)
{
	struct buf packet = BUF_INIT(16);

	mqtt_encode_empty(&packet, MQTT_PINGREQ);
	send_packet(peer, &packet);
}

void
peer_drop(struct peer *peer)
{
	peer->by_us = true;
	conn_abort(peer->conn, "");
}

void
peer_close(struct peer *peer)
{
	struct buf packet = BUF_INIT(16);

	peer->by_us = true;
	mqtt_encode_empty(&packet, MQTT_DISCONNECT);
	send_packet(peer, &packet);
	conn_close(peer->conn, "");
}

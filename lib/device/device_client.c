/* SPDX-License-Identifier: Apache-2.0 */
/* A device's connection.  Acknowledgements of a hub come in order, so what is in flight is a queue; one that comes out of turn is found by walking it. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "device/device_client.h"
#include "net/conn.h"
#include "wire/codec.h"
#include "wire/mqtt.h"

#define MAX_IN_FLIGHT 256
#define PACKET_MAX (512 * 1024)
#define CONNECT_MAX 16384
#define ANSWER_WITHIN_MS 30000
#define USER_AGENT "rootedge/" ROOTEDGE_VERSION

struct flight {
	uint16_t id;
	uint64_t cookie;
};

enum client_state { CLIENT_OPENING, CLIENT_WAITS_CONNACK, CLIENT_LIVE, CLIENT_ENDED };

struct device_client {
	const struct device_client_ops *ops;
	void *user;
	struct conn *conn;
	char *topic; /* up to the bag */
	struct buf connect; /* the packet to open with */
	struct flight *flights;
	size_t first, n_flights, max_flights;
	struct timer timer;
	enum client_state state;
	enum device_client_end end;
	uint8_t code;
	uint16_t next_id, keep_alive_s;
	int64_t last_sent_ms, last_heard_ms;
	bool told_verdict;
};

static void
tell_verdict(struct device_client *c)
{
	const struct verdict *v = conn_verdict(c->conn);

	if (!v || c->told_verdict)
		return;
	c->told_verdict = true;
	if (!verdict_accepted(v))
		c->end = DEVICE_CLIENT_UNTRUSTED;
	if (c->ops->on_verdict)
		c->ops->on_verdict(c, c->user, v);
}

static void
send_packet(struct device_client *c, struct buf *packet)
{
	conn_write(c->conn, packet->data, packet->len);
	c->last_sent_ms = clock_boot_ms();
	buf_clear(packet);
}

static void
on_open(struct conn *conn)
{
	struct device_client *c = conn_user(conn);

	tell_verdict(c);
	c->state = CLIENT_WAITS_CONNACK;
	c->last_heard_ms = clock_boot_ms();
	send_packet(c, &c->connect);
	buf_wipe(&c->connect);
	timer_arm(&c->timer, ANSWER_WITHIN_MS);
}

static void
fail(struct device_client *c, const char *why)
{
	conn_abort(c->conn, why);
}

static const char *
connack_words(uint8_t code)
{
	static const char *const words[] = { "accepted", "unacceptable protocol version", "identifier rejected", "server unavailable", "bad user name or password", "not authorized" };

	return code < COUNT(words) ? words[code] : "an unknown code";
}

static void
take_connack(struct device_client *c, const struct mqtt_frame *frame)
{
	struct err err = ERR_INIT;
	bool present;
	uint8_t code;

	if (c->state != CLIENT_WAITS_CONNACK || mqtt_decode_connack(&code, &present, frame, &err) < 0) {
		fail(c, "a CONNACK that has no place here");
		return;
	}
	if (code != MQTT_ACCEPTED) {
		c->end = DEVICE_CLIENT_REFUSED;
		c->code = code;
		fail(c, connack_words(code));
		return;
	}
	c->state = CLIENT_LIVE;
	timer_arm(&c->timer, c->keep_alive_s * 500);
	c->ops->on_connected(c, c->user);
}

static struct flight *
flight_at(struct device_client *c, size_t i)
{
	return &c->flights[(c->first + i) % c->max_flights];
}

static void
take_puback(struct device_client *c, const struct mqtt_frame *frame)
{
	struct err err = ERR_INIT;
	uint64_t cookie;
	uint16_t id;
	size_t i = 0;

	if (mqtt_decode_ack(&id, frame, &err) < 0) {
		fail(c, err.text);
		return;
	}
	while (i < c->n_flights && flight_at(c, i)->id != id)
		i++;
	if (i == c->n_flights)
		return; /* nothing of ours: no harm */
	cookie = flight_at(c, i)->cookie;
	for (; i > 0; i--)
		*flight_at(c, i) = *flight_at(c, i - 1);
	c->first = (c->first + 1) % c->max_flights;
	c->n_flights--;
	c->ops->on_acked(c, c->user, cookie);
}

static void
take_packet(struct device_client *c, const struct mqtt_frame *frame)
{
	if (frame->type == MQTT_CONNACK)
		take_connack(c, frame);
	else if (c->state == CLIENT_LIVE && frame->type == MQTT_PUBACK)
		take_puback(c, frame);
	else if (c->state != CLIENT_LIVE || (frame->type != MQTT_PINGRESP && frame->type != MQTT_PUBLISH && frame->type != MQTT_SUBACK && frame->type != MQTT_UNSUBACK))
		fail(c, "a packet that a server must not send now");
}

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	struct device_client *c = conn_user(conn);
	struct mqtt_frame frame;
	size_t used = 0, need;

	c->last_heard_ms = clock_boot_ms();
	while (used < len && c->state != CLIENT_ENDED) {
		struct err err = ERR_INIT;
		enum mqtt_cut cut = mqtt_frame_cut(&frame, data + used, len - used, PACKET_MAX, &need, &err);

		if (cut == MQTT_CUT_MORE)
			return used;
		if (cut == MQTT_CUT_BAD) {
			fail(c, err.text);
			return len;
		}
		used += frame.len;
		take_packet(c, &frame);
	}
	return used;
}

static void
on_timer(struct timer *timer)
{
	struct device_client *c = CONTAINER_OF(timer, struct device_client, timer);
	int64_t half = c->keep_alive_s * 500, now = clock_boot_ms();
	struct buf packet = BUF_INIT(16);

	if (c->state != CLIENT_LIVE) {
		fail(c, "the server does not answer CONNECT");
		return;
	}
	if (now - c->last_heard_ms > half * 3) {
		fail(c, "the server has fallen silent");
		return;
	}
	if (now - c->last_sent_ms >= half || now - c->last_heard_ms >= half) {
		mqtt_encode_empty(&packet, MQTT_PINGREQ);
		send_packet(c, &packet);
	}
	timer_arm(timer, half);
}

static void
on_close(struct conn *conn, const char *why)
{
	struct device_client *c = conn_user(conn);

	tell_verdict(c);
	c->state = CLIENT_ENDED;
	timer_cancel(&c->timer);
	c->ops->on_end(c, c->user, c->end, c->code, *why ? why : "the server closed the connection");
	buf_wipe(&c->connect);
	mem_free(c->flights);
	mem_free(c->topic);
	mem_free(c);
}

static const struct conn_ops ops = { .on_open = on_open, .on_data = on_data, .on_close = on_close, .read_max = PACKET_MAX, .write_max = 16 * 1024 * 1024 };

static void
encode_connect(struct device_client *c, const struct device_client_config *config)
{
	OWN_TEXT id = config->module_id ? mem_textf("%s/%s", config->device_id, config->module_id) : mem_text(config->device_id);
	struct buf user = BUF_INIT(CONNECT_MAX);
	struct mqtt_connect connect = {
		.clean_session = config->clean_session,
		.keep_alive_s = c->keep_alive_s,
		.client_id = slice_of(id),
		.has_user = true,
		.has_password = config->token != NULL,
		.password = slice_of(config->token),
	};

	buf_putf(&user, "%s/%s/?api-version=2021-04-12&DeviceClientType=", config->hub_host, id);
	percent_encode(&user, USER_AGENT, strlen(USER_AGENT));
	if (config->auth_chain) {
		buf_puts(&user, "&auth-chain=");
		percent_encode(&user, config->auth_chain, strlen(config->auth_chain));
	}
	connect.user = slice_of(buf_text(&user));
	mqtt_encode_connect(&c->connect, &connect);
	buf_clear(&user);
}

struct device_client *
device_client_connect(struct loop *loop, const struct device_client_config *config, const struct device_client_ops *client_ops, void *user, struct err *err)
{
	struct device_client *c = NEW(device_client);
	struct conn_target target = { .host = config->host, .connect_to = config->connect_to, .port = config->port, .tls = config->tls };

	c->ops = client_ops;
	c->user = user;
	c->end = DEVICE_CLIENT_UNREACHABLE;
	c->keep_alive_s = config->keep_alive_s ? config->keep_alive_s : 180;
	c->max_flights = config->max_in_flight ? config->max_in_flight : MAX_IN_FLIGHT;
	c->flights = mem_array(c->max_flights, sizeof(*c->flights));
	c->topic = config->module_id ? mem_textf("devices/%s/modules/%s/messages/events/", config->device_id, config->module_id) :
				       mem_textf("devices/%s/messages/events/", config->device_id);
	c->connect = (struct buf)BUF_INIT(CONNECT_MAX);
	encode_connect(c, config);
	timer_init(&c->timer, loop, on_timer);
	c->conn = conn_connect(loop, &target, &ops, c, err);
	if (c->conn && !c->connect.failed)
		return c;
	buf_wipe(&c->connect);
	mem_free(c->flights);
	mem_free(c->topic);
	mem_free(c);
	return NULL;
}

bool
device_client_may_publish(const struct device_client *c)
{
	return c->state == CLIENT_LIVE && c->n_flights < c->max_flights;
}

size_t
device_client_in_flight(const struct device_client *c)
{
	return c->n_flights;
}

void
device_client_publish(struct device_client *c, struct slice bag, struct slice payload, bool retain, uint64_t cookie)
{
	OWN_TEXT topic = mem_textf("%s%.*s", c->topic, SLICE_FMT(bag));
	struct buf packet = BUF_INIT(PACKET_MAX);

	c->next_id = c->next_id == UINT16_MAX ? 1 : (uint16_t)(c->next_id + 1);
	*flight_at(c, c->n_flights++) = (struct flight){ .id = c->next_id, .cookie = cookie };
	mqtt_encode_publish(&packet, &(struct mqtt_publish){ .topic = slice_of(topic), .payload = payload, .id = c->next_id, .qos = 1, .retain = retain });
	send_packet(c, &packet);
}

void
device_client_close(struct device_client *c)
{
	struct buf packet = BUF_INIT(16);

	if (c->state == CLIENT_LIVE) {
		mqtt_encode_empty(&packet, MQTT_DISCONNECT);
		send_packet(c, &packet);
	}
	if (c->end == DEVICE_CLIENT_UNREACHABLE)
		c->end = DEVICE_CLIENT_CLOSED;
	conn_close(c->conn, "");
}

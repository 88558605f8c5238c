/* SPDX-License-Identifier: Apache-2.0 */
/* A device's connection.  Acknowledgements of a hub come in order, so what is in flight is a queue; one that comes out of turn is found by walking it.  The
 * server is not trusted with anything but its answers (atk-29): packets have a ceiling, and what a server must not send ends the connection. */
#include "device/device_client.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "device/device_client_inside.h"
#include "net/strand.h"
#include "wire/codec.h"

#define IN_FLIGHT_DEFAULT 256
#define KEEP_ALIVE_DEFAULT_S 180
#define CONNECT_MAX 16384
#define QUEUED_MAX (4 * 1024 * 1024)
#define ANSWER_WITHIN_MS 30000
#define PACKET_KEEP 16384
#define API_VERSION "2021-04-12"
#define USER_AGENT "rootedge/" ROOTEDGE_VERSION

static void
client_free(struct device_client *c)
{
	device_ear_free(c->ear);
	buf_wipe(&c->connect);
	buf_clear(&c->packet);
	mem_free(c->flights);
	mem_free(c->topic);
	mem_free(c->who);
	mem_free(c);
}

/* The connection judges as "client"; who that is, we know. */
static struct verdict *
verdict_of(const struct device_client *c, const struct verdict *judged)
{
	OWN_TEXT json = verdict_json(judged);
	struct err err = ERR_INIT;
	struct verdict *v = verdict_from_json(json, &err);

	if (v) {
		mem_free(v->who);
		v->who = mem_text(c->who);
	}
	return v;
}

static void
tell_verdict(struct device_client *c)
{
	const struct verdict *judged = conn_verdict(c->conn);
	OWN(verdict) v = NULL;

	if (!judged || c->told_verdict)
		return;
	c->told_verdict = true;
	if (!verdict_accepted(judged))
		c->end = DEVICE_CLIENT_UNTRUSTED;
	if (!c->ops->on_verdict)
		return;
	v = verdict_of(c, judged);
	c->ops->on_verdict(c, c->user, v ? v : judged);
}

void
device_client_send(struct device_client *c, struct buf *packet)
{
	conn_write(c->conn, packet->data, packet->len);
	c->last_sent_ms = clock_boot_ms();
	if (packet == &c->packet && packet->cap > PACKET_KEEP)
		buf_clear(packet);
}

uint16_t
device_client_next_id(struct device_client *c)
{
	c->next_id = c->next_id == UINT16_MAX ? 1 : (uint16_t)(c->next_id + 1);
	return c->next_id;
}

void
device_client_fail(struct device_client *c, const char *why)
{
	c->state = CLIENT_ENDING;
	conn_abort(c->conn, why);
}

static void
on_open(struct conn *conn)
{
	struct device_client *c = conn_user(conn);

	tell_verdict(c);
	if (c->state != CLIENT_OPENING)
		return;
	c->state = CLIENT_WAITS_CONNACK;
	c->last_heard_ms = clock_boot_ms();
	device_client_send(c, &c->connect);
	buf_wipe(&c->connect); /* it may hold a token */
	timer_arm(&c->timer, c->answer_within_ms);
}

/* -- Packets ----------------------------------------------------------------------------------------------------------------------- */

static const char *
connack_words(uint8_t code)
{
	static const char *const words[] = { "accepted", "unacceptable protocol version", "identifier rejected",
		"server unavailable", "bad user name or password", "not authorized" };

	return code < COUNT(words) ? words[code] : "an unknown code";
}

static void
take_connack(struct device_client *c, const struct mqtt_frame *frame)
{
	struct err err = ERR_INIT;
	bool present;
	uint8_t code;

	if (c->state != CLIENT_WAITS_CONNACK) {
		device_client_fail(c, "a second CONNACK");
		return;
	}
	if (mqtt_decode_connack(&code, &present, frame, &err) < 0) {
		device_client_fail(c, err.text);
		return;
	}
	if (code != MQTT_ACCEPTED) {
		c->end = DEVICE_CLIENT_REFUSED;
		c->code = code;
		device_client_fail(c, connack_words(code));
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

/* Take the i-th out; those before it move up. */
static uint64_t
flight_take(struct device_client *c, size_t i)
{
	uint64_t cookie = flight_at(c, i)->cookie;

	for (; i > 0; i--)
		*flight_at(c, i) = *flight_at(c, i - 1);
	c->first = (c->first + 1) % c->max_flights;
	c->n_flights--;
	return cookie;
}

static void
take_puback(struct device_client *c, const struct mqtt_frame *frame)
{
	struct err err = ERR_INIT;
	uint16_t id;
	size_t i = 0;

	if (mqtt_decode_ack(&id, frame, &err) < 0) {
		device_client_fail(c, err.text);
		return;
	}
	while (i < c->n_flights && flight_at(c, i)->id != id)
		i++;
	if (i < c->n_flights) /* else it is for nothing of ours, which does no harm */
		c->ops->on_acked(c, c->user, flight_take(c, i));
}

static void
take_packet(struct device_client *c, const struct mqtt_frame *frame)
{
	if (frame->type == MQTT_CONNACK)
		take_connack(c, frame);
	else if (c->state == CLIENT_LIVE && frame->type == MQTT_PUBACK)
		take_puback(c, frame);
	else if (c->state == CLIENT_LIVE && c->ear && device_ear_take(c->ear, frame))
		return;
	else if (c->state != CLIENT_LIVE || frame->type != MQTT_PINGRESP) /* what was not subscribed to may not come */
		device_client_fail(c, "a packet that the server must not send now");
}

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	struct device_client *c = conn_user(conn);
	struct mqtt_frame frame;
	size_t used = 0, need;

	c->last_heard_ms = clock_boot_ms();
	while (used < len && c->state != CLIENT_ENDING) {
		struct err err = ERR_INIT;
		enum mqtt_cut cut = mqtt_frame_cut(&frame, data + used, len - used, DEVICE_PACKET_MAX, &need, &err);

		if (cut == MQTT_CUT_MORE)
			return used;
		if (cut == MQTT_CUT_BAD) {
			device_client_fail(c, err.text);
			break;
		}
		used += frame.len;
		take_packet(c, &frame);
	}
	return c->state == CLIENT_ENDING ? len : used;
}

/* Half the keep-alive without a word from us or to us: PINGREQ; and three halves without an answer: the server is gone. */
static void
on_timer(struct timer *timer)
{
	struct device_client *c = CONTAINER_OF(timer, struct device_client, timer);
	int64_t half = c->keep_alive_s * 500, now = clock_boot_ms();
	struct buf packet = BUF_INIT(16);

	if (c->state != CLIENT_LIVE) {
		device_client_fail(c, "the server does not answer CONNECT");
		return;
	}
	if (now - c->last_heard_ms > half * 3) {
		device_client_fail(c, "the server has fallen silent");
		return;
	}
	if (now - c->last_sent_ms >= half || now - c->last_heard_ms >= half) {
		mqtt_encode_empty(&packet, MQTT_PINGREQ);
		device_client_send(c, &packet);
		buf_clear(&packet);
	}
	timer_arm(timer, half);
}

static void
on_close(struct conn *conn, const char *why)
{
	struct device_client *c = conn_user(conn);

	tell_verdict(c);
	c->state = CLIENT_ENDING;
	timer_cancel(&c->timer);
	if (c->ear)
		device_ear_close(c->ear);
	c->ops->on_end(c, c->user, c->end, c->code, *why ? why : "the server closed the connection");
	client_free(c);
}

static const struct conn_ops conn_ops = {
	.on_open = on_open,
	.on_data = on_data,
	.on_close = on_close,
	.read_max = DEVICE_PACKET_MAX,
	.write_high = QUEUED_MAX, /* acknowledgements are read whatever waits to be sent */
	.write_max = QUEUED_MAX,
};

/* -- Connecting -------------------------------------------------------------------------------------------------------------------- */

static int
encode_connect(struct device_client *c, const struct device_client_config *config, struct err *err)
{
	OWN_TEXT id = config->module_id ? mem_textf("%s/%s", config->device_id, config->module_id) : mem_text(config->device_id);
	struct buf user = BUF_INIT(CONNECT_MAX);
	struct mqtt_connect connect = {
		.clean_session = !config->keep_session,
		.keep_alive_s = c->keep_alive_s,
		.client_id = slice_of(id),
		.has_user = true,
		.has_password = config->token != NULL,
		.password = slice_of(config->token),
	};

	buf_putf(&user, "%s/%s/?api-version=" API_VERSION, config->hub_host, id);
	if (config->model_id) {
		buf_puts(&user, "&model-id=");
		percent_encode(&user, config->model_id, strlen(config->model_id));
	}
	buf_puts(&user, "&DeviceClientType=");
	percent_encode(&user, USER_AGENT, strlen(USER_AGENT));
	if (config->auth_chain) {
		buf_puts(&user, "&auth-chain=");
		percent_encode(&user, config->auth_chain, strlen(config->auth_chain));
	}
	connect.user = slice_of(buf_text(&user));
	mqtt_encode_connect(&c->connect, &connect);
	buf_clear(&user);
	return c->connect.failed ? err_set(err, ERR_LIMIT, "the ids or the token of %s are too long for CONNECT", id) : 0;
}

static struct device_client *
client_new(struct loop *loop, const struct device_client_config *config)
{
	struct device_client *c = NEW(device_client);

	c->end = DEVICE_CLIENT_UNREACHABLE;
	c->who = mem_text(config->who ? config->who : "device");
	c->keep_alive_s = config->keep_alive_s ? config->keep_alive_s : KEEP_ALIVE_DEFAULT_S;
	c->answer_within_ms = config->answer_within_ms ? config->answer_within_ms : ANSWER_WITHIN_MS;
	c->max_flights = config->max_in_flight ? config->max_in_flight : IN_FLIGHT_DEFAULT;
	if (c->max_flights > DEVICE_CLIENT_IN_FLIGHT_MAX)
		c->max_flights = DEVICE_CLIENT_IN_FLIGHT_MAX;
	c->flights = mem_array(c->max_flights, sizeof(*c->flights));
	c->topic = config->module_id ? mem_textf("devices/%s/modules/%s/messages/events/", config->device_id, config->module_id)
				     : mem_textf("devices/%s/messages/events/", config->device_id);
	c->connect = (struct buf)BUF_INIT(CONNECT_MAX);
	c->packet = (struct buf)BUF_INIT(DEVICE_PACKET_MAX);
	timer_init(&c->timer, loop, on_timer);
	if (config->told)
		c->ear = device_ear_new(c, loop, config);
	return c;
}

static struct conn *
connect_alone(struct device_client *c, struct loop *loop, const struct device_client_config *config, struct err *err)
{
	struct conn_target target = {
		.host = config->host,
		.connect_to = config->connect_to,
		.port = config->port,
		.tls = config->tls,
		.timeout_ms = c->answer_within_ms,
		.has_neighbours = config->has_neighbours,
	};

	return conn_connect(loop, &target, &conn_ops, c, err);
}

static struct conn *
connect_carried(struct device_client *c, struct loop *loop, const struct device_client_config *config, struct err *err)
{
	struct conn_carrier *carrier = config->carrier(config->carrier_arg);
	struct conn *conn = carrier ? conn_connect_strand(carrier, &conn_ops, c, err) : NULL;

	if (!carrier)
		err_set(err, ERR_UNAVAILABLE, "the connection that would carry it was lost");
	if (conn || err->kind != ERR_LIMIT)
		return conn;
	*err = (struct err)ERR_INIT;
	return connect_alone(c, loop, config, err); /* the carrier is full */
}

struct device_client *
device_client_connect(struct loop *loop, const struct device_client_config *config, const struct device_client_ops *ops, void *user,
	struct err *err)
{
	struct device_client *c = client_new(loop, config);

	c->ops = ops;
	c->user = user;
	if (encode_connect(c, config, err) == 0)
		c->conn = config->carrier ? connect_carried(c, loop, config, err) : connect_alone(c, loop, config, err);
	if (c->conn)
		return c;
	client_free(c);
	return NULL;
}

/* -- Using it ------------------------------------------------------------------------------------------------------------------------ */

bool
device_client_may_publish(const struct device_client *c)
{
	return c->state == CLIENT_LIVE && c->n_flights < c->max_flights && conn_queued(c->conn) < DEVICE_QUEUED_ENOUGH;
}

size_t
device_client_in_flight(const struct device_client *c)
{
	return c->n_flights;
}

/* Without properties it is there already. */
static struct slice
topic_of(const struct device_client *c, struct slice bag, struct buf *room)
{
	size_t len = strlen(c->topic);
	uint8_t *at;

	if (bag.len == 0)
		return (struct slice){ .text = c->topic, .len = len };
	at = buf_extend(room, len + bag.len); /* in one piece: there is one for each message */
	if (at) {
		memcpy(at, c->topic, len);
		memcpy(at + len, bag.text, bag.len);
	}
	return (struct slice){ .text = buf_text(room), .len = room->len };
}

bool
device_client_publish(struct device_client *c, const struct device_message *m, uint64_t cookie)
{
	CLEAR(buf) room = BUF_INIT(DEVICE_PACKET_MAX);
	struct mqtt_publish publish = {
		.topic = topic_of(c, m->bag, &room), .payload = m->payload, .qos = m->qos, .retain = m->retain
	};

	assert(device_client_may_publish(c) && m->qos <= 1);
	if (m->qos == 1)
		publish.id = device_client_next_id(c);
	buf_reset(&c->packet);
	mqtt_encode_publish(&c->packet, &publish);
	if (c->packet.failed || room.failed)
		return false;
	if (m->qos == 1)
		*flight_at(c, c->n_flights++) = (struct flight){ .id = publish.id, .cookie = cookie };
	device_client_send(c, &c->packet);
	return true;
}

static void
say_goodbye(struct device_client *c)
{
	struct buf packet = BUF_INIT(16);

	if (c->state == CLIENT_LIVE) {
		mqtt_encode_empty(&packet, MQTT_DISCONNECT);
		device_client_send(c, &packet);
		buf_clear(&packet);
	}
	c->state = CLIENT_ENDING;
	timer_cancel(&c->timer);
	conn_close(c->conn, "closed");
}

struct verdict *
device_client_judge(const struct device_client *c, const struct tls_client *tls, const char *host)
{
	struct certs chain = conn_peer_chain(c->conn);
	struct verdict *v = chain.n > 0 ? tls_client_judge(tls, &chain, host) : NULL;

	certs_clear(&chain);
	return v;
}

void
device_client_break(struct device_client *c, const char *why)
{
	conn_abort(c->conn, why);
}

void
device_client_close(struct device_client *c)
{
	if (c->end == DEVICE_CLIENT_UNREACHABLE)
		c->end = DEVICE_CLIENT_CLOSED;
	say_goodbye(c);
}

static void
ignore_end(struct device_client *c, void *user, enum device_client_end end, uint8_t code, const char *why)
{
	(void)c;
	(void)user;
	(void)end;
	(void)code;
	(void)why;
}

void
device_client_leave(struct device_client *c)
{
	static const struct device_client_ops nobody = { .on_end = ignore_end };

	c->ops = &nobody;
	if (c->ear)
		device_ear_close(c->ear);
	say_goodbye(c);
}

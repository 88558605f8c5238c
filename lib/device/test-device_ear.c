/* SPDX-License-Identifier: Apache-2.0 */
/* A device that listens and asks, before a server that says what the test wants, byte for byte: also what no server may say. */
#include <signal.h>

#include "device/device_client.h"
#include "net/test_fixture.h"
#include "wire/mqtt.h"
#include "wire/topic.h"

/* -- The server ---------------------------------------------------------------------------------------------------------------------------- */

struct server {
	struct loop *loop;
	struct tls_holder *tls;
	struct listener *listener;
	struct conn *conn; /* the newest */
	struct buf heard;  /* a line a packet */
	uint16_t last_id;
	size_t n_heard;
};

static void
hear_filters(struct server *s, const char *what, const struct mqtt_subscribe *wish)
{
	s->last_id = wish->id;
	buf_puts(&s->heard, what);
	for (size_t i = 0; i < wish->n; i++)
		buf_putf(&s->heard, " %.*s", (int)wish->item[i].filter.len, wish->item[i].filter.text);
}

static void
hear(struct server *s, const struct mqtt_frame *frame)
{
	struct mqtt_subscribe wish;
	struct mqtt_publish p;
	struct err err = ERR_INIT;

	s->n_heard++;
	if (frame->type == MQTT_SUBSCRIBE && mqtt_decode_subscribe(&wish, frame, &err) == 0)
		hear_filters(s, "SUBSCRIBE", &wish);
	else if (frame->type == MQTT_UNSUBSCRIBE && mqtt_decode_unsubscribe(&wish, frame, &err) == 0)
		hear_filters(s, "UNSUBSCRIBE", &wish);
	else if (frame->type == MQTT_PUBLISH && mqtt_decode_publish(&p, frame, &err) == 0)
		buf_putf(&s->heard, "%.*s %.*s", (int)p.topic.len, p.topic.text, (int)p.payload.len, p.payload.text);
	else if (frame->type == MQTT_PUBACK && mqtt_decode_ack(&s->last_id, frame, &err) == 0)
		buf_putf(&s->heard, "PUBACK %u", s->last_id);
	else
		buf_puts(&s->heard, mqtt_type_name(frame->type));
	buf_putc(&s->heard, '\n');
}

static void
say(struct server *s, struct buf *packet)
{
	conn_write(s->conn, packet->data, packet->len);
	buf_clear(packet);
}

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	struct server *s = conn_user(conn);
	struct buf packet = BUF_INIT(16);
	size_t used = 0, need;
	struct mqtt_frame frame;
	struct err err = ERR_INIT;

	while (mqtt_frame_cut(&frame, data + used, len - used, 1 << 20, &need, &err) == MQTT_CUT_DONE) {
		used += frame.len;
		if (frame.type == MQTT_CONNECT) {
			mqtt_encode_connack(&packet, MQTT_ACCEPTED, false);
			say(s, &packet);
		} else {
			hear(s, &frame);
		}
	}
	return used;
}

static void
on_server_close(struct conn *conn, const char *why)
{
	struct server *s = conn_user(conn);

	(void)why;
	if (s->conn == conn)
		s->conn = NULL;
}

static const struct conn_ops server_ops = {
	.on_data = on_data, .on_close = on_server_close, .read_max = 1 << 20, .write_max = 1 << 20
};

static void
on_accept(struct conn *conn, void *user)
{
	struct server *s = user;

	s->conn = conn;
	conn_switch_ops(conn, &server_ops, s);
}

static void
server_open(struct server *s)
{
	struct err err = ERR_INIT;

	*s = (struct server){ .heard = BUF_INIT(1 << 20) };
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	s->loop = loop_new("test");
	s->tls = server_tls("test", NULL);
	s->listener = listener_open(&s->loop, 1,
		&(struct listener_config){
			.address = "127.0.0.1", .tls = s->tls, .ops = &server_ops, .user = s, .on_accept = on_accept },
		&err);
	if (!s->listener)
		fail_msg("%s", err.text);
}

static void
server_close(struct server *s)
{
	listener_close(s->listener);
	loop_finish(s->loop);
	loop_free(s->loop);
	tls_holder_free(s->tls);
	buf_clear(&s->heard);
}

static void
publish(struct server *s, const char *topic, const char *payload, uint16_t id)
{
	struct buf packet = BUF_INIT(1 << 19);

	mqtt_encode_publish(&packet,
		&(struct mqtt_publish){ .topic = slice_of(topic), .payload = slice_of(payload), .qos = id ? 1 : 0, .id = id });
	say(s, &packet);
}

static void
suback(struct server *s, uint16_t id, const uint8_t *codes, size_t n)
{
	struct buf packet = BUF_INIT(64);

	mqtt_encode_suback(&packet, id, codes, n);
	say(s, &packet);
}

/* -- The device ------------------------------------------------------------------------------------------------------------------------------- */

struct device {
	struct device_client *client;
	struct tls_client *tls;
	struct buf told; /* a line a call */
	uint64_t command_id;
	bool is_up, is_over;
	size_t n_told;
};

static void
on_connected(struct device_client *client, void *user)
{
	struct device *d = user;

	(void)client;
	d->is_up = true;
}

static void
on_acked(struct device_client *client, void *user, uint64_t cookie)
{
	(void)client;
	(void)user;
	(void)cookie;
}

static void
on_end(struct device_client *client, void *user, enum device_client_end end, uint8_t code, const char *why)
{
	struct device *d = user;

	(void)client;
	(void)end;
	(void)code;
	buf_putf(&d->told, "end: %s\n", why);
	d->client = NULL;
	d->is_over = true;
}

static void
on_listening(void *user, unsigned granted)
{
	struct device *d = user;

	d->n_told++;
	buf_putf(&d->told, "listening %u\n", granted);
}

static void
on_desired(void *user, int64_t version, struct slice patch)
{
	struct device *d = user;

	d->n_told++;
	buf_putf(&d->told, "desired %lld %.*s\n", (long long)version, (int)patch.len, patch.text);
}

static void
on_method(void *user, const char *name, const char *rid, struct slice payload)
{
	struct device *d = user;

	d->n_told++;
	buf_putf(&d->told, "method %s %s %.*s\n", name, rid, (int)payload.len, payload.text);
}

static void
on_command(void *user, uint64_t id, struct slice bag, struct slice payload)
{
	struct device *d = user;

	d->n_told++;
	d->command_id = id;
	buf_putf(&d->told, "command %.*s %.*s\n", (int)bag.len, bag.text, (int)payload.len, payload.text);
}

static void
on_twin(void *user, uint64_t cookie, int status, int64_t version, struct slice body)
{
	struct device *d = user;

	d->n_told++;
	buf_putf(&d->told, "twin %llu %d %lld %.*s\n", (unsigned long long)cookie, status, (long long)version, (int)body.len,
		body.text);
}

static const struct device_client_ops client_ops = { .on_connected = on_connected, .on_acked = on_acked, .on_end = on_end };
static const struct device_told_ops told_ops = { on_listening, on_desired, on_method, on_command, on_twin };

static void
device_open(struct device *d, struct server *s, int64_t answer_within_ms)
{
	struct err err = ERR_INIT;
	struct device_client_config config = {
		.host = "localhost",
		.connect_to = "127.0.0.1",
		.port = listener_port(s->listener),
		.hub_host = "hub.test",
		.device_id = "dev1",
		.told = &told_ops,
		.told_user = d,
		.serial = 7,
		.answer_within_ms = answer_within_ms,
	};

	*d = (struct device){ .told = BUF_INIT(1 << 20) };
	config.tls = d->tls = client_tls(pki()->anchors, false);
	d->client = device_client_connect(s->loop, &config, &client_ops, d, &err);
	if (!d->client)
		fail_msg("%s", err.text);
	if (!until(s->loop, until_true, &d->is_up))
		fail_msg("it did not connect");
}

static void
device_close(struct device *d)
{
	if (d->client)
		device_client_leave(d->client);
	tls_client_free(d->tls);
	buf_clear(&d->told);
}

struct count {
	const size_t *n;
	size_t want;
};

static bool
is_reached(void *arg)
{
	const struct count *c = arg;

	return *c->n >= c->want;
}

static void
until_heard(struct server *s, size_t n)
{
	if (!until(s->loop, is_reached, &(struct count){ &s->n_heard, n }))
		fail_msg("the server did not hear enough: %s", buf_text(&s->heard));
}

static void
until_told(struct server *s, struct device *d, size_t n)
{
	if (!until(s->loop, is_reached, &(struct count){ &d->n_told, n }))
		fail_msg("the device was not told enough: %s", buf_text(&d->told));
}

/* All is subscribed to and granted. */
static void
listen_to_all(struct server *s, struct device *d)
{
	device_client_listen(d->client, 15);
	until_heard(s, 1);
	suback(s, s->last_id, (const uint8_t[]){ 0, 0, 0, 1 }, 4);
	until_told(s, d, 1);
}

TEST("who listens is told what is granted, and then what comes, and settles it")
{
	struct server s;
	struct device d;

	server_open(&s);
	device_open(&d, &s, 0);
	device_client_listen(d.client, DEVICE_WANTS_METHODS | DEVICE_WANTS_COMMANDS | DEVICE_WANTS_DESIRED);
	until_heard(&s, 1);
	publish(&s, "$iothub/twin/PATCH/properties/desired/?$version=4", "{}", 0); /* before SUBACK, which may be */
	suback(&s, s.last_id, (const uint8_t[]){ 0, 0x80, 1 }, 3);
	publish(&s, "$iothub/methods/POST/re%20boot/?$rid=1f", "[1]", 0);
	publish(&s, "devices/dev1/messages/devicebound/%24.mid=7", "hello", 9);
	until_told(&s, &d, 4);
	CHECK(device_client_answer_method(d.client, "1f", 201, slice_of("true")));
	device_client_settle(d.client, (uint64_t)6 << 16 | 9); /* of another connection */
	device_client_settle(d.client, d.command_id);
	until_heard(&s, 3);
	CHECK_STR(buf_text(&d.told), "desired 4 {}\nlistening 3\nmethod re boot 1f [1]\ncommand %24.mid=7 hello\n");
	CHECK_STR(buf_text(&s.heard),
		"SUBSCRIBE $iothub/twin/PATCH/properties/desired/# $iothub/methods/POST/# devices/dev1/messages/devicebound/#\n"
		"$iothub/methods/res/201/?$rid=1f true\nPUBACK 9\n");
	device_close(&d);
	server_close(&s);
}

TEST("what is listened to is changed one change after the other, and told when the last one is decided")
{
	struct server s;
	struct device d;
	struct buf unsuback = BUF_INIT(16);

	server_open(&s);
	device_open(&d, &s, 0);
	device_client_listen(d.client, DEVICE_WANTS_METHODS);
	device_client_listen(d.client, DEVICE_WANTS_DESIRED);
	until_heard(&s, 1);
	suback(&s, s.last_id, (const uint8_t[]){ 0 }, 1);
	until_heard(&s, 2);
	suback(&s, s.last_id, (const uint8_t[]){ 0 }, 1);
	until_heard(&s, 3);
	mqtt_encode_ack(&unsuback, MQTT_UNSUBACK, s.last_id);
	say(&s, &unsuback);
	until_told(&s, &d, 1);
	CHECK_STR(buf_text(&d.told), "listening 2\n");
	CHECK_STR(buf_text(&s.heard), "SUBSCRIBE $iothub/methods/POST/#\nSUBSCRIBE $iothub/twin/PATCH/properties/desired/#\n"
				      "UNSUBSCRIBE $iothub/methods/POST/#\n");
	device_close(&d);
	server_close(&s);
}

TEST("answers find their questions in any order; those to none are overlooked; no more questions are open than may be")
{
	struct server s;
	struct device d;

	server_open(&s);
	device_open(&d, &s, 0);
	CHECK(!device_client_get_twin(d.client, 1)); /* answers are not listened to */
	listen_to_all(&s, &d);
	CHECK(device_client_get_twin(d.client, 11));
	CHECK(device_client_report(d.client, slice_of("{\"a\":1}"), 12));
	until_heard(&s, 3);
	publish(&s, "$iothub/twin/res/200/?$rid=77", "{}", 0);
	publish(&s, "$iothub/twin/res/200/?$rid=zz", "{}", 0);
	publish(&s, "$iothub/twin/res/204/?$rid=2&$version=5", "", 0);
	publish(&s, "$iothub/twin/res/204/?$rid=2&$version=5", "", 0);
	publish(&s, "$iothub/twin/res/200/?$rid=1", "{\"desired\":{}}", 0);
	until_told(&s, &d, 3);
	CHECK_STR(buf_text(&d.told), "listening 15\ntwin 12 204 5 \ntwin 11 200 0 {\"desired\":{}}\n");
	CHECK_INT(device_client_open_questions(d.client), 0);
	for (int i = 0; i < DEVICE_QUESTIONS_MAX; i++)
		CHECK(device_client_get_twin(d.client, 20));
	CHECK(!device_client_get_twin(d.client, 20));
	device_close(&d);
	server_close(&s);
}

TEST("a question that is not answered in time is told so, and its place is free again")
{
	struct server s;
	struct device d;

	server_open(&s);
	device_open(&d, &s, 1500);
	listen_to_all(&s, &d);
	CHECK(device_client_get_twin(d.client, 5));
	until_told(&s, &d, 2);
	CHECK_STR(buf_text(&d.told), "listening 15\ntwin 5 0 0 \n");
	CHECK_INT(device_client_open_questions(d.client), 0);
	device_close(&d);
	server_close(&s);
}

/* What a server must not send: each ends the connection. */
static const struct {
	const char *topic;
	bool is_subscribed; /* before that */
	const char *why;
} lies[] = {
	{ "$iothub/methods/POST/x/?$rid=1", false, "a message that was not subscribed to" },
	{ "devices/dev1/messages/devicebound/", false, "a message that was not subscribed to" },
	{ "$iothub/twin/res/200/?$rid=1", false, "a message that was not subscribed to" },
	{ "devices/dev2/messages/devicebound/", true, "a message for another device" },
	{ "devices/dev1/modules/m/messages/devicebound/", true, "a message for another device" },
	{ "devices/dev1/messages/events/", true, "a message that was not subscribed to" },
	{ "$iothub/methods/POST/%/?$rid=1", true, "a method whose name is none" },
	{ "$iothub/methods/POST/%00/?$rid=1", true, "a method whose name is none" },
	{ "$iothub/methods/POST/%ff/?$rid=1", true, "a method whose name is none" },
};

static void
check_end(struct server *s, struct device *d, const char *why)
{
	if (!until(s->loop, until_true, &d->is_over))
		fail_msg("it goes on after what should be: %s", why);
	CHECK(strstr(buf_text(&d->told), why));
}

TEST("what a server must not send ends the connection")
{
	for (size_t i = 0; i < COUNT(lies); i++) {
		struct server s;
		struct device d;

		server_open(&s);
		device_open(&d, &s, 0);
		if (lies[i].is_subscribed)
			listen_to_all(&s, &d);
		publish(&s, lies[i].topic, "x", 0);
		check_end(&s, &d, lies[i].why);
		device_close(&d);
		server_close(&s);
	}
}

TEST("an acknowledgement of what was not asked for ends the connection")
{
	static const struct {
		uint16_t id_off;
		size_t n;
	} subacks[] = { { 1, 4 }, { 0, 3 }, { 0, 1 } };
	static const uint8_t codes[4];

	for (size_t i = 0; i < COUNT(subacks); i++) {
		struct server s;
		struct device d;

		server_open(&s);
		device_open(&d, &s, 0);
		device_client_listen(d.client, 15);
		until_heard(&s, 1);
		suback(&s, (uint16_t)(s.last_id + subacks[i].id_off), codes, subacks[i].n);
		check_end(&s, &d, "a SUBACK that answers no SUBSCRIBE");
		device_close(&d);
		server_close(&s);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A link that is asked to move to another connection, before a server that acknowledges when the test wants. */
#include "device/device_link.h"
#include "net/test_fixture.h"
#include "wire/mqtt.h"

struct story {
	struct loop *loop;
	struct tls_holder *tls;
	struct tls_client *client_tls;
	struct listener *listener;
	struct conn *conn; /* the newest at the server */
	uint16_t last_id;  /* that it has not acknowledged */
	int n_connects, n_published;
	struct device_link *link;
	int n_up, n_acked, n_down, n_stayed;
	bool is_busy; /* with something that the server asked for */
};

/* -- The server ---------------------------------------------------------------------------------------------------------------------------- */

static void
say(struct story *s, struct buf *packet)
{
	conn_write(s->conn, packet->data, packet->len);
	buf_clear(packet);
}

static void
hear(struct story *s, const struct mqtt_frame *frame)
{
	struct buf packet = BUF_INIT(16);
	struct mqtt_publish p;
	struct err err = ERR_INIT;

	if (frame->type == MQTT_CONNECT) {
		s->n_connects++;
		mqtt_encode_connack(&packet, MQTT_ACCEPTED, false);
		say(s, &packet);
	} else if (frame->type == MQTT_PUBLISH && mqtt_decode_publish(&p, frame, &err) == 0) {
		s->n_published++;
		s->last_id = p.id;
	}
}

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	size_t used = 0, need;
	struct mqtt_frame frame;
	struct err err = ERR_INIT;

	while (mqtt_frame_cut(&frame, data + used, len - used, 1 << 20, &need, &err) == MQTT_CUT_DONE) {
		used += frame.len;
		hear(conn_user(conn), &frame);
	}
	return used;
}

static const struct conn_ops server_ops = { .on_data = on_data, .read_max = 1 << 20 };

static void
on_accept(struct conn *conn, void *user)
{
	struct story *s = user;

	s->conn = conn;
	conn_switch_ops(conn, &server_ops, s);
}

static void
acknowledge(struct story *s)
{
	struct buf packet = BUF_INIT(16);

	mqtt_encode_ack(&packet, MQTT_PUBACK, s->last_id);
	say(s, &packet);
}

/* -- The link ------------------------------------------------------------------------------------------------------------------------------- */

static void
ask_token(struct device_link *link, void *user)
{
	(void)user;
	device_link_token(link, "SharedAccessSignature of a test", clock_wall() + 3600);
}

static void
on_up(struct device_link *link, void *user)
{
	(void)link;
	((struct story *)user)->n_up++;
}

static void
on_acked(struct device_link *link, void *user, uint64_t cookie)
{
	(void)link;
	(void)cookie;
	((struct story *)user)->n_acked++;
}

static bool
on_down(struct device_link *link, void *user, enum device_client_end end, uint8_t code, const char *why)
{
	(void)link;
	(void)end;
	(void)code;
	(void)why;
	((struct story *)user)->n_down++;
	return true;
}

static bool
may_move(struct device_link *link, void *user)
{
	(void)link;
	return !((struct story *)user)->is_busy;
}

static void
on_stayed(struct device_link *link, void *user)
{
	CHECK(device_link_may_publish(link));
	((struct story *)user)->n_stayed++;
}

static const struct device_link_ops ops = {
	.ask_token = ask_token,
	.on_up = on_up,
	.on_acked = on_acked,
	.on_down = on_down,
	.may_move = may_move,
	.on_stayed = on_stayed,
};

static bool
is_up(void *arg)
{
	const struct story *s = arg;

	return s->n_up > 0 && s->n_up == s->n_connects;
}

static bool
has_moved(void *arg)
{
	return ((struct story *)arg)->n_up == 2;
}

static bool
has_come(void *arg)
{
	return ((struct story *)arg)->n_published > 0;
}

static bool
is_acked(void *arg)
{
	return ((struct story *)arg)->n_acked > 0;
}

static bool
has_stayed(void *arg)
{
	return ((struct story *)arg)->n_stayed > 0;
}

static void
story_begin(struct story *s)
{
	struct err err = ERR_INIT;
	struct device_client_config target = {
		.host = "localhost", .connect_to = "127.0.0.1", .hub_host = "hub.test", .device_id = "dev1", .who = "device"
	};

	*s = (struct story){ .loop = loop_new("test"), .tls = server_tls("test", NULL) };
	s->listener = listener_open(&s->loop, 1,
		&(struct listener_config){
			.address = "127.0.0.1", .tls = s->tls, .ops = &server_ops, .user = s, .on_accept = on_accept },
		&err);
	if (!s->listener)
		fail_msg("%s", err.text);
	target.tls = s->client_tls = client_tls(pki()->anchors, false);
	target.port = listener_port(s->listener);
	s->link = device_link_new(s->loop, &target, &ops, s);
	device_link_start(s->link);
	CHECK(until(s->loop, is_up, s));
}

static void
publish(struct story *s)
{
	struct device_message m = { .payload = { .text = "x", .len = 1 }, .qos = 1 };

	s->n_published = 0;
	CHECK(device_link_may_publish(s->link) && device_link_publish(s->link, &m, 1));
	CHECK(until(s->loop, has_come, s));
}

static void
story_clear(struct story *s)
{
	device_link_free(s->link);
	listener_close(s->listener);
	loop_finish(s->loop);
	loop_free(s->loop);
	tls_client_free(s->client_tls);
	tls_holder_free(s->tls);
}

TEST("a link with nothing in flight moves at once, and nobody hears of an end")
{
	struct story s;

	story_begin(&s);
	CHECK(device_link_move(s.link) && !device_link_may_publish(s.link));
	CHECK(until(s.loop, has_moved, &s));
	CHECK(s.n_connects == 2 && s.n_down == 0 && s.n_stayed == 0 && device_link_may_publish(s.link));
	story_clear(&s);
}

TEST("one with a message in flight moves when that is acknowledged, and publishes nothing until then")
{
	struct story s;

	story_begin(&s);
	publish(&s);
	CHECK(device_link_move(s.link) && !device_link_move(s.link));
	run_for(s.loop, 50);
	CHECK(s.n_connects == 1 && !device_link_may_publish(s.link));
	acknowledge(&s);
	CHECK(until(s.loop, has_moved, &s));
	CHECK(s.n_acked == 1 && s.n_published == 1 && s.n_down == 0 && s.n_stayed == 0);
	story_clear(&s);
}

TEST("where the acknowledgement does not come the connection stays, its owner hears that it may go on, and the message is not lost")
{
	struct story s;

	story_begin(&s);
	publish(&s);
	CHECK(device_link_move(s.link));
	CHECK(until(s.loop, has_stayed, &s));
	CHECK(s.n_connects == 1 && s.n_down == 0 && s.n_acked == 0);
	acknowledge(&s);
	CHECK(until(s.loop, is_acked, &s));
	publish(&s);
	CHECK(s.n_connects == 1);
	story_clear(&s);
}

TEST("what comes while it waits for its moment holds it back, as what was there before does")
{
	struct story s;

	story_begin(&s);
	publish(&s);
	CHECK(device_link_move(s.link));
	s.is_busy = true;
	acknowledge(&s);
	CHECK(until(s.loop, has_stayed, &s));
	CHECK(s.n_connects == 1 && !device_link_move(s.link));
	s.is_busy = false;
	CHECK(device_link_move(s.link));
	CHECK(until(s.loop, has_moved, &s));
	CHECK(s.n_down == 0);
	story_clear(&s);
}

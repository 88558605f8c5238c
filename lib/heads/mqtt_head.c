/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an MQTT connection: cutting the stream, handing packets to their files, the clock that watches keep-alive and token, and the end, at which everything
 * that somebody else still holds (a question to the back end, a message on its way to the disk) forgets the session. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "heads/mqtt_session.h"

#define CONNECT_WITHIN_MS 20000
#define LOOK_AGAIN_MS 60000 /* the wall clock may have been set: look at a token's end at least this often */
#define UNACKED_MAX 256

static const struct head_session_ops session_ops;

void
mqtt_session_send(struct mqtt_session *s, struct buf *packet)
{
	if (packet->failed)
		conn_abort(s->base.conn, "a packet that can't be encoded");
	else
		conn_write(s->base.conn, packet->data, packet->len);
	buf_clear(packet);
}

/* Before the back end has let it in, an identity is a claim that anybody can make, and nothing is to be written down of who it names. */
static char *
who_is(const struct mqtt_session *s)
{
	return s->base.domain ? identity_name(s->device_id, s->module_id) : mem_text(conn_peer_name(s->base.conn));
}

void
mqtt_session_violate(struct mqtt_session *s, enum reason reason, const char *detail)
{
	OWN_TEXT name = who_is(s);

	if (s->state == MQTT_STATE_ENDING)
		return;
	s->state = MQTT_STATE_ENDING;
	if (s->head->config.ops->violation)
		s->head->config.ops->violation(s->head->config.backend, name, reason, detail);
	conn_close(s->base.conn, reason_row(reason)->sentence);
}

void
mqtt_session_refuse(struct mqtt_session *s, enum mqtt_connack code)
{
	struct buf packet = BUF_INIT(16);

	s->state = MQTT_STATE_ENDING;
	conn_refuse_resumption(s->base.conn);
	mqtt_encode_connack(&packet, code, false);
	mqtt_session_send(s, &packet);
	conn_close(s->base.conn, "refused");
}

/* -- Packets ------------------------------------------------------------------------------------------------------------------------ */

static void
in_ping(struct mqtt_session *s, const struct mqtt_frame *frame)
{
	struct buf packet = BUF_INIT(16);
	struct err err = ERR_INIT;

	if (mqtt_decode_empty(frame, &err) < 0) {
		mqtt_session_violate(s, MQTT_MALFORMED, err.text);
		return;
	}
	mqtt_encode_empty(&packet, MQTT_PINGRESP);
	mqtt_session_send(s, &packet);
}

static void
in_disconnect(struct mqtt_session *s, const struct mqtt_frame *frame)
{
	struct err err = ERR_INIT;

	if (mqtt_decode_empty(frame, &err) < 0) {
		mqtt_session_violate(s, MQTT_MALFORMED, err.text);
		return;
	}
	s->state = MQTT_STATE_ENDING;
	s->ended_by_client = true;
	conn_close(s->base.conn, "");
}

static void
take_packet(struct mqtt_session *s, const struct mqtt_frame *frame)
{
	OWN_TEXT detail = NULL;

	switch (frame->type) {
	case MQTT_PUBLISH:
		mqtt_in_publish(s, frame);
		return;
	case MQTT_SUBSCRIBE:
		mqtt_in_subscribe(s, frame);
		return;
	case MQTT_UNSUBSCRIBE:
		mqtt_in_unsubscribe(s, frame);
		return;
	case MQTT_PINGREQ:
		in_ping(s, frame);
		return;
	case MQTT_DISCONNECT:
		in_disconnect(s, frame);
		return;
	case MQTT_PUBACK:
		mqtt_in_puback(s, frame);
		return;
	case MQTT_CONNECT:
	case MQTT_CONNACK:
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
	case MQTT_PINGRESP:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		break;
	}
	detail = mem_textf("%s from a client", frame->type == MQTT_CONNECT ? "a second CONNECT" : mqtt_type_name(frame->type));
	mqtt_session_violate(s, MQTT_MALFORMED, detail);
}

static bool
may_take(const struct mqtt_session *s)
{
	size_t max = s->head->config.max_unacked ? s->head->config.max_unacked : UNACKED_MAX;

	if (s->state == MQTT_STATE_NEW)
		return true;
	return s->state == MQTT_STATE_LIVE && s->n_acks + s->n_calls < max;
}

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	struct mqtt_session *s = conn_user(conn);
	size_t used = 0, need;
	struct mqtt_frame frame;

	s->last_heard_ms = clock_boot_ms();
	while (may_take(s) && used < len) {
		size_t max = s->state == MQTT_STATE_NEW ? MQTT_CONNECT_MAX : s->head->config.max_packet;
		struct err err = ERR_INIT;
		enum mqtt_cut cut;

		if (s->state == MQTT_STATE_NEW && data[used] != MQTT_CONNECT << 4) {
			mqtt_session_violate(s, MQTT_MALFORMED, "MQTT 3.1.0-1: the first packet is not CONNECT");
			return len;
		}
		cut = mqtt_frame_cut(&frame, data + used, len - used, max, &need, &err);
		if (cut == MQTT_CUT_MORE)
			return used;
		if (cut == MQTT_CUT_BAD) {
			mqtt_session_violate(s, err.kind == ERR_LIMIT ? MQTT_TOO_LARGE : MQTT_MALFORMED, err.text);
			return len;
		}
		used += frame.len;
		if (s->state == MQTT_STATE_NEW)
			mqtt_in_connect(s, &frame);
		else
			take_packet(s, &frame);
	}
	if (s->state == MQTT_STATE_ENDING)
		return len;
	if (!may_take(s))
		conn_pause(conn, true);
	return used;
}

/* -- The clock ----------------------------------------------------------------------------------------------------------------------- */

int64_t
mqtt_patience_ms(uint16_t keep_alive_s)
{
	int64_t patience_ms = (int64_t)keep_alive_s * 1500;

	return patience_ms > 0 && patience_ms < MQTT_PATIENCE_MAX_MS ? patience_ms : MQTT_PATIENCE_MAX_MS;
}

void
mqtt_session_arm(struct mqtt_session *s)
{
	int64_t after = s->last_heard_ms + mqtt_patience_ms(s->keep_alive_s) - clock_boot_ms();

	if (s->expires > 0) {
		int64_t left = s->expires * 1000 - clock_wall_ms();

		after = left < after ? left : after;
		after = after < LOOK_AGAIN_MS ? after : LOOK_AGAIN_MS;
	}
	timer_arm(&s->timer, after > 0 ? after : 1);
}

static void
on_timer(struct timer *timer)
{
	struct mqtt_session *s = CONTAINER_OF(timer, struct mqtt_session, timer);

	switch (s->state) {
	case MQTT_STATE_NEW:
	case MQTT_STATE_ADMITTING:
		mqtt_session_violate(s, NO_CONNECT_IN_TIME, "no CONNECT in time");
		return;
	case MQTT_STATE_LIVE:
		if (s->expires > 0 && clock_wall() >= s->expires)
			mqtt_session_violate(s, SAS_EXPIRED, "the token that opened the connection has expired");
		else if (clock_boot_ms() - s->last_heard_ms >= mqtt_patience_ms(s->keep_alive_s))
			mqtt_session_violate(s, MQTT_KEEP_ALIVE, "silence");
		else
			mqtt_session_arm(s);
		return;
	case MQTT_STATE_ENDING:
		conn_abort(s->base.conn, "the peer does not read");
	}
}

/* -- Acknowledgements ----------------------------------------------------------------------------------------------------------------- */

void
mqtt_session_read_on(struct mqtt_session *s)
{
	if (s->state == MQTT_STATE_LIVE && may_take(s))
		conn_pause(s->base.conn, false);
}

static void
ack_free(struct mqtt_ack *ack)
{
	buf_clear(&ack->packet);
	mem_free(ack);
}

static void
put_ack(struct buf *packets, const struct mqtt_ack *ack)
{
	if (ack->packet.len > 0)
		buf_put(packets, ack->packet.data, ack->packet.len);
	else if (ack->id != 0)
		mqtt_encode_ack(packets, MQTT_PUBACK, ack->id);
}

/* What the device asked for may follow at once. */
static void
tell_wants(struct mqtt_session *s, unsigned asked)
{
	const struct head_ops *ops = s->head->config.ops;

	if (ops->wants && s->state == MQTT_STATE_LIVE)
		ops->wants(s->head->config.backend, s->base.domain, &s->base, mqtt_out_wants(&s->base) | asked);
}

static void
send_done_acks(struct mqtt_session *s)
{
	struct buf packets = BUF_INIT(4 * 65536);
	bool subscribed = false;
	unsigned asked = 0;

	while (s->acks && s->acks->done) {
		struct mqtt_ack *ack = s->acks;

		s->acks = ack->next;
		if (!s->acks)
			s->last_ack = &s->acks;
		s->n_acks--;
		put_ack(&packets, ack);
		subscribed = subscribed || ack->is_subscriptions;
		asked |= ack->asked;
		ack_free(ack);
	}
	if (packets.len > 0)
		mqtt_session_send(s, &packets);
	buf_clear(&packets);
	if (subscribed)
		tell_wants(s, asked);
	mqtt_session_read_on(s);
}

/* It is durable, or never will be. */
static void
on_durable(struct head_ack *head_ack, enum reason why)
{
	struct mqtt_ack *ack = CONTAINER_OF(head_ack, struct mqtt_ack, base);
	struct mqtt_session *s = ack->session;

	if (!s) {
		ack_free(ack);
		return;
	}
	if (why != OK) {
		/* No acknowledgement, and none for what comes after it: the client sends all of it again. */
		ack->failed = true;
		mqtt_session_violate(s, why, "what it sent could not be stored");
		return;
	}
	ack->done = true;
	if (s->acks == ack)
		send_done_acks(s);
}

struct mqtt_ack *
mqtt_session_expect_ack(struct mqtt_session *s)
{
	struct mqtt_ack *ack = NEW(mqtt_ack);

	ack->base.done = on_durable;
	ack->packet = (struct buf)BUF_INIT(256);
	ack->session = s;
	*s->last_ack = ack;
	s->last_ack = &ack->next;
	s->n_acks++;
	return ack;
}

/* -- Sessions ------------------------------------------------------------------------------------------------------------------------- */

static void
send_will(struct mqtt_session *s)
{
	const struct head_ops *ops = s->head->config.ops;

	if (s->will && s->base.domain && !s->ended_by_client)
		ops->message(s->head->config.backend, s->base.domain, NULL,
			&(struct head_message){ .bag = slice_of(s->will->bag),
				.payload = { .text = (const char *)s->will->payload, .len = s->will->len },
				.retain = s->will->retain,
				.is_will = true },
			NULL);
	if (s->will) {
		mem_free(s->will->bag);
		mem_free(s->will->payload);
	}
	mem_free(s->will);
}

static void
on_close(struct conn *conn, const char *why)
{
	struct mqtt_session *s = conn_user(conn);

	(void)why;
	timer_cancel(&s->timer);
	send_will(s);
	if (s->admission)
		s->admission->session = NULL;
	for (struct mqtt_ack *ack = s->acks, *next; ack; ack = next) {
		next = ack->next;
		ack->session = NULL;
		if (ack->done || ack->failed)
			ack_free(ack);
	}
	if (s->base.domain) {
		OWN_TEXT name = identity_name(s->device_id, s->module_id);

		directory_release(s->head->config.directory, name, conn_id(conn));
		s->head->config.ops->end(s->head->config.backend, s->base.domain, &s->base, s->ended_by_client);
	}
	mqtt_calls_forget(s);
	mem_free(s->in_flight);
	mem_free(s->device_id);
	mem_free(s->module_id);
	mem_free(s);
}

static void
on_open(struct conn *conn)
{
	struct mqtt_session *s = conn_user(conn);

	timer_arm(&s->timer, CONNECT_WITHIN_MS);
}

static void
close_session(struct head_session *session, enum reason reason)
{
	struct mqtt_session *s = CONTAINER_OF(session, struct mqtt_session, base);

	mqtt_session_violate(s, reason, "");
}

static const struct head_session_ops session_ops = {
	.close = close_session,
	.wants = mqtt_out_wants,
	.desired = mqtt_out_desired,
	.method = mqtt_out_method,
	.deliver = mqtt_out_deliver,
	.forget = mqtt_out_forget,
};

static const struct conn_ops ops = { .on_open = on_open, .on_data = on_data, .on_close = on_close, .read_max = MQTT_PACKET_MAX };

const struct conn_ops *
mqtt_head_ops(void)
{
	return &ops;
}

void
mqtt_head_on_accept(struct conn *conn, void *head)
{
	struct mqtt_session *s = NEW(mqtt_session);

	s->base = (struct head_session){ .ops = &session_ops, .conn = conn };
	s->head = head;
	s->last_ack = &s->acks;
	timer_init(&s->timer, conn_loop(conn), on_timer);
	conn_set_user(conn, s);
}

struct mqtt_head *
mqtt_head_new(const struct mqtt_head_config *config)
{
	struct mqtt_head *head = NEW(mqtt_head);

	head->config = *config;
	head->config.max_packet = config->max_packet ? config->max_packet : MQTT_PACKET_MAX;
	return head;
}

void
mqtt_head_free(struct mqtt_head *head)
{
	mem_free(head);
}

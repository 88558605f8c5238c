/* SPDX-License-Identifier: Apache-2.0 */
/* A session: CONNECT is judged on the worker, then questions are taken one after the other.  While the worker has one it reads the session's texts; the session then outlives its connection
 * until the answer is back. */
#include "hub/provisioning/provisioning_mqtt.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/service.h"
#include "hub/provisioning/provisioning_topic.h"
#include "hub/provisioning/registrar.h"
#include "wire/json.h"
#include "wire/mqtt.h"

#define CONNECT_WITHIN_MS 20000
#define LINGER_MS 5000 /* to read our last word */
#define PACKET_MAX (64 * 1024)
#define IDLE_MAX_S 300	      /* of who asks for no keep-alive (the C SDK) */
#define KEEP_ALIVE_MAX_S 1767 /* as at the hub */
#define NOT_GRANTED 0x80

enum state {
	NEW_CONN, /* nothing but CONNECT is taken */
	ASKING,	  /* the worker has a question: nothing is taken */
	LIVE,
	ENDING,
};

struct session {
	struct conn *conn; /* NULL: it has closed while the worker had a question */
	char *id_scope, *registration_id, *token, *operation, *rid;
	struct certs chain;
	uint8_t *body;
	struct registrar_call call;
	registrar_question *question; /* NULL: CONNECT */
	struct job job;
	struct timer timer;
	int64_t last_heard_ms;
	enum state state;
	uint16_t keep_alive_s, packet_id; /* packet_id: of the question; 0 at QoS 0 */
	bool subscribed;
};

static void
session_free(struct session *s)
{
	if (s->token)
		mem_wipe(s->token, strlen(s->token));
	mem_free(s->id_scope);
	mem_free(s->registration_id);
	mem_free(s->token);
	mem_free(s->operation);
	mem_free(s->rid);
	mem_free(s->body);
	certs_clear(&s->chain);
	registrar_call_clear(&s->call);
	mem_free(s);
}

/* -- What goes out ---------------------------------------------------------------------------------------------------------------- */

static void
send_packet(struct session *s, struct buf *packet)
{
	if (packet->failed)
		conn_abort(s->conn, "a packet that can't be encoded");
	else
		conn_write(s->conn, packet->data, packet->len);
	buf_clear(packet);
}

static void
end(struct session *s, const char *why)
{
	s->state = ENDING;
	conn_close(s->conn, why);
	timer_arm(&s->timer, LINGER_MS);
}

static void
violate(struct session *s, enum reason reason, const char *detail)
{
	if (s->state == ENDING)
		return;
	service_log_violation(s->registration_id ? s->registration_id : conn_peer_name(s->conn), reason, detail);
	end(s, reason_row(reason)->sentence);
}

static void
refuse(struct session *s, enum mqtt_connack code)
{
	struct buf packet = BUF_INIT(16);

	conn_refuse_resumption(s->conn);
	mqtt_encode_connack(&packet, code, false);
	send_packet(s, &packet);
	end(s, "refused");
}

static void
refuse_for(struct session *s, enum mqtt_connack code, enum reason reason, const char *detail)
{
	service_log_violation(conn_peer_name(s->conn), reason, detail);
	refuse(s, code);
}

static void
send_answer(struct session *s)
{
	struct buf packet = BUF_INIT(2 * PACKET_MAX);
	CLEAR(buf) topic = BUF_INIT(512);
	OWN_TEXT body = json_line(s->call.answer.body);

	if (!s->subscribed)
		return;
	provisioning_topic_put_answer(&topic, s->call.answer.status, s->rid, s->call.answer.retry_after_s);
	mqtt_encode_publish(
		&packet, &(struct mqtt_publish){ .topic = { buf_text(&topic), topic.len }, .payload = { body, strlen(body) } });
	send_packet(s, &packet);
}

static void
send_puback(struct session *s)
{
	struct buf packet = BUF_INIT(16);

	if (s->packet_id == 0)
		return;
	mqtt_encode_ack(&packet, MQTT_PUBACK, s->packet_id);
	send_packet(s, &packet);
}

/* -- The worker and back ---------------------------------------------------------------------------------------------------------- */

static void
run(struct job *job)
{
	struct session *s = CONTAINER_OF(job, struct session, job);

	if (s->question)
		s->question(&s->call);
	else if (registrar_admit(&s->call))
		s->call.answer.status = 200;
}

/* hub 6.2: 5 for everything that has to do with who it is. */
static void
finish_connect(struct session *s)
{
	struct buf packet = BUF_INIT(16);
	int status = s->call.answer.status;

	if (status != 200) {
		refuse(s, status >= 500 ? MQTT_UNAVAILABLE : MQTT_NOT_AUTHORIZED);
		return;
	}
	conn_refuse_resumption(s->conn); /* the chain is ours by now */
	mqtt_encode_connack(&packet, MQTT_ACCEPTED, false);
	send_packet(s, &packet);
	s->state = LIVE;
}

static void
finish_question(struct session *s)
{
	send_puback(s);
	send_answer(s);
	s->state = LIVE;
}

static void arm(struct session *s);

static void
done(struct job *job)
{
	struct session *s = CONTAINER_OF(job, struct session, job);

	provisioning_asked(s->call.provisioning);
	if (!s->conn) {
		session_free(s);
		return;
	}
	if (s->question)
		finish_question(s);
	else
		finish_connect(s);
	registrar_call_clear(&s->call);
	if (s->state != LIVE)
		return;
	s->last_heard_ms = clock_boot_ms();
	arm(s);
	conn_pause(s->conn, false);
}

/* false: too much waits already. */
static bool
ask(struct session *s, registrar_question *question)
{
	struct provisioning *provisioning = s->call.provisioning;

	s->call = (struct registrar_call){ .provisioning = provisioning,
		.id_scope = s->id_scope,
		.registration_id = s->registration_id,
		.operation = s->operation,
		.token = s->token,
		.chain = &s->chain,
		.body = s->call.body };
	s->question = question;
	s->job = (struct job){ .run = run, .done = done, .owner = loop_owner(conn_loop(s->conn)) };
	if (!provisioning_ask(provisioning, &s->job))
		return false;
	s->state = ASKING;
	return true;
}

/* -- What comes in ---------------------------------------------------------------------------------------------------------------- */

static void
take_names(struct session *s, const struct mqtt_connect *c, const struct provisioning_name *name)
{
	s->id_scope = slice_text(name->id_scope);
	s->registration_id = slice_text(name->registration_id);
	s->token = c->has_password && c->password.len > 0 ? slice_text(c->password) : NULL;
	s->keep_alive_s = c->keep_alive_s;
	s->chain = conn_peer_chain(s->conn);
}

static void
in_connect(struct session *s, const struct mqtt_frame *frame)
{
	struct mqtt_connect c;
	struct provisioning_name name;
	struct err err = ERR_INIT;
	OWN_TEXT client_id = NULL;

	if (mqtt_decode_connect(&c, frame, &err) < 0) {
		violate(s, MQTT_MALFORMED, err.text);
		return;
	}
	if (c.level != 4) {
		refuse_for(s, MQTT_BAD_PROTOCOL, MQTT_BAD_PROTOCOL_LEVEL, "another protocol level than 4");
		return;
	}
	if (c.has_will) {
		refuse_for(s, MQTT_NOT_AUTHORIZED, MQTT_UNKNOWN_TOPIC, "a will: there is nobody to tell");
		return;
	}
	if (!c.has_user || provisioning_name_parse(&name, c.user, &err) < 0) {
		refuse_for(s, MQTT_NOT_AUTHORIZED, PROVISIONING_BAD_USERNAME, c.has_user ? err.text : "no user name");
		return;
	}
	take_names(s, &c, &name);
	client_id = slice_text(c.client_id);
	if (!text_is_nocase(client_id, s->registration_id))
		refuse_for(s, MQTT_NOT_AUTHORIZED, MQTT_CLIENT_ID_MISMATCH, s->registration_id);
	else if (!ask(s, NULL))
		refuse(s, MQTT_UNAVAILABLE);
}

static void
in_subscribe(struct session *s, const struct mqtt_frame *frame)
{
	struct mqtt_subscribe wish;
	uint8_t codes[MQTT_FILTERS_MAX];
	struct buf packet = BUF_INIT(256);
	struct err err = ERR_INIT;

	if (mqtt_decode_subscribe(&wish, frame, &err) < 0) {
		violate(s, MQTT_MALFORMED, err.text);
		return;
	}
	for (size_t i = 0; i < wish.n; i++) {
		bool known = slice_is(wish.item[i].filter, PROVISIONING_FILTER);

		s->subscribed |= known;
		codes[i] = !known ? NOT_GRANTED : wish.item[i].qos > 0;
	}
	mqtt_encode_suback(&packet, wish.id, codes, wish.n);
	send_packet(s, &packet);
}

static void
in_unsubscribe(struct session *s, const struct mqtt_frame *frame)
{
	struct mqtt_subscribe wish;
	struct buf packet = BUF_INIT(16);
	struct err err = ERR_INIT;

	if (mqtt_decode_unsubscribe(&wish, frame, &err) < 0) {
		violate(s, MQTT_MALFORMED, err.text);
		return;
	}
	for (size_t i = 0; i < wish.n; i++)
		if (slice_is(wish.item[i].filter, PROVISIONING_FILTER))
			s->subscribed = false;
	mqtt_encode_ack(&packet, MQTT_UNSUBACK, wish.id);
	send_packet(s, &packet);
}

static void
take_question(struct session *s, const struct mqtt_publish *p, const struct provisioning_topic *topic)
{
	mem_free(s->rid);
	mem_free(s->operation);
	mem_free(s->body);
	s->rid = slice_text(topic->rid);
	s->operation = topic->operation.len > 0 ? slice_text(topic->operation) : NULL;
	s->body = p->payload.len > 0 ? mem_dup(p->payload.text, p->payload.len) : NULL;
	s->call.body = (struct slice){ .text = (const char *)s->body, .len = p->payload.len };
	s->packet_id = p->id;
}

static void
in_publish(struct session *s, const struct mqtt_frame *frame)
{
	struct mqtt_publish p;
	struct provisioning_topic topic;
	struct err err = ERR_INIT;

	if (mqtt_decode_publish(&p, frame, &err) < 0) {
		violate(s, MQTT_MALFORMED, err.text);
		return;
	}
	topic = provisioning_topic_parse(p.topic);
	if (p.qos > 1) {
		violate(s, MQTT_QOS2, "QoS 2");
	} else if (topic.kind == PROVISIONING_TOPIC_UNKNOWN) {
		violate(s, MQTT_UNKNOWN_TOPIC, "not a question to provisioning");
	} else {
		take_question(s, &p, &topic);
		if (!ask(s, topic.kind == PROVISIONING_TOPIC_REGISTER ? registrar_register : registrar_operation)) {
			registrar_refuse_busy(&s->call);
			finish_question(s);
			registrar_call_clear(&s->call);
		}
	}
}

static void
in_ping(struct session *s, const struct mqtt_frame *frame)
{
	struct buf packet = BUF_INIT(16);
	struct err err = ERR_INIT;

	if (mqtt_decode_empty(frame, &err) < 0) {
		violate(s, MQTT_MALFORMED, err.text);
		return;
	}
	mqtt_encode_empty(&packet, MQTT_PINGRESP);
	send_packet(s, &packet);
}

static void
in_disconnect(struct session *s, const struct mqtt_frame *frame)
{
	struct err err = ERR_INIT;

	if (mqtt_decode_empty(frame, &err) < 0)
		violate(s, MQTT_MALFORMED, err.text);
	else
		end(s, "");
}

/* Our answers are at QoS 0, so that nothing is to be acknowledged. */
static void (*const takers[])(struct session *s, const struct mqtt_frame *frame) = {
	[MQTT_PUBLISH] = in_publish,
	[MQTT_SUBSCRIBE] = in_subscribe,
	[MQTT_UNSUBSCRIBE] = in_unsubscribe,
	[MQTT_PINGREQ] = in_ping,
	[MQTT_DISCONNECT] = in_disconnect,
};

static void
take_packet(struct session *s, const struct mqtt_frame *frame)
{
	bool is_first = s->state == NEW_CONN;

	if (is_first && frame->type == MQTT_CONNECT)
		in_connect(s, frame);
	else if (!is_first && takers[frame->type])
		takers[frame->type](s, frame);
	else
		violate(s, MQTT_MALFORMED, mqtt_type_name(frame->type));
}

static bool
may_take(const struct session *s)
{
	return s->state == NEW_CONN || s->state == LIVE;
}

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	struct session *s = conn_user(conn);
	size_t used = 0, need;
	struct mqtt_frame frame;

	s->last_heard_ms = clock_boot_ms();
	while (may_take(s) && used < len) {
		struct err err = ERR_INIT;
		enum mqtt_cut cut = mqtt_frame_cut(&frame, data + used, len - used, PACKET_MAX, &need, &err);

		if (cut == MQTT_CUT_MORE)
			return used;
		if (cut == MQTT_CUT_BAD) {
			violate(s, err.kind == ERR_LIMIT ? MQTT_TOO_LARGE : MQTT_MALFORMED, err.text);
			return len;
		}
		used += frame.len;
		take_packet(s, &frame);
	}
	if (s->state == ENDING)
		return len;
	if (s->state == ASKING)
		conn_pause(conn, true);
	return used;
}

/* -- Its life --------------------------------------------------------------------------------------------------------------------- */

static int64_t
patience_ms(const struct session *s)
{
	int64_t seconds = s->keep_alive_s * 3 / 2;

	if (seconds == 0)
		return IDLE_MAX_S * 1000;
	return (seconds < KEEP_ALIVE_MAX_S ? seconds : KEEP_ALIVE_MAX_S) * 1000;
}

static void
arm(struct session *s)
{
	int64_t after = s->last_heard_ms + patience_ms(s) - clock_boot_ms();

	timer_arm(&s->timer, after > 0 ? after : 1);
}

static void
on_timer(struct timer *timer)
{
	struct session *s = CONTAINER_OF(timer, struct session, timer);

	switch (s->state) {
	case NEW_CONN:
		violate(s, NO_CONNECT_IN_TIME, "no CONNECT in time");
		return;
	case ASKING:
		timer_arm(timer, CONNECT_WITHIN_MS); /* it is we who are silent */
		return;
	case LIVE:
		if (clock_boot_ms() - s->last_heard_ms >= patience_ms(s))
			violate(s, MQTT_KEEP_ALIVE, "silence");
		else
			arm(s);
		return;
	case ENDING:
		conn_abort(s->conn, "the peer does not read");
	}
}

static void
on_open(struct conn *conn)
{
	struct session *s = conn_user(conn);

	timer_arm(&s->timer, CONNECT_WITHIN_MS);
}

static void
on_close(struct conn *conn, const char *why)
{
	struct session *s = conn_user(conn);

	(void)why;
	timer_cancel(&s->timer);
	s->conn = NULL;
	if (s->state != ASKING)
		session_free(s);
}

const struct conn_ops *
provisioning_mqtt_ops(void)
{
	static const struct conn_ops ops = { .on_open = on_open, .on_data = on_data, .on_close = on_close, .read_max = PACKET_MAX };

	return &ops;
}

void
provisioning_mqtt_on_accept(struct conn *conn, void *provisioning)
{
	struct session *s = NEW(session);

	s->conn = conn;
	s->call.provisioning = provisioning;
	timer_init(&s->timer, conn_loop(conn), on_timer);
	conn_set_user(conn, s);
}

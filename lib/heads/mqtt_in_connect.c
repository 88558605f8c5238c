/* SPDX-License-Identifier: Apache-2.0 */
/* CONNECT: who does it say it is, and may it in?  The answers are those of hub 1.3.  Nothing of a live session of that identity is touched before the back end said yes
 * (atk-04). */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "heads/mqtt_session.h"
#include "wire/username.h"

static void
refuse(struct mqtt_session *s, enum mqtt_connack code, enum reason reason, const char *detail)
{
	if (s->head->config.ops->violation)
		s->head->config.ops->violation(s->head->config.backend, conn_peer_name(s->base.conn), reason, detail);
	mqtt_session_refuse(s, code);
}

static bool
take_will(struct mqtt_session *s, const struct mqtt_connect *c)
{
	struct topic topic;

	if (!c->has_will)
		return true;
	topic = topic_parse(c->will_topic);
	if (c->will_qos > 1) {
		refuse(s, MQTT_NOT_AUTHORIZED, MQTT_QOS2, "a will at QoS 2");
		return false;
	}
	if (!mqtt_own_telemetry(s, &topic) || !text_is_utf8(c->will_topic.text, c->will_topic.len)) {
		refuse(s, MQTT_NOT_AUTHORIZED, MQTT_FOREIGN_TOPIC, "a will on another topic than the device's telemetry");
		return false;
	}
	s->will = NEW(mqtt_will);
	s->will->bag = slice_text(topic.bag);
	s->will->payload = mem_dup(c->will_payload.text, c->will_payload.len);
	s->will->len = c->will_payload.len;
	s->will->retain = c->will_retain;
	return true;
}

/* -- The back end's answer ------------------------------------------------------------------------------------------------------------- */

static void
on_restore(struct head_admission *base, const char *filter, uint8_t qos)
{
	struct mqtt_session *s = CONTAINER_OF(base, struct mqtt_admission, base)->session;
	enum filter_kind kind = filter_parse(slice_of(filter)).kind;

	if (s && kind != FILTER_UNKNOWN)
		s->subscribed[kind] = qos ? MQTT_SUBSCRIBED_QOS1 : MQTT_SUBSCRIBED_QOS0;
}

static void
go_live(struct mqtt_session *s, void *domain, int64_t expires)
{
	OWN_TEXT name = identity_name(s->device_id, s->module_id);
	struct buf packet = BUF_INIT(16);
	struct directory_older older;

	s->base.domain = domain;
	s->expires = expires;
	s->state = MQTT_STATE_LIVE;
	s->last_heard_ms = clock_boot_ms();
	older = directory_claim(s->head->config.directory, name, conn_loop(s->base.conn), conn_id(s->base.conn));
	conn_allow_resumption(s->base.conn, name);
	mqtt_encode_connack(&packet, MQTT_ACCEPTED, false);
	mqtt_session_send(s, &packet);
	mqtt_session_arm(s);
	if (s->head->config.ops->live)
		s->head->config.ops->live(s->head->config.backend, domain, &s->base);
	directory_end_older(&older);
	mqtt_session_read_on(s);
}

static void
on_answer(struct head_admission *base, bool accepted, void *domain, int64_t expires)
{
	struct mqtt_admission *admission = CONTAINER_OF(base, struct mqtt_admission, base);
	struct mqtt_session *s = admission->session;

	if (s)
		s->admission = NULL;
	if (s && s->state != MQTT_STATE_ADMITTING)
		s = NULL; /* it is being closed already */
	if (s && accepted)
		go_live(s, domain, expires);
	else if (s)
		mqtt_session_refuse(s, MQTT_NOT_AUTHORIZED);
	else if (accepted)
		admission->head->config.ops->end(admission->head->config.backend, domain, NULL, false);
	mem_free(admission);
}

static void
on_unavailable(struct head_admission *base)
{
	struct mqtt_admission *admission = CONTAINER_OF(base, struct mqtt_admission, base);
	struct mqtt_session *s = admission->session;

	if (s) {
		s->admission = NULL;
		if (s->state == MQTT_STATE_ADMITTING)
			mqtt_session_refuse(s, MQTT_UNAVAILABLE);
	}
	mem_free(admission);
}

/* -- The question ---------------------------------------------------------------------------------------------------- */

static void
ask_backend(struct mqtt_session *s, const struct mqtt_connect *c, const struct username *u)
{
	struct certs chain = conn_peer_chain(s->base.conn);
	OWN_TEXT token = c->has_password && c->password.len > 0 ? slice_text(c->password) : NULL;
	struct mqtt_admission *admission = NEW(mqtt_admission);
	struct head_hello hello = {
		.loop = conn_loop(s->base.conn),
		.device_id = s->device_id,
		.module_id = s->module_id,
		.auth_chain = u->auth_chain,
		.model_id = u->model_id,
		.host = u->host,
		.client_type = u->client_type,
		.token = token,
		.chain = &chain,
		.resumed = conn_resumed(s->base.conn),
		.peer = conn_peer_name(s->base.conn),
		.clean_session = c->clean_session,
	};

	s->state = MQTT_STATE_ADMITTING;
	s->admission = admission;
	admission->base = (struct head_admission){ .answer = on_answer, .unavailable = on_unavailable, .restore = on_restore };
	admission->session = s;
	admission->head = s->head;
	s->head->config.ops->admit(s->head->config.backend, &hello, &admission->base);
	if (token)
		mem_wipe(token, strlen(token));
	certs_clear(&chain);
}

void
mqtt_in_connect(struct mqtt_session *s, const struct mqtt_frame *frame)
{
	struct mqtt_connect c;
	struct err err = ERR_INIT;
	OWN(username) u = NULL;
	OWN_TEXT client_id = NULL;
	OWN_TEXT name = NULL;

	if (mqtt_decode_connect(&c, frame, &err) < 0) {
		mqtt_session_violate(s, MQTT_MALFORMED, err.text);
		return;
	}
	if (c.level != 4) {
		refuse(s, MQTT_BAD_PROTOCOL, MQTT_BAD_PROTOCOL_LEVEL, "another protocol level than 4");
		return;
	}
	if (c.client_id.len == 0) {
		refuse(s, MQTT_BAD_ID, MQTT_CLIENT_ID_MISMATCH, "an empty client id");
		return;
	}
	u = c.has_user ? username_parse(c.user, &err) : NULL;
	if (!u || !identity_id_is_valid(u->device_id) || (u->module_id && !identity_id_is_valid(u->module_id))) {
		refuse(s, MQTT_BAD_USER, MQTT_BAD_USERNAME,
			!c.has_user ? "no user name"
			: !u	    ? err.text
				    : "an id with characters that no id has");
		return;
	}
	name = identity_name(u->device_id, u->module_id);
	client_id = slice_text(c.client_id);
	if (!text_is(client_id, name)) {
		refuse(s, MQTT_BAD_ID, MQTT_CLIENT_ID_MISMATCH, name);
		return;
	}
	s->device_id = mem_text(u->device_id);
	s->module_id = mem_text(u->module_id);
	s->keep_alive_s = c.keep_alive_s;
	s->clean_session = c.clean_session;
	if (take_will(s, &c))
		ask_backend(s, &c, u);
}

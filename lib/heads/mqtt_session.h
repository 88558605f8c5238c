/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside the MQTT head: a connection from CONNECT to its end.  mqtt_head.c has its life, mqtt_in_*.c the packets that come in,
 * mqtt_out.c what is told. */

#include "heads/head_inside.h"
#include "heads/mqtt_head.h"
#include "wire/mqtt.h"
#include "wire/topic.h"

#define MQTT_MESSAGE_MAX (256 * 1024)			/* payload and properties (hub 1.6) */
#define MQTT_PACKET_MAX (MQTT_MESSAGE_MAX + 65535 + 16) /* with any topic */
#define MQTT_CONNECT_MAX (96 * 1024)			/* from somebody who is not known yet */
#define MQTT_IN_FLIGHT_MAX 16				/* commands that are sent and not yet acknowledged */
#define MQTT_INPUTS_IN_FLIGHT_MAX 64	   /* the same of what goes to inputs: one that does not answer must not stop the others */
#define MQTT_PATIENCE_MAX_MS (1767 * 1000) /* hub 1.2 */

struct mqtt_head {
	struct mqtt_head_config config;
};

/* The life of a connection; docs/states.md has the picture. */
enum mqtt_state {
	MQTT_STATE_NEW,	      /* nothing but CONNECT is taken */
	MQTT_STATE_ADMITTING, /* the back end decides */
	MQTT_STATE_LIVE,
	MQTT_STATE_ENDING, /* being closed: nothing is taken */
};

enum mqtt_subscribed { MQTT_NOT_SUBSCRIBED, MQTT_SUBSCRIBED_QOS0, MQTT_SUBSCRIBED_QOS1 };

struct mqtt_will {
	char *bag;
	uint8_t *payload;
	size_t len;
	bool retain;
};

/* Something that waits to be durable: a message, or subscriptions.  Acknowledgements leave in the order of what they are for, so done ones wait for those before them. */
struct mqtt_ack {
	struct head_ack base;
	struct buf packet;	      /* SUBACK, UNSUBACK; else empty */
	struct mqtt_session *session; /* NULL: it ended */
	struct mqtt_ack *next;
	unsigned asked;	       /* of subscriptions: what the back end hears after the packet has left */
	uint16_t id;	       /* of a message; 0: QoS 0, nothing is sent */
	bool is_subscriptions; /* they were changed */
	bool done, failed;     /* failed: answered as well, but nothing is acknowledged for it or after it */
};
struct mqtt_ack *mqtt_session_expect_ack(struct mqtt_session *s);

/* A question that waits for its answer. */
struct head_call {
	struct mqtt_session *session; /* NULL: it ended */
	enum head_question kind;
	struct head_call *next, **link;
	char *rid;
};

struct mqtt_in_flight {
	uint64_t command_id;
	uint16_t id;
	bool is_input;
};

struct mqtt_admission {
	struct head_admission base;
	struct mqtt_session *session; /* NULL: the connection died meanwhile */
	const struct mqtt_head *head;
};

struct mqtt_session {
	struct head_session base;
	const struct mqtt_head *head;
	char *device_id, *module_id; /* NULL before CONNECT */
	struct mqtt_admission *admission;
	struct mqtt_will *will;
	struct mqtt_ack *acks, **last_ack;
	struct head_call *calls;
	struct mqtt_in_flight *in_flight; /* NULL until the first one */
	int64_t last_heard_ms, expires;
	struct timer timer;
	enum mqtt_state state;
	uint8_t subscribed[FILTER_KINDS];      /* enum mqtt_subscribed: of each kind an identity has one filter */
	uint16_t n_acks, n_calls, n_in_flight; /* all have ceilings */
	uint16_t keep_alive_s, last_id;
	bool clean_session, ended_by_client;
};

/* The connection is closed for this reason, which the back end hears. */
void mqtt_session_violate(struct mqtt_session *s, enum reason reason, const char *detail);
void mqtt_session_refuse(struct mqtt_session *s, enum mqtt_connack code);
void mqtt_session_send(struct mqtt_session *s, struct buf *packet);
void mqtt_session_read_on(struct mqtt_session *s); /* something that it waited for is done */
void mqtt_session_arm(struct mqtt_session *s);
/* How long it may be silent: one and a half times what it said (MQTT 3.1.2.10), which is no whole number of seconds when that is odd. */
int64_t mqtt_patience_ms(uint16_t keep_alive_s);

/* Each takes one packet. */
void mqtt_in_connect(struct mqtt_session *s, const struct mqtt_frame *frame);
void mqtt_in_publish(struct mqtt_session *s, const struct mqtt_frame *frame);
void mqtt_in_subscribe(struct mqtt_session *s, const struct mqtt_frame *frame);
void mqtt_in_unsubscribe(struct mqtt_session *s, const struct mqtt_frame *frame);
void mqtt_in_puback(struct mqtt_session *s, const struct mqtt_frame *frame);
void mqtt_in_question(struct mqtt_session *s, const struct topic *topic, struct slice body);
void mqtt_in_method_answer(struct mqtt_session *s, const struct topic *topic, struct slice payload);
void mqtt_calls_forget(struct mqtt_session *s); /* the session ends: answers go nowhere */

/* What goes out (mqtt_out.c): the operations of a session. */
unsigned mqtt_out_wants(const struct head_session *session);
bool mqtt_out_desired(struct head_session *session, int64_t version, const void *patch, size_t len);
bool mqtt_out_method(struct head_session *session, const char *name, const char *rid, const void *payload, size_t len);
bool mqtt_out_deliver(struct head_session *session, const struct head_command *command);
void mqtt_out_forget(struct head_session *session, uint64_t command_id);
void mqtt_out_answer(struct mqtt_session *s, enum filter_kind filter, const char *topic, const void *body, size_t len);
/* Is this the session's own telemetry topic?  Then its bag. */
bool mqtt_own_telemetry(const struct mqtt_session *s, const struct topic *topic);

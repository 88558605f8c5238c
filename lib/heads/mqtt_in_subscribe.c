/* SPDX-License-Identifier: Apache-2.0 */
/* SUBSCRIBE and UNSUBSCRIBE: exactly the filters of hub 1.5, each for the session's own identity; anything else is answered 0x80.  The subscriptions of a clean-session-0
 * client belong to its identity and outlive the connection: SDKs do not subscribe again after they renewed their token (clients-observed 3). */
#include <string.h>

#include "base/mem.h"
#include "heads/mqtt_session.h"

#define REFUSED 0x80

static bool
is_own(const struct mqtt_session *s, const struct filter *filter)
{
	switch (filter->kind) {
	case FILTER_UNKNOWN:
		return false;
	case FILTER_TWIN_RESPONSE:
	case FILTER_TWIN_DESIRED:
	case FILTER_METHODS:
	case FILTER_CREDENTIALS:
		return true; /* these name nobody: what comes on them is the subscriber's */
	case FILTER_DEVICEBOUND:
	case FILTER_INPUTS:
	case FILTER_MODULE_ALL:
		break;
	}
	return slice_is(filter->device_id, s->device_id) &&
	       (s->module_id ? slice_is(filter->module_id, s->module_id) : filter->module_id.len == 0);
}

static uint8_t
subscribe(struct mqtt_session *s, struct slice text, uint8_t qos, unsigned *asked)
{
	struct filter filter = filter_parse(text);

	if (!is_own(s, &filter))
		return REFUSED;
	s->subscribed[filter.kind] = qos > 0 ? MQTT_SUBSCRIBED_QOS1 : MQTT_SUBSCRIBED_QOS0;
	if (filter.kind == FILTER_DEVICEBOUND || filter.kind == FILTER_MODULE_ALL)
		*asked |= HEAD_ASKED_COMMANDS;
	return qos > 0 ? 1 : 0;
}

/* The acknowledgement leaves when it is durable, and then the back end hears what the device listens to. */
static void
keep(struct mqtt_session *s, struct head_ack *ack)
{
	const struct head_ops *ops = s->head->config.ops;
	char *filters[FILTER_KINDS];
	uint8_t qos[FILTER_KINDS];
	size_t n = 0;

	if (s->clean_session || !ops->subscriptions) {
		head_message_done(ack, OK);
		return;
	}
	for (int kind = 0; kind < FILTER_KINDS; kind++) {
		if (s->subscribed[kind] == MQTT_NOT_SUBSCRIBED)
			continue;
		filters[n] = filter_text((enum filter_kind)kind, s->device_id, s->module_id);
		qos[n++] = s->subscribed[kind] == MQTT_SUBSCRIBED_QOS1;
	}
	ops->subscriptions(s->head->config.backend, s->base.domain, &s->base, (const char *const *)filters, qos, n, ack);
	while (n > 0)
		mem_free(filters[--n]);
}

static struct mqtt_ack *
expect_ack(struct mqtt_session *s)
{
	struct mqtt_ack *ack = mqtt_session_expect_ack(s);

	ack->is_subscriptions = true;
	return ack;
}

void
mqtt_in_subscribe(struct mqtt_session *s, const struct mqtt_frame *frame)
{
	struct mqtt_subscribe wish;
	uint8_t codes[MQTT_FILTERS_MAX];
	struct err err = ERR_INIT;
	struct mqtt_ack *ack;

	if (mqtt_decode_subscribe(&wish, frame, &err) < 0) {
		mqtt_session_violate(s, MQTT_MALFORMED, err.text);
		return;
	}
	ack = expect_ack(s);
	for (size_t i = 0; i < wish.n; i++)
		codes[i] = subscribe(s, wish.item[i].filter, wish.item[i].qos, &ack->asked);
	mqtt_encode_suback(&ack->packet, wish.id, codes, wish.n);
	keep(s, &ack->base);
}

static void
unsubscribe(struct mqtt_session *s, struct slice text)
{
	struct filter filter = filter_parse(text);

	if (is_own(s, &filter))
		s->subscribed[filter.kind] = MQTT_NOT_SUBSCRIBED;
}

void
mqtt_in_unsubscribe(struct mqtt_session *s, const struct mqtt_frame *frame)
{
	struct mqtt_subscribe wish;
	struct err err = ERR_INIT;
	struct mqtt_ack *ack;

	if (mqtt_decode_unsubscribe(&wish, frame, &err) < 0) {
		mqtt_session_violate(s, MQTT_MALFORMED, err.text);
		return;
	}
	for (size_t i = 0; i < wish.n; i++)
		unsubscribe(s, wish.item[i].filter);
	ack = expect_ack(s);
	mqtt_encode_ack(&ack->packet, MQTT_UNSUBACK, wish.id);
	keep(s, &ack->base);
}

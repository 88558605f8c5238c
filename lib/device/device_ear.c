/* SPDX-License-Identifier: Apache-2.0 */
/* What a device listens to and asks (device_client.h).  One change of subscriptions is open at a time, the next one is made of what is wanted when it is
 * decided.  Questions are numbered by their rid; an answer to none of them is overlooked.  What was under way when a subscription
 * ended is told all the same: somebody waits for the answer to a method, and a command is locked for us. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "device/device_client_inside.h"
#include "wire/codec.h"
#include "wire/topic.h"

struct question {
	uint64_t cookie, rid; /* rid 0: a free place */
	int64_t due_ms;
};

struct device_ear {
	struct device_client *client;
	const struct device_told_ops *ops;
	void *user;
	char *device_id, *module_id;
	unsigned wanted, asked, granted, ever_asked; /* bits of enum device_wants: asked is what the server was last told */
	uint16_t change_id;			     /* of the open change; 0: none is */
	unsigned changing;			     /* what it is about */
	bool adds;
	bool told; /* the owner knows what is granted */
	uint64_t last_rid;
	uint64_t serial; /* the upper bits of commands' ids */
	struct question questions[DEVICE_QUESTIONS_MAX];
	size_t n_questions;
	struct timer timer; /* for what is not answered */
	int64_t answer_within_ms;
};

static const struct device_told_ops nobody;

/* Subscribed in this order. */
static const struct {
	unsigned want;
	enum filter_kind filter;
} subscriptions[] = {
	{ DEVICE_WANTS_ANSWERS, FILTER_TWIN_RESPONSE },
	{ DEVICE_WANTS_DESIRED, FILTER_TWIN_DESIRED },
	{ DEVICE_WANTS_METHODS, FILTER_METHODS },
	{ DEVICE_WANTS_COMMANDS, FILTER_DEVICEBOUND },
};

/* -- Subscriptions ---------------------------------------------------------------------------------------------------------------------- */

static void
send_change(struct device_ear *ear, unsigned wants, bool adds)
{
	struct mqtt_subscribe s = { .id = device_client_next_id(ear->client) };
	struct buf packet = BUF_INIT(DEVICE_PACKET_MAX);
	char *texts[COUNT(subscriptions)];

	for (size_t i = 0; i < COUNT(subscriptions); i++) {
		if (!(wants & subscriptions[i].want))
			continue;
		texts[s.n] = filter_text(subscriptions[i].filter, ear->device_id, ear->module_id);
		s.item[s.n].filter = slice_of(texts[s.n]);
		s.item[s.n++].qos = filter_qos(subscriptions[i].filter);
	}
	if (adds)
		mqtt_encode_subscribe(&packet, &s);
	else
		mqtt_encode_unsubscribe(&packet, &s);
	device_client_send(ear->client, &packet);
	buf_clear(&packet);
	while (s.n > 0)
		mem_free(texts[--s.n]);
	ear->change_id = s.id;
	ear->changing = wants;
	ear->adds = adds;
}

static void
change_on(struct device_ear *ear)
{
	unsigned more = ear->wanted & ~ear->asked, less = ear->asked & ~ear->wanted;

	if (ear->change_id != 0)
		return;
	if (more || less) {
		ear->asked = more ? ear->asked | more : ear->asked & ~less;
		ear->ever_asked |= ear->asked;
		ear->granted &= ear->asked;
		send_change(ear, more ? more : less, more != 0);
		return;
	}
	if (!ear->told && ear->ops->on_listening) {
		ear->told = true;
		ear->ops->on_listening(ear->user, ear->granted);
	}
}

void
device_client_listen(struct device_client *c, unsigned wants)
{
	assert(c->ear);
	if (c->state != CLIENT_LIVE || c->ear->wanted == wants) /* one that is ending listens to nothing new */
		return;
	c->ear->wanted = wants;
	c->ear->told = false;
	change_on(c->ear);
}

static void
changed(struct device_ear *ear)
{
	ear->change_id = 0;
	change_on(ear);
}

static void
take_suback(struct device_ear *ear, const struct mqtt_frame *frame)
{
	uint8_t codes[COUNT(subscriptions)];
	struct err err = ERR_INIT;
	size_t n, at = 0;
	uint16_t id;

	if (mqtt_decode_suback(&id, codes, &n, COUNT(codes), frame, &err) < 0) {
		device_client_fail(ear->client, err.text);
		return;
	}
	if (id != ear->change_id || !ear->adds || n != (size_t)__builtin_popcount(ear->changing)) {
		device_client_fail(ear->client, "a SUBACK that answers no SUBSCRIBE");
		return;
	}
	for (size_t i = 0; i < COUNT(subscriptions); i++)
		if ((ear->changing & subscriptions[i].want) && codes[at++] <= 2)
			ear->granted |= subscriptions[i].want;
	changed(ear);
}

static void
take_unsuback(struct device_ear *ear, const struct mqtt_frame *frame)
{
	struct err err = ERR_INIT;
	uint16_t id;

	if (mqtt_decode_ack(&id, frame, &err) < 0)
		device_client_fail(ear->client, err.text);
	else if (id != ear->change_id || ear->adds)
		device_client_fail(ear->client, "an UNSUBACK that answers no UNSUBSCRIBE");
	else
		changed(ear);
}

/* -- Questions ----------------------------------------------------------------------------------------------------------------------------- */

static struct question *
find_question(struct device_ear *ear, uint64_t rid)
{
	for (size_t i = 0; i < DEVICE_QUESTIONS_MAX; i++)
		if (ear->questions[i].rid == rid)
			return &ear->questions[i];
	return NULL;
}

static void
answer_question(struct device_ear *ear, struct question *q, int status, int64_t version, struct slice body)
{
	uint64_t cookie = q->cookie;

	*q = (struct question){ 0 };
	ear->n_questions--;
	if (ear->ops->on_twin)
		ear->ops->on_twin(ear->user, cookie, status, version, body);
}

static void
arm(struct device_ear *ear)
{
	int64_t first_ms = INT64_MAX, now_ms = clock_boot_ms();

	for (size_t i = 0; i < DEVICE_QUESTIONS_MAX; i++)
		if (ear->questions[i].rid != 0 && ear->questions[i].due_ms < first_ms)
			first_ms = ear->questions[i].due_ms;
	if (first_ms == INT64_MAX)
		timer_cancel(&ear->timer);
	else
		timer_arm(&ear->timer, first_ms > now_ms ? first_ms - now_ms : 1);
}

/* One a turn: whoever hears of it may ask again, or leave. */
static void
on_timer(struct timer *timer)
{
	struct device_ear *ear = CONTAINER_OF(timer, struct device_ear, timer);
	int64_t now_ms = clock_boot_ms();

	for (size_t i = 0; i < DEVICE_QUESTIONS_MAX; i++) {
		struct question *q = &ear->questions[i];

		if (q->rid == 0 || q->due_ms > now_ms)
			continue;
		q->due_ms = INT64_MAX;
		arm(ear);
		answer_question(ear, q, DEVICE_NO_ANSWER, 0, (struct slice){ 0 });
		return;
	}
	arm(ear);
}

static bool
publish(struct device_client *c, struct slice topic, struct slice payload)
{
	buf_reset(&c->packet);
	mqtt_encode_publish(&c->packet, &(struct mqtt_publish){ .topic = topic, .payload = payload });
	if (c->packet.failed) {
		buf_clear(&c->packet);
		return false;
	}
	device_client_send(c, &c->packet);
	return true;
}

static bool
may_ask(const struct device_client *c)
{
	return c->state == CLIENT_LIVE && c->ear && (c->ear->granted & DEVICE_WANTS_ANSWERS) &&
	       c->ear->n_questions < DEVICE_QUESTIONS_MAX && conn_queued(c->conn) < DEVICE_QUEUED_ENOUGH;
}

static bool
ask(struct device_client *c, const char *topic_start, struct slice body, uint64_t cookie)
{
	struct device_ear *ear = c->ear;
	OWN_TEXT topic = NULL;

	if (!may_ask(c))
		return false;
	topic = mem_textf("%s?$rid=%llx", topic_start, (unsigned long long)++ear->last_rid);
	if (!publish(c, slice_of(topic), body))
		return false;
	*find_question(ear, 0) =
		(struct question){ .cookie = cookie, .rid = ear->last_rid, .due_ms = clock_boot_ms() + ear->answer_within_ms };
	ear->n_questions++;
	arm(ear);
	return true;
}

bool
device_client_get_twin(struct device_client *c, uint64_t cookie)
{
	return ask(c, "$iothub/twin/GET/", (struct slice){ .text = " ", .len = 1 }, cookie);
}

bool
device_client_report(struct device_client *c, struct slice patch, uint64_t cookie)
{
	return ask(c, "$iothub/twin/PATCH/properties/reported/", patch, cookie);
}

size_t
device_client_open_questions(const struct device_client *c)
{
	return c->ear ? c->ear->n_questions : 0;
}

/* Rids are ours: hex digits, and never zero. */
static uint64_t
read_rid(struct slice s)
{
	uint64_t rid = 0;

	if (s.len > 16)
		return 0;
	for (size_t i = 0; i < s.len; i++) {
		const char *digit = memchr("0123456789abcdef", s.text[i], 16);

		if (!digit)
			return 0;
		rid = rid << 4 | (uint64_t)(digit - "0123456789abcdef");
	}
	return rid;
}

/* -- What is told -------------------------------------------------------------------------------------------------------------------------- */

static void
tell_answer(struct device_ear *ear, const struct told *told, const struct mqtt_publish *p)
{
	uint64_t rid = read_rid(told->rid);
	struct question *q = rid ? find_question(ear, rid) : NULL;

	if (!q)
		return;
	answer_question(ear, q, told->status, told->version, p->payload);
}

static void
tell_desired(struct device_ear *ear, const struct told *told, const struct mqtt_publish *p)
{
	if (ear->ops->on_desired)
		ear->ops->on_desired(ear->user, told->version, p->payload);
}

static void
tell_method(struct device_ear *ear, const struct told *told, const struct mqtt_publish *p)
{
	CLEAR(buf) name = BUF_INIT(DEVICE_METHOD_NAME_MAX);
	OWN_TEXT rid = slice_text(told->rid);

	if (!percent_decode(&name, told->name.text, told->name.len) || memchr(buf_text(&name), 0, name.len) ||
		!text_is_utf8(buf_text(&name), name.len)) {
		device_client_fail(ear->client, "a method whose name is none");
		return;
	}
	if (ear->ops->on_method)
		ear->ops->on_method(ear->user, buf_text(&name), rid, p->payload);
}

static bool
is_mine(const struct device_ear *ear, const struct told *told)
{
	return slice_is(told->device_id, ear->device_id) &&
	       (ear->module_id ? slice_is(told->module_id, ear->module_id) : told->module_id.len == 0);
}

static void
tell_command(struct device_ear *ear, const struct told *told, const struct mqtt_publish *p)
{
	if (!is_mine(ear, told))
		device_client_fail(ear->client, "a message for another device");
	else if (ear->ops->on_command)
		ear->ops->on_command(ear->user, p->id ? ear->serial << 16 | p->id : 0, told->bag, p->payload);
}

static const struct {
	unsigned want;
	void (*tell)(struct device_ear *ear, const struct told *told, const struct mqtt_publish *p);
} tellers[] = {
	[TOLD_COMMAND] = { DEVICE_WANTS_COMMANDS, tell_command },
	[TOLD_DESIRED] = { DEVICE_WANTS_DESIRED, tell_desired },
	[TOLD_METHOD] = { DEVICE_WANTS_METHODS, tell_method },
	[TOLD_TWIN_ANSWER] = { DEVICE_WANTS_ANSWERS, tell_answer },
};

static void
take_publish(struct device_ear *ear, const struct mqtt_frame *frame)
{
	struct err err = ERR_INIT;
	struct mqtt_publish p;
	struct told told;

	if (mqtt_decode_publish(&p, frame, &err) < 0) {
		device_client_fail(ear->client, err.text);
		return;
	}
	told = told_parse(p.topic);
	if (told.kind == TOLD_UNKNOWN || p.qos > 1 || !(ear->ever_asked & tellers[told.kind].want))
		device_client_fail(ear->client, "a message that was not subscribed to");
	else
		tellers[told.kind].tell(ear, &told, &p); /* MQTT 3.8.4: it may come before SUBACK */
}

bool
device_ear_take(struct device_ear *ear, const struct mqtt_frame *frame)
{
	static const struct {
		enum mqtt_type type;
		void (*take)(struct device_ear *ear, const struct mqtt_frame *frame);
	} takers[] = {
		{ MQTT_PUBLISH, take_publish },
		{ MQTT_SUBACK, take_suback },
		{ MQTT_UNSUBACK, take_unsuback },
	};

	for (size_t i = 0; i < COUNT(takers); i++)
		if (takers[i].type == frame->type) {
			takers[i].take(ear, frame);
			return true;
		}
	return false;
}

/* -- Answering ------------------------------------------------------------------------------------------------------------------------------- */

bool
device_client_answer_method(struct device_client *c, const char *rid, int status, struct slice payload)
{
	OWN_TEXT topic = mem_textf("$iothub/methods/res/%d/?$rid=%s", status, rid);

	return c->state == CLIENT_LIVE && conn_queued(c->conn) < DEVICE_QUEUED_ENOUGH && publish(c, slice_of(topic), payload);
}

void
device_client_settle(struct device_client *c, uint64_t id)
{
	struct buf packet = BUF_INIT(16);

	if (c->state != CLIENT_LIVE || id == 0 || id >> 16 != c->ear->serial)
		return;
	mqtt_encode_ack(&packet, MQTT_PUBACK, (uint16_t)id);
	device_client_send(c, &packet);
	buf_clear(&packet);
}

/* -- Life ------------------------------------------------------------------------------------------------------------------------------------- */

struct device_ear *
device_ear_new(struct device_client *c, struct loop *loop, const struct device_client_config *config)
{
	struct device_ear *ear = NEW(device_ear);

	ear->client = c;
	ear->ops = config->told;
	ear->user = config->told_user;
	ear->device_id = mem_text(config->device_id);
	ear->module_id = mem_text(config->module_id);
	ear->answer_within_ms = c->answer_within_ms;
	ear->serial = config->serial;
	ear->told = true;
	timer_init(&ear->timer, loop, on_timer);
	return ear;
}

void
device_ear_close(struct device_ear *ear)
{
	ear->ops = &nobody;
	timer_cancel(&ear->timer);
}

void
device_ear_free(struct device_ear *ear)
{
	if (!ear)
		return;
	timer_cancel(&ear->timer);
	mem_free(ear->device_id);
	mem_free(ear->module_id);
	mem_free(ear);
}

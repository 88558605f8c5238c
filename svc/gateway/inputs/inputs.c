/* SPDX-License-Identifier: Apache-2.0 */
/* An input's messages are in one list, in their order: those that wait, and those that the module has and has not acknowledged.  What waits goes to the session's loop together,
 * one such errand of an input at a time, so that nothing overtakes.  All that sessions tell comes back as a post, in the order in which it happened there. */
#include "gateway/inputs/inputs.h"

#include <string.h>

#include "auth/identity.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/inputs/input_bag.h"
#include "gateway/gauges/gateway_metrics.h"
#include "wire/property_bag.h"

#define IN_FLIGHT_MAX 8
#define LOOK_MS 1000
#define TOPIC_MAX 65535
/* Ids of ours among those of commands. */
#define INPUT_ID (UINT64_C(1) << 63)

struct module {
	struct inputs *inputs;
	char *id, *name; /* name: of its session in the directory */
	bool wants;	 /* it is there and listens */
	uint64_t conn_id;
	struct input *first;
	struct module *next;
};

struct delivery {
	struct queued *message;
	struct buf bag;
	uint64_t id;	  /* 0: it waits */
	uint64_t last_id; /* under which the session knew it before */
	uint64_t conn_id;
	int64_t sent_ms;
	struct delivery *next;
};

/* What counts the messages of one sender and priority, the last one's. */
struct sent_series {
	char *from;
	int priority;
	struct metric *n, *send_time, *process_time;
};

struct input {
	struct module *module;
	char *name;
	struct queue_window *window;
	struct delivery *first;
	size_t n;
	struct errand *errand; /* the one on its way; NULL: none is */
	struct sent_series series;
	struct input *next;
};

/* To the session's loop and back. */
struct errand {
	struct directory_visit visit;
	struct post back;
	struct input *input;
	struct delivery *item[IN_FLIGHT_MAX];
	uint64_t id[IN_FLIGHT_MAX]; /* that they have from now on */
	size_t n, n_sent;
	uint64_t conn_id;
};

struct inputs {
	struct inputs_config config;
	struct module *modules;
	struct timer look;
	uint64_t last_id;
	bool is_stopped, is_damaged;
};

/* What a session tells. */
struct news {
	struct post post;
	struct inputs *inputs;
	char *module_id;
	uint64_t conn_id, id;
	bool wants, is_end;
};

static void pump(struct input *input);

/* -- Deliveries ------------------------------------------------------------------------------------------------------------------------ */

/* Behind what is on its way and what waits of its priority or a higher one. */
static struct delivery **
place_for(struct input *input, const struct queued *q)
{
	struct delivery **at = &input->first;

	while (*at && ((*at)->id || (*at)->message->priority <= q->priority))
		at = &(*at)->next;
	return at;
}

static struct delivery **
delivery_add(struct input *input, struct queued *q)
{
	struct delivery **at = place_for(input, q), *d = NEW(delivery);

	d->message = q;
	d->bag = (struct buf)BUF_INIT(PROPERTY_BAG_MAX);
	input_bag_make(&d->bag, slice_of(q->bag), q->device_id, q->module_id);
	d->next = *at;
	*at = d;
	input->n++;
	return at;
}

static void
delivery_end(struct input *input, struct delivery **at, enum queue_end how)
{
	struct delivery *d = *at;

	*at = d->next;
	input->n--;
	if (d->message)
		queue_window_end(input->window, d->message, how);
	buf_clear(&d->bag);
	mem_free(d);
}

static bool
is_too_large(const struct input *input, const struct delivery *d)
{
	static const char words[] = "devices//modules//inputs//";

	return d->bag.failed || d->bag.len + strlen(input->module->name) + strlen(input->name) + sizeof(words) > TOPIC_MAX;
}

/* What was not acknowledged in time waits again, in its place. */
static void
take_back_late(struct input *input)
{
	int64_t before_ms = clock_boot_ms() - INPUT_ANSWERS_WITHIN_MS;

	for (struct delivery *d = input->first; d; d = d->next)
		if (d->id && d->sent_ms < before_ms)
			d->id = 0;
}

/* And so does what another session has than the module's: that one has ended, or is about to.  Before anything goes to the new one, or it would overtake. */
static void
take_back_from_others(struct input *input)
{
	const struct module *m = input->module;

	for (struct delivery *d = input->first; d; d = d->next)
		if (d->id && d->conn_id != m->conn_id)
			d->id = 0;
}

/* -- Errands ------------------------------------------------------------------------------------------------------------------------------ */

/* On the session's loop.  What does not go now holds up what is behind it. */
static void
hand_over(struct directory_visit *visit, struct head_session *session)
{
	struct errand *e = CONTAINER_OF(visit, struct errand, visit);

	e->conn_id = session ? conn_id(head_session_conn(session)) : 0;
	for (; session && e->n_sent < e->n; e->n_sent++) {
		const struct delivery *d = e->item[e->n_sent];
		struct head_command command = {
			.id = e->id[e->n_sent],
			.bag = { .text = buf_text(&d->bag), .len = d->bag.len },
			.payload = { .text = (const char *)d->message->payload, .len = d->message->len },
			.input = e->input->name,
		};

		if (d->last_id)
			head_session_forget(session, d->last_id);
		if (!head_session_deliver(session, &command))
			break;
	}
	loop_post(e->input->module->inputs->config.loop, &e->back);
}

static void
on_back(struct post *post)
{
	struct errand *e = CONTAINER_OF(post, struct errand, back);
	struct input *input = e->input;

	input->errand = NULL;
	for (size_t i = 0; i < e->n; i++) {
		struct delivery *d = e->item[i];

		d->id = i < e->n_sent ? e->id[i] : 0;
		d->last_id = d->id ? d->id : d->last_id;
		d->conn_id = e->conn_id;
		d->sent_ms = clock_boot_ms();
	}
	take_back_from_others(input);
	if (e->n_sent == 0) { /* it does not listen, or has its hands full: the next news or look tells */
		mem_free(e);
		return;
	}
	mem_free(e);
	pump(input);
}

static void
send_errand(struct input *input)
{
	struct inputs *inputs = input->module->inputs;
	struct errand *e = NEW(errand);

	e->input = input;
	e->visit.run = hand_over;
	e->back.run = on_back;
	for (struct delivery *d = input->first; d; d = d->next) {
		if (d->id)
			continue;
		e->item[e->n] = d;
		e->id[e->n++] = INPUT_ID | ++inputs->last_id;
	}
	input->errand = e;
	if (e->n > 0 && directory_visit(inputs->config.directory, input->module->name, &e->visit))
		return;
	input->errand = NULL;
	mem_free(e);
}

/* -- An input ------------------------------------------------------------------------------------------------------------------------------ */

static void
on_broken(struct input *input, const struct err *err)
{
	struct inputs *inputs = input->module->inputs;

	if (!inputs->is_damaged)
		log_error("the queue of input %s of %s can't be read any further: %s", input->name, input->module->id, err->text);
	if (!inputs->is_damaged && err->kind == ERR_BROKEN)
		inputs->config.on_damage(inputs->config.arg);
	inputs->is_damaged = true;
}

/* While the module is away, the first is looked at all the same: so what expires goes from the disk. */
static void
fetch(struct input *input)
{
	size_t max = input->module->wants ? IN_FLIGHT_MAX : 1;
	struct err err = ERR_INIT;
	struct queued *q;

	while (input->n < max && (q = queue_window_next(input->window, &err))) {
		struct delivery **at = delivery_add(input, q);

		if (!is_too_large(input, *at))
			continue;
		log_error("a message for input %s of %s is given up: with all of its properties it is larger than MQTT allows",
			input->name, input->module->id);
		delivery_end(input, at, QUEUE_GIVEN_UP);
	}
	if (err.kind != ERR_NONE)
		on_broken(input, &err);
}

static bool
has_waiting(const struct input *input)
{
	for (const struct delivery *d = input->first; d; d = d->next)
		if (!d->id)
			return true;
	return false;
}

static void
pump(struct input *input)
{
	if (input->module->inputs->is_stopped || input->errand)
		return;
	fetch(input);
	if (input->module->wants && has_waiting(input))
		send_errand(input);
}

static void
on_more(void *arg)
{
	pump(arg);
}

static void
expire(struct input *input)
{
	int64_t now_ms = clock_wall_ms();
	struct delivery **at = &input->first;

	while (!input->errand && *at)
		if (!(*at)->id && queued_is_expired((*at)->message, now_ms))
			delivery_end(input, at, QUEUE_EXPIRED);
		else
			at = &(*at)->next;
}

static void
on_look(struct timer *timer)
{
	struct inputs *inputs = CONTAINER_OF(timer, struct inputs, look);

	for (struct module *m = inputs->modules; m; m = m->next)
		for (struct input *input = m->first; input; input = input->next) {
			take_back_late(input);
			expire(input);
			pump(input);
		}
	timer_arm(&inputs->look, LOOK_MS);
}

/* -- News ---------------------------------------------------------------------------------------------------------------------------------- */

static struct module *
module_find(const struct inputs *inputs, const char *id)
{
	struct module *m = inputs->modules;

	while (m && !text_is(m->id, id))
		m = m->next;
	return m;
}

static struct module *
module_get(struct inputs *inputs, const char *id)
{
	struct module *m = module_find(inputs, id);

	if (m)
		return m;
	m = NEW(module);
	m->inputs = inputs;
	m->id = mem_text(id);
	m->name = identity_name(inputs->config.edge_id, id);
	m->next = inputs->modules;
	inputs->modules = m;
	return m;
}

/* Mostly one device after the other sends the same way. */
static void
find_series(struct input *input, const struct queued *q)
{
	struct sent_series *series = &input->series;
	const char *to = input->module->name;
	OWN_TEXT from = identity_name(q->device_id, q->module_id);
	OWN_TEXT priority = NULL;

	if (series->from && text_is(series->from, from) && series->priority == q->priority)
		return;
	priority = mem_textf("%d", q->priority);
	mem_free(series->from);
	series->priority = q->priority;
	series->n = gateway_metric(METRIC_SENT, from, to, NULL, input->name, priority);
	series->send_time = gateway_metric(METRIC_SEND_TIME, from, to, NULL, input->name);
	series->process_time = gateway_metric(METRIC_PROCESS_TIME, from, to, priority);
	series->from = GIVE(from);
}

static void
count_sent(struct input *input, const struct delivery *d)
{
	int64_t now_ms = clock_boot_ms();

	find_series(input, d->message);
	metric_add(input->series.n, 1);
	metric_observe(input->series.send_time, now_ms - d->sent_ms);
	metric_observe(input->series.process_time, now_ms - d->message->read_ms);
}

/* Also while its errand is on the way back, which then finds it done. */
static bool
settle(struct input *input, uint64_t id)
{
	for (struct delivery **at = &input->first; *at; at = &(*at)->next)
		if ((*at)->id == id || ((*at)->last_id == id && !input->errand)) {
			count_sent(input, *at);
			delivery_end(input, at, QUEUE_DONE);
			return true;
		}
	return false;
}

/* An errand that was answered at once (QoS 0) is still on its way back; the answer waits behind it. */
static bool
is_on_errand(const struct input *input, uint64_t id)
{
	for (size_t i = 0; input->errand && i < input->errand->n; i++)
		if (input->errand->id[i] == id)
			return true;
	return false;
}

static void
on_settled(struct module *m, struct news *news)
{
	for (struct input *input = m->first; input; input = input->next) {
		if (is_on_errand(input, news->id)) {
			loop_post(m->inputs->config.loop, &news->post);
			return;
		}
		if (settle(input, news->id)) {
			pump(input);
			break;
		}
	}
	mem_free(news->module_id);
	mem_free(news);
}

static void
on_session(struct module *m, const struct news *news)
{
	if (news->is_end && m->conn_id != news->conn_id)
		return; /* another has taken its place */
	m->wants = news->wants;
	m->conn_id = news->is_end ? 0 : news->conn_id;
	for (struct input *input = m->first; input; input = input->next) {
		take_back_from_others(input);
		pump(input);
	}
}

static void
on_news(struct post *post)
{
	struct news *news = CONTAINER_OF(post, struct news, post);
	struct module *m = module_get(news->inputs, news->module_id);

	if (news->id) {
		on_settled(m, news);
		return;
	}
	on_session(m, news);
	mem_free(news->module_id);
	mem_free(news);
}

static void
tell(struct inputs *inputs, const char *module_id, const struct news *what)
{
	struct news *news = NEW(news);

	*news = *what;
	news->post.run = on_news;
	news->inputs = inputs;
	news->module_id = mem_text(module_id);
	loop_post(inputs->config.loop, &news->post);
}

void
inputs_on_wants(struct inputs *inputs, const char *module_id, struct head_session *session)
{
	tell(inputs, module_id,
		&(struct news){
			.conn_id = conn_id(head_session_conn(session)), .wants = head_session_wants(session) & HEAD_WANTS_INPUTS });
}

bool
inputs_on_settled(struct inputs *inputs, const char *module_id, uint64_t command_id)
{
	if (!(command_id & INPUT_ID))
		return false;
	tell(inputs, module_id, &(struct news){ .id = command_id });
	return true;
}

void
inputs_on_end(struct inputs *inputs, const char *module_id, struct head_session *session)
{
	tell(inputs, module_id, &(struct news){ .conn_id = conn_id(head_session_conn(session)), .is_end = true });
}

/* -- Its life -------------------------------------------------------------------------------------------------------------------------------- */

static void
on_input(void *arg, const char *module_id, const char *name, struct queue_window *window)
{
	struct module *m = module_get(arg, module_id);
	struct input *input = NEW(input);

	input->module = m;
	input->name = mem_text(name);
	input->window = window;
	input->next = m->first;
	m->first = input;
	queue_window_listen(window, m->inputs->config.loop, on_more, input);
}

struct inputs *
inputs_new(const struct inputs_config *config)
{
	struct inputs *inputs = NEW(inputs);

	inputs->config = *config;
	timer_init(&inputs->look, config->loop, on_look);
	return inputs;
}

void
inputs_start(struct inputs *inputs)
{
	queue_watch_inputs(inputs->config.queue, on_input, inputs);
	timer_arm(&inputs->look, LOOK_MS);
}

void
inputs_stop(struct inputs *inputs)
{
	if (inputs)
		inputs->is_stopped = true;
}

static void
input_free(struct input *input)
{
	while (input->first) {
		input->first->message = NULL; /* the window's */
		delivery_end(input, &input->first, QUEUE_DONE);
	}
	queue_window_deafen(input->window);
	mem_free(input->series.from);
	mem_free(input->name);
	mem_free(input);
}

void
inputs_free(struct inputs *inputs)
{
	if (!inputs)
		return;
	timer_cancel(&inputs->look);
	for (struct module *m = inputs->modules, *next; m; m = next) {
		next = m->next;
		for (struct input *input = m->first, *after; input; input = after) {
			after = input->next;
			input_free(input);
		}
		mem_free(m->id);
		mem_free(m->name);
		mem_free(m);
	}
	mem_free(inputs);
}

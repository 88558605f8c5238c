/* SPDX-License-Identifier: Apache-2.0 */
/* Wiring (relay.h): each subject has a file of its own. */
#include "gateway/relay/relay.h"

#include "base/mem.h"
#include "gateway/relay/command_relay.h"
#include "gateway/relay/method_relay.h"
#include "gateway/relay/twin_relay.h"

struct relay {
	struct relay_config config;
	struct subscriptions *subscriptions;
	struct attendance *attendance;
	struct command_relays *commands;
	struct twins *twins;
	struct twin_relay *twin_relay;
};

static void
on_attend(void *arg, const struct attendee *attendee)
{
	struct relay *r = arg;
	struct line *line = attendee->wants ? lines_get(r->config.lines, attendee->device_id, attendee->module_id)
					    : lines_find(r->config.lines, attendee->device_id, attendee->module_id);

	if (!line || line_is_own(line))
		return;
	twins_attend(r->twins, line, attendee->wants & HEAD_WANTS_DESIRED, attendee->generation_id);
	method_relay_attend(line, r->config.methods, attendee->wants);
	command_relays_attend(r->commands, line, attendee);
}

static void
on_model(void *arg, const struct named_model *named)
{
	struct relay *r = arg;

	line_set_model(lines_get(r->config.lines, named->device_id, named->module_id), named->model_id, named->generation_id);
}

/* The one before may have gone, and with it what it knew of a device that is still connected. */
static void
on_line(void *arg, struct line *line)
{
	struct relay *r = arg;
	struct named_model named;

	if (attendance_model(r->attendance, line_name(line), &named))
		line_set_model(line, named.model_id, named.generation_id);
}

static void
on_news(void *arg, struct line *line, const char *generation_id, const json_t *change, const json_t *twin)
{
	struct relay *r = arg;

	if (line_is_own(line))
		r->config.on_own_news(r->config.arg, twin);
	else
		twin_relay_news(r->twin_relay, line_name(line), generation_id, change);
}

struct relay *
relay_open(const struct relay_config *config, struct err *err)
{
	struct loop *loop = lines_config(config->lines)->loop;
	struct subscriptions_keeper keeper = keep_subscriptions(config->keep);
	struct relay *r = NEW(relay);
	struct twins_config twins = { .lines = config->lines, .keep = config->keep, .on_news = on_news, .arg = r };
	struct attendance_config attendance = {
		.loop = loop, .audience = config->audience, .on_change = on_attend, .on_model = on_model, .arg = r
	};
	struct twin_relay_config twin_relay = { .audience = config->audience, .queue = config->queue, .edge_id = config->edge_id };

	r->config = *config;
	r->commands = command_relays_new(loop, &config->audience);
	r->attendance = attendance_new(&attendance);
	lines_on_new(config->lines, on_line, r);
	r->twins = twins_new(&twins);
	twin_relay.twins = r->twins;
	r->twin_relay = twin_relay_new(&twin_relay);
	r->subscriptions = subscriptions_open(&keeper, loop_owner(loop), err);
	if (r->subscriptions && twins_resume(r->twins, err) == 0)
		return r;
	relay_close(r);
	return NULL;
}

void
relay_close(struct relay *r)
{
	if (!r)
		return;
	attendance_free(r->attendance);
	command_relays_free(r->commands);
	twin_relay_free(r->twin_relay);
	twins_free(r->twins);
	subscriptions_close(r->subscriptions);
	mem_free(r);
}

struct twins *
relay_twins(struct relay *r)
{
	return r->twins;
}

/* -- Kept subscriptions ------------------------------------------------------------------------------------------------------------------ */

/* Of each generation for itself. */
static char *
kept_name(const struct subject *subject)
{
	OWN_TEXT name = subject_name(subject);

	return mem_textf("%s %s", name, subject->generation_id ? subject->generation_id : "");
}

static void
forget_subscriptions(struct relay *r, const struct subject *subject)
{
	OWN_TEXT name = kept_name(subject);

	subscriptions_set(r->subscriptions, name, NULL, NULL, 0, NULL);
}

void
relay_restore(struct relay *r, const struct subject *subject, bool clean_session, struct head_admission *admission)
{
	OWN_TEXT name = kept_name(subject);
	struct subscription_list kept;

	if (clean_session) {
		forget_subscriptions(r, subject);
		return;
	}
	subscriptions_get(r->subscriptions, name, &kept);
	head_admission_restore(admission, kept.filters, kept.qos, kept.n);
	subscription_list_clear(&kept);
}

void
relay_subscriptions(struct relay *r, struct head_session *session, const struct subject *subject, const char *const *filters,
	const uint8_t *qos, size_t n, struct head_ack *ack)
{
	OWN_TEXT name = kept_name(subject);

	subscriptions_keep(r->subscriptions, name, session, filters, qos, n, ack);
}

void
relay_forget(struct relay *r, const struct subject *gone)
{
	OWN_TEXT name = subject_name(gone);

	forget_subscriptions(r, gone);
	twins_forget(r->twins, name, gone->generation_id);
}

void
relay_go_on(struct relay *r)
{
	twins_go_on(r->twins);
}

/* -- What a session says -------------------------------------------------------------------------------------------------------------------- */

void
relay_model(struct relay *r, struct head_session *session, const struct subject *subject, const char *model_id)
{
	struct named_model named = { subject->device_id, subject->module_id, subject->generation_id, model_id };

	attendance_name_model(r->attendance, &named, head_session_conn(session));
}

void
relay_wants(struct relay *r, struct head_session *session, const struct subject *subject, unsigned wants)
{
	if (wants & HEAD_WANTS_METHODS)
		methods_on_ready(r->config.methods, session, subject);
	attendance_look(r->attendance, subject->device_id, subject->module_id, wants & HEAD_ASKED_COMMANDS);
}

void
relay_request(struct relay *r, struct head_session *session, const struct subject *subject, const struct head_request *request,
	struct head_call *call)
{
	twin_relay_request(r->twin_relay, session, subject, request, call);
}

void
relay_method_answer(struct relay *r, const struct subject *subject, struct slice rid, int status, struct slice payload)
{
	methods_on_answer(r->config.methods, subject, rid, status, payload);
}

void
relay_settled(struct relay *r, const struct subject *subject, uint64_t command_id)
{
	command_relays_settle(r->commands, r->config.lines, subject, command_id);
}

void
relay_end(struct relay *r, struct head_session *session, const struct subject *subject)
{
	methods_on_end(r->config.methods, session, subject);
	attendance_end(r->attendance, subject->device_id, subject->module_id);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A line's messages are in two lists, those waiting and those sent; when the connection is lost the sent ones wait again, before the rest.  The scope is asked on each new
 * connection, before anything is sent, and when the hub refuses the device: one that is gone, or is another one under the same id (atk-25), has its messages given
 * up, said so in the log, so that it cannot hold up the others for ever; while the hub gives no answer about it, or refuses the gateway itself, nothing is given up. */
#include "gateway/upstream/forward_line.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "device/device_link.h"
#include "wire/mqtt.h"

#define IN_FLIGHT_MAX 256
#define IDLE_MS (5 * 60 * 1000)
#define SAY_GIVEN_UP_MS 1000
#define ASK_AGAIN_MS 6000 /* a while after the scope asks a hub again that did not answer */

struct list {
	struct queued *first, **last;
};

struct forward_line {
	struct forward_lines *lines;
	char *name, *device_id, *module_id;
	struct list waiting, sent;
	struct device_link *link;
	struct timer idle, again;
	char *generation;		     /* whom the hub has confirmed this connection to be for; NULL: not yet */
	int64_t up_since_ms, asked_since_ms; /* boot clock */
	bool is_down, is_unanswered;	     /* said so in the log */
	const char *gone;		     /* why its messages are given up, as of gone_epoch; NULL: they are not */
	uint64_t gone_epoch;
	size_t n_given_up; /* one by one, not yet said so */
	bool asks_token, asks_scope;
	struct job token_job, scope_job;
	char *token;
	int64_t token_expires;
	enum scope_answer answer;
	struct err token_err, scope_err;
};

/* -- Lists ----------------------------------------------------------------------------------------------------------------------------- */

static void
list_init(struct list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

static void
list_append(struct list *l, struct queued *q)
{
	q->next = NULL;
	*l->last = q;
	l->last = &q->next;
}

static struct queued *
list_take(struct list *l, struct queued **at)
{
	struct queued *q = *at;

	*at = q->next;
	if (!*at)
		l->last = at;
	return q;
}

static void
take_back(struct forward_line *line)
{
	struct list *sent = &line->sent, *waiting = &line->waiting;

	if (!sent->first)
		return;
	*sent->last = waiting->first;
	if (waiting->first)
		sent->last = waiting->last;
	*waiting = *sent;
	list_init(sent);
}

static bool
is_idle(const struct forward_line *line)
{
	return !line->waiting.first && !line->sent.first;
}

/* -- Whose is it? ----------------------------------------------------------------------------------------------------------------------- */

/* Another device may live under the same id now: what the old one sent is not for it. */
static bool
is_of(const char *generation, const struct queued *q)
{
	return !*generation || !*q->generation_id || text_is(generation, q->generation_id);
}

static void
forget_generation(struct forward_line *line)
{
	mem_free(line->generation);
	line->generation = NULL;
}

static size_t
drop_waiting(struct forward_line *line, const char *but_of_generation)
{
	struct queued **at = &line->waiting.first;
	size_t n = 0;

	while (*at) {
		if (but_of_generation && is_of(but_of_generation, *at)) {
			at = &(*at)->next;
			continue;
		}
		queue_window_done(line->lines->window, list_take(&line->waiting, at));
		n++;
	}
	return n;
}

/* Give up what is not of this generation; without one, all. */
static void
give_up(struct forward_line *line, const char *but_of_generation, const char *why)
{
	size_t n = drop_waiting(line, but_of_generation);

	if (n == 0)
		return;
	log_error("%zu messages of %s are given up: %s", n, line->name, why);
	line->lines->on_done(line->lines);
}

static void
look_up(struct job *job)
{
	struct forward_line *line = CONTAINER_OF(job, struct forward_line, scope_job);

	line->scope_err = (struct err)ERR_INIT;
	line->answer =
		scope_look_up(line->lines->config->scope, line->device_id, line->module_id, line->asked_since_ms, &line->scope_err);
}

static void
end_line(struct forward_line *line, const char *why)
{
	device_link_stop(line->link);
	take_back(line);
	give_up(line, NULL, why);
}

static void send_waiting(struct forward_line *line);
static void ask_scope(struct forward_line *line, int64_t since_ms);

/* The hub has spoken after it took or refused the connection: so this is about whom the connection is for. */
static void
judge(struct forward_line *line)
{
	uint64_t epoch = scope_epoch(line->lines->config->scope);
	int64_t confirmed;
	OWN(identity) now = scope_find(line->lines->config->scope, line->device_id, line->module_id, &confirmed);
	const char *generation = now && now->generation_id ? now->generation_id : "";

	line->gone = !now ? "the hub no longer has it below this gateway" : !now->enabled ? "it was disabled in the hub" : NULL;
	line->gone_epoch = epoch;
	if (line->gone) {
		end_line(line, line->gone);
		return;
	}
	forget_generation(line);
	if (device_link_is_up(line->link))
		line->generation = mem_text(generation);
	give_up(line, generation, "it was deleted and made again in the hub");
	send_waiting(line);
}

static void
on_looked_up(struct job *job)
{
	struct forward_line *line = CONTAINER_OF(job, struct forward_line, scope_job);

	line->asks_scope = false;
	if (line->answer == SCOPE_NO_ANSWER) {
		if (!line->is_unanswered && !is_idle(line))
			log_warn("%s: its messages wait, the hub gave no answer about it: %s", line->name, line->scope_err.text);
		line->is_unanswered = !is_idle(line);
		timer_arm(&line->again, ASK_AGAIN_MS);
		return;
	}
	line->is_unanswered = false;
	if (device_link_is_up(line->link) && line->up_since_ms > line->asked_since_ms)
		ask_scope(line, line->up_since_ms); /* that was about the connection before */
	else
		judge(line);
}

static void
ask_scope(struct forward_line *line, int64_t since_ms)
{
	const struct forward_config *c = line->lines->config;

	if (line->asks_scope)
		return;
	timer_cancel(&line->again);
	line->asked_since_ms = since_ms;
	line->scope_job = (struct job){ .run = look_up, .done = on_looked_up, .owner = loop_owner(c->loop) };
	line->asks_scope = pool_try(c->workers, &line->scope_job);
	if (!line->asks_scope)
		timer_arm(&line->again, ASK_AGAIN_MS);
}

/* A connection that is down asks when it is refused. */
static void
on_again(struct timer *timer)
{
	struct forward_line *line = CONTAINER_OF(timer, struct forward_line, again);

	if (line->n_given_up > 0)
		log_error("%zu more messages of %s are given up: %s", line->n_given_up, line->name, line->gone ? line->gone : "");
	line->n_given_up = 0;
	if (device_link_is_up(line->link))
		send_waiting(line);
	line->lines->on_done(line->lines); /* send_one may have made place */
}

/* -- The token -------------------------------------------------------------------------------------------------------------------------- */

static void
make_token(struct job *job)
{
	struct forward_line *line = CONTAINER_OF(job, struct forward_line, token_job);

	line->token_err = (struct err)ERR_INIT;
	line->token = upstream_token(line->lines->config->upstream, &line->token_expires, &line->token_err);
}

static void
on_token(struct job *job)
{
	struct forward_line *line = CONTAINER_OF(job, struct forward_line, token_job);

	line->asks_token = false;
	if (line->token)
		device_link_token(line->link, line->token, line->token_expires);
	else
		device_link_no_token(line->link, line->token_err.text);
	upstream_token_free(line->token);
	line->token = NULL;
}

static void
ask_token(struct device_link *link, void *user)
{
	struct forward_line *line = user;
	const struct forward_config *c = line->lines->config;

	if (line->asks_token)
		return; /* its answer is on its way */
	line->token_job = (struct job){ .run = make_token, .done = on_token, .owner = loop_owner(c->loop) };
	line->asks_token = pool_try(c->workers, &line->token_job);
	if (!line->asks_token)
		device_link_no_token(link, "too much is going on at once");
}

/* -- The link --------------------------------------------------------------------------------------------------------------------------- */

static void
send_one(struct forward_line *line, struct queued *q)
{
	struct device_message m = {
		.bag = slice_of(q->bag),
		.payload = { .text = (const char *)q->payload, .len = q->len },
		.qos = 1,
		.retain = q->retain,
	};

	if (device_link_publish(line->link, &m, q->offset)) {
		list_append(&line->sent, q);
		return;
	}
	log_error("a message of %s is given up: with all of its properties it is larger than MQTT allows", line->name);
	queue_window_done(line->lines->window, q);
	timer_arm(&line->again, 1);
}

/* The hub does not know of generations on this connection, so we make sure of it: a message goes only when the hub has said, after it took the connection, that it
 * is the device that sent the message. */
static void
send_waiting(struct forward_line *line)
{
	while (line->waiting.first && device_link_may_publish(line->link)) {
		if (!line->generation || !is_of(line->generation, line->waiting.first)) {
			ask_scope(line, line->generation ? clock_boot_ms() : line->up_since_ms);
			return;
		}
		send_one(line, list_take(&line->waiting, &line->waiting.first));
	}
}

static void
on_up(struct device_link *link, void *user)
{
	struct forward_line *line = user;

	(void)link;
	if (line->is_down)
		log_info("%s: connected to the hub again", line->name);
	line->is_down = false;
	line->up_since_ms = clock_boot_ms();
	forget_generation(line); /* also after a renewal, which on_down does not hear of */
	send_waiting(line);
}

static void
on_acked(struct device_link *link, void *user, uint64_t cookie)
{
	struct forward_line *line = user;
	struct queued **at = &line->sent.first;

	(void)link;
	while (*at && (*at)->offset != cookie)
		at = &(*at)->next;
	if (*at)
		queue_window_done(line->lines->window, list_take(&line->sent, at));
	line->lines->on_reached(line->lines);
	send_waiting(line);
	if (is_idle(line))
		timer_arm(&line->idle, IDLE_MS);
	line->lines->on_done(line->lines);
}

static bool
on_down(struct device_link *link, void *user, enum device_client_end end, uint8_t code, const char *why)
{
	struct forward_line *line = user;

	(void)link;
	if (end == DEVICE_CLIENT_UNREACHABLE)
		line->lines->on_unreached(line->lines);
	take_back(line);
	forget_generation(line);
	if (is_idle(line)) {
		ask_scope(line,
			clock_boot_ms()); /* the hub ends the connection of a device that it no longer trusts: then its session here ends, too */
		return false;
	}
	if (!line->is_down)
		log_warn("%s: its messages wait: %s", line->name, why);
	line->is_down = true;
	if (end == DEVICE_CLIENT_REFUSED && code != MQTT_UNAVAILABLE)
		ask_scope(line, clock_boot_ms());
	return true;
}

static void
on_verdict(struct device_link *link, void *user, const struct verdict *verdict)
{
	struct forward_line *line = user;

	(void)link;
	upstream_judged(line->lines->config->upstream, verdict);
}

static const struct device_link_ops link_ops = {
	.ask_token = ask_token,
	.on_up = on_up,
	.on_acked = on_acked,
	.on_down = on_down,
	.on_verdict = on_verdict,
};

static void
on_idle(struct timer *timer)
{
	struct forward_line *line = CONTAINER_OF(timer, struct forward_line, idle);

	if (is_idle(line))
		device_link_stop(line->link);
}

/* -- The owner's side ------------------------------------------------------------------------------------------------------------------- */

/* "device;gateway" or "device/module;device;gateway" (gateway 3.7); the gateway's own modules have no device between. */
static char *
auth_chain(const struct forward_line *line, const char *edge_id)
{
	if (line->module_id && !text_is(line->device_id, edge_id))
		return mem_textf("%s;%s;%s", line->name, line->device_id, edge_id);
	return mem_textf("%s;%s", line->name, edge_id);
}

struct forward_line *
forward_line_new(struct forward_lines *lines, const struct queued *first)
{
	const struct upstream_config *up = upstream_config(lines->config->upstream);
	struct forward_line *line = NEW(forward_line);
	OWN_TEXT chain = NULL;
	struct device_client_config target;

	line->lines = lines;
	line->name = identity_name(first->device_id, first->module_id);
	line->device_id = mem_text(first->device_id);
	line->module_id = mem_text(first->module_id);
	list_init(&line->waiting);
	list_init(&line->sent);
	timer_init(&line->idle, lines->config->loop, on_idle);
	timer_init(&line->again, lines->config->loop, on_again);
	chain = auth_chain(line, up->edge_id);
	target = (struct device_client_config){
		.host = up->parent_host ? up->parent_host : up->hub_host,
		.connect_to = up->hub_address,
		.port = up->mqtt_port,
		.hub_host = up->hub_host,
		.device_id = line->device_id,
		.module_id = line->module_id,
		.auth_chain = chain,
		.tls = upstream_tls(lines->config->upstream),
		.who = "gateway",
		.max_in_flight = IN_FLIGHT_MAX,
	};
	line->link = device_link_new(lines->config->loop, &target, &link_ops, line);
	return line;
}

void
forward_line_stop(struct forward_line *line)
{
	device_link_stop(line->link);
}

void
forward_line_free(struct forward_line *line)
{
	if (!line)
		return;
	timer_cancel(&line->idle);
	timer_cancel(&line->again);
	device_link_free(line->link);
	upstream_token_free(line->token);
	mem_free(line->generation);
	mem_free(line->name);
	mem_free(line->device_id);
	mem_free(line->module_id);
	mem_free(line);
}

/* As long as nothing has changed in the scope, the hub need not be asked again and again about a device that is gone. */
static bool
is_gone(const struct forward_line *line)
{
	return line->gone && line->gone_epoch == scope_epoch(line->lines->config->scope);
}

void
forward_line_send(struct forward_line *line, struct queued *q)
{
	if (is_gone(line)) {
		queue_window_done(line->lines->window, q);
		line->n_given_up++;
		timer_arm(&line->again, SAY_GIVEN_UP_MS);
		return;
	}
	timer_cancel(&line->idle);
	list_append(&line->waiting, q);
	send_waiting(line);
	device_link_start(line->link);
}

void
forward_line_hurry(struct forward_line *line)
{
	device_link_hurry(line->link);
}

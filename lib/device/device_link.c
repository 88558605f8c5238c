/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a link: stopped, waiting (for its next try), asking (for a token), opening, up, draining (about to renew), stopping.  One timer serves all: the next try, or the moment to
 * renew.  MQTT 3.1.1 has no way to give a new token on an open connection, so renewing is connecting again; doing that with an empty window makes it invisible. */
#include "device/device_link.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"

#define MARGIN_MAX_S 900    /* as the SDKs do (clients-observed 3) */
#define LOOK_AGAIN_MS 60000 /* the wall clock may have been set: look at a token's end at least this often */
#define DRAIN_MS 30000
#define DRAIN_LOOK_MS 250
#define MOVE_MS 2000   /* who moves for no need keeps nobody waiting for longer */
#define STABLE_MS 5000 /* a connection that lived this long was a good one */
#define HURRY_MS 1000  /* many links hear the same news: they spread over this time */

enum link_state { LINK_STOPPED, LINK_WAITING, LINK_ASKING, LINK_OPENING, LINK_UP, LINK_DRAINING, LINK_STOPPING };

struct device_link {
	struct device_client_config target; /* its texts are ours */
	const struct device_link_ops *ops;
	void *user;
	struct loop *loop;
	struct device_client *client;
	struct timer timer;
	enum link_state state;
	int64_t back_off_ms, next_try_ms, up_since_ms; /* boot clock */
	int64_t renew_at;			       /* wall clock; 0: never */
	char *why;				       /* an attempt that failed at once, which is told a moment later */
	enum device_client_end why_end;
	bool start_again;	/* it was started while it was still closing */
	bool may_stay;		/* it drains, but need not go */
	int64_t drain_until_ms; /* boot clock */
	int64_t spread_ms;
	uint32_t serial; /* of the connection */
};

int64_t
device_link_margin_s(int64_t token_life_s)
{
	int64_t margin = token_life_s / 4;

	return margin < MARGIN_MAX_S ? margin : MARGIN_MAX_S;
}

/* -- Trying again --------------------------------------------------------------------------------------------------------------------- */

static void
wait_for(struct device_link *link, int64_t ms)
{
	link->state = LINK_WAITING;
	link->next_try_ms = clock_boot_ms() + ms;
	timer_arm(&link->timer, ms > 0 ? ms : 1);
}

/* Between half of the back-off and all of it, so that those who lost their server together do not come back together. */
static void
back_off(struct device_link *link)
{
	int64_t ms = link->back_off_ms > link->spread_ms ? link->back_off_ms : link->spread_ms;

	link->back_off_ms = ms * 2 < DEVICE_LINK_BACK_OFF_MAX_MS ? ms * 2 : DEVICE_LINK_BACK_OFF_MAX_MS;
	wait_for(link, ms / 2 + random_below((uint32_t)(ms / 2 + 1)));
}

static void
go_down(struct device_link *link, enum device_client_end end, uint8_t code, const char *why)
{
	link->state = LINK_STOPPED;
	timer_cancel(&link->timer);
	if (link->ops->on_down(link, link->user, end, code, why) && link->state == LINK_STOPPED)
		back_off(link);
}

/* -- The client's callbacks ------------------------------------------------------------------------------------------------------------ */

static void
arm_renewal(struct device_link *link)
{
	int64_t left = link->renew_at > 0 ? link->renew_at * 1000 - clock_wall_ms() : LOOK_AGAIN_MS;

	if (link->renew_at > 0)
		timer_arm(&link->timer, left < 1 ? 1 : left < LOOK_AGAIN_MS ? left : LOOK_AGAIN_MS);
}

static void
on_connected(struct device_client *client, void *user)
{
	struct device_link *link = user;

	(void)client;
	link->state = LINK_UP;
	link->up_since_ms = clock_boot_ms();
	arm_renewal(link);
	link->ops->on_up(link, link->user);
}

static bool
is_drained(const struct device_client *client)
{
	return device_client_in_flight(client) == 0 && device_client_open_questions(client) == 0;
}

/* What came since it was begun, a method perhaps, would be answered to nobody. */
static bool
may_move(struct device_link *link)
{
	return is_drained(link->client) && link->ops->may_move(link, link->user);
}

static void
stay(struct device_link *link)
{
	link->state = LINK_UP;
	arm_renewal(link);
	link->ops->on_stayed(link, link->user);
}

/* Nothing is in flight any more, or the server takes too long, and would close the connection itself: it may go, and the next one is made when it is gone. */
static void
drain(struct device_link *link)
{
	if (!is_drained(link->client) && clock_boot_ms() < link->drain_until_ms) {
		timer_arm(&link->timer, DRAIN_LOOK_MS);
		return;
	}
	timer_cancel(&link->timer);
	if (link->may_stay && !may_move(link))
		stay(link);
	else
		device_client_close(link->client);
}

static void
begin_draining(struct device_link *link, int64_t within_ms, bool may_stay)
{
	link->state = LINK_DRAINING;
	link->drain_until_ms = clock_boot_ms() + within_ms;
	link->may_stay = may_stay;
	drain(link);
}

static void
on_acked(struct device_client *client, void *user, uint64_t cookie)
{
	struct device_link *link = user;

	(void)client;
	link->back_off_ms = DEVICE_LINK_BACK_OFF_MIN_MS;
	link->ops->on_acked(link, link->user, cookie);
	if (link->state == LINK_DRAINING)
		drain(link);
}

static void
stopped(struct device_link *link)
{
	link->state = LINK_STOPPED;
	if (link->start_again)
		wait_for(link, 0);
	else if (link->ops->on_stopped)
		link->ops->on_stopped(link, link->user);
}

static void
on_end(struct device_client *client, void *user, enum device_client_end end, uint8_t code, const char *why)
{
	struct device_link *link = user;
	bool renewed = link->state == LINK_DRAINING && end == DEVICE_CLIENT_CLOSED && is_drained(client);

	link->client = NULL;
	if (link->state == LINK_UP && clock_boot_ms() - link->up_since_ms >= STABLE_MS)
		link->back_off_ms = DEVICE_LINK_BACK_OFF_MIN_MS;
	if (link->state == LINK_STOPPING)
		stopped(link);
	else if (renewed)
		wait_for(link, 0);
	else
		go_down(link, end, code, why);
}

static void
on_verdict(struct device_client *client, void *user, const struct verdict *verdict)
{
	struct device_link *link = user;

	(void)client;
	if (link->ops->on_verdict)
		link->ops->on_verdict(link, link->user, verdict);
}

static const struct device_client_ops client_ops = {
	.on_connected = on_connected,
	.on_acked = on_acked,
	.on_end = on_end,
	.on_verdict = on_verdict,
};

/* -- Opening --------------------------------------------------------------------------------------------------------------------------- */

/* The owner hears of it from the loop, not from within its own call. */
static void
fail_soon(struct device_link *link, enum device_client_end end, const char *why)
{
	link->state = LINK_OPENING;
	link->why_end = end;
	mem_free(link->why);
	link->why = mem_text(why);
	timer_arm(&link->timer, 1);
}

static void
open_client(struct device_link *link, const char *token)
{
	struct device_client_config config = link->target;
	struct err err = ERR_INIT;

	config.token = token;
	config.serial = ++link->serial;
	link->state = LINK_OPENING;
	link->client = device_client_connect(link->loop, &config, &client_ops, link, &err);
	if (!link->client)
		fail_soon(link, config.carrier ? DEVICE_CLIENT_NOT_TRIED : DEVICE_CLIENT_UNREACHABLE, err.text);
}

static void
try_now(struct device_link *link)
{
	if (!link->ops->ask_token) {
		open_client(link, NULL);
		return;
	}
	link->state = LINK_ASKING;
	link->ops->ask_token(link, link->user);
}

void
device_link_token(struct device_link *link, const char *token, int64_t expires)
{
	int64_t life = expires - clock_wall();

	if (link->state != LINK_ASKING)
		return;
	link->renew_at = expires - device_link_margin_s(life) - random_below((uint32_t)(device_link_margin_s(life) / 8 + 1));
	open_client(link, token);
}

void
device_link_no_token(struct device_link *link, const char *why)
{
	if (link->state == LINK_ASKING)
		fail_soon(link, DEVICE_CLIENT_NOT_TRIED, why);
}

static void
begin_renewal(struct device_link *link)
{
	if (clock_wall() < link->renew_at) {
		arm_renewal(link);
		return;
	}
	begin_draining(link, DRAIN_MS, false);
}

static void
on_timer(struct timer *timer)
{
	struct device_link *link = CONTAINER_OF(timer, struct device_link, timer);

	switch (link->state) {
	case LINK_WAITING:
		try_now(link);
		return;
	case LINK_UP:
		begin_renewal(link);
		return;
	case LINK_DRAINING:
		drain(link);
		return;
	case LINK_OPENING:
		if (!link->client)
			go_down(link, link->why_end, 0, link->why);
		return;
	case LINK_STOPPED:
	case LINK_STOPPING:
	case LINK_ASKING:
		return;
	}
}

/* -- The owner's side ------------------------------------------------------------------------------------------------------------------ */

struct device_link *
device_link_new(struct loop *loop, const struct device_client_config *target, const struct device_link_ops *ops, void *user)
{
	struct device_link *link = NEW(device_link);

	link->target = *target;
	link->target.host = mem_text(target->host);
	link->target.connect_to = mem_text(target->connect_to);
	link->target.hub_host = mem_text(target->hub_host);
	link->target.device_id = mem_text(target->device_id);
	link->target.module_id = mem_text(target->module_id);
	link->target.auth_chain = mem_text(target->auth_chain);
	link->target.model_id = mem_text(target->model_id);
	link->target.who = mem_text(target->who);
	link->target.token = NULL;
	link->target.tls = tls_client_ref(target->tls);
	link->ops = ops;
	link->user = user;
	link->loop = loop;
	link->back_off_ms = DEVICE_LINK_BACK_OFF_MIN_MS;
	timer_init(&link->timer, loop, on_timer);
	return link;
}

static void
drop_text(const char **text)
{
	mem_free((char *)(uintptr_t)*text);
}

void
device_link_free(struct device_link *link)
{
	if (!link)
		return;
	timer_cancel(&link->timer);
	if (link->client)
		device_client_leave(link->client);
	mem_free(link->why);
	drop_text(&link->target.host);
	drop_text(&link->target.connect_to);
	drop_text(&link->target.hub_host);
	drop_text(&link->target.device_id);
	drop_text(&link->target.module_id);
	drop_text(&link->target.auth_chain);
	drop_text(&link->target.model_id);
	drop_text(&link->target.who);
	tls_client_free(link->target.tls);
	mem_free(link);
}

static void
set_text(const char **text, const char *value)
{
	if (text_is(*text, value))
		return;
	drop_text(text);
	*text = mem_text(value);
}

void
device_link_set_chain(struct device_link *link, const char *auth_chain)
{
	set_text(&link->target.auth_chain, auth_chain);
}

void
device_link_set_model(struct device_link *link, const char *model_id)
{
	set_text(&link->target.model_id, model_id);
}

void
device_link_set_carrier(struct device_link *link, struct conn_carrier *(*carrier)(void *arg), void *arg)
{
	link->target.carrier = carrier;
	link->target.carrier_arg = arg;
}

/* One that has shown nothing so far was begun by what counted before. */
static bool
would_be_taken(const struct device_link *link)
{
	OWN(verdict) v = device_client_judge(link->client, link->target.tls, link->target.host);

	if (v && link->ops->on_verdict)
		link->ops->on_verdict((struct device_link *)(uintptr_t)link, link->user, v);
	return v && verdict_accepted(v);
}

void
device_link_trust(struct device_link *link, struct tls_client *tls)
{
	struct tls_client *before = link->target.tls;

	link->target.tls = tls_client_ref(tls);
	tls_client_free(before);
	if (link->client && link->state != LINK_STOPPING && !would_be_taken(link))
		device_client_break(link->client, "the server is not trusted any more");
}

void
device_link_start(struct device_link *link)
{
	if (link->state == LINK_STOPPED)
		wait_for(link, 0);
	else if (link->state == LINK_STOPPING)
		link->start_again = true;
}

void
device_link_stop(struct device_link *link)
{
	link->start_again = false;
	timer_cancel(&link->timer);
	if (!link->client) {
		link->state = LINK_STOPPED;
		return;
	}
	link->state = LINK_STOPPING;
	device_client_close(link->client);
}

void
device_link_spread(struct device_link *link, int64_t ms)
{
	link->spread_ms = ms < DEVICE_LINK_BACK_OFF_MAX_MS ? ms : DEVICE_LINK_BACK_OFF_MAX_MS;
}

/* A question may take longer than messages would want to wait. */
bool
device_link_move(struct device_link *link)
{
	if (link->state != LINK_UP || device_client_open_questions(link->client) > 0 || !link->ops->may_move(link, link->user))
		return false;
	begin_draining(link, MOVE_MS, true);
	return true;
}

void
device_link_hurry(struct device_link *link)
{
	int64_t soon = random_below((uint32_t)(link->spread_ms > HURRY_MS ? link->spread_ms : HURRY_MS));

	if (link->state == LINK_WAITING && link->next_try_ms - clock_boot_ms() > soon)
		wait_for(link, soon);
}

bool
device_link_is_up(const struct device_link *link)
{
	return link->state == LINK_UP || link->state == LINK_DRAINING;
}

bool
device_link_may_publish(const struct device_link *link)
{
	return link->state == LINK_UP && device_client_may_publish(link->client);
}

bool
device_link_publish(struct device_link *link, const struct device_message *message, uint64_t cookie)
{
	return device_client_publish(link->client, message, cookie);
}

void
device_link_listen(struct device_link *link, unsigned wants)
{
	if (device_link_is_up(link))
		device_client_listen(link->client, wants);
}

bool
device_link_get_twin(struct device_link *link, uint64_t cookie)
{
	return link->state == LINK_UP && device_client_get_twin(link->client, cookie);
}

bool
device_link_report(struct device_link *link, struct slice patch, uint64_t cookie)
{
	return link->state == LINK_UP && device_client_report(link->client, patch, cookie);
}

bool
device_link_answer_method(struct device_link *link, const char *rid, int status, struct slice payload)
{
	return device_link_is_up(link) && device_client_answer_method(link->client, rid, status, payload);
}

void
device_link_settle(struct device_link *link, uint64_t id)
{
	if (device_link_is_up(link))
		device_client_settle(link->client, id);
}

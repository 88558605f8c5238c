/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt at a time, for all who wait; when it has failed they know how to go on, and the next one is made when somebody asks again. */
#include "gateway/upstream/carrier.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "device/device_link.h"
#include "gateway/gauges/carriage.h"
#include "gateway/gauges/gateway_metrics.h"
#include "net/carrier_dial.h"
#include "net/http_proxy.h"

#define VERSION "api-version=2020-06-30-preview"
#define BACK_OFF_MIN_MS 250
#define BACK_OFF_MAX_MS 15000
#define STABLE_MS 10000
#define PING_MS 15000			/* all lines stand still with it */
#define NOT_CARRIED_MS (15 * 60 * 1000) /* a hub without it may be another one after a restart */
#define REFUSED_MS (60 * 1000)		/* by something between us and the hub, perhaps */
#define REFUSALS_MAX 3

enum state { REST, ASKING_TOKEN, DIALING, UP };

struct carrier {
	struct carrier_config config;
	enum state state;
	struct conn_carrier *now; /* UP */
	struct carrier_dial *dial;
	struct carrier_ride *first, **last;
	struct timer timer; /* REST: the next attempt; UP: another token */
	struct job job;
	bool token_is_asked, is_stopping;
	char *token;
	int64_t expires, renew_at; /* wall clock */
	struct err err;
	int64_t up_since_ms, next_try_ms, alone_until_ms; /* boot clock */
	int64_t back_off_ms;
	bool own_is_up; /* $edgeHub's line: the hub is there, and takes our token */
	int n_refusals; /* in a row */
	int n_open;
	enum carrier_way told; /* in the log */
};

/* -- Who waits ----------------------------------------------------------------------------------------------------------------------------- */

static void
enter(struct carrier *c, struct carrier_ride *ride)
{
	ride->next = NULL;
	ride->link = c->last;
	*c->last = ride;
	c->last = &ride->next;
}

void
carrier_leave(struct carrier *c, struct carrier_ride *ride)
{
	if (!ride->link)
		return;
	*ride->link = ride->next;
	if (ride->next)
		ride->next->link = ride->link;
	else
		c->last = ride->link;
	ride->link = NULL;
}

/* Those who wait now: whoever asks again meanwhile waits for the next decision. */
static void
decide(struct carrier *c, enum carrier_way way, enum carrier_way own_way, const char *why)
{
	size_t n = 0;

	for (const struct carrier_ride *ride = c->first; ride; ride = ride->next)
		n++;
	for (; n > 0 && c->first; n--) {
		struct carrier_ride *ride = c->first;

		carrier_leave(c, ride);
		ride->decided(ride, ride->is_own ? own_way : way, why);
	}
}

static void
tell(struct carrier *c, enum carrier_way way, const char *why)
{
	if (c->told == way)
		return;
	c->told = way;
	c->config.on_way(c->config.arg, way == CARRIER_ALONE);
	if (way == CARRIER_CARRIED)
		log_info("one connection to the hub carries all devices");
	else
		log_info("each device has a connection of its own to the hub: %s", why);
}

static void
count(struct carrier *c, int more)
{
	c->n_open += more;
	metric_set(gateway_metric(METRIC_CARRIERS), c->n_open);
}

/* For those who are alone, and don't ask. */
static void
try_later(struct carrier *c)
{
	int64_t at_ms = c->alone_until_ms > c->next_try_ms ? c->alone_until_ms : c->next_try_ms;
	int64_t wait_ms = at_ms - clock_boot_ms();

	if (c->state == REST && c->own_is_up && !c->first && !c->is_stopping)
		timer_arm(&c->timer, wait_ms > 0 ? wait_ms : 1);
}

/* -- An attempt ---------------------------------------------------------------------------------------------------------------------------- */

static void
rest(struct carrier *c)
{
	c->state = REST;
	c->next_try_ms = clock_boot_ms() + c->back_off_ms / 2 + random_below((uint32_t)(c->back_off_ms / 2 + 1));
	c->back_off_ms = c->back_off_ms * 2 < BACK_OFF_MAX_MS ? c->back_off_ms * 2 : BACK_OFF_MAX_MS;
}

static void
failed(struct carrier *c, enum carrier_way way, enum carriage_state state, const char *why)
{
	carriage_note(state, why);
	decide(c, way, CARRIER_ALONE, why);
	try_later(c);
}

static void
go_alone(struct carrier *c, uint32_t for_ms, enum carriage_state state, const char *why)
{
	rest(c);
	c->alone_until_ms = clock_boot_ms() + for_ms - random_below(for_ms / 4);
	tell(c, CARRIER_ALONE, why);
	failed(c, CARRIER_ALONE, state, why);
}

static void
unreached(struct carrier *c, enum carriage_state state, const char *why)
{
	rest(c);
	failed(c, CARRIER_NONE, state, why);
}

static void
not_now(struct carrier *c, enum carriage_state state, const char *why)
{
	rest(c);
	failed(c, CARRIER_NOT_NOW, state, why);
}

/* Our token may be refused, as a line's would be, or the hub has too much to do; but not again and again while it serves $edgeHub. */
static bool
is_for_now(const struct carrier *c, int status)
{
	bool may_pass = status == 401 || status == 429 || status == 503;

	return may_pass && !(c->own_is_up && c->n_refusals >= REFUSALS_MAX);
}

/* What stands between may refuse an Upgrade and nothing else, and must not cut off those who don't need it. */
static void
refused(struct carrier *c, int status)
{
	OWN_TEXT words = mem_textf("the hub answers %d where one connection for all is asked for", status);

	c->n_refusals++;
	if (is_for_now(c, status))
		(status == 503 ? unreached : not_now)(c, CARRIAGE_REFUSED, words);
	else if (status == 404)
		go_alone(c, NOT_CARRIED_MS, CARRIAGE_NOT_OFFERED, words);
	else
		go_alone(c, REFUSED_MS, CARRIAGE_REFUSED, words);
}

static void
on_failed(void *arg, enum carrier_dial_end end, int status, const char *why)
{
	struct carrier *c = arg;

	c->dial = NULL;
	if (end == CARRIER_DIAL_REFUSED)
		refused(c, status);
	else if (end == CARRIER_DIAL_NO_TUNNEL)
		go_alone(c, REFUSED_MS, CARRIAGE_PROXY, why);
	else
		unreached(c, CARRIAGE_NOT_REACHED, why);
}

static void
on_verdict(void *arg, const struct verdict *verdict)
{
	const struct carrier *c = arg;

	upstream_judged(c->config.upstream, verdict);
}

static void
on_up(void *arg, struct conn_carrier *carrier)
{
	struct carrier *c = arg;
	int64_t left_ms = c->renew_at * 1000 - clock_wall_ms();

	c->dial = NULL;
	c->now = carrier;
	c->state = UP;
	c->n_refusals = 0;
	c->up_since_ms = clock_boot_ms();
	count(c, 1);
	metric_add(gateway_metric(METRIC_CARRIERS_OPENED), 1);
	timer_arm(&c->timer, left_ms > 0 && left_ms < clock_look_ms() ? left_ms : clock_look_ms());
	carriage_note(CARRIAGE_CARRIED, NULL);
	tell(c, CARRIER_CARRIED, NULL);
	decide(c, CARRIER_CARRIED, CARRIER_CARRIED, NULL);
	c->config.on_up(c->config.arg);
}

static const struct carrier_dial_ops dial_ops = { .on_verdict = on_verdict, .on_up = on_up, .on_failed = on_failed };

/* It goes on for those whom it carries. */
static void
let_go(struct carrier *c)
{
	c->now = NULL;
	timer_cancel(&c->timer);
	c->state = REST;
	c->back_off_ms = BACK_OFF_MIN_MS;
	c->next_try_ms = 0;
	try_later(c);
}

static void
on_retired(struct conn_carrier *carrier, void *arg)
{
	struct carrier *c = arg;

	if (carrier == c->now)
		let_go(c);
}

static void
on_end(struct conn_carrier *carrier, void *arg, const char *why)
{
	struct carrier *c = arg;

	count(c, -1);
	if (carrier != c->now)
		return;
	carriage_note(CARRIAGE_NOT_REACHED, *why ? why : "the hub closed the connection");
	c->now = NULL;
	timer_cancel(&c->timer);
	if (clock_boot_ms() - c->up_since_ms >= STABLE_MS)
		c->back_off_ms = BACK_OFF_MIN_MS;
	rest(c);
	try_later(c);
}

static const char *
host_of(const struct carrier *c)
{
	const struct upstream_config *up = upstream_config(c->config.upstream);

	return up->parent_host ? up->parent_host : up->hub_host;
}

static void
dial(struct carrier *c)
{
	const struct upstream_config *up = upstream_config(c->config.upstream);
	OWN_TEXT path = mem_textf("/devices/%s/modules/%s/strands?" VERSION, up->edge_id, up->workload.module_id);
	struct carrier_dial_config config = {
		.target = { .host = host_of(c),
			.connect_to = up->hub_address,
			.port = up->https_port,
			.tls = upstream_tls(c->config.upstream),
			.has_neighbours = true },
		.path = path,
		.authorization = c->token,
		.carrier = { .on_retired = on_retired, .on_end = on_end, .arg = c, .ping_ms = PING_MS },
		.ops = &dial_ops,
		.arg = c,
	};
	struct err err = ERR_INIT;
	OWN(http_proxy) proxy = NULL;

	if (http_proxy_find(&proxy, config.target.host, &err) < 0) {
		go_alone(c, NOT_CARRIED_MS, CARRIAGE_PROXY, err.text);
		return;
	}
	config.proxy = proxy;
	c->state = DIALING;
	c->dial = carrier_dial(c->config.loop, &config, &err);
	if (!c->dial)
		not_now(c, CARRIAGE_NOT_REACHED, err.text);
}

static void
make_token(struct job *job)
{
	struct carrier *c = CONTAINER_OF(job, struct carrier, job);

	c->err = (struct err)ERR_INIT;
	c->token = upstream_token(c->config.upstream, &c->expires, &c->err);
}

static void
on_token(struct job *job)
{
	struct carrier *c = CONTAINER_OF(job, struct carrier, job);
	int64_t margin = device_link_margin_s(c->expires - clock_wall());

	c->token_is_asked = false;
	c->renew_at = c->expires - margin - random_below((uint32_t)(margin / 8 + 1));
	if (!c->token)
		not_now(c, CARRIAGE_NOT_REACHED, c->err.text);
	else if (!c->is_stopping)
		dial(c);
	upstream_token_free(c->token);
	c->token = NULL;
}

static void
begin(struct carrier *c)
{
	if (c->is_stopping || c->state != REST)
		return;
	c->state = ASKING_TOKEN;
	c->job = (struct job){ .run = make_token, .done = on_token, .owner = loop_owner(c->config.loop) };
	c->token_is_asked = pool_try(c->config.workers, &c->job);
	if (!c->token_is_asked)
		not_now(c, CARRIAGE_NOT_REACHED, "too much is going on at once");
}

static void
try_soon(struct carrier *c)
{
	int64_t wait_ms = c->next_try_ms - clock_boot_ms();

	if (c->state == REST)
		timer_arm(&c->timer, wait_ms > 0 ? wait_ms : 0);
}

static void
renew(struct carrier *c)
{
	struct conn_carrier *old = c->now;
	int64_t left_ms = c->renew_at * 1000 - clock_wall_ms();

	if (left_ms > 0) {
		timer_arm(&c->timer, left_ms < clock_look_ms() ? left_ms : clock_look_ms());
		return;
	}
	let_go(c);
	conn_carrier_retire(old);
}

static void
on_timer(struct timer *timer)
{
	struct carrier *c = CONTAINER_OF(timer, struct carrier, timer);

	if (c->state == UP)
		renew(c);
	else if (c->first || c->own_is_up)
		begin(c);
}

/* -- The lines' side ----------------------------------------------------------------------------------------------------------------------- */

void
carrier_ask(struct carrier *c, struct carrier_ride *ride)
{
	if (c->now) {
		ride->decided(ride, CARRIER_CARRIED, NULL);
		return;
	}
	if (clock_boot_ms() < c->alone_until_ms) {
		ride->decided(ride, CARRIER_ALONE, NULL);
		return;
	}
	enter(c, ride);
	try_soon(c);
}

struct conn_carrier *
carrier_now(void *carrier)
{
	struct carrier *c = carrier;

	return c->now;
}

void
carrier_own_is(struct carrier *c, bool up)
{
	c->own_is_up = up;
	try_later(c);
}

/* Not before the next attempt may be made: who asked until then would wait for it, in the place of others. */
void
carrier_look_again(struct carrier *c)
{
	if (c->alone_until_ms > c->next_try_ms)
		c->alone_until_ms = c->next_try_ms;
	try_later(c);
}

/* Nobody may be carried over one that was dialed by what counts no more. */
static void
dial_again(struct carrier *c)
{
	carrier_dial_cancel(c->dial);
	c->dial = NULL;
	not_now(c, CARRIAGE_NOT_REACHED, "the roots that the hub is trusted by are others now");
}

void
carrier_trust(struct carrier *c)
{
	struct certs chain = { 0 };
	OWN(verdict) v = NULL;

	if (c->dial)
		dial_again(c);
	if (!c->now)
		return;
	chain = conn_peer_chain(conn_carrier_conn(c->now));
	v = tls_client_judge(upstream_tls(c->config.upstream), &chain, host_of(c));
	upstream_judged(c->config.upstream, v);
	if (!verdict_accepted(v))
		conn_abort(conn_carrier_conn(c->now), "the server is not trusted any more");
	certs_clear(&chain);
}

struct carrier *
carrier_new(const struct carrier_config *config)
{
	struct carrier *c = NEW(carrier);

	c->config = *config;
	c->last = &c->first;
	c->back_off_ms = BACK_OFF_MIN_MS;
	c->told = CARRIER_NONE;
	timer_init(&c->timer, config->loop, on_timer);
	return c;
}

void
carrier_stop(struct carrier *c)
{
	c->is_stopping = true;
	timer_cancel(&c->timer);
}

void
carrier_free(struct carrier *c)
{
	if (!c)
		return;
	timer_cancel(&c->timer);
	upstream_token_free(c->token);
	mem_free(c);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The scope is asked on each new connection, before it is used, and when the hub refuses the device; while the hub gives no answer about it, or refuses the gateway itself,
 * nothing is given up.  The gateway's own line, as $edgeHub, speaks for nobody else, so nobody is asked. */
#include "gateway/upstream/line.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/upstream/line_way.h"
#include "gateway/upstream/lines.h"
#include "wire/mqtt.h"

#define IN_FLIGHT_MAX 256
#define IDLE_MS (5 * 60 * 1000)
#define GONE_IDLE_MS 1000 /* of one whose name nobody has any more */
#define LOOK_AGAIN_MS 1000
#define ASK_AGAIN_MS 6000 /* a while after the scope asks a hub again that did not answer */

struct line {
	struct lines *lines;
	char *name, *device_id, *module_id, *model_id, *model_of; /* which generation has named its model */
	struct device_link *link;
	struct line_way way;
	struct line_user *users[LINE_USES];
	bool is_needed[LINE_USES];
	unsigned wants[LINE_USES];
	struct timer idle, again;
	char *generation;		     /* whom the hub has confirmed this connection to be for; NULL: not yet */
	int64_t up_since_ms, asked_since_ms; /* boot clock */
	bool is_own;			     /* $edgeHub's */
	bool is_down, is_unanswered;	     /* said so in the log */
	const char *gone;		     /* why nobody has the name, as of gone_epoch; NULL: somebody may */
	uint64_t gone_epoch;
	bool asks_scope;
	struct job scope_job;
	enum scope_answer answer;
	struct err scope_err;
};

/* For each user that has this call. */
#define TELL(line, call, ...)                                                                                                      \
	for (int tell_use_ = 0; tell_use_ < LINE_USES; tell_use_++)                                                                \
		if ((line)->users[tell_use_] && (line)->users[tell_use_]->ops->call)                                               \
	(line)->users[tell_use_]->ops->call((line)->users[tell_use_], ##__VA_ARGS__)

static bool
is_needed(const struct line *line)
{
	for (int use = 0; use < LINE_USES; use++)
		if (line->is_needed[use] || (line->wants[use] & ~DEVICE_WANTS_ANSWERS))
			return true;
	return false;
}

static unsigned
all_wants(const struct line *line)
{
	unsigned wants = 0;

	for (int use = 0; use < LINE_USES; use++)
		wants |= line->wants[use];
	return wants;
}

static struct scope *
scope_of(const struct line *line)
{
	return lines_config(line->lines)->scope;
}

static struct carrier *
carrier_of(const struct line *line)
{
	return lines_carrier(line->lines);
}

/* -- Whose is it? ----------------------------------------------------------------------------------------------------------------------- */

static void
forget_generation(struct line *line)
{
	mem_free(line->generation);
	line->generation = NULL;
}

static void
forget_model(struct line *line)
{
	mem_free(line->model_id);
	mem_free(line->model_of);
	line->model_id = line->model_of = NULL;
	line->is_needed[LINE_MODEL] = false;
}

static void
look_up(struct job *job)
{
	struct line *line = CONTAINER_OF(job, struct line, scope_job);

	line->scope_err = (struct err)ERR_INIT;
	line->answer = scope_look_up(scope_of(line), line->device_id, line->module_id, line->asked_since_ms, &line->scope_err);
}

static void ask_scope(struct line *line, int64_t since_ms);

static void
rest(struct line *line)
{
	timer_arm(&line->idle, line->gone ? GONE_IDLE_MS : IDLE_MS);
}

static void
end_gone(struct line *line, const char *why)
{
	line_way_hang_up(&line->way);
	forget_generation(line);
	forget_model(line);
	TELL(line, on_lost);
	TELL(line, on_gone, why);
	if (is_needed(line))
		timer_arm(&line->again, ASK_AGAIN_MS);
	else
		rest(line);
}

static void
confirm(struct line *line, const char *generation)
{
	OWN_TEXT copy = mem_text(generation);

	forget_generation(line);
	if (device_link_is_up(line->link)) {
		line->generation = mem_text(generation);
		device_link_listen(line->link, all_wants(line));
	}
	TELL(line, on_confirmed, copy);
	if (line->generation)
		line_hold(line, LINE_MODEL, false); /* it has been named with the connection */
}

/* The hub has spoken after it took or refused the connection: so this is about whom the connection is for. */
static void
judge(struct line *line)
{
	uint64_t epoch = scope_epoch(scope_of(line));
	int64_t confirmed;
	OWN(identity) now = scope_find(scope_of(line), line->device_id, line->module_id, &confirmed);

	line->gone = !now ? "the hub no longer has it below this gateway" : !now->enabled ? "it was disabled in the hub" : NULL;
	line->gone_epoch = epoch;
	if (line->gone)
		end_gone(line, line->gone);
	else
		confirm(line, now->generation_id ? now->generation_id : "");
}

static void
on_looked_up(struct job *job)
{
	struct line *line = CONTAINER_OF(job, struct line, scope_job);

	line->asks_scope = false;
	if (line->answer == SCOPE_NO_ANSWER) {
		if (!line->is_unanswered && is_needed(line))
			log_warn("%s: its messages wait, the hub gave no answer about it: %s", line->name, line->scope_err.text);
		line->is_unanswered = is_needed(line);
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
ask_scope(struct line *line, int64_t since_ms)
{
	const struct lines_config *c = lines_config(line->lines);

	if (line->asks_scope || line->is_own)
		return;
	timer_cancel(&line->again);
	line->asked_since_ms = since_ms;
	line->scope_job = (struct job){ .run = look_up, .done = on_looked_up, .owner = loop_owner(c->loop) };
	line->asks_scope = pool_try(c->workers, &line->scope_job);
	if (!line->asks_scope)
		timer_arm(&line->again, ASK_AGAIN_MS);
}

void
line_confirm(struct line *line)
{
	if (!line->generation)
		return; /* it is being asked, or will be */
	forget_generation(line);
	ask_scope(line, clock_boot_ms());
}

/* As long as nothing has changed in the scope, the hub need not be asked again and again about a device that is gone. */
const char *
line_gone(const struct line *line)
{
	return line->gone && line->gone_epoch == scope_epoch(scope_of(line)) ? line->gone : NULL;
}

static void
start_if_needed(struct line *line)
{
	if (!is_needed(line))
		return;
	timer_cancel(&line->idle);
	if (line_gone(line))
		timer_arm(&line->again, ASK_AGAIN_MS);
	else
		device_link_start(line->link);
}

/* A connection that is down asks when it is refused. */
static void
on_again(struct timer *timer)
{
	struct line *line = CONTAINER_OF(timer, struct line, again);

	if (!device_link_is_up(line->link))
		start_if_needed(line);
	else if (!line->generation)
		ask_scope(line, line->up_since_ms);
}

/* -- The link --------------------------------------------------------------------------------------------------------------------------- */

/* $edgeHub speaks for itself.  Of one that is no longer known to be below us, what it was when it was right below: the hub will say no, and why is asked then. */
static char *
auth_chain(const struct line *line)
{
	char *chain = line->is_own ? NULL : scope_chain(scope_of(line), line->device_id, line->module_id);

	if (line->is_own || chain)
		return chain;
	return mem_textf("%s;%s", line->name, upstream_config(lines_config(line->lines)->upstream)->edge_id);
}

/* It may have moved to another gateway since the last time. */
static void
prepare(struct line_way *way)
{
	struct line *line = CONTAINER_OF(way, struct line, way);
	OWN_TEXT chain = auth_chain(line);

	device_link_set_chain(line->link, chain);
	device_link_set_model(line->link, line->model_id);
}

static bool
is_urgent(const struct line *line)
{
	return line->is_own || line->is_needed[LINE_MESSAGES];
}

static void
ask_token(struct device_link *link, void *user)
{
	struct line *line = user;

	(void)link;
	line_way_ask(&line->way, is_urgent(line));
}

/* Also after a renewal, which on_down does not hear of. */
static void
on_up(struct device_link *link, void *user)
{
	struct line *line = user;

	(void)link;
	if (line->is_down)
		log_info("%s: connected to the hub again", line->name);
	line->is_down = false;
	line_way_up(&line->way);
	line->up_since_ms = clock_boot_ms();
	forget_generation(line);
	TELL(line, on_lost);
	if (line->is_own) {
		carrier_own_is(carrier_of(line), true);
		confirm(line, "");
	} else if (is_needed(line))
		ask_scope(line, line->up_since_ms);
}

static void
on_acked(struct device_link *link, void *user, uint64_t cookie)
{
	struct line *line = user;

	(void)link;
	TELL(line, on_acked, cookie);
	lines_reached(line->lines);
}

/* Once, and not at each try that follows. */
static void
own_is_down(struct line *line)
{
	const struct lines_config *config = lines_config(line->lines);

	carrier_own_is(carrier_of(line), false);
	if (!line->is_down)
		config->on_own_lost(config->arg);
}

static bool
on_down(struct device_link *link, void *user, enum device_client_end end, uint8_t code, const char *why)
{
	struct line *line = user;

	if (line->is_own)
		own_is_down(line);
	if (end == DEVICE_CLIENT_UNREACHABLE)
		lines_unreached(line->lines, line->is_own);
	line_way_down(&line->way, end == DEVICE_CLIENT_REFUSED && code == MQTT_UNAVAILABLE ? PACER_BUSY : PACER_FAILED);
	forget_generation(line);
	TELL(line, on_lost);
	if (!is_needed(line)) {
		/* The hub ends the connection of a device that it no longer trusts: then its session here ends, too. */
		ask_scope(line, clock_boot_ms());
		return false;
	}
	if (!line->is_down)
		log_warn("%s: its messages wait: %s", line->name, why);
	line->is_down = true;
	device_link_spread(link, lines_spread_ms(line->lines));
	if (end == DEVICE_CLIENT_REFUSED && code != MQTT_UNAVAILABLE)
		ask_scope(line, clock_boot_ms());
	return true;
}

static void
on_verdict(struct device_link *link, void *user, const struct verdict *verdict)
{
	struct line *line = user;

	(void)link;
	upstream_judged(lines_config(line->lines)->upstream, verdict);
}

/* It tried to go over to the carrier. */
static void
on_stayed(struct device_link *link, void *user)
{
	struct line *line = user;
	OWN_TEXT generation = mem_text(line->generation);

	(void)link;
	if (generation)
		TELL(line, on_confirmed, generation);
}

/* Nothing is under way that would come back to it; and it knows nothing that would be missed. */
static bool
is_idle(const struct line *line)
{
	if (line->asks_scope || line_way_is_asking(&line->way))
		return false;
	for (int use = 0; use < LINE_USES; use++)
		if (line->users[use] && line->users[use]->ops->is_idle && !line->users[use]->ops->is_idle(line->users[use]))
			return false;
	return true;
}

static bool
may_move(struct device_link *link, void *user)
{
	(void)link;
	return is_idle(user);
}

static const struct device_link_ops link_ops = {
	.ask_token = ask_token,
	.on_up = on_up,
	.on_acked = on_acked,
	.on_down = on_down,
	.on_verdict = on_verdict,
	.may_move = may_move,
	.on_stayed = on_stayed,
};

/* Devices and modules come and go: lines that stayed would be more and more. */
static void
on_idle(struct timer *timer)
{
	struct line *line = CONTAINER_OF(timer, struct line, idle);

	if (is_needed(line))
		return;
	line_way_hang_up(&line->way);
	forget_generation(line);
	if (!line->is_own && is_idle(line))
		lines_drop(line->lines, line);
	else if (!line->is_own)
		timer_arm(timer, LOOK_AGAIN_MS);
}

/* -- What the hub tells ------------------------------------------------------------------------------------------------------------------- */

static void
on_listening(void *user, unsigned granted)
{
	struct line *line = user;

	lines_reached(line->lines);
	TELL(line, on_listening, granted);
}

static void
on_desired(void *user, int64_t version, struct slice patch)
{
	struct line *line = user;

	TELL(line, on_desired, version, patch);
}

static void
on_method(void *user, const char *name, const char *rid, struct slice payload)
{
	struct line *line = user;

	TELL(line, on_method, name, rid, payload);
}

static void
on_command(void *user, uint64_t id, struct slice bag, struct slice payload)
{
	struct line *line = user;

	TELL(line, on_command, id, bag, payload);
}

static void
on_twin(void *user, uint64_t cookie, int status, int64_t version, struct slice body)
{
	struct line *line = user;

	if (status != DEVICE_NO_ANSWER)
		lines_reached(line->lines);
	TELL(line, on_twin, cookie, status, version, body);
}

static const struct device_told_ops told_ops = {
	.on_listening = on_listening,
	.on_desired = on_desired,
	.on_method = on_method,
	.on_command = on_command,
	.on_twin = on_twin,
};

/* -- The users' side ---------------------------------------------------------------------------------------------------------------------- */

void
line_attach(struct line *line, enum line_use use, struct line_user *user)
{
	line->users[use] = user;
	user->line = line;
}

struct line_user *
line_user(const struct line *line, enum line_use use)
{
	return line->users[use];
}

static void
need_changed(struct line *line)
{
	if (!is_needed(line)) {
		rest(line);
		return;
	}
	start_if_needed(line);
	if (device_link_is_up(line->link) && !line->generation)
		ask_scope(line, line->up_since_ms);
}

void
line_hold(struct line *line, enum line_use use, bool needed)
{
	if (line->is_needed[use] == needed)
		return;
	line->is_needed[use] = needed;
	line_way_set_urgent(&line->way, is_urgent(line));
	need_changed(line);
}

void
line_listen(struct line *line, enum line_use use, unsigned wants)
{
	if (line->wants[use] == wants)
		return;
	line->wants[use] = wants;
	if (line_is_ready(line))
		device_link_listen(line->link, all_wants(line));
	need_changed(line);
}

void
line_set_model(struct line *line, const char *model_id, const char *generation_id)
{
	if (line->is_own || (text_is(line->model_id, model_id) && text_is(line->model_of, generation_id)))
		return;
	forget_model(line);
	line->model_id = mem_text(model_id);
	line->model_of = mem_text(generation_id);
	line_way_hang_up(&line->way);
	forget_generation(line);
	TELL(line, on_lost);
	line->is_needed[LINE_MODEL] = true;
	start_if_needed(line);
}

bool
line_is_ready(const struct line *line)
{
	return line->generation && device_link_is_up(line->link);
}

const char *
line_generation(const struct line *line)
{
	return line->generation;
}

void
line_hurry(struct line *line)
{
	device_link_hurry(line->link);
}

void
line_trust(struct line *line)
{
	device_link_trust(line->link, upstream_tls(lines_config(line->lines)->upstream));
}

struct line_way *
line_way(struct line *line)
{
	return &line->way;
}

struct device_link *
line_link(const struct line *line)
{
	return line->link;
}

struct lines *
line_lines(const struct line *line)
{
	return line->lines;
}

bool
line_is_own(const struct line *line)
{
	return line->is_own;
}

const char *
line_name(const struct line *line)
{
	return line->name;
}

const char *
line_device_id(const struct line *line)
{
	return line->device_id;
}

const char *
line_module_id(const struct line *line)
{
	return line->module_id;
}

/* -- Life ----------------------------------------------------------------------------------------------------------------------------------- */

static struct device_link *
link_of(struct line *line)
{
	const struct lines_config *c = lines_config(line->lines);
	const struct upstream_config *up = upstream_config(c->upstream);
	struct device_client_config target = {
		.host = up->parent_host ? up->parent_host : up->hub_host,
		.connect_to = up->hub_address,
		.port = up->mqtt_port,
		.hub_host = up->hub_host,
		.device_id = line->device_id,
		.module_id = line->module_id,
		.tls = upstream_tls(c->upstream),
		.has_neighbours = true,
		.who = "gateway",
		.max_in_flight = IN_FLIGHT_MAX,
		.told = &told_ops,
		.told_user = line,
	};

	return device_link_new(c->loop, &target, &link_ops, line);
}

struct line *
line_new(struct lines *lines, const char *device_id, const char *module_id)
{
	const struct lines_config *c = lines_config(lines);
	const struct upstream_config *up = upstream_config(c->upstream);
	struct line *line = NEW(line);

	line->lines = lines;
	line->name = identity_name(device_id, module_id);
	line->device_id = mem_text(device_id);
	line->module_id = mem_text(module_id);
	line->is_own = text_is(device_id, up->edge_id) && text_is(module_id, up->workload.module_id);
	line_way_init(&line->way, lines, prepare, line->is_own);
	timer_init(&line->idle, c->loop, on_idle);
	timer_init(&line->again, c->loop, on_again);
	line->link = line->way.link = link_of(line);
	rest(line);
	return line;
}

void
line_stop(struct line *line)
{
	line_way_hang_up(&line->way);
}

void
line_free(struct line *line)
{
	if (!line)
		return;
	timer_cancel(&line->idle);
	timer_cancel(&line->again);
	device_link_free(line->link);
	for (int use = 0; use < LINE_USES; use++)
		if (line->users[use])
			line->users[use]->ops->drop(line->users[use]);
	line_way_clear(&line->way);
	mem_free(line->generation);
	mem_free(line->name);
	mem_free(line->device_id);
	mem_free(line->module_id);
	forget_model(line);
	mem_free(line);
}

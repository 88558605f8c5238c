/* SPDX-License-Identifier: Apache-2.0 */
/* Its own line is kept up, a table of methods answers on it, and its twin is one among those of the downstream identities (twins/twins.h), with watchers in the place of a session. */
#include "gateway/edge_hub/edge_hub.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/upstream/upstream.h"
#include "pki/root_line.h"
#include "wire/json.h"

#define CLIENTS_EVERY_MS 5000
#define ROOTS_EVERY_MS 1000

struct edge_hub {
	struct line_user user;
	struct lines *lines;
	struct twins *twins;
	struct edge_hub_method methods[EDGE_HUB_METHODS_MAX];
	size_t n_methods;
	struct {
		int (*desired)(void *arg, const json_t *desired, struct err *err);
		void *arg;
	} watchers[EDGE_HUB_WATCHERS_MAX];
	size_t n_watchers;
	void (*listens)(void *arg);
	void *listens_arg;
	struct client_list *clients;
	struct timer timer; /* for what is reported now and then */
	struct timer roots_timer;
};

/* -- Methods --------------------------------------------------------------------------------------------------------------------------------- */

static void
answer(struct edge_hub *e, const char *rid, int status, json_t *result_take)
{
	OWN_LIB(json_t) result = result_take ? result_take : json_null();
	OWN_TEXT text = json_line(result);

	device_link_answer_method(line_link(e->user.line), rid, status, slice_of(text));
}

static const struct edge_hub_method *
find_method(const struct edge_hub *e, const char *name)
{
	for (size_t i = 0; i < e->n_methods; i++)
		if (text_is(e->methods[i].name, name))
			return &e->methods[i];
	return NULL;
}

static void
on_method(struct line_user *user, const char *name, const char *rid, struct slice payload)
{
	struct edge_hub *e = CONTAINER_OF(user, struct edge_hub, user);
	const struct edge_hub_method *method = find_method(e, name);
	OWN_LIB(json_t) asked = NULL;
	json_t *result = NULL;
	struct err err = ERR_INIT;
	int status;

	if (!method) {
		answer(e, rid, 404, json_pack("{s:s}", "message", "$edgeHub has no such method"));
		return;
	}
	asked = payload.len > 0 ? json_parse(payload.text, payload.len, &err) : NULL;
	if (err.kind != ERR_NONE) {
		answer(e, rid, 400, json_pack("{s:s}", "message", err.text));
		return;
	}
	status = method->run(method->arg, asked, &result);
	answer(e, rid, status, result);
}

void
edge_hub_serve(struct edge_hub *e, const struct edge_hub_method *method)
{
	assert(e->n_methods < EDGE_HUB_METHODS_MAX);
	e->methods[e->n_methods++] = *method;
}

static void
on_listening(struct line_user *user, unsigned granted)
{
	struct edge_hub *e = CONTAINER_OF(user, struct edge_hub, user);

	if ((granted & DEVICE_WANTS_METHODS) && e->listens)
		e->listens(e->listens_arg);
}

void
edge_hub_watch_link(struct edge_hub *e, void (*listens)(void *arg), void *arg)
{
	e->listens = listens;
	e->listens_arg = arg;
}

/* -- The twin -------------------------------------------------------------------------------------------------------------------------------- */

static void
on_reported(struct twin_ask *ask)
{
	if (ask->status != 204)
		log_error("what the gateway reports of itself is not kept: %s", ask->body);
	twin_ask_clear(ask);
	mem_free(ask);
}

static struct twin_ask *
ask_new(struct edge_hub *e, void (*done)(struct twin_ask *ask))
{
	struct twin_ask *ask = NEW(twin_ask);

	ask->device_id = mem_text(line_device_id(e->user.line));
	ask->module_id = mem_text(line_module_id(e->user.line));
	ask->generation_id = mem_text("");
	ask->done = done;
	return ask;
}

void
edge_hub_report(struct edge_hub *e, json_t *patch_take)
{
	struct twin_ask *ask = ask_new(e, on_reported);

	ask->question = TWIN_REPORT;
	ask->patch = patch_take;
	twins_ask(e->twins, ask);
}

void
edge_hub_watch(struct edge_hub *e, int (*desired)(void *arg, const json_t *desired, struct err *err), void *arg)
{
	assert(e->n_watchers < EDGE_HUB_WATCHERS_MAX);
	e->watchers[e->n_watchers].desired = desired;
	e->watchers[e->n_watchers++].arg = arg;
}

static void
report_outcome(struct edge_hub *e, int64_t version, bool is_fine, const char *words)
{
	edge_hub_report(e, json_pack("{s:I, s:{s:i, s:s}, s:{s:s}}", "lastDesiredVersion", (json_int_t)version, "lastDesiredStatus",
				   "code", is_fine ? 200 : 400, "description", words, "version", "version", ROOTEDGE_VERSION));
}

/* Version 0: nothing was ever desired. */
void
edge_hub_news(void *arg, const json_t *twin)
{
	struct edge_hub *e = arg;
	const json_t *desired = json_object_get(twin, "desired");
	int64_t version = json_integer_value(json_object_get(desired, "$version"));
	struct err first = ERR_INIT, remark = ERR_INIT;
	bool is_fine;

	if (version == 0)
		return;
	for (size_t i = 0; i < e->n_watchers; i++) {
		struct err err = ERR_INIT;

		if (e->watchers[i].desired(e->watchers[i].arg, desired, &err) == 0) {
			if (remark.kind == ERR_NONE)
				remark = err;
			continue;
		}
		log_error("the gateway does not go by version %lld of its desired properties: %s", (long long)version, err.text);
		if (first.kind == ERR_NONE)
			first = err;
	}
	is_fine = first.kind == ERR_NONE;
	report_outcome(e, version, is_fine, is_fine ? remark.text : first.text);
}

static void
report_roots(struct edge_hub *e)
{
	edge_hub_report(e, root_line_tell(anchors_certs(upstream_anchors(lines_config(e->lines)->upstream))));
}

static void
on_roots_timer(struct timer *timer)
{
	struct edge_hub *e = CONTAINER_OF(timer, struct edge_hub, roots_timer);

	if (upstream_follow_roots(lines_config(e->lines)->upstream)) {
		log_info("the hub is trusted by other roots from now on");
		lines_trust(e->lines);
		report_roots(e);
	}
	timer_arm(timer, ROOTS_EVERY_MS);
}

static void
on_timer(struct timer *timer)
{
	struct edge_hub *e = CONTAINER_OF(timer, struct edge_hub, timer);
	json_t *changes = client_list_changes(e->clients);

	if (changes)
		edge_hub_report(e, changes);
	timer_arm(timer, CLIENTS_EVERY_MS);
}

static void
on_kept(struct twin_ask *ask)
{
	struct edge_hub *e = ask->arg;
	struct err err = ERR_INIT;
	OWN_LIB(json_t) twin = ask->status == 200 ? json_parse(ask->body, strlen(ask->body), &err) : NULL;

	if (twin)
		edge_hub_news(e, twin);
	twin_ask_clear(ask);
	mem_free(ask);
	twins_attend(e->twins, e->user.line, true, "");
	report_roots(e);
	timer_arm(&e->roots_timer, ROOTS_EVERY_MS);
}

/* -- Life ------------------------------------------------------------------------------------------------------------------------------------- */

/* It is freed by edge_hub_free. */
static void
drop(struct line_user *user)
{
	user->line = NULL;
}

static const struct line_user_ops ops = { .on_method = on_method, .on_listening = on_listening, .drop = drop };

struct edge_hub *
edge_hub_new(struct lines *lines, struct twins *twins, struct client_list *clients)
{
	struct edge_hub *e = NEW(edge_hub);

	e->user.ops = &ops;
	e->lines = lines;
	e->twins = twins;
	e->clients = clients;
	timer_init(&e->timer, lines_config(lines)->loop, on_timer);
	timer_init(&e->roots_timer, lines_config(lines)->loop, on_roots_timer);
	return e;
}

void
edge_hub_start(struct edge_hub *e)
{
	const struct upstream_config *up = upstream_config(lines_config(e->lines)->upstream);
	struct line *line = lines_get(e->lines, up->edge_id, up->workload.module_id);
	struct twin_ask *ask;

	line_attach(line, LINE_METHODS, &e->user);
	line_listen(line, LINE_METHODS, DEVICE_WANTS_METHODS);
	edge_hub_report(e, json_pack("{s:n}", "clients")); /* who was connected before is not */
	timer_arm(&e->timer, 1);
	ask = ask_new(e, on_kept);
	ask->question = TWIN_GET_KEPT;
	ask->arg = e;
	twins_ask(e->twins, ask);
}

void
edge_hub_free(struct edge_hub *e)
{
	if (!e)
		return;
	timer_cancel(&e->timer);
	timer_cancel(&e->roots_timer);
	mem_free(e);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Status. */
#include "gateway/local/gateway_status.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/local/health.h"
#include "gateway/local/offline_budget.h"

static json_t *
time_json(int64_t at)
{
	char text[CLOCK_TEXT_LEN];

	return at > 0 ? json_string(clock_text(at, text)) : json_null();
}

static const char *
reach_word(enum hub_reach reach)
{
	static const char *const words[] = {
		[HUB_NOT_TRIED] = "unknown", [HUB_REACHED] = "reachable", [HUB_AWAY] = "away", [HUB_REFUSES] = "refuses"
	};

	return words[reach];
}

static json_t *
beyond_json(const struct hub_beyond *beyond)
{
	return json_pack("{s:s, s:s?, s:o, s:I}", "reach", reach_word(beyond->reach), "gateway",
		*beyond->gateway ? beyond->gateway : NULL, "since", time_json(beyond->since), "for_s",
		(json_int_t)(beyond->for_ms / 1000));
}

static json_t *
hub_json(const struct gateway_names *names, const struct hub_presence *hub, const struct hub_throttle *throttle)
{
	OWN_TEXT why = mem_text(*hub->why ? hub->why : NULL);

	if (why)
		text_repair_utf8(why);
	return json_pack("{s:s, s:s?, s:s, s:s?, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "name", names->hub, "parent", names->parent,
		"reach", reach_word(hub->reach), "why", why, "since", time_json(hub->since), "for_s",
		(json_int_t)(hub->for_ms / 1000), "times_away", (json_int_t)hub->n_times, "calls_wait_s",
		(json_int_t)((throttle->calls_ms + 999) / 1000), "lines_wait_s", (json_int_t)((throttle->lines_ms + 999) / 1000),
		"lines_waiting", (json_int_t)throttle->n_lines, "beyond", names->parent ? beyond_json(&hub->beyond) : json_null());
}

static json_t *
lines_json(const struct carriage *c)
{
	OWN_TEXT why = mem_text(*c->why ? c->why : NULL);

	if (why)
		text_repair_utf8(why);
	return json_pack("{s:I, s:I, s:s, s:o, s:I, s:s?}", "carried", (json_int_t)c->n_carried, "alone", (json_int_t)c->n_alone,
		"carriage", carriage_state_name(c->state), "since", time_json(c->since), "for_s", (json_int_t)(c->for_ms / 1000),
		"why", why);
}

static json_t *
devices_json(const struct vitals *v)
{
	return json_pack("{s:I, s:I, s:o}", "connected", (json_int_t)v->n_connected, "known", (json_int_t)v->n_known, "told_at",
		time_json(v->scope_told));
}

static json_t *
queue_json(const struct vitals *v)
{
	int64_t waited_s = v->now - v->oldest_queued_ms / 1000;
	json_t *oldest = v->oldest_queued_ms > 0 ? json_integer((json_int_t)(waited_s > 0 ? waited_s : 0))
						 : json_null(); /* the clock may have been set back */
	json_t *endpoints = json_array();

	for (size_t i = 0; i < v->n_endpoints; i++)
		json_array_append_new(endpoints, json_pack("{s:s, s:I}", "endpoint", v->endpoints[i].name, "messages",
							 (json_int_t)v->endpoints[i].n_queued));
	return json_pack("{s:I, s:o, s:I, s:I, s:I, s:f, s:o}", "messages", (json_int_t)v->n_queued, "oldest_s", oldest, "bytes",
		(json_int_t)v->queue_bytes, "max_bytes", (json_int_t)v->max_queue_bytes, "refused", (json_int_t)v->n_refused,
		"bytes_per_hour", v->noted.bytes_per_hour, "endpoints", endpoints);
}

static json_t *
certificate_json(const struct vitals *v)
{
	return json_pack("{s:o, s:o, s:I}", "not_before", time_json(v->noted.cert_not_before), "not_after",
		time_json(v->noted.cert_not_after), "failed_renewals", (json_int_t)v->noted.cert_failures);
}

static json_t *
https_json(const struct vitals *v)
{
	OWN_TEXT problem = mem_text(v->https_problem);

	if (problem)
		text_repair_utf8(problem);
	return json_pack("{s:i, s:s?}", "port", v->https_port, "problem", problem);
}

static json_t *
revocation_json(const struct vitals *v)
{
	OWN_TEXT problem = mem_text(*v->noted.revocation_problem ? v->noted.revocation_problem : NULL);

	if (problem)
		text_repair_utf8(problem);
	return json_pack("{s:s?}", "problem", problem);
}

json_t *
gateway_status_json(const struct gateway_names *names, const struct vitals *v)
{
	struct offline_budget budget;
	json_t *status;
	bool ready;

	offline_budget_make(&budget, v);
	status = health_json(v, &ready);
	json_object_set_new(status, "hostname", json_string(names->hostname));
	json_object_set_new(status, "edge_device", json_string(names->edge_id));
	json_object_set_new(status, "version", json_string(ROOTEDGE_VERSION));
	json_object_set_new(status, "time", time_json(v->now));
	json_object_set_new(status, "runs_for_s", json_integer((json_int_t)(v->noted.runs_for_ms / 1000)));
	json_object_set_new(status, "hub", hub_json(names, &v->hub, &v->throttle));
	json_object_set_new(status, "lines", lines_json(&v->carriage));
	json_object_set_new(status, "devices", devices_json(v));
	json_object_set_new(status, "queue", queue_json(v));
	json_object_set_new(status, "certificate", certificate_json(v));
	json_object_set_new(status, "https", https_json(v));
	json_object_set_new(status, "revocation", revocation_json(v));
	json_object_set_new(status, "disk_free_bytes", v->disk_free >= 0 ? json_integer((json_int_t)v->disk_free) : json_null());
	json_object_set_new(status, "offline_budget", offline_budget_json(&budget, v->now));
	return status;
}

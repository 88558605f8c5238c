/* SPDX-License-Identifier: Apache-2.0 */
/* Counting at the front door. */
#include "gateway/gauges/tally.h"

#include "base/mem.h"
#include "gateway/gauges/gateway_metrics.h"

const char *
tally_shown_name(enum tally_shown shown)
{
	static const char *const names[] = {
		[TALLY_NOTHING] = "nothing", [TALLY_TOKEN] = "sas", [TALLY_CERTIFICATE] = "certificate"
	};

	return names[shown];
}

void
tally_decision(const char *name, enum tally_shown shown, enum reason cause)
{
	metric_add(gateway_metric(METRIC_VERDICTS, reason_row(cause)->code, tally_shown_name(shown)), 1);
	if (cause == OK)
		metric_add(gateway_metric(METRIC_CONNECTS, name), 1);
	else
		metric_add(gateway_metric(METRIC_CONNECTS_REFUSED, name ? name : "unknown", "not_authenticated"), 1);
}

void
tally_violation(enum reason reason)
{
	metric_add(gateway_metric(METRIC_VIOLATIONS, reason_row(reason)->code), 1);
}

void
tally_unstored(const struct identity *from)
{
	OWN_TEXT name = identity_name(from->device_id, from->module_id);

	metric_add(gateway_metric(METRIC_UNACKED, "storage_failure", name, NULL), 1);
}

void
tally_twin(const struct subject *subject, bool is_report)
{
	OWN_TEXT name = subject_name(subject);

	if (is_report)
		metric_add(gateway_metric(METRIC_REPORTS, "edge_hub", name), 1);
	else
		metric_add(gateway_metric(METRIC_TWIN_GETS, "edge_hub", name), 1);
}

void
tally_method(const char *from, const char *to)
{
	metric_add(gateway_metric(METRIC_METHODS, from, to ? to : "unknown"), 1);
}

void
tally_twin_took(const struct subject *subject, bool is_report, int64_t ms)
{
	OWN_TEXT name = subject_name(subject);

	metric_observe(gateway_metric(is_report ? METRIC_REPORT_TIME : METRIC_TWIN_GET_TIME, "edge_hub", name), ms);
}

void
tally_method_took(const char *from, const char *to, int64_t ms)
{
	metric_observe(gateway_metric(METRIC_METHOD_TIME, from, to), ms);
}

static void
find_series(struct tally *t, const struct identity *from)
{
	OWN_TEXT name = identity_name(from->device_id, from->module_id);

	t->received = gateway_metric(METRIC_RECEIVED, NULL, name);
	t->size = gateway_metric(METRIC_MESSAGE_SIZE, name);
}

void
tally_message(struct tally *t, const struct identity *from, size_t len)
{
	if (!t->received)
		find_series(t, from);
	metric_add(t->received, 1);
	metric_observe(t->size, (int64_t)len);
}

void
tally_no_route(struct tally *t, const struct identity *from)
{
	OWN_TEXT name = t->no_route ? NULL : identity_name(from->device_id, from->module_id);

	if (!t->no_route)
		t->no_route = gateway_metric(METRIC_DROPPED, "no_route", name, NULL);
	metric_add(t->no_route, 1);
}

void
tally_end(const struct identity *identity)
{
	OWN_TEXT name = identity_name(identity->device_id, identity->module_id);

	metric_add(gateway_metric(METRIC_DISCONNECTS, name), 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "gateway/gauges/gateway_metrics.h"
#include "t.h"

static size_t
n_labels(const char *list)
{
	size_t n = 0;

	for (; *list; list += strspn(list, " "), n++)
		list += strcspn(list, " ");
	return n;
}

TEST("every metric of the table is shown with its name, whatever its labels, and names are those that Prometheus takes")
{
	static const struct {
		const char *name, *labels;
		int kind;
	} rows[] = {
#define METRIC(which, kind, unit, name, labels, help) { name, labels, kind },
#include "gateway/gauges/gateway_metrics.tbl.h"
#undef METRIC
	};
	struct buf out = BUF_INIT(1 << 20);
	static const char *const values[METRIC_LABELS_MAX + 1] = { "a", "b", "c", "d", "e", "f" };

	for (size_t i = 0; i < COUNT(rows); i++) {
		CHECK(n_labels(rows[i].labels) <= METRIC_LABELS_MAX);
		CHECK(rows[i].name[strspn(rows[i].name, "abcdefghijklmnopqrstuvwxyz_")] == '\0');
		CHECK((rows[i].kind == METRIC_COUNTER) == (strstr(rows[i].name, "_total") != NULL));
		gateway_metric_of((enum gateway_metric)i, values);
	}
	metrics_show(gateway_metrics(), &out);
	CHECK(!out.failed);
	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK_CONTAINS(buf_text(&out), rows[i].name);
	CHECK_CONTAINS(buf_text(&out),
		"edgehub_messages_sent_total{from=\"a\",to=\"b\",from_route_output=\"c\",to_route_input=\"d\",priority=\"e\"} 0\n");
	buf_clear(&out);
}

TEST("whoever asks for the same series gets the same")
{
	struct metric *dropped = gateway_metric(METRIC_DROPPED, "ttl_expiry", "dev1", NULL);

	metric_add(dropped, 2);
	CHECK(gateway_metric(METRIC_DROPPED, "ttl_expiry", "dev1", "") == dropped);
	CHECK(gateway_metric(METRIC_DROPPED, "no_route", "dev1", "") != dropped);
	CHECK_INT(metric_value(dropped), 2);
	CHECK(gateway_metric(METRIC_CONNECTED) == gateway_metric(METRIC_CONNECTED));
}

TEST("the oldest messages of a full queue are nobody's, also where so many senders came before that further ones are one")
{
	struct buf out = BUF_INIT(1 << 20);

	for (int i = 0; i < 1100; i++) {
		OWN_TEXT from = mem_textf("sender%d", i);

		(void)gateway_metric(METRIC_DROPPED, "no_route", from, NULL);
	}
	metric_set(gateway_metric(METRIC_DROPPED, "queue_full", NULL, NULL), 7);
	metrics_show(gateway_metrics(), &out);
	CHECK(!out.failed);
	CHECK_CONTAINS(buf_text(&out), "{reason=\"no_route\",from=\"other\",from_route_output=\"other\"} 0\n");
	CHECK_CONTAINS(buf_text(&out), "{reason=\"queue_full\",from=\"\",from_route_output=\"\"} 7\n");
	buf_clear(&out);
}

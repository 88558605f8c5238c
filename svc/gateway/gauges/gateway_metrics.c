/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's metrics.  The registry is made when it is needed first and lives as long as the process: what counts may have kept any of its series. */
#include "gateway/gauges/gateway_metrics.h"

#include <pthread.h>

#include "base/mem.h"
#include "base/random.h"

static const struct metric_family families[] = {
#define METRIC(which, kind, unit, name, labels, help) [which] = { name, help, kind, labels, unit },
#include "gateway/gauges/gateway_metrics.tbl.h"
#undef METRIC
};

static struct metrics *registry;

/* What is of nobody has its place before a thousand senders have taken them all. */
static void
make(void)
{
	registry = metrics_new(families, GATEWAY_METRICS_COUNT);
	(void)metrics_find(registry, METRIC_DROPPED, (const char *const[]){ "queue_full", NULL, NULL });
}

struct metrics *
gateway_metrics(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make);
	return registry;
}

static void
put_label(struct buf *labels, const char *name, const char *value)
{
	buf_putf(labels, "%s%s=\"", labels->len > 0 ? "," : "", name);
	metrics_put_value(labels, value);
	buf_putc(labels, '"');
}

void
gateway_metrics_begin(const char *hub, const char *edge_device)
{
	CLEAR(buf) labels = BUF_INIT(4096);
	char run[RANDOM_UUID_LEN];

	put_label(&labels, "iothub", hub);
	put_label(&labels, "edge_device", edge_device);
	put_label(&labels, "instance_number", random_uuid(run));
	metrics_set_common(gateway_metrics(), buf_text(&labels));
}

struct metric *
gateway_metric_of(enum gateway_metric which, const char *const *values)
{
	return metrics_find(gateway_metrics(), which, values);
}

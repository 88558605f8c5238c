/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's metrics.  The registry is made when it is needed first and lives as long as the process: what counts may have kept any of its series. */
#include "gateway/local/gateway_metrics.h"

#include <pthread.h>

static const struct metric_family families[] = {
#define METRIC(which, kind, unit, name, labels, help) [which] = { name, help, kind, labels, unit },
#include "gateway/local/gateway_metrics.tbl.h"
#undef METRIC
};

static struct metrics *registry;

static void
make(void)
{
	registry = metrics_new(families, GATEWAY_METRICS_COUNT);
}

struct metrics *
gateway_metrics(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make);
	return registry;
}

struct metric *
gateway_metric_of(enum gateway_metric which, const char *const *values)
{
	return metrics_find(gateway_metrics(), which, values);
}

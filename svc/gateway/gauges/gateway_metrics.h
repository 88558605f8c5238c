/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a gateway counts (gateway_metrics.tbl.h), in one registry of the process, as its log is one: any part of it counts by
 *
 *	metric_add(gateway_metric(METRIC_DROPPED, "ttl_expiry", device, output), 1);
 *
 * and keeps what gateway_metric answers where it counts for every message (common/metrics.h). */

#include "common/metrics.h"

enum gateway_metric {
#define METRIC(which, kind, unit, name, labels, help) which,
#include "gateway/gauges/gateway_metrics.tbl.h"
#undef METRIC
	GATEWAY_METRICS_COUNT
};

struct metrics *gateway_metrics(void);
/* Who it is: the labels that all have, with a number for this run of the process. */
void gateway_metrics_begin(const char *hub, const char *edge_device);
/* The values of its labels, in the order of the table. */
#define gateway_metric(which, ...) gateway_metric_of(which, (const char *const[]){ NULL, ##__VA_ARGS__, NULL } + 1)
struct metric *gateway_metric_of(enum gateway_metric which, const char *const *values);

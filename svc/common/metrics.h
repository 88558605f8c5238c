/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The metrics of a process, shown in Prometheus's text format (0.0.4).  A table says which there are; each has a series for every set of label values that it was asked for with.
 *
 * Counting is one atomic addition, on any thread: who counts often keeps the series, which lives as long as the registry.  Finding one takes a lock.
 *
 * Names from outside are no labels without end: beyond a limit they are all called "other", so what strangers send costs bounded memory, and sums stay right. */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum metric_kind {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_SUMMARY, /* sum, number, and quantiles over the last minutes, good to a sixteenth */
};

#define METRIC_LABELS_MAX 6

struct metric_family {
	const char *name, *help;
	enum metric_kind kind;
	const char *labels; /* "route_output @id", in the order of their values; "@": there may be any number of values */
	double unit; /* what 1 of add, set and observe is shown as: 1e-3 for milliseconds where the name says seconds; 0: 1 */
};

struct metrics;
struct metrics *metrics_new(const struct metric_family *families, size_t n); /* borrowed */
void metrics_free(struct metrics *metrics);
/* Labels that all series have, as they are shown: name="value",... */
void metrics_set_common(struct metrics *metrics, const char *labels);
/* Called before each showing: for what is measured only then.  Any number may be added, none is removed. */
void metrics_on_show(struct metrics *metrics, void (*measure)(void *arg), void *arg);

/* The series with these values, as many as the family has labels and NULL after them; a value may be NULL, for "". */
struct metric;
struct metric *metrics_find(struct metrics *metrics, size_t family, const char *const *values);
void metric_add(struct metric *metric, int64_t n);
void metric_set(struct metric *metric, int64_t value);
int64_t metric_value(const struct metric *metric);
void metric_observe(struct metric *metric, int64_t value); /* a summary; negative: 0 */

void metrics_show(struct metrics *metrics, struct buf *out); /* one at a time waits for another */
/* A label value with what the format wants escaped; what is no UTF-8 becomes "?". */
void metrics_put_value(struct buf *out, const char *value);

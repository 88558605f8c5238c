/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics.  A summary counts what it observes in buckets that are an eighth of a power of two wide, in two halves of some minutes each: the quantiles are those of the half that fills
 * and of the one before it, so they forget.  Nobody turns the halves over but who shows them. */
#include "common/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"

#define SERIES_MAX 1000 /* a family; then names are "other" */
#define SUMMARIES_MAX 64
#define FOLDED_MAX 256 /* of those, then all labels are */
#define VALUE_MAX 256
#define LABELS_TEXT_MAX 4096
#define MEASURES_MAX 16
#define HALF_MS (5 * 60 * 1000)
#define OTHER "other"

/* 0 to 15 exactly, then 8 a power of two up to 2^41. */
#define EXACT 16
#define FIRST_POWER 4
#define LAST_POWER 40
#define N_BUCKETS (EXACT + (LAST_POWER - FIRST_POWER + 1) * 8)

struct halves {
	atomic_uint buckets[2][N_BUCKETS];
	atomic_uint filling;
	int64_t since_ms;
};

struct metric {
	atomic_llong value; /* of a summary: the sum */
	atomic_ullong n_observed;
	struct halves *halves; /* NULL: no summary */
	char *labels;	       /* as they are shown */
	struct metric *next;
};

struct series {
	struct map *by_values;
	struct metric *first, **last;
	size_t n;
};

struct metrics {
	const struct metric_family *families;
	struct series *series; /* a family */
	size_t n_families;
	char *common;
	struct {
		void (*measure)(void *arg);
		void *arg;
	} measures[MEASURES_MAX];
	size_t n_measures;
	pthread_mutex_t lock;	    /* of the series and the measures */
	pthread_mutex_t is_showing; /* taken before it */
};

struct metrics *
metrics_new(const struct metric_family *families, size_t n)
{
	struct metrics *m = NEW(metrics);

	m->families = families;
	m->n_families = n;
	m->series = mem_array(n, sizeof(*m->series));
	for (size_t i = 0; i < n; i++) {
		m->series[i].by_values = map_new();
		m->series[i].last = &m->series[i].first;
	}
	m->common = mem_text("");
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->is_showing, NULL);
	return m;
}

static void
series_clear(struct series *s)
{
	while (s->first) {
		struct metric *metric = s->first;

		s->first = metric->next;
		mem_free(metric->halves);
		mem_free(metric->labels);
		mem_free(metric);
	}
	map_free(s->by_values);
}

void
metrics_free(struct metrics *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_families; i++)
		series_clear(&m->series[i]);
	mem_free(m->series);
	mem_free(m->common);
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->is_showing);
	mem_free(m);
}

void
metrics_set_common(struct metrics *m, const char *labels)
{
	pthread_mutex_lock(&m->lock);
	mem_free(m->common);
	m->common = mem_text(labels);
	pthread_mutex_unlock(&m->lock);
}

void
metrics_on_show(struct metrics *m, void (*measure)(void *arg), void *arg)
{
	pthread_mutex_lock(&m->lock);
	assert(m->n_measures < MEASURES_MAX);
	m->measures[m->n_measures].measure = measure;
	m->measures[m->n_measures++].arg = arg;
	pthread_mutex_unlock(&m->lock);
}

/* -- Labels ------------------------------------------------------------------------------------------------------------------------------ */

void
metrics_put_value(struct buf *out, const char *value)
{
	OWN_TEXT text = mem_textn(value, strnlen(value, VALUE_MAX));

	text_repair_utf8(text);
	for (const char *at = text; *at; at++) {
		if (*at == '\\' || *at == '"')
			buf_putc(out, '\\');
		if (*at == '\n')
			buf_puts(out, "\\n");
		else
			buf_putc(out, *at > 0 && *at < ' ' ? '?' : *at);
	}
}

/* The next label of a family's list; false: there is none. */
static bool
next_label(const char **list, struct slice *name, bool *is_open)
{
	size_t len = strcspn(*list, " ");

	if (len == 0)
		return false;
	*is_open = **list == '@';
	*name = (struct slice){ *list + *is_open, len - *is_open };
	*list += len + strspn(*list + len, " ");
	return true;
}

/* How many of the values that there may be any number of are kept apart. */
enum folding { ALL_APART, OPEN_FOLDED, ALL_FOLDED };

static void
put_labels(struct buf *out, const struct metric_family *family, const char *const *values, enum folding folding)
{
	const char *list = family->labels;
	struct slice name;
	bool is_open;

	for (size_t i = 0; next_label(&list, &name, &is_open); i++) {
		bool folds = folding == ALL_FOLDED || (folding == OPEN_FOLDED && is_open);

		buf_puts(out, i > 0 ? "," : "");
		buf_put(out, name.text, name.len);
		buf_puts(out, "=\"");
		metrics_put_value(out, folds ? OTHER : values[i] ? values[i] : "");
		buf_puts(out, "\"");
	}
}

/* -- Series ------------------------------------------------------------------------------------------------------------------------------ */

static struct metric *
metric_new(struct series *s, const struct metric_family *family, const char *labels)
{
	struct metric *metric = NEW(metric);

	metric->labels = mem_text(labels);
	if (family->kind == METRIC_SUMMARY) {
		metric->halves = NEW(halves);
		metric->halves->since_ms = clock_boot_ms();
	}
	*s->last = metric;
	s->last = &metric->next;
	s->n++;
	map_put_text(s->by_values, labels, metric);
	return metric;
}

struct metric *
metrics_find(struct metrics *m, size_t which, const char *const *values)
{
	const struct metric_family *family = &m->families[which];
	struct series *s = &m->series[which];
	size_t most = family->kind == METRIC_SUMMARY ? SUMMARIES_MAX : SERIES_MAX;
	CLEAR(buf) labels = BUF_INIT(LABELS_TEXT_MAX);
	struct metric *metric = NULL;

	pthread_mutex_lock(&m->lock);
	for (enum folding folding = ALL_APART; !metric; folding++) {
		buf_reset(&labels);
		put_labels(&labels, family, values, folding);
		metric = map_find_text(s->by_values, buf_text(&labels));
		if (!metric && (folding == ALL_FOLDED || s->n < most + (folding == OPEN_FOLDED ? FOLDED_MAX : 0)))
			metric = metric_new(s, family, buf_text(&labels));
	}
	pthread_mutex_unlock(&m->lock);
	return metric;
}

void
metric_add(struct metric *metric, int64_t n)
{
	atomic_fetch_add_explicit(&metric->value, n, memory_order_relaxed);
}

void
metric_set(struct metric *metric, int64_t value)
{
	atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

int64_t
metric_value(const struct metric *metric)
{
	return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

/* -- Summaries --------------------------------------------------------------------------------------------------------------------------- */

static size_t
bucket_of(uint64_t value)
{
	int power;

	if (value < EXACT)
		return (size_t)value;
	power = 63 - __builtin_clzll(value);
	if (power > LAST_POWER)
		return N_BUCKETS - 1;
	return EXACT + (size_t)(power - FIRST_POWER) * 8 + ((value >> (power - 3)) & 7);
}

/* The middle of a bucket. */
static double
bucket_value(size_t bucket)
{
	uint64_t width;

	if (bucket < EXACT)
		return (double)bucket;
	width = UINT64_C(1) << (FIRST_POWER - 3 + (bucket - EXACT) / 8);
	return ((double)(8 + (bucket - EXACT) % 8) + 0.5) * (double)width;
}

void
metric_observe(struct metric *metric, int64_t value)
{
	uint64_t seen = value > 0 ? (uint64_t)value : 0;
	struct halves *h = metric->halves;
	unsigned filling = atomic_load_explicit(&h->filling, memory_order_relaxed);

	metric_add(metric, (int64_t)seen);
	atomic_fetch_add_explicit(&metric->n_observed, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->buckets[filling][bucket_of(seen)], 1, memory_order_relaxed);
}

static void
turn_over(struct halves *h)
{
	unsigned next = !h->filling;

	if (clock_boot_ms() - h->since_ms < HALF_MS)
		return;
	for (size_t i = 0; i < N_BUCKETS; i++)
		h->buckets[next][i] = 0;
	h->filling = next;
	h->since_ms = clock_boot_ms();
}

/* The value below which the share is of what was observed lately; negative: nothing was. */
static double
quantile(const struct halves *h, double share)
{
	uint64_t n = 0, seen = 0;

	for (size_t i = 0; i < N_BUCKETS; i++)
		n += (uint64_t)h->buckets[0][i] + h->buckets[1][i];
	for (size_t i = 0; i < N_BUCKETS; i++) {
		seen += (uint64_t)h->buckets[0][i] + h->buckets[1][i];
		if (seen > 0 && (double)seen >= share * (double)n)
			return bucket_value(i);
	}
	return -1;
}

/* -- Showing ----------------------------------------------------------------------------------------------------------------------------- */

static const char *const kind_names[] = { "counter", "gauge", "summary" };

/* name{common,labels,more} */
static void
put_name(struct buf *out, const char *name, const char *suffix, const char *common, const char *labels, const char *more)
{
	const char *parts[] = { common, labels, more };
	size_t n = 0;

	buf_putf(out, "%s%s", name, suffix);
	for (size_t i = 0; i < COUNT(parts); i++)
		if (*parts[i])
			buf_putf(out, "%s%s", n++ ? "," : "{", parts[i]);
	buf_puts(out, n ? "} " : " ");
}

static void
put_number(struct buf *out, const struct metric_family *family, int64_t value)
{
	if (family->unit > 0)
		buf_putf(out, "%.9g\n", (double)value * family->unit);
	else
		buf_putf(out, "%lld\n", (long long)value);
}

static void
put_summary(struct buf *out, const struct metric_family *family, const char *common, const struct metric *metric)
{
	static const char *const shares[] = { "0.5", "0.9", "0.95", "0.99", "0.999", "0.9999" };
	static const double shares_of[] = { 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999 };

	turn_over(metric->halves);
	for (size_t i = 0; i < COUNT(shares); i++) {
		OWN_TEXT label = mem_textf("quantile=\"%s\"", shares[i]);
		double value = quantile(metric->halves, shares_of[i]);

		put_name(out, family->name, "", common, metric->labels, label);
		if (value < 0)
			buf_puts(out, "NaN\n");
		else
			buf_putf(out, "%.9g\n", value * (family->unit > 0 ? family->unit : 1));
	}
	put_name(out, family->name, "_sum", common, metric->labels, "");
	put_number(out, family, metric->value);
	put_name(out, family->name, "_count", common, metric->labels, "");
	buf_putf(out, "%llu\n", (unsigned long long)metric->n_observed);
}

static void
put_family(struct metrics *m, size_t which, struct buf *out)
{
	const struct metric_family *family = &m->families[which];

	if (!m->series[which].first)
		return;
	buf_putf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name, kind_names[family->kind]);
	for (const struct metric *metric = m->series[which].first; metric; metric = metric->next) {
		if (metric->halves) {
			put_summary(out, family, m->common, metric);
			continue;
		}
		put_name(out, family->name, "", m->common, metric->labels, "");
		put_number(out, family, metric->value);
	}
}

/* A measure finds series, so it is called without the lock; there is none yet that is removed. */
static void
measure_all(struct metrics *m)
{
	size_t n;

	pthread_mutex_lock(&m->lock);
	n = m->n_measures;
	pthread_mutex_unlock(&m->lock);
	for (size_t i = 0; i < n; i++)
		m->measures[i].measure(m->measures[i].arg);
}

void
metrics_show(struct metrics *m, struct buf *out)
{
	pthread_mutex_lock(&m->is_showing);
	measure_all(m);
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->n_families; i++)
		put_family(m, i, out);
	pthread_mutex_unlock(&m->lock);
	pthread_mutex_unlock(&m->is_showing);
}

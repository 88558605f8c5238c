/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "common/metrics.h"
#include "t.h"

enum { SENT, LENGTH, SIZE, TOOK, N_FAMILIES };
static const struct metric_family families[N_FAMILIES] = {
	[SENT] = { "sent_total", "Messages sent.", METRIC_COUNTER, "reason @id", 0 },
	[LENGTH] = { "length", "Messages that wait.", METRIC_GAUGE, "", 0 },
	[SIZE] = { "size_bytes", "How large.", METRIC_SUMMARY, "@id", 0 },
	[TOOK] = { "took_seconds", "How long.", METRIC_SUMMARY, "", 1e-6 },
};
#define VALUES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NO_VALUES ((const char *const[]){ NULL })

static char *
shown(struct metrics *m)
{
	struct buf out = BUF_INIT(4 << 20);

	metrics_show(m, &out);
	CHECK(!out.failed);
	return buf_take_text(&out);
}

TEST("a registry in which nothing was counted shows nothing; what was, with its help, its type and its labels in their order")
{
	struct metrics *m = metrics_new(families, N_FAMILIES);
	OWN_TEXT empty = shown(m);
	OWN_TEXT full = NULL;

	CHECK_STR(empty, "");
	metrics_set_common(m, "hub=\"h\"");
	metric_add(metrics_find(m, SENT, VALUES("ok", "d1")), 2);
	metric_add(metrics_find(m, SENT, VALUES("ok", "d1")), 1);
	metric_add(metrics_find(m, SENT, VALUES("ok", NULL)), 1);
	metric_set(metrics_find(m, LENGTH, NO_VALUES), 7);
	full = shown(m);
	CHECK_STR(full, "# HELP sent_total Messages sent.\n# TYPE sent_total counter\n"
			"sent_total{hub=\"h\",reason=\"ok\",id=\"d1\"} 3\nsent_total{hub=\"h\",reason=\"ok\",id=\"\"} 1\n"
			"# HELP length Messages that wait.\n# TYPE length gauge\nlength{hub=\"h\"} 7\n");
	metrics_free(m);
}

TEST("a label value can neither end its line nor its quotes, and is UTF-8 whatever it was")
{
	struct metrics *m = metrics_new(families, N_FAMILIES);
	OWN_TEXT text = NULL;
	char lengthy[2000];

	memset(lengthy, 'x', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	metric_add(metrics_find(m, SENT, VALUES("a\"} 1\nb\\c\x01", "\xc3\xa4\xff\xc3")), 1);
	metric_add(metrics_find(m, SENT, VALUES("", lengthy)), 1);
	text = shown(m);
	CHECK_CONTAINS(text, "sent_total{reason=\"a\\\"} 1\\nb\\\\c?\",id=\"\xc3\xa4??\"} 1\n");
	CHECK(strlen(text) < 600);
	metrics_free(m);
}

TEST("names from outside are kept apart up to a limit; then they are one, and the sum stays right")
{
	struct metrics *m = metrics_new(families, N_FAMILIES);
	struct metric *first = metrics_find(m, SENT, VALUES("ok", "d0"));
	OWN_TEXT text = NULL;

	for (int i = 0; i < 5000; i++) {
		OWN_TEXT id = mem_textf("d%d", i);

		metric_add(metrics_find(m, SENT, VALUES("ok", id)), 1);
	}
	CHECK(metrics_find(m, SENT, VALUES("ok", "d0")) == first);
	CHECK(metrics_find(m, SENT, VALUES("ok", "d4999")) == metrics_find(m, SENT, VALUES("ok", "d2000")));
	CHECK(metrics_find(m, SENT, VALUES("bad", "d4999")) != metrics_find(m, SENT, VALUES("ok", "d4999")));
	CHECK_INT(metric_value(metrics_find(m, SENT, VALUES("ok", "d4999"))), 4000);
	text = shown(m);
	CHECK_CONTAINS(text, "sent_total{reason=\"ok\",id=\"other\"} 4000\n");
	metrics_free(m);
}

TEST("labels that were thought bounded and are not become one, too")
{
	struct metrics *m = metrics_new(families, N_FAMILIES);

	for (int i = 0; i < 3000; i++) {
		OWN_TEXT reason = mem_textf("r%d", i);

		metric_add(metrics_find(m, SENT, VALUES(reason, "d")), 1);
	}
	CHECK_INT(metric_value(metrics_find(m, SENT, VALUES("r2999", "e"))), 3000 - 1000 - 256);
	metrics_free(m);
}

TEST("quantiles are within a sixteenth, sums and numbers are exact, in the unit of the name")
{
	struct metrics *m = metrics_new(families, N_FAMILIES);
	struct metric *took = metrics_find(m, TOOK, NO_VALUES);
	OWN_TEXT text = NULL;
	double median, p99;

	for (int i = 1; i <= 1000; i++)
		metric_observe(took, i * 1000);
	text = shown(m);
	CHECK_CONTAINS(text, "took_seconds_sum 500.5\ntook_seconds_count 1000\n");
	CHECK(sscanf(strstr(text, "\"0.5\"} "), "\"0.5\"} %lf", &median) == 1);
	CHECK(sscanf(strstr(text, "\"0.99\"} "), "\"0.99\"} %lf", &p99) == 1);
	CHECK(median > 0.5 * 15 / 16 && median < 0.5 * 17 / 16);
	CHECK(p99 > 0.99 * 15 / 16 && p99 < 0.99 * 17 / 16);
	metrics_free(m);
}

TEST("a summary takes any number: none at all is no quantile, a negative one is 0, the largest has a place")
{
	struct metrics *m = metrics_new(families, N_FAMILIES);
	struct metric *size = metrics_find(m, SIZE, VALUES("d"));
	OWN_TEXT none = shown(m);
	OWN_TEXT text = NULL;

	CHECK_CONTAINS(none, "size_bytes{id=\"d\",quantile=\"0.5\"} NaN\n");
	metric_observe(size, -5);
	for (int64_t i = 0; i < 62; i++)
		metric_observe(size, INT64_C(1) << i);
	metric_observe(size, 0);
	text = shown(m);
	CHECK_CONTAINS(text, "size_bytes_count{id=\"d\"} 64\n");
	metrics_free(m);
}

struct counting {
	struct metrics *metrics;
	pthread_t thread;
};

static void *
count(void *arg)
{
	struct counting *c = arg;

	for (int i = 0; i < 20000; i++) {
		OWN_TEXT id = mem_textf("d%d", i % 50);

		metric_add(metrics_find(c->metrics, SENT, VALUES("ok", id)), 1);
		metric_observe(metrics_find(c->metrics, SIZE, VALUES("d")), i);
	}
	return NULL;
}

TEST("threads that count at the same time lose nothing, while it is shown")
{
	struct metrics *m = metrics_new(families, N_FAMILIES);
	struct counting threads[4];
	int64_t sum = 0;

	for (size_t i = 0; i < COUNT(threads); i++) {
		threads[i].metrics = m;
		pthread_create(&threads[i].thread, NULL, count, &threads[i]);
	}
	for (int i = 0; i < 20; i++) {
		OWN_TEXT text = shown(m);

		CHECK(text);
	}
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i].thread, NULL);
	for (int i = 0; i < 50; i++) {
		OWN_TEXT id = mem_textf("d%d", i);

		sum += metric_value(metrics_find(m, SENT, VALUES("ok", id)));
	}
	CHECK_INT(sum, 80000);
	metrics_free(m);
}

static void
measure(void *arg)
{
	metric_set(metrics_find(arg, LENGTH, NO_VALUES), 42);
}

TEST("what is measured only when it is shown is measured then")
{
	struct metrics *m = metrics_new(families, N_FAMILIES);
	OWN_TEXT text = NULL;

	metrics_on_show(m, measure, m);
	text = shown(m);
	CHECK_CONTAINS(text, "length 42\n");
	metrics_free(m);
}

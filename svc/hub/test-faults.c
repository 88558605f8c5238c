/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/faults.h"

#include "base/mem.h"
#include "t.h"

static struct faults_config
parsed(const char *text)
{
	struct faults_config config;
	struct err err = ERR_INIT;

	CHECK_OK(faults_parse(&config, text, &err), err);
	return config;
}

TEST("each fault is read with its unit")
{
	struct faults_config c = parsed("delay=200ms,drop=5%,throttle=0.5%,disconnect=30s,clock=-1h");

	CHECK_INT(c.delay_ms, 200);
	CHECK_INT(c.drop, 50000);
	CHECK_INT(c.throttle, 5000);
	CHECK_INT(c.disconnect_ms, 30000);
	CHECK_INT(c.clock_s, -3600);
	CHECK_INT(parsed("clock=+400d").clock_s, 400 * 86400);
}

TEST("what is no fault, has no unit or is too much is refused, and the sentence says what there is")
{
	static const char *const bad[] = { "", "delay", "delay=200", "delay=-1s", "drop=5", "drop=101%", "drop=-1%", "drop=x%",
		"noise=5%", "disconnect=0s", "delay=1s,", "clock=1", "clock=999999999d", "drop=nan%" };

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct faults_config config;
		struct err err = ERR_INIT;

		CHECK(faults_parse(&config, bad[i], &err) < 0);
		CHECK_ERR(err, ERR_INVALID, "throttle=10%");
	}
}

TEST("a share of nothing never happens, one of all always")
{
	struct faults *none = faults_new(&(struct faults_config){ .delay_ms = 1 });
	struct faults *all = faults_new(&(struct faults_config){ .drop = 1000000, .throttle = 1000000 });

	for (int i = 0; i < 100; i++) {
		CHECK(!faults_drop(none) && !faults_throttle(none) && !faults_drop(NULL) && !faults_throttle(NULL));
		CHECK(faults_drop(all) && faults_throttle(all));
	}
	CHECK_INT(faults_disconnect_ms(all), 0);
	faults_free(none);
	faults_free(all);
}

static void
count(void *arg)
{
	++*(int *)arg;
}

TEST("without a delay it runs at once; with one later, and at the end at the latest")
{
	struct faults *faults = faults_new(&(struct faults_config){ .delay_ms = 20 });
	struct loop *loop = loop_new("test");
	int n = 0;

	faults_later(NULL, loop, count, &n);
	CHECK_INT(n, 1);
	faults_later(faults, loop, count, &n);
	CHECK_INT(n, 1);
	while (n < 2)
		loop_run_once(loop);
	faults_later(faults, loop, count, &n);
	CHECK_INT(n, 2);
	faults_stop(faults);
	CHECK_INT(n, 3);
	loop_free(loop);
	faults_free(faults);
}

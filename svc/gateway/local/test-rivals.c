/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "gateway/local/rivals.h"
#include "t.h"

#define MINUTE 60000

static void
fight(struct rivals *r, const char *name, int n, int64_t from_ms, int64_t every_ms)
{
	for (int i = 0; i < n; i++)
		rivals_taken_over(r, name, from_ms + i * every_ms);
}

TEST("a connection that is taken over now and then is no fight: a device came back before its old one was missed")
{
	struct rivals *r = rivals_new(10);

	CHECK_INT(rivals_wait_ms(r, "dev1", 0), 0);
	fight(r, "dev1", 5, 0, 1000);
	CHECK_INT(rivals_wait_ms(r, "dev1", 5000), 0);
	fight(r, "dev2", 100, 0, 10000);
	CHECK_INT(rivals_wait_ms(r, "dev2", 1000000), 0);
	rivals_free(r);
}

TEST("the sixth within half a minute is one: a newer connection waits five seconds, another id does not")
{
	struct rivals *r = rivals_new(10);

	fight(r, "dev1", 6, 0, 1000);
	CHECK_INT(rivals_wait_ms(r, "dev1", 5000), 5000);
	CHECK_INT(rivals_wait_ms(r, "dev1", 9999), 1);
	CHECK_INT(rivals_wait_ms(r, "dev1", 10000), 0);
	CHECK_INT(rivals_wait_ms(r, "dev2", 5000), 0);
	rivals_free(r);
}

TEST("who goes on waits twice as long each time, up to five minutes, and begins anew after a quarter of an hour")
{
	struct rivals *r = rivals_new(10);
	int64_t now = 5000, wait = 5000;

	fight(r, "dev1", 6, 0, 1000);
	for (int i = 0; i < 10; i++) {
		now += wait;
		fight(r, "dev1", 2, now, 0);
		wait = 2 * wait < 5 * MINUTE ? 2 * wait : 5 * MINUTE;
		CHECK_INT(rivals_wait_ms(r, "dev1", now), wait);
	}
	now += 20 * MINUTE;
	fight(r, "dev1", 5, now, 0);
	CHECK_INT(rivals_wait_ms(r, "dev1", now), 0);
	rivals_free(r);
}

TEST("no more names are kept than there may be: those that are quiet go first")
{
	struct rivals *r = rivals_new(5);

	fight(r, "quiet", 6, 0, 0);
	for (int i = 0; i < 1000; i++) {
		OWN_TEXT name = mem_textf("d%d", i);

		fight(r, name, 6, 20 * MINUTE, 0);
		CHECK_INT(rivals_wait_ms(r, name, 20 * MINUTE), 5000);
	}
	CHECK_INT(rivals_wait_ms(r, "quiet", 1), 0);
	rivals_free(r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One at a time, and how long the others wait. */
#include "gateway/scope/turn.h"

#include "base/clock.h"
#include "t.h"

static struct turn turn;
static int n_inside, n_most, n_done;

static void *
come(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		turn_take(&turn);
		n_inside++;
		n_most = n_inside > n_most ? n_inside : n_most;
		n_done++;
		n_inside--;
		turn_end(&turn);
	}
	return NULL;
}

TEST("one at a time has the turn, and all have it in the end")
{
	pthread_t threads[8];

	turn_init(&turn);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come, NULL), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(n_most, 1);
	CHECK_INT(n_done, 8 * 200);
	turn_destroy(&turn);
}

static void *
wait_in_vain(void *arg)
{
	*(bool *)arg = turn_take_within(&turn, 200);
	return NULL;
}

TEST("who comes late to one that is stuck does not wait as long as the first, and a crowd no longer than one")
{
	bool had[20];
	pthread_t threads[20];
	int64_t begin_ms;

	turn_init(&turn);
	turn_take(&turn);
	begin_ms = clock_boot_ms();
	for (int i = 0; i < 20; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_in_vain, &had[i]), 0);
	for (int i = 0; i < 20; i++) {
		pthread_join(threads[i], NULL);
		CHECK(!had[i]);
	}
	CHECK(clock_boot_ms() - begin_ms >= 200);
	begin_ms = clock_boot_ms();
	for (int i = 0; i < 1000; i++)
		CHECK(!turn_take_within(&turn, 200));
	CHECK(clock_boot_ms() - begin_ms < 60 * 1000); /* and not 200 seconds */
	turn_end(&turn);
	CHECK(turn_take_within(&turn, 200));
	turn_end(&turn);
	turn_destroy(&turn);
}

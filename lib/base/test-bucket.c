/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bucket.h"
#include "t.h"

static int
take_many(struct bucket *b, const struct bucket_limit *limit, int n, int64_t now_ms)
{
	int taken = 0;

	for (int i = 0; i < n; i++)
		taken += bucket_take(b, limit, now_ms) == 0;
	return taken;
}

TEST("a full bucket gives its burst at once, and then as many as the time has earned")
{
	struct bucket_limit limit = bucket_per_second(10, 5);
	struct bucket b = { 0 };

	CHECK_INT(take_many(&b, &limit, 100, 1000), 5);
	CHECK_INT(bucket_take(&b, &limit, 1000), 100);
	CHECK_INT(bucket_take(&b, &limit, 1060), 40);
	CHECK_INT(take_many(&b, &limit, 100, 1100), 1);
	CHECK_INT(take_many(&b, &limit, 100, 1400), 3);
}

TEST("it never holds more than its burst, however long nothing was taken")
{
	struct bucket_limit limit = bucket_per_second(1000, 7);
	struct bucket b = { 0 };

	CHECK_INT(take_many(&b, &limit, 100, INT64_MAX / 2000), 7);
}

TEST("more than one a millisecond is counted, too")
{
	struct bucket_limit limit = bucket_per_second(5000, 1000);
	struct bucket b = { 0 };
	int taken = 0;

	for (int ms = 0; ms < 1000; ms++)
		taken += take_many(&b, &limit, 20, ms);
	CHECK(taken > 5900 && taken <= 6000);
}

TEST("what was not done after all can be taken again")
{
	struct bucket_limit limit = bucket_per_second(10, 1);
	struct bucket b = { 0 };

	CHECK_INT(bucket_take(&b, &limit, 0), 0);
	bucket_return(&b, &limit);
	CHECK_INT(bucket_take(&b, &limit, 0), 0);
	CHECK_INT(bucket_take(&b, &limit, 0), 100);
}

TEST("a clock that goes back earns nothing, and no limit is none")
{
	struct bucket_limit limit = bucket_per_second(10, 1), none = bucket_per_second(0, 5);
	struct bucket b = { 0 };

	CHECK_INT(take_many(&b, &limit, 5, 1000), 1);
	CHECK(bucket_take(&b, &limit, 500) > 0);
	CHECK(bucket_take(&b, &limit, 1060) == 40);
	CHECK_INT(take_many(&b, &limit, 5, 1100), 1);
	CHECK_INT(take_many(&b, &none, 100000, 600), 100000);
}

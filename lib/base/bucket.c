/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets. */
#include "base/bucket.h"

struct bucket_limit
bucket_per_second(int64_t n, int64_t burst)
{
	return (struct bucket_limit){ .cost_us = n > 0 ? (1000000 + n - 1) / n : 0, .burst = burst > 0 ? burst : 1 };
}

void
bucket_fill(struct bucket *b, const struct bucket_limit *limit, int64_t now_ms)
{
	*b = (struct bucket){ .left_us = limit->cost_us * limit->burst, .since_ms = now_ms };
}

static void
earn(struct bucket *b, const struct bucket_limit *limit, int64_t now_ms)
{
	int64_t most = limit->cost_us * limit->burst, passed_ms = now_ms - b->since_ms;

	b->since_ms = now_ms;
	if (passed_ms <= 0)
		return;
	b->left_us = passed_ms > (most - b->left_us) / 1000 ? most : b->left_us + passed_ms * 1000;
}

int64_t
bucket_take(struct bucket *b, const struct bucket_limit *limit, int64_t now_ms)
{
	if (limit->cost_us == 0)
		return 0;
	earn(b, limit, now_ms);
	if (b->left_us < limit->cost_us)
		return (limit->cost_us - b->left_us + 999) / 1000;
	b->left_us -= limit->cost_us;
	return 0;
}

void
bucket_return(struct bucket *b, const struct bucket_limit *limit)
{
	b->left_us += limit->cost_us;
}

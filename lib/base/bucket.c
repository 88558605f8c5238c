/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets. */
#include "base/bucket.h"

struct bucket_limit
bucket_per_second(int64_t n, int64_t burst)
{
	return (struct bucket_limit){ .cost_us = n > 0 ? (1000000 + n - 1) / n : 0, .burst = burst > 0 ? burst : 1 };
}

int64_t
bucket_take(struct bucket *b, const struct bucket_limit *limit, int64_t now_ms)
{
	int64_t now_us = now_ms * 1000, full_us = (b->full_us > now_us ? b->full_us : now_us) + limit->cost_us;
	int64_t wait_us = full_us - now_us - limit->cost_us * limit->burst;

	if (limit->cost_us == 0)
		return 0;
	if (wait_us > 0)
		return (wait_us + 999) / 1000;
	b->full_us = full_us;
	return 0;
}

void
bucket_return(struct bucket *b, const struct bucket_limit *limit)
{
	b->full_us -= limit->cost_us;
}

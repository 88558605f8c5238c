/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A token bucket: how often something may be done, with so many at once after a quiet time.  Counted in microseconds: each puts off by its share of a second when the bucket is full again.  Pure. */

#include <stdint.h>

struct bucket_limit {
	int64_t cost_us; /* of one; 0: there is no limit */
	int64_t burst;
};
struct bucket_limit bucket_per_second(int64_t n, int64_t burst); /* n 0: no limit */

struct bucket {
	int64_t full_us; /* when it is; of zeros: it is */
};
/* 0: it may be done, and is counted.  Else so many milliseconds are to pass first.  now_ms is a clock that does not go back; if it does, nothing is earned until it is where it was. */
int64_t bucket_take(struct bucket *bucket, const struct bucket_limit *limit, int64_t now_ms);
void bucket_return(struct bucket *bucket, const struct bucket_limit *limit); /* it was not done after all */

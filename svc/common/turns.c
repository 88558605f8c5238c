/* SPDX-License-Identifier: Apache-2.0 */
/* The loops measure (net/loop.h); here is who says it. */
#include "common/turns.h"

#include "base/log.h"

void
turns_watch(struct loop *const *loops, size_t n)
{
	for (size_t i = 0; i < n; i++)
		loop_watch_turns(loops[i]);
}

void
turns_tell(struct loop *const *loops, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct loop_turns turns = loop_turns(loops[i]);

		log_info("%s: %llu turns, the longest %.1f ms of CPU time, %.0f ms in all", loop_name(loops[i]),
			(unsigned long long)turns.n, (double)turns.longest_us / 1000, (double)turns.sum_us / 1000);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How soon the hub is asked again for the scope where nothing else gives a reason.  Pure.  A hub that knows differences is asked soon after a change, because changes come
 * together, and less and less often after that; one that sends everything, every hour, as the original's gateways do. */

#include <stdbool.h>
#include <stdint.h>

#define REFRESH_WHOLE_MS (3600 * 1000)
#define REFRESH_SOON_MS (60 * 1000)
#define REFRESH_SELDOM_MS (15 * 60 * 1000)
#define REFRESH_GAP_MS (120 * 1000) /* everything is not asked for twice in less than that (gateway 3.4) */

struct refresh_pace {
	int64_t wait_ms; /* the last one, without what the dice took away */
};
/* After an answer.  dice: any number; up to a tenth of the time is taken away, so that gateways that were started together don't ask together. */
int64_t refresh_pace_next(struct refresh_pace *pace, bool by_difference, bool has_changed, uint32_t dice);

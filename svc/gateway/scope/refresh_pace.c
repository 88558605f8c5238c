/* SPDX-License-Identifier: Apache-2.0 */
/* The pace of questions (refresh_pace.h). */
#include "gateway/scope/refresh_pace.h"

int64_t
refresh_pace_next(struct refresh_pace *pace, bool by_difference, bool has_changed, uint32_t dice)
{
	int64_t wait = pace->wait_ms * 2;

	if (!by_difference)
		wait = REFRESH_WHOLE_MS;
	else if (has_changed || wait < REFRESH_SOON_MS)
		wait = REFRESH_SOON_MS;
	else if (wait > REFRESH_SELDOM_MS)
		wait = REFRESH_SELDOM_MS;
	pace->wait_ms = wait;
	return wait - wait / 10 * (dice % 1000) / 1000;
}

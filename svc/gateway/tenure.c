/* SPDX-License-Identifier: Apache-2.0 */
/* The time of sessions (tenure.h). */
#include "gateway/tenure.h"

struct tenure
tenure_begin(const struct tenure_policy *policy, int64_t not_after, int64_t boot_ms, uint32_t dice)
{
	int64_t age_ms = policy->max_age_s * 1000;

	return (struct tenure){
		.not_after = policy->leave_expired ? 0 : not_after,
		.until_ms = age_ms > 0 ? boot_ms + age_ms - age_ms / 10000 * (dice % 1000) : 0,
	};
}

enum reason
tenure_check(const struct tenure *t, int64_t wall, int64_t boot_ms)
{
	if (t->not_after != 0 && wall > t->not_after)
		return CERT_EXPIRED;
	return t->until_ms != 0 && boot_ms >= t->until_ms ? SESSION_TOO_OLD : OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* When a session has lasted long enough. */
#include "gateway/tenure.h"
#include "t.h"

#define NOW 1750000000
#define BOOT 700000

TEST("a session ends with its certificate, unless it is to be left open; one that was opened with a token has none")
{
	struct tenure_policy usual = { 0 }, leaving = { .leave_expired = true };
	struct tenure by_cert = tenure_begin(&usual, NOW, BOOT, 7), left = tenure_begin(&leaving, NOW, BOOT, 7),
		      by_token = tenure_begin(&usual, 0, BOOT, 7);

	CHECK_INT(tenure_check(&by_cert, NOW, BOOT), OK);
	CHECK_INT(tenure_check(&by_cert, NOW + 1, BOOT), CERT_EXPIRED);
	CHECK_INT(tenure_check(&left, NOW + 1, BOOT), OK);
	CHECK_INT(tenure_check(&by_token, NOW + 1000000, BOOT + (int64_t)1000000000), OK);
}

TEST("a session ends at its age, or up to a tenth earlier, whatever the wall clock says")
{
	struct tenure_policy hour = { .max_age_s = 3600 };

	for (uint32_t dice = 0; dice < 3000; dice += 13) {
		struct tenure t = tenure_begin(&hour, 0, BOOT, dice);

		CHECK_INT(tenure_check(&t, NOW + 100000000, BOOT + 3240 * 1000), OK);
		CHECK_INT(tenure_check(&t, 0, BOOT + 3600 * 1000), SESSION_TOO_OLD);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How often a gateway asks for its scope. */
#include "gateway/scope/refresh_pace.h"
#include "t.h"

TEST("a hub that knows differences is asked a minute after a change, then less and less often, down to every quarter of an hour")
{
	struct refresh_pace pace = { 0 };
	static const int minutes[] = { 1, 2, 4, 8, 15, 15 };

	for (size_t i = 0; i < sizeof(minutes) / sizeof(*minutes); i++)
		CHECK_INT(refresh_pace_next(&pace, true, false, 0), minutes[i] * 60000);
	CHECK_INT(refresh_pace_next(&pace, true, true, 0), 60000);
	CHECK_INT(refresh_pace_next(&pace, true, false, 0), 120000);
}

TEST("a hub that sends everything is asked every hour, whatever it said")
{
	struct refresh_pace pace = { 0 };

	CHECK_INT(refresh_pace_next(&pace, false, true, 0), 3600000);
	CHECK_INT(refresh_pace_next(&pace, false, false, 0), 3600000);
	CHECK_INT(refresh_pace_next(&pace, true, false, 0), 900000);
}

TEST("the dice take away a tenth of the time at most, and never add to it")
{
	for (uint32_t dice = 0; dice < 5000; dice += 7) {
		struct refresh_pace pace = { 0 };
		int64_t wait = refresh_pace_next(&pace, false, false, dice);

		CHECK(wait > 3240000 && wait <= 3600000);
	}
}

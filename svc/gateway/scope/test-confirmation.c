/* SPDX-License-Identifier: Apache-2.0 */
/* How old what the hub said is, by clocks that are set. */
#include "gateway/scope/confirmation.h"
#include "t.h"

#define DAY 86400
#define NOW (20000 * (int64_t)DAY)
#define BOOT (int64_t)5000000

TEST("what this process was told ages by the boot clock, wherever the wall clock goes")
{
	struct confirmation c = { .wall = NOW, .boot_ms = BOOT };
	int64_t later = BOOT + 3 * DAY * (int64_t)1000;

	CHECK_INT(confirmation_age_s(&c, NOW + 3 * DAY, later), 3 * DAY);
	CHECK_INT(confirmation_age_s(&c, 0, later), 3 * DAY);
	CHECK_INT(confirmation_age_s(&c, NOW + 10000 * (int64_t)DAY, later), 3 * DAY);
}

TEST("what was kept is as old as the wall clock says, so the time when the box was off counts")
{
	struct confirmation c = confirmation_kept(NOW, DAY, BOOT);

	CHECK_INT(confirmation_age_s(&c, NOW + 40 * DAY, BOOT), 40 * DAY);
}

TEST("atk-27: a clock that is set back makes what was kept no younger than it was known to be, and it ages on")
{
	struct confirmation c = confirmation_kept(NOW, 30 * DAY, BOOT);

	CHECK_INT(confirmation_age_s(&c, NOW, BOOT), 30 * DAY);
	CHECK_INT(confirmation_age_s(&c, 0, BOOT + 2 * DAY * (int64_t)1000), 32 * DAY);
}

TEST("a clock that was in the future by mistake leaves nothing behind: the age that is saved has only what was lived through")
{
	struct confirmation c = confirmation_kept(NOW, DAY, BOOT);
	int64_t later = BOOT + 5000;

	CHECK_INT(confirmation_age_s(&c, NOW + 9999 * (int64_t)DAY, later), 9999 * (int64_t)DAY);
	CHECK_INT(confirmation_known_s(&c, later), DAY + 5);
	CHECK_INT(confirmation_age_s(&c, NOW + DAY, later), DAY + 5);
}

TEST("of two confirmations this process's is the later one, then the one that was asked last, or was known to be younger")
{
	struct confirmation kept = confirmation_kept(NOW + 99 * DAY, 0, BOOT),
			    older = confirmation_kept(NOW + 100 * DAY, DAY, BOOT);
	struct confirmation told = { .wall = NOW, .boot_ms = BOOT - 10 }, again = { .wall = 0, .boot_ms = BOOT };

	CHECK(confirmation_is_later(&told, &kept) && !confirmation_is_later(&kept, &told));
	CHECK(confirmation_is_later(&again, &told) && !confirmation_is_later(&told, &again));
	CHECK(confirmation_is_later(&kept, &older) && !confirmation_is_later(&older, &kept));
	CHECK(!confirmation_is_later(&kept, &kept) && !confirmation_is_later(&told, &told));
}

TEST("an age in a damaged file that can't be is none")
{
	struct confirmation c = confirmation_kept(NOW, -5, BOOT);

	CHECK_INT(confirmation_known_s(&c, BOOT), 0);
}

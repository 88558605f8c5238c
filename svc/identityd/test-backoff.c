/* SPDX-License-Identifier: Apache-2.0 */
#include "identityd/backoff.h"
#include "t.h"

TEST("waits double from a second to five minutes, and stay there for ever")
{
	static const int64_t want[] = { 1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000 };

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		CHECK_INT(backoff_ms((int64_t)i + 1, ERR_UNAVAILABLE, -1, 0), want[i]);
	CHECK_INT(backoff_ms(INT64_MAX, ERR_UNAVAILABLE, -1, 0), 300000);
	CHECK_INT(backoff_ms(0, ERR_UNAVAILABLE, -1, 0), 1000);
}

TEST("too many ask: the original's minutes, or as long as the server says")
{
	static const int64_t want[] = { 60000, 120000, 180000, 300000, 300000 };

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		CHECK_INT(backoff_ms((int64_t)i + 1, ERR_LIMIT, -1, 0), want[i]);
	CHECK_INT(backoff_ms(1, ERR_LIMIT, 7, 0), 7000);
	CHECK_INT(backoff_ms(9, ERR_UNAVAILABLE, 7, 0), 7000);
}

TEST("no server sends a device away for more than an hour, or makes it ask without a pause")
{
	CHECK_INT(backoff_ms(1, ERR_LIMIT, INT64_MAX / 2000, 0), 3600000);
	CHECK_INT(backoff_ms(1, ERR_LIMIT, 0, 0), 1000);
}

TEST("the dice move a wait by up to a tenth, and never before what was asked for")
{
	for (uint64_t dice = 0; dice < 5000; dice += 7) {
		int64_t ms = backoff_ms(1, ERR_LIMIT, 10, dice);

		CHECK(ms >= 10000 && ms <= 11000);
	}
}

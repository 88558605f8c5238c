/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmd/since.h"
#include "t.h"

#define NOW 1772323200

TEST("a while ago, with units as people write them, one or several")
{
	const struct {
		const char *text;
		int64_t ago;
	} rows[] = { { "30min", 1800 }, { "45s", 45 }, { "2h", 7200 }, { "1d", 86400 }, { "1d 12h", 129600 }, { "1w", 604800 },
		{ "2 hours", 7200 }, { "1h30m", 5400 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = ERR_INIT;
		int64_t since;

		CHECK_OK(since_parse(rows[i].text, NOW, &since, &err), err);
		CHECK_INT(since, NOW - rows[i].ago);
	}
}

TEST("a time, a date, and seconds since 1970")
{
	struct err err = ERR_INIT;
	int64_t since;

	CHECK_OK(since_parse("2026-03-01T00:00:00Z", 0, &since, &err), err);
	CHECK_INT(since, NOW);
	CHECK_OK(since_parse("2026-03-01", 0, &since, &err), err);
	CHECK_INT(since, NOW);
	CHECK_OK(since_parse("1772323200", 0, &since, &err), err);
	CHECK_INT(since, NOW);
}

TEST("anything else is refused and shown")
{
	static const char *const bad[] = { "", "yesterday", "-1h", "1y", "1h x", "h", "99999999999999999999h", "2000000000h",
		"1h-" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_INIT;
		int64_t since;

		CHECK(since_parse(bad[i], NOW, &since, &err) < 0);
		CHECK_ERR(err, ERR_INVALID, "--since");
	}
}

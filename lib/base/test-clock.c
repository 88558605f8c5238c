/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "t.h"

TEST("a time is written in RFC 3339, before 1970 too")
{
	static const struct {
		int64_t wall;
		const char *text;
	} rows[] = { { 0, "1970-01-01T00:00:00Z" }, { 1772323200, "2026-03-01T00:00:00Z" }, { 951782399, "2000-02-28T23:59:59Z" },
		{ 951782400, "2000-02-29T00:00:00Z" }, { -1, "1969-12-31T23:59:59Z" }, { 4102444800, "2100-01-01T00:00:00Z" },
		{ 253402300799, "9999-12-31T23:59:59Z" }, { -62135596800, "0001-01-01T00:00:00Z" },
		{ 253402300800, "@253402300800" } };
	char text[CLOCK_TEXT_LEN];

	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK_STR(clock_text(rows[i].wall, text), rows[i].text);
	CHECK(clock_text(INT64_MAX, text)[0] == '@');
	CHECK(clock_text(INT64_MIN, text)[0] == '@');
}

TEST("milliseconds have three digits and count up before 1970 too")
{
	char text[CLOCK_TEXT_LEN];

	CHECK_STR(clock_text_ms(1772323200123, text), "2026-03-01T00:00:00.123Z");
	CHECK_STR(clock_text_ms(1772323200007, text), "2026-03-01T00:00:00.007Z");
	CHECK_STR(clock_text_ms(-1, text), "1969-12-31T23:59:59.999Z");
	CHECK_STR(clock_text_ms(-1000, text), "1969-12-31T23:59:59.000Z");
}

TEST("a time is read with any offset, with a fraction, and as a date alone")
{
	static const struct {
		const char *text;
		int64_t want;
	} rows[] = { { "1970-01-01T00:00:00Z", 0 }, { "2026-03-01T00:00:00Z", 1772323200 }, { "2026-03-01", 1772323200 },
		{ "2026-03-01t01:30:00+01:30", 1772323200 }, { "2026-02-28T19:00:00-05:00", 1772323200 },
		{ "2026-03-01 00:00:00z", 1772323200 }, { "2026-03-01T00:00:00.999999999Z", 1772323200 },
		{ "2024-02-29", 1709164800 }, { "1969-12-31T23:59:59Z", -1 }, { "2000-02-29T12:00:00-00:00", 951825600 },
		{ "9999-12-31T23:59:59Z", 253402300799 }, { "0001-01-01", -62135596800 } };

	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t wall = 42;

		if (!clock_parse(rows[i].text, &wall))
			fail_msg("%s was refused", rows[i].text);
		CHECK_INT(wall, rows[i].want);
	}
}

TEST("a leap second is the first of the next day; elsewhere there is none")
{
	int64_t wall = 42;

	CHECK(clock_parse("2016-12-31T23:59:60Z", &wall));
	CHECK_INT(wall, 1483228800);
	CHECK(clock_parse("1990-12-31T15:59:60-08:00", &wall));
	CHECK_INT(wall, 662688000);
	CHECK(!clock_parse("2016-12-31T22:59:60Z", &wall));
	CHECK_INT(wall, 662688000);
}

TEST("what is not a time is refused and leaves the output alone")
{
	static const char *const bad[] = { "", "2026", "2026-3-1", "2026-13-01", "2026-00-01", "2026-01-00", "2026-01-32",
		"2026-02-29", "2100-02-29", "2026-04-31", "2026-03-01T", "2026-03-01T00:00:00", "2026-03-01T24:00:00Z",
		"2026-03-01T00:60:00Z", "2026-03-01T00:00:61Z", "2026-03-01T00:00:00.Z", "2026-03-01T00:00Z",
		"2026-03-01T00:00:00+1:00", "2026-03-01T00:00:00+24:00", "2026-03-01T00:00:00+01:60", "2026-03-01T00:00:00+0100",
		"2026-03-01T00:00:00Zx", "2026-03-01x", " 2026-03-01", "-026-03-01", "02026-03-01" };
	int64_t wall = 42;

	for (size_t i = 0; i < COUNT(bad); i++)
		if (clock_parse(bad[i], &wall))
			fail_msg("'%s' was accepted", bad[i]);
	CHECK_INT(wall, 42);
}

TEST("every day of 400 years is read as it is written")
{
	char text[CLOCK_TEXT_LEN];

	for (int64_t day = -100000; day < 50000; day++) {
		int64_t wall = 0;

		CHECK(clock_parse(clock_text(day * 86400 + 86399, text), &wall));
		CHECK_INT(wall, day * 86400 + 86399);
	}
}

TEST("a frozen wall stands still while the boot clock goes on")
{
	int64_t boot = clock_boot_ms();

	clock_set_for_test(1772323200);
	CHECK_INT(clock_wall(), 1772323200);
	CHECK_INT(clock_wall_ms(), 1772323200000);
	while (clock_boot_ms() == boot)
		;
	CHECK_INT(clock_wall(), 1772323200);
	clock_set_for_test(0);
	CHECK(clock_wall() != 1772323200);
}

#if ROOTEDGE_TEST_CLOCK
static bool
is_ahead(int64_t ahead)
{
	struct timespec now;
	int64_t off;

	clock_gettime(CLOCK_REALTIME, &now);
	off = clock_wall() - now.tv_sec - ahead;
	return off >= -2 && off <= 2;
}

TEST("the file of a story shifts the wall, and at once again when it changes")
{
	OWN_TEXT path = file_join(T_TMPDIR, "clock");
	struct err err = ERR_INIT;

	CHECK_OK(file_save(path, "86400\n", 6, 0600, &err), err);
	setenv("ROOTEDGE_CLOCK_FILE", path, 1);
	CHECK(is_ahead(86400));
	CHECK_OK(file_save(path, "-3600", 5, 0600, &err), err);
	CHECK(is_ahead(-3600));
	CHECK_OK(file_save(path, "nonsense", 8, 0600, &err), err);
	CHECK(is_ahead(-3600));
	CHECK_OK(file_save(path, "0", 1, 0600, &err), err);
	CHECK(is_ahead(0));
	unsetenv("ROOTEDGE_CLOCK_FILE");
}
#endif

TEST("a date of RFC 1123 has English names and two digits whatever the locale")
{
	char text[CLOCK_TEXT_LEN];

	CHECK_STR(clock_text_http(1507836230, text), "Thu, 12 Oct 2017 19:23:50 GMT");
	CHECK_STR(clock_text_http(0, text), "Thu, 01 Jan 1970 00:00:00 GMT");
	CHECK_STR(clock_text_http(253402300799, text), "Fri, 31 Dec 9999 23:59:59 GMT");
	CHECK_STR(clock_text_http(INT64_MAX, text), "@9223372036854775807");
}

TEST("a date of RFC 1123 is read as it is written, and no other form of it")
{
	static const char *const bad[] = { "", "Thu, 12 Oct 2017 19:23:50", "Fri, 12 Oct 2017 19:23:50 GMT",
		"Thu, 32 Oct 2017 19:23:50 GMT", "Thu, 12 Okt 2017 19:23:50 GMT", "Thu, 12 ctN 2017 19:23:50 GMT",
		"Thu, 12 Oct 2017 25:23:50 GMT", "2017-10-12T19:23:50Z", "Thu, 12 Oct 2017 19:23:50 CET" };
	int64_t wall = 7;

	for (int64_t day = 0; day < 366 * 5; day++) {
		int64_t when = 1500000000 + day * 86400 + day * 61;
		char text[CLOCK_TEXT_LEN];

		CHECK(clock_parse_http(clock_text_http(when, text), &wall));
		CHECK_INT(wall, when);
	}
	wall = 7;
	for (size_t i = 0; i < COUNT(bad); i++)
		CHECK(!clock_parse_http(bad[i], &wall));
	CHECK_INT(wall, 7);
}

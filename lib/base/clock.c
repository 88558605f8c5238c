/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks.  In test builds the wall clock adds an offset read from a file that all processes of a test share. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

static _Atomic int64_t frozen, shifted_s;

static int64_t
read_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
clock_thread_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
clock_boot_ms(void)
{
	return read_ms(CLOCK_BOOTTIME);
}

void
clock_until(int64_t after_ms, struct timespec *out)
{
	clock_gettime(CLOCK_MONOTONIC, out);
	out->tv_sec += after_ms / 1000;
	out->tv_nsec += after_ms % 1000 * 1000000;
	out->tv_sec += out->tv_nsec / 1000000000;
	out->tv_nsec %= 1000000000;
}

#define LOOK_MS 60000

#if ROOTEDGE_TEST_CLOCK
#define LOOK_IN_STORY_MS 200

int
clock_look_ms(void)
{
	return getenv("ROOTEDGE_CLOCK_FILE") ? LOOK_IN_STORY_MS : LOOK_MS;
}

/* Each time anew: a process that still had the old time a moment after the file changed would put it into certificates. */
static int64_t
read_offset_s(const char *path)
{
	static _Atomic int64_t offset;
	CLEAR(buf) text = BUF_INIT(64);
	struct err err = ERR_INIT;
	int64_t value;

	if (file_load(&text, path, &err) < 0)
		return offset;
	while (text.len > 0 && text.data[text.len - 1] == '\n')
		text.data[--text.len] = 0;
	if (text_to_i64(buf_text(&text), INT64_MIN / 4, INT64_MAX / 4, &value))
		offset = value;
	return offset;
}

static int64_t
offset_s(void)
{
	const char *path = getenv("ROOTEDGE_CLOCK_FILE");

	return path ? read_offset_s(path) : 0;
}
#else
int
clock_look_ms(void)
{
	return LOOK_MS;
}

static int64_t
offset_s(void)
{
	return 0;
}
#endif

int64_t
clock_wall_ms(void)
{
	if (frozen)
		return frozen * 1000;
	return read_ms(CLOCK_REALTIME) + (offset_s() + shifted_s) * 1000;
}

int64_t
clock_wall(void)
{
	int64_t ms = clock_wall_ms();

	return ms >= 0 ? ms / 1000 : -((999 - ms) / 1000);
}

void
clock_shift(int64_t seconds)
{
	shifted_s = seconds;
}

void
clock_set_for_test(int64_t wall)
{
	frozen = wall;
}

static void
put_digits(char *at, int n, int value)
{
	for (; n-- > 0; value /= 10)
		at[n] = (char)('0' + value % 10);
}

/* By hand: each certificate and each decision has a few of them, and strftime takes 2,000 instructions. */
const char *
clock_text(int64_t wall, char out[static CLOCK_TEXT_LEN])
{
	time_t t = (time_t)wall;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) { /* RFC 3339 has four digits for the year */
		snprintf(out, CLOCK_TEXT_LEN, "@%lld", (long long)wall);
		return out;
	}
	memcpy(out, "0000-00-00T00:00:00Z", sizeof("0000-00-00T00:00:00Z"));
	put_digits(out, 4, tm.tm_year + 1900);
	put_digits(out + 5, 2, tm.tm_mon + 1);
	put_digits(out + 8, 2, tm.tm_mday);
	put_digits(out + 11, 2, tm.tm_hour);
	put_digits(out + 14, 2, tm.tm_min);
	put_digits(out + 17, 2, tm.tm_sec);
	return out;
}

const char *
clock_text_ms(int64_t wall_ms, char out[static CLOCK_TEXT_LEN])
{
	int64_t s = wall_ms >= 0 ? wall_ms / 1000 : -((999 - wall_ms) / 1000);
	char *z = strchr(clock_text(s, out), 'Z');

	if (z)
		snprintf(z, CLOCK_TEXT_LEN - (size_t)(z - out), ".%03dZ", (int)(wall_ms - s * 1000));
	return out;
}

const char *
clock_text_http(int64_t wall, char out[static CLOCK_TEXT_LEN])
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)wall;
	struct tm tm;

	/* No strftime: its names are the locale's. */
	if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
		snprintf(out, CLOCK_TEXT_LEN, "@%lld", (long long)wall);
		return out;
	}
	snprintf(out, CLOCK_TEXT_LEN, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + 3 * tm.tm_wday, (unsigned)tm.tm_mday % 100,
		months + 3 * tm.tm_mon, (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
		(unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
	return out;
}

/* The first second of that day; false when the calendar has no such day, which timegm would move to another one. */
static bool
day_start(const struct tm *day, int64_t *wall)
{
	struct tm back = { .tm_year = day->tm_year, .tm_mon = day->tm_mon, .tm_mday = day->tm_mday };

	*wall = (int64_t)timegm(&back);
	return back.tm_mon == day->tm_mon && back.tm_mday == day->tm_mday;
}

/* n digits at *at as a number, or -1. */
static int
digits(const char **at, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++, ++*at) {
		if (**at < '0' || **at > '9')
			return -1;
		v = v * 10 + (**at - '0');
	}
	return v;
}

/* "Z", "+02:00" or "-05:30" and nothing else, in seconds east. */
static bool
parse_zone(const char *at, int64_t *east)
{
	bool negative = *at == '-';
	int hours, minutes;

	*east = 0;
	if ((*at == 'Z' || *at == 'z') && !at[1])
		return true;
	if (*at != '+' && *at != '-')
		return false;
	at++;
	hours = digits(&at, 2);
	if (hours < 0 || hours > 23 || *at++ != ':')
		return false;
	minutes = digits(&at, 2);
	if (minutes < 0 || minutes > 59 || *at)
		return false;
	*east = (hours * 60 + minutes) * 60 * (negative ? -1 : 1);
	return true;
}

static bool
parse_time(const char *at, struct tm *tm, int64_t *east)
{
	tm->tm_hour = digits(&at, 2);
	if (tm->tm_hour < 0 || tm->tm_hour > 23 || *at++ != ':')
		return false;
	tm->tm_min = digits(&at, 2);
	if (tm->tm_min < 0 || tm->tm_min > 59 || *at++ != ':')
		return false;
	tm->tm_sec = digits(&at, 2);
	if (tm->tm_sec < 0 || tm->tm_sec > 60)
		return false;
	if (*at == '.') {
		const char *fraction = ++at;

		while (*at >= '0' && *at <= '9')
			at++;
		if (at == fraction)
			return false;
	}
	return parse_zone(at, east);
}

bool
clock_parse(const char *text, int64_t *wall)
{
	struct tm tm = { 0 };
	int64_t east = 0, t;

	tm.tm_year = digits(&text, 4);
	if (tm.tm_year < 0 || *text++ != '-')
		return false;
	tm.tm_mon = digits(&text, 2);
	if (tm.tm_mon < 0 || *text++ != '-')
		return false;
	tm.tm_mday = digits(&text, 2);
	if (tm.tm_mday < 1)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (*text && ((*text != 'T' && *text != 't' && *text != ' ') || !parse_time(text + 1, &tm, &east)))
		return false;
	if (!day_start(&tm, &t))
		return false;
	t += (tm.tm_hour * 60 + tm.tm_min) * 60 + tm.tm_sec - east;
	if (tm.tm_sec == 60 && t % 86400 != 0)
		return false; /* RFC 3339 5.7: a leap second ends a day of UTC */
	*wall = t;
	return true;
}

/* Read as far as it is a time; then it has to be what we would write. */
bool
clock_parse_http(const char *text, int64_t *wall)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char month[4] = "", back[CLOCK_TEXT_LEN];
	struct tm tm = { 0 };
	const char *at;
	int64_t found;

	if (strlen(text) != strlen("Thu, 12 Oct 2017 19:23:50 GMT") ||
		sscanf(text, "%*3c, %2d %3s %4d %2d:%2d:%2d GMT", &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour, &tm.tm_min,
			&tm.tm_sec) != 6)
		return false;
	at = strstr(months, month);
	if (!at || (at - months) % 3 != 0)
		return false;
	tm.tm_mon = (int)(at - months) / 3;
	tm.tm_year -= 1900;
	found = (int64_t)timegm(&tm);
	if (strcmp(clock_text_http(found, back), text) != 0)
		return false;
	*wall = found;
	return true;
}

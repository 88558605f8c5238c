/* SPDX-License-Identifier: Apache-2.0 */
/* Since when. */
#include "since.h"

#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#define NUMBER_MAX 1000000000

static const struct {
	const char *name;
	int64_t seconds;
} units[] = { { "s", 1 }, { "sec", 1 }, { "m", 60 }, { "min", 60 }, { "h", 3600 }, { "hour", 3600 }, { "hours", 3600 },
	{ "d", 86400 }, { "day", 86400 }, { "days", 86400 }, { "w", 7 * 86400 }, { "week", 7 * 86400 }, { "weeks", 7 * 86400 } };

/* One number with its unit; false when it is none. */
static bool
take_part(const char **at, int64_t *ago)
{
	OWN_TEXT digits = mem_textn(*at, strspn(*at, "0123456789"));
	const char *unit = *at + strlen(digits);
	int64_t number = -1;
	size_t len;

	text_to_i64(digits, 0, NUMBER_MAX, &number);
	while (*unit == ' ')
		unit++;
	len = strspn(unit, "abcdefghijklmnopqrstuvwxyz");
	for (size_t i = 0; i < COUNT(units) && number >= 0; i++)
		if (strlen(units[i].name) == len && strncmp(units[i].name, unit, len) == 0) {
			*ago += number * units[i].seconds;
			*at = unit + len;
			return true;
		}
	return false;
}

int
since_parse(const char *text, int64_t now, int64_t *out, struct err *err)
{
	const char *at = text;
	int64_t ago = 0;

	if (clock_parse(text, out) || text_to_i64(text, 0, INT64_MAX / 2000, out))
		return 0;
	while (isdigit((unsigned char)*at) && take_part(&at, &ago))
		while (*at == ' ')
			at++;
	if (*at || at == text)
		return err_set(err, ERR_INVALID,
			"--since: '%s' is neither a time (2026-03-01T00:00:00Z) nor a while (30min, 2h, 1d)", text);
	*out = now - ago;
	return 0;
}

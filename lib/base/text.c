/* SPDX-License-Identifier: Apache-2.0 */
/* Small questions about text; ASCII only, never the locale. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define NEAREST_MAX 40 /* longer words are not proposed */

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool
text_is(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool
text_is_nocase(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return lower(*a) == lower(*b);
}

bool
text_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool
text_ends(const char *text, const char *suffix)
{
	size_t len = strlen(text), tail = strlen(suffix);

	return len >= tail && memcmp(text + len - tail, suffix, tail) == 0;
}

/* The length of the well-formed sequence at s, 0 when there is none (RFC 3629 section 4). */
static size_t
utf8_sequence(const uint8_t *s, size_t left)
{
	static const uint8_t low[] = { 0xa0, 0x90 }, high[] = { 0x9f, 0x8f };
	size_t n = s[0] < 0x80			  ? 1
		   : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
		   : (s[0] & 0xf0) == 0xe0	  ? 3
		   : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
						  : 0;

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < low[0]) || (s[0] == 0xf0 && s[1] < low[1]))
		return 0; /* over-long */
	if ((s[0] == 0xed && s[1] > high[0]) || (s[0] == 0xf4 && s[1] > high[1]))
		return 0; /* a surrogate, or above U+10FFFF */
	return n;
}

/* How many bytes of ASCII stand at s, in whole words: most text is nothing else. */
static size_t
ascii_words(const uint8_t *s, size_t len)
{
	uint64_t word;
	size_t i = 0;

	for (; len - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, s + i, sizeof(word));
		if (word & 0x8080808080808080u)
			break;
	}
	return i;
}

bool
text_is_utf8(const char *text, size_t len)
{
	const uint8_t *s = (const uint8_t *)text;

	for (size_t i = ascii_words(s, len); i < len;) {
		size_t n = s[i] < 0x80 ? 1 : utf8_sequence(s + i, len - i);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

void
text_repair_utf8(char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len;) {
		size_t n = utf8_sequence((const uint8_t *)text + i, len - i);

		if (n == 0)
			text[i] = '?';
		i += n ? n : 1;
	}
}

bool
text_has_control(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f)
			return true;
	return false;
}

char *
text_lower(const char *text)
{
	char *copy = mem_text(text);

	for (char *c = copy; c && *c; c++)
		*c = lower(*c);
	return copy;
}

bool
text_fits(const char *text, const char *pattern)
{
	const char *star = NULL, *back = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			back = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star; /* let the star eat one more */
			text = ++back;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

bool
text_to_i64(const char *text, int64_t min, int64_t max, int64_t *out)
{
	bool negative = *text == '-';
	const char *c = negative ? text + 1 : text;
	uint64_t v = 0, limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
	int64_t signed_v;

	if (!*c)
		return false;
	for (; *c; c++) {
		if (*c < '0' || *c > '9' || v > (limit - (uint64_t)(*c - '0')) / 10)
			return false;
		v = v * 10 + (uint64_t)(*c - '0');
	}
	signed_v = negative ? (int64_t)(0 - v) : (int64_t)v;
	if (signed_v < min || signed_v > max)
		return false;
	*out = signed_v;
	return true;
}

/* Levenshtein's distance, case ignored. */
static size_t
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[NEAREST_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t change = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
			size_t shorter = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

			diagonal = row[j];
			row[j] = change < shorter ? change : shorter;
		}
	}
	return row[b_len];
}

const char *
text_nearest(const char *word, const char *const *candidates, size_t n)
{
	size_t len = strlen(word), best = len / 3 + 2;
	const char *found = NULL;

	if (len == 0 || len > NEAREST_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t other = strlen(candidates[i]), d;

		if (other > NEAREST_MAX)
			continue;
		d = distance(word, len, candidates[i], other);
		if (d < best && d < len) {
			best = d;
			found = candidates[i];
		}
	}
	return found;
}

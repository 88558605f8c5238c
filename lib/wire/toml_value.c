/* SPDX-License-Identifier: Apache-2.0 */
/* TOML: values.  Numbers and dates are first cut as a word, then judged as a whole, which keeps each rule in one place. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/toml_inside.h"

#define WORD_MAX 128

/* -- Strings
 * ---------------------------------------------------------------------------------------------------------------------------- */

static void
put_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_put_u8(out, (uint8_t)c);
	} else if (c < 0x800) {
		buf_put_u8(out, (uint8_t)(0xc0 | c >> 6));
		buf_put_u8(out, (uint8_t)(0x80 | (c & 63)));
	} else if (c < 0x10000) {
		buf_put_u8(out, (uint8_t)(0xe0 | c >> 12));
		buf_put_u8(out, (uint8_t)(0x80 | (c >> 6 & 63)));
		buf_put_u8(out, (uint8_t)(0x80 | (c & 63)));
	} else {
		buf_put_u8(out, (uint8_t)(0xf0 | c >> 18));
		buf_put_u8(out, (uint8_t)(0x80 | (c >> 12 & 63)));
		buf_put_u8(out, (uint8_t)(0x80 | (c >> 6 & 63)));
		buf_put_u8(out, (uint8_t)(0x80 | (c & 63)));
	}
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int
read_unicode(struct toml_reader *r, struct buf *out, int digits)
{
	uint32_t c = 0;

	for (int i = 0; i < digits; i++) {
		int d = hex_digit(toml_next(r));

		if (d < 0)
			return toml_fail(r, "\\u and \\U take 4 and 8 hex digits");
		c = c << 4 | (uint32_t)d;
	}
	if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return toml_fail(r, "not a Unicode character");
	put_utf8(out, c);
	return 0;
}

static int
read_escape(struct toml_reader *r, struct buf *out, bool multi)
{
	static const char names[] = "btnfr\"\\", values[] = "\b\t\n\f\r\"\\";
	char c = toml_next(r);
	const char *at = c ? strchr(names, c) : NULL;

	if (at) {
		buf_putc(out, values[at - names]);
		return 0;
	}
	if (c == 'u' || c == 'U')
		return read_unicode(r, out, c == 'u' ? 4 : 8);
	if (multi && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
		/* A backslash at the end of a line eats the white space up to the next character. */
		while (c == ' ' || c == '\t')
			c = toml_next(r);
		if (c == '\r')
			c = toml_next(r);
		if (c != '\n')
			return toml_fail(r, "an unknown escape");
		while (toml_peek(r) && strchr(" \t\r\n", toml_peek(r)))
			toml_next(r);
		return 0;
	}
	return toml_fail(r, "an unknown escape");
}

/* Up to two quotes may stand before the closing three. */
static bool
closes(struct toml_reader *r, struct buf *out, char quote, bool multi)
{
	const char three[] = { quote, quote, quote, '\0' };

	if (!multi)
		return toml_take(r, quote);
	if (!toml_ahead(r, three))
		return false;
	r->at += 3;
	for (int extra = 0; extra < 2 && toml_peek(r) == quote; extra++)
		buf_putc(out, toml_next(r));
	return true;
}

static int
read_text(struct toml_reader *r, struct buf *out, char quote, bool multi)
{
	while (!closes(r, out, quote, multi)) {
		unsigned char c = (unsigned char)toml_peek(r);

		if (r->at == r->end)
			return toml_fail(r, "a text without its closing quote");
		if (c == '\n' || c == '\r') {
			if (!multi)
				return toml_fail(r, "a text without its closing quote");
			if (c == '\r' && !toml_ahead(r, "\r\n"))
				return toml_fail(r, "a carriage return without a line feed");
			toml_next(r);
			if (c == '\n')
				buf_putc(out, '\n');
			continue;
		}
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return toml_fail(r, "a control character in a text");
		toml_next(r);
		if (c == '\\' && quote == '"') {
			if (read_escape(r, out, multi) < 0)
				return -1;
		} else {
			buf_putc(out, (char)c);
		}
	}
	return 0;
}

struct toml *
toml_read_string(struct toml_reader *r)
{
	char quote = toml_peek(r);
	const char three[] = { quote, quote, quote, '\0' };
	bool multi = toml_ahead(r, three);
	struct buf text = BUF_INIT(TOML_MAX);
	struct toml *value = toml_new(r, TOML_STRING);

	r->at += multi ? 3 : 1;
	if (multi && toml_ahead(r, "\r\n"))
		toml_next(r);
	if (multi)
		toml_take(r, '\n');
	if (read_text(r, &text, quote, multi) < 0) {
		buf_wipe(&text);
		toml_free(value);
		return NULL;
	}
	value->text_len = text.len;
	value->text = buf_take_text(&text);
	return value;
}

/* -- Words: numbers, dates, booleans
 * -------------------------------------------------------------------------------------------------- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Copy without underscores, each of which must stand between two digits. */
static bool
strip_underscores(const char *word, char *out)
{
	bool hex = text_starts(word, "0x");

	for (const char *c = word; *c; c++) {
		if (*c != '_')
			*out++ = *c;
		else if (c == word || (hex ? hex_digit(c[-1]) < 0 || hex_digit(c[1]) < 0 : !is_digit(c[-1]) || !is_digit(c[1])))
			return false;
	}
	*out = '\0';
	return true;
}

static bool
read_based(const char *digits, int base, int64_t *out)
{
	uint64_t v = 0;

	if (!*digits)
		return false;
	for (; *digits; digits++) {
		int d = hex_digit(*digits);

		if (d < 0 || d >= base || v > (uint64_t)INT64_MAX / (uint64_t)base)
			return false;
		v = v * (uint64_t)base + (uint64_t)d;
		if (v > (uint64_t)INT64_MAX)
			return false;
	}
	*out = (int64_t)v;
	return true;
}

static bool
read_integer(const char *word, int64_t *out)
{
	const char *digits = word + (*word == '+' || *word == '-' ? 1 : 0);

	if (digits == word && text_starts(word, "0x"))
		return read_based(word + 2, 16, out);
	if (digits == word && text_starts(word, "0o"))
		return read_based(word + 2, 8, out);
	if (digits == word && text_starts(word, "0b"))
		return read_based(word + 2, 2, out);
	if (!is_digit(digits[0]) || (digits[0] == '0' && digits[1]))
		return false; /* one sign, no leading zeros */
	return text_to_i64(*word == '+' ? digits : word, INT64_MIN, INT64_MAX, out);
}

static const char *
skip_digits(const char *c)
{
	while (is_digit(*c))
		c++;
	return c;
}

static bool
is_float(const char *word)
{
	const char *c = word + (*word == '+' || *word == '-' ? 1 : 0), *end = skip_digits(c);
	bool fraction = false, exponent = false;

	if (end == c || (c[0] == '0' && end > c + 1))
		return false;
	if (*end == '.') {
		fraction = true;
		c = end + 1;
		end = skip_digits(c);
		if (end == c)
			return false;
	}
	if (*end == 'e' || *end == 'E') {
		exponent = true;
		c = end + 1;
		c += *c == '+' || *c == '-' ? 1 : 0;
		end = skip_digits(c);
		if (end == c)
			return false;
	}
	return !*end && (fraction || exponent);
}

static bool
read_float(const char *word, double *out)
{
	const char *plain = word + (*word == '+' || *word == '-' ? 1 : 0);

	if (text_is(plain, "inf") || text_is(plain, "nan")) {
		*out = text_is(plain, "nan") ? (double)NAN : *word == '-' ? -HUGE_VAL : HUGE_VAL;
		return true;
	}
	if (!is_float(word))
		return false;
	*out = strtod(word, NULL);
	return true;
}

/* `pattern` has 9 for a digit; gives what follows, or NULL. */
static const char *
match(const char *text, const char *pattern)
{
	for (; *pattern; pattern++, text++)
		if (*pattern == '9' ? !is_digit(*text) : *text != *pattern)
			return NULL;
	return text;
}

static int
two(const char *c)
{
	return (c[0] - '0') * 10 + (c[1] - '0');
}

static bool
is_date(const char *c)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year = two(c) * 100 + two(c + 2), month = two(c + 5), day = two(c + 8);
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

/* The end of a time that starts at c, or NULL. */
static const char *
skip_time(const char *c)
{
	const char *end = match(c, "99:99:99");

	if (!end || two(c) > 23 || two(c + 3) > 59 || two(c + 6) > 60)
		return NULL;
	if (*end != '.')
		return end;
	return is_digit(end[1]) ? skip_digits(end + 1) : NULL;
}

static bool
is_datetime(const char *word)
{
	const char *end = match(word, "9999-99-99"), *time;

	if (!end) {
		end = skip_time(word);
		return end && !*end;
	}
	if (!is_date(word))
		return false;
	if (!*end)
		return true;
	if (*end != 'T' && *end != 't' && *end != ' ')
		return false;
	time = skip_time(end + 1);
	if (!time || !*time)
		return time != NULL;
	if ((*time == 'Z' || *time == 'z') && !time[1])
		return true;
	end = *time == '+' || *time == '-' ? match(time + 1, "99:99") : NULL;
	return end && !*end && two(time + 1) <= 23 && two(time + 4) <= 59;
}

static size_t
word_len(const struct toml_reader *r)
{
	size_t len = 0, left = (size_t)(r->end - r->at);

	while (len < left && !strchr(" \t\r\n,]}#", r->at[len]) && r->at[len])
		len++;
	/* A space may stand between date and time. */
	if (len == 10 && left > 13 && r->at[len] == ' ' && is_digit(r->at[11]) && is_digit(r->at[12]) && r->at[13] == ':')
		for (len = 13; len < left && !strchr(" \t\r\n,]}#", r->at[len]) && r->at[len];)
			len++;
	return len;
}

static struct toml *
read_word(struct toml_reader *r)
{
	size_t len = word_len(r);
	struct toml *value = toml_new(r, TOML_BOOLEAN);
	char word[WORD_MAX], plain[WORD_MAX];

	if (len == 0 || len >= sizeof(word)) {
		toml_fail(r, "expected a value");
		toml_free(value);
		return NULL;
	}
	memcpy(word, r->at, len);
	word[len] = '\0';
	r->at += len;
	if (text_is(word, "true") || text_is(word, "false")) {
		value->boolean = word[0] == 't';
		return value;
	}
	if (is_datetime(word)) {
		value->type = TOML_DATETIME;
		value->text = mem_text(word);
		value->text_len = len;
		return value;
	}
	if (strip_underscores(word, plain) && read_integer(plain, &value->integer)) {
		value->type = TOML_INTEGER;
		return value;
	}
	if (strip_underscores(word, plain) && read_float(plain, &value->number)) {
		value->type = TOML_FLOAT;
		return value;
	}
	err_set(r->err, ERR_INVALID, "%s:%d: '%s' is not a value (a text needs quotes)", r->file, r->line, word);
	toml_free(value);
	return NULL;
}

/* -- Arrays and inline tables
 * -------------------------------------------------------------------------------------------------------- */

static int
fill_array(struct toml_reader *r, struct toml *array)
{
	for (;;) {
		struct toml *value;

		if (toml_skip_lines(r) < 0)
			return -1;
		if (toml_peek(r) == ']')
			break;
		value = toml_read_value(r);
		if (!value)
			return -1;
		toml_add(array, value);
		if (toml_skip_lines(r) < 0)
			return -1;
		if (!toml_take(r, ','))
			break;
	}
	return toml_take(r, ']') ? 0 : toml_fail(r, "an array without its ]");
}

static int
fill_inline_table(struct toml_reader *r, struct toml *table)
{
	toml_skip_blank(r);
	if (toml_take(r, '}'))
		return 0;
	for (;;) {
		if (toml_read_pair(r, table) < 0)
			return -1;
		toml_skip_blank(r);
		if (toml_take(r, '}'))
			return 0;
		if (!toml_take(r, ','))
			return toml_fail(r, "an inline table without its }");
		toml_skip_blank(r);
	}
}

static void
close_tables(struct toml *table)
{
	table->is_inline = true;
	for (size_t i = 0; i < table->n; i++)
		if (table->item[i]->type == TOML_TABLE)
			close_tables(table->item[i]);
}

static struct toml *
read_nested(struct toml_reader *r, enum toml_type type)
{
	struct toml *value = toml_new(r, type);
	int status;

	toml_next(r);
	if (++r->depth > TOML_DEPTH_MAX)
		status = toml_fail(r, "nested too deeply");
	else
		status = type == TOML_ARRAY ? fill_array(r, value) : fill_inline_table(r, value);
	r->depth--;
	if (status < 0) {
		toml_free(value);
		return NULL;
	}
	if (type == TOML_TABLE)
		close_tables(value);
	return value;
}

struct toml *
toml_read_value(struct toml_reader *r)
{
	switch (toml_peek(r)) {
	case '"':
	case '\'':
		return toml_read_string(r);
	case '[':
		return read_nested(r, TOML_ARRAY);
	case '{':
		return read_nested(r, TOML_TABLE);
	default:
		return read_word(r);
	}
}

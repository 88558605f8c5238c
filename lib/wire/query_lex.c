/* SPDX-License-Identifier: Apache-2.0 */
/* Words, numbers, strings and signs of the query language.  The text is checked once, as a whole: its length, its encoding. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/query_inside.h"

static size_t
n_characters(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

int
query_fail(struct query_lexer *lexer, size_t at, const char *fmt, ...)
{
	char why[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	text_repair_utf8(why);
	return err_set(lexer->err, ERR_INVALID, "at character %zu: %s", n_characters(lexer->text, at) + 1, why);
}

int
query_lexer_init(struct query_lexer *lexer, const char *text, struct err *err)
{
	size_t len = strlen(text);

	*lexer = (struct query_lexer){ .text = text, .len = len, .err = err };
	/* No character has more than four bytes. */
	if (len > (size_t)4 * QUERY_MAX || n_characters(text, len) > QUERY_MAX)
		return err_set(err, ERR_LIMIT, "a query has at most %d characters", QUERY_MAX);
	if (!text_is_utf8(text, len))
		return err_set(err, ERR_INVALID, "the query is not UTF-8");
	return 0;
}

static bool
begins_name(char c)
{
	return isalpha((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool
is_in_name(char c)
{
	return begins_name(c) || isdigit((unsigned char)c);
}

static struct query_token
bad(struct query_lexer *lexer)
{
	lexer->at = lexer->len;
	return (struct query_token){ .kind = QT_BAD };
}

/* -- Strings ------------------------------------------------------------------------------------------------------------------ */

static bool
hex4(const char *text, uint32_t *out)
{
	static const char digits[] = "0123456789abcdef";

	*out = 0;
	for (int i = 0; i < 4; i++) {
		const char *digit = text[i] ? strchr(digits, tolower((unsigned char)text[i])) : NULL;

		if (!digit)
			return false;
		*out = *out << 4 | (uint32_t)(digit - digits);
	}
	return true;
}

static void
put_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_put_u8(out, (uint8_t)c);
		return;
	}
	if (c < 0x800) {
		buf_put_u8(out, (uint8_t)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_put_u8(out, (uint8_t)(0xe0 | c >> 12));
		} else {
			buf_put_u8(out, (uint8_t)(0xf0 | c >> 18));
			buf_put_u8(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		}
		buf_put_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_put_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
}

/* \uXXXX at text[at], two of them for what lies beyond the first plane.  Returns how much was read, 0 when it is no character. */
static size_t
unicode_escape(const char *text, struct buf *out)
{
	uint32_t c, low;

	if (!hex4(text + 2, &c) || c == 0 || (c >= 0xdc00 && c <= 0xdfff))
		return 0;
	if (c < 0xd800 || c > 0xdbff) {
		put_utf8(out, c);
		return 6;
	}
	if (text[6] != '\\' || text[7] != 'u' || !hex4(text + 8, &low) || low < 0xdc00 || low > 0xdfff)
		return 0;
	put_utf8(out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
	return 12;
}

static size_t
escape(const char *text, struct buf *out)
{
	if (text[1] == 'u')
		return unicode_escape(text, out);
	if (text[1] == '\0' || !strchr("'\"\\/", text[1]))
		return 0;
	buf_putc(out, text[1]);
	return 2;
}

static struct query_token
lex_string(struct query_lexer *lexer)
{
	struct query_token token = { .kind = QT_STRING, .at = lexer->at };
	CLEAR(buf) out = BUF_INIT((size_t)4 * QUERY_MAX);
	char quote = lexer->text[lexer->at++];
	size_t n;

	while (lexer->at < lexer->len && lexer->text[lexer->at] != quote) {
		if (lexer->text[lexer->at] != '\\') {
			buf_putc(&out, lexer->text[lexer->at++]);
			continue;
		}
		n = escape(lexer->text + lexer->at, &out);
		if (n == 0) {
			(void)query_fail(
				lexer, lexer->at, "only \\', \\\", \\\\ and \\uXXXX of a character may follow a backslash");
			return bad(lexer);
		}
		lexer->at += n;
	}
	if (lexer->at >= lexer->len) {
		(void)query_fail(lexer, token.at, "the string that begins here does not end");
		return bad(lexer);
	}
	lexer->at++;
	token.len = lexer->at - token.at;
	token.value = json_string(buf_text(&out));
	return token;
}

/* -- Numbers ------------------------------------------------------------------------------------------------------------------------ */

static json_t *
decimal(const char *text, size_t len)
{
	OWN_TEXT copy = mem_textn(text, len);
	double real;
	int64_t whole;
	char *end;

	if (text_to_i64(copy, INT64_MIN, INT64_MAX, &whole))
		return json_integer(whole);
	real = strtod(copy, &end);
	return *end || !isfinite(real) ? NULL : json_real(real);
}

static json_t *
hexadecimal(const char *text, size_t len)
{
	uint64_t value = 0;

	if (len < 3 || len > 2 + 16)
		return NULL;
	for (size_t i = 2; i < len; i++) {
		int c = tolower((unsigned char)text[i]);

		if (!isxdigit(c))
			return NULL;
		value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return value <= INT64_MAX ? json_integer((json_int_t)value) : json_real((double)value);
}

static size_t
number_length(const char *text)
{
	size_t n = 0;

	while (is_in_name(text[n]) || text[n] == '.' ||
		((text[n] == '-' || text[n] == '+') && n > 0 && tolower(text[n - 1]) == 'e' && text[1] != 'x'))
		n++;
	return n;
}

static struct query_token
lex_number(struct query_lexer *lexer)
{
	struct query_token token = { .kind = QT_NUMBER, .at = lexer->at };
	const char *text = lexer->text + lexer->at;

	token.len = number_length(text);
	token.value =
		text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? hexadecimal(text, token.len) : decimal(text, token.len);
	if (!token.value) {
		(void)query_fail(lexer, token.at, "%.*s is not a number", (int)(token.len < 40 ? token.len : 40), text);
		return bad(lexer);
	}
	lexer->at += token.len;
	return token;
}

/* -- Signs and words ---------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *text; /* a longer one stands in front of one that it begins with */
	enum query_sign sign;
} signs[] = {
	{ "!=", QS_NE },
	{ "<>", QS_NE },
	{ "<=", QS_LE },
	{ ">=", QS_GE },
	{ "[[", QS_OPEN_NAME },
	{ "||", QS_CONCAT },
	{ "??", QS_COALESCE },
	{ "=", QS_EQ },
	{ "<", QS_LT },
	{ ">", QS_GT },
	{ "+", QS_PLUS },
	{ "-", QS_MINUS },
	{ "*", QS_STAR },
	{ "/", QS_SLASH },
	{ "%", QS_PERCENT },
	{ "(", QS_OPEN },
	{ ")", QS_CLOSE },
	{ "[", QS_OPEN_LIST },
	{ "]", QS_CLOSE_LIST },
	{ ",", QS_COMMA },
	{ ".", QS_DOT },
	{ "{", QS_OPEN_BRACE },
	{ "}", QS_CLOSE_BRACE },
};

static struct query_token
lex_sign(struct query_lexer *lexer)
{
	struct query_token token = { .kind = QT_SIGN, .at = lexer->at };

	for (size_t i = 0; i < COUNT(signs); i++)
		if (text_starts(lexer->text + lexer->at, signs[i].text)) {
			token.sign = signs[i].sign;
			token.len = strlen(signs[i].text);
			lexer->at += token.len;
			return token;
		}
	(void)query_fail(lexer, lexer->at, "'%c' means nothing here",
		isprint((unsigned char)lexer->text[lexer->at]) ? lexer->text[lexer->at] : '?');
	return bad(lexer);
}

struct query_token
query_lex(struct query_lexer *lexer)
{
	struct query_token token = { .kind = QT_NAME };
	char c;

	while (lexer->at < lexer->len && isspace((unsigned char)lexer->text[lexer->at]))
		lexer->at++;
	if (lexer->at >= lexer->len)
		return (struct query_token){ .kind = QT_END, .at = lexer->len };
	c = lexer->text[lexer->at];
	if (c == '\'' || c == '"')
		return lex_string(lexer);
	if (isdigit((unsigned char)c))
		return lex_number(lexer);
	if (!begins_name(c))
		return lex_sign(lexer);
	token.at = lexer->at;
	while (is_in_name(lexer->text[lexer->at]))
		lexer->at++;
	token.len = lexer->at - token.at;
	return token;
}

char *
query_lex_quoted_name(struct query_lexer *lexer)
{
	const char *begin = lexer->text + lexer->at, *end = strstr(begin, "]]");

	if (!end || end == begin)
		return NULL;
	/* A name may end with a bracket of its own. */
	while (end[2] == ']')
		end++;
	lexer->at += (size_t)(end - begin) + 2;
	return mem_textn(begin, (size_t)(end - begin));
}

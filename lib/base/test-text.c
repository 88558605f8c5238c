/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/text.h"
#include "t.h"

TEST("NULL is equal to NULL only")
{
	CHECK(text_is(NULL, NULL));
	CHECK(!text_is(NULL, ""));
	CHECK(!text_is("", NULL));
	CHECK(text_is_nocase(NULL, NULL));
	CHECK(!text_is_nocase("", NULL));
}

TEST("case is ignored for ASCII letters and nothing else")
{
	CHECK(text_is_nocase("Content-Length", "content-LENGTH"));
	CHECK(!text_is_nocase("a", "ab"));
	CHECK(!text_is_nocase("ab", "a"));
	CHECK(!text_is_nocase("@", "`"));
	CHECK(!text_is_nocase("\xc3\x84", "\xc3\xa4"));
	CHECK(!text_is("a", "A"));
}

TEST("a prefix or suffix may be all of the text, and not more")
{
	CHECK(text_starts("abc", "abc"));
	CHECK(text_starts("abc", ""));
	CHECK(!text_starts("abc", "abcd"));
	CHECK(text_ends("abc", "bc"));
	CHECK(text_ends("abc", ""));
	CHECK(!text_ends("bc", "abc"));
}

TEST("UTF-8 of every length is accepted up to the last code point")
{
	static const char *const good[] = { "", "abc", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
		"\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };

	for (size_t i = 0; i < COUNT(good); i++)
		CHECK(text_is_utf8(good[i], strlen(good[i])));
	CHECK(text_is_utf8("a\0b", 3));
}

TEST("over-long forms, surrogates, cut sequences and what lies above U+10FFFF are not UTF-8")
{
	static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2z", "\xe0\x9f\xbf", "\xe2\x82",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
		"ok\xfe" };

	for (size_t i = 0; i < COUNT(bad); i++)
		if (text_is_utf8(bad[i], strlen(bad[i])))
			fail_msg("row %zu was accepted", i);
}

TEST("a sequence may not reach over the given length")
{
	CHECK(!text_is_utf8("\xe2\x82\xac", 2));
	CHECK(text_is_utf8("\xe2\x82\xac", 3));
}

TEST("controls are found wherever they stand, zero too")
{
	CHECK(!text_has_control("abc ~", 5));
	CHECK(!text_has_control("\xc3\xa4", 2));
	CHECK(text_has_control("ab\n", 3));
	CHECK(text_has_control("a\0b", 3));
	CHECK(text_has_control("\x1b[31m", 5));
	CHECK(text_has_control("\x7f", 1));
}

TEST("lowering copies and touches ASCII only")
{
	OWN_TEXT low = text_lower("ABZ@[\xc3\x84");
	OWN_TEXT none = text_lower(NULL);

	CHECK_STR(low, "abz@[\xc3\x84");
	CHECK(none == NULL);
}

TEST("whole numbers are read up to both ends of 64 bits")
{
	static const struct {
		const char *text;
		int64_t want;
	} rows[] = { { "0", 0 }, { "-0", 0 }, { "007", 7 }, { "-1", -1 }, { "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN } };
	int64_t v;

	for (size_t i = 0; i < COUNT(rows); i++) {
		v = 42;
		CHECK(text_to_i64(rows[i].text, INT64_MIN, INT64_MAX, &v));
		CHECK_INT(v, rows[i].want);
	}
}

TEST("what is not a whole number in the range is refused and leaves the output alone")
{
	static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "1x", "0x10", "1.0", "--1", "9223372036854775808",
		"-9223372036854775809", "18446744073709551616", "99999999999999999999999999" };
	int64_t v = 42;

	for (size_t i = 0; i < COUNT(bad); i++)
		if (text_to_i64(bad[i], INT64_MIN, INT64_MAX, &v))
			fail_msg("'%s' was accepted", bad[i]);
	CHECK(!text_to_i64("65536", 0, 65535, &v));
	CHECK(!text_to_i64("-1", 0, 65535, &v));
	CHECK_INT(v, 42);
	CHECK(text_to_i64("65535", 0, 65535, &v));
	CHECK_INT(v, 65535);
}

TEST("a typing error finds the word that was meant; something else finds none")
{
	static const char *const words[] = { "port", "listen", "data-dir", "log" };

	CHECK_STR(text_nearest("prot", words, COUNT(words)), "port");
	CHECK_STR(text_nearest("PORT", words, COUNT(words)), "port");
	CHECK_STR(text_nearest("datadir", words, COUNT(words)), "data-dir");
	CHECK_STR(text_nearest("listne", words, COUNT(words)), "listen");
	CHECK(text_nearest("certificate", words, COUNT(words)) == NULL);
	CHECK(text_nearest("", words, COUNT(words)) == NULL);
	CHECK(text_nearest("port", words, 0) == NULL);
}

TEST("words of any length may be asked for")
{
	static const char *const words[] = { "port", "a-name-that-is-a-good-deal-longer-than-forty-characters" };
	char word[500];

	memset(word, 'p', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	CHECK(text_nearest(word, words, COUNT(words)) == NULL);
	CHECK_STR(text_nearest("pord", words, COUNT(words)), "port");
}

TEST("a pattern matches whole texts, with * for any run and ? for one character")
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{ "device-id", "device-id", true },
		{ "device-id", "device-id2", false },
		{ "device-id", "xdevice-id", false },
		{ "aziot-edged/module/*", "aziot-edged/module/a:1:server", true },
		{ "aziot-edged/module/*", "aziot-edged/module/", true },
		{ "aziot-edged/module/*", "aziot-edged-ca", false },
		{ "aziot-edged/module/*:server", "aziot-edged/module/a:1:identity", false },
		{ "*a*b*", "xxaxxbxx", true },
		{ "*a*b*", "xxbxxaxx", false },
		{ "k?y", "key", true },
		{ "k?y", "ky", false },
		{ "k?y", "keey", false },
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", true },
		{ "Key", "key", false },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		if (text_fits(cases[i].text, cases[i].pattern) != cases[i].matches)
			fail_msg("'%s' against '%s'", cases[i].pattern, cases[i].text);
}

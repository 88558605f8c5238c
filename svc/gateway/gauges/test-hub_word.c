/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gauges/hub_word.h"

#include <string.h>

#include "base/mem.h"
#include "t.h"

TEST("it is read as it was written, whatever the id has in it")
{
	static const struct {
		struct hub_word word;
		const char *text;
	} rows[] = {
		{ { .reach = HUB_REACHED }, "reach=reachable" },
		{ { HUB_AWAY, 12, "edge2" }, "reach=away&seconds=12&gateway=edge2" },
		{ { HUB_REFUSES, 0, "a=b;c%d" }, "reach=refuses&seconds=0&gateway=a%3Db%3Bc%25d" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEAR(buf) text = BUF_INIT(HUB_WORD_MAX);
		struct hub_word got;

		hub_word_format(&text, &rows[i].word);
		CHECK_STR(buf_text(&text), rows[i].text);
		CHECK(hub_word_parse(&got, slice_of(rows[i].text)));
		CHECK_INT(got.reach, rows[i].word.reach);
		CHECK_INT(got.for_s, rows[i].word.for_s);
		CHECK_STR(got.gateway, rows[i].word.gateway);
	}
}

TEST("the longest id has room, and seconds have a ceiling")
{
	CLEAR(buf) text = BUF_INIT(HUB_WORD_MAX);
	struct hub_word word = { .reach = HUB_AWAY, .for_s = INT64_MAX }, got;

	memset(word.gateway, '%', IDENTITY_ID_MAX);
	hub_word_format(&text, &word);
	CHECK(!text.failed && hub_word_parse(&got, slice_of(buf_text(&text))));
	CHECK_STR(got.gateway, word.gateway);
	CHECK(got.for_s > 99LL * 365 * 86400 && got.for_s < 101LL * 366 * 86400);
}

TEST("what another version says more is overlooked, and of one that is there nobody has lost it")
{
	struct hub_word got;

	CHECK(hub_word_parse(&got, slice_of("later=x&reach=away&seconds=1&y&gateway=edge2")));
	CHECK_STR(got.gateway, "edge2");
	CHECK(hub_word_parse(&got, slice_of("reach=reachable&seconds=9&gateway=edge2")));
	CHECK(got.reach == HUB_REACHED && got.for_s == 0 && !*got.gateway);
}

TEST("what is none changes nothing: an unknown reach, no time, a time before now, no id, one that would be no id, one that is too "
     "long")
{
	static const char *const texts[] = { "", "reach", "reach=", "reach=unknown", "reach=gone&seconds=1&gateway=e",
		"reach=away&gateway=e", "reach=away&seconds=&gateway=e", "reach=away&seconds=-1&gateway=e",
		"reach=away&seconds=1x&gateway=e", "reach=away&seconds=9223372036854775808&gateway=e", "reach=away&seconds=1",
		"reach=away&seconds=1&gateway=", "reach=away&seconds=1&gateway=a%20b", "reach=away&seconds=1&gateway=%1b%5b2J",
		"reach=away&seconds=1&gateway=a%2Fb", "reach=away&seconds=1&gateway=.." };
	CLEAR(buf) text = BUF_INIT(4096);
	struct hub_word got = { HUB_AWAY, 7, "before" };

	for (size_t i = 0; i < COUNT(texts); i++)
		CHECK(!hub_word_parse(&got, slice_of(texts[i])));
	buf_puts(&text, "reach=away&seconds=1&gateway=");
	for (size_t i = 0; i <= IDENTITY_ID_MAX; i++)
		buf_putc(&text, 'e');
	CHECK(!hub_word_parse(&got, slice_of(buf_text(&text))));
	buf_puts(&text, "&gateway=e&x=");
	for (size_t i = 0; i < HUB_WORD_MAX; i++)
		buf_putc(&text, 'x');
	CHECK(!hub_word_parse(&got, slice_of(buf_text(&text))));
	CHECK(got.reach == HUB_AWAY && got.for_s == 7);
	CHECK_STR(got.gateway, "before");
}

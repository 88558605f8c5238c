/* SPDX-License-Identifier: Apache-2.0 */
/* Marks, and bags with and without them. */
#include "wire/message_mark.h"

#include "base/mem.h"
#include "t.h"

#define LOG "00c0ffee00c0ffee"

TEST("a mark is read as it was written")
{
	CLEAR(buf) text = BUF_INIT(200);
	struct message_mark mark = { LOG, 42, 41, 1772366400123 }, got;

	message_mark_format(&text, &mark);
	CHECK_STR(buf_text(&text), LOG ".42.41.1772366400123");
	CHECK(message_mark_parse(&got, slice_of(buf_text(&text))));
	CHECK_STR(got.log, LOG);
	CHECK(got.sequence == 42 && got.previous == 41 && got.stored_ms == mark.stored_ms);
}

TEST("one that goes through another log is of a log of its own, by which of both it is, and the rest is the same")
{
	struct message_mark mark = { LOG, 42, 41, 1772366400123 }, again = mark, other = mark,
			    back = { "ffffffffffffffff", 42, 41, 7 }, got;
	CLEAR(buf) text = BUF_INIT(200);

	message_mark_go_through(&mark, "ffffffffffffffff");
	message_mark_go_through(&again, "ffffffffffffffff");
	message_mark_go_through(&other, "fffffffffffffffe");
	message_mark_go_through(&back, LOG);
	CHECK_STR(mark.log, again.log);
	CHECK(strcmp(mark.log, other.log) != 0 && strcmp(mark.log, LOG) != 0 && strcmp(mark.log, back.log) != 0);
	CHECK(mark.sequence == 42 && mark.previous == 41 && mark.stored_ms == 1772366400123);
	message_mark_format(&text, &mark);
	CHECK(message_mark_parse(&got, slice_of(buf_text(&text))));
	CHECK_STR(got.log, mark.log);
}

TEST("what is no mark is none")
{
	static const char *const texts[] = { "", LOG, LOG ".1", LOG ".1.0", LOG ".0.0.1", LOG ".1.1.1", LOG ".1.0.", LOG ".1.0.-1",
		LOG ".1.0.1.1", LOG ".1.0.1.", LOG ".1.0.99999999999999999999", LOG ".1.0.999999999999999999999999999",
		"00C0ffee00c0ffee.1.0.1", "0c0ffee00c0ffee.1.0.1", "000c0ffee00c0ffee.1.0.1", LOG ". 1.0.1", LOG ".+1.0.1" };
	struct message_mark got;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		CHECK(!message_mark_parse(&got, slice_of(texts[i])));
}

TEST("the bag without its marks is what it was before; of several the last one counts, for who appended it is who sends it")
{
	static const struct {
		const char *bag, *rest, *mark;
	} rows[] = {
		{ "$.gseq=m", "", "m" },
		{ "a=1&b&$.gseq=m", "a=1&b", "m" },
		{ "$.gseq=forged&a=1&$.gseq=m", "a=1", "m" },
		{ "a=%24.gseq%3D&$.gseq=", "a=%24.gseq%3D", "" },
	};
	CLEAR(buf) rest = BUF_INIT(200);
	struct slice mark;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CHECK(message_mark_cut(slice_of(rows[i].bag), &rest, &mark));
		CHECK_STR(buf_text(&rest), rows[i].rest);
		CHECK(slice_is(mark, rows[i].mark));
	}
}

TEST("a bag without a mark is left alone, also where another property ends like one")
{
	CLEAR(buf) rest = BUF_INIT(200);
	struct slice mark;

	CHECK(!message_mark_cut(slice_of(""), &rest, &mark));
	CHECK(!message_mark_cut(slice_of("a=1&b=2"), &rest, &mark));
	CHECK(!message_mark_cut(slice_of("a$.gseq=1"), &rest, &mark));
}

TEST("a mark goes behind what there is")
{
	const struct message_mark m = { LOG, 1, 0, 2 }, n = { LOG, 2, 1, 3 };
	CLEAR(buf) bag = BUF_INIT(200);

	message_mark_put(&bag, &m);
	CHECK_STR(buf_text(&bag), "$.gseq=" LOG ".1.0.2");
	message_mark_put(&bag, &n);
	CHECK_STR(buf_text(&bag), "$.gseq=" LOG ".1.0.2&$.gseq=" LOG ".2.1.3");
	buf_reset(&bag);
	buf_puts(&bag, "a=1/");
	message_mark_put(&bag, &m);
	CHECK_STR(buf_text(&bag), "a=1&$.gseq=" LOG ".1.0.2");
}

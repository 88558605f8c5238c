/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/rd.h"
#include "t.h"

TEST("numbers are read big-endian, and the cursor ends at the end")
{
	static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct rd rd = rd_over(bytes, sizeof(bytes));

	CHECK_INT(rd_u8(&rd), 1);
	CHECK_INT(rd_u16(&rd), 0x0203);
	CHECK_INT(rd_u32(&rd), 0x04050607);
	CHECK_INT(rd_u64(&rd), 0x08090a0b0c0d0e0f);
	CHECK_INT(rd_left(&rd), 0);
	CHECK(!rd.bad);
}

TEST("reading past the end yields zero, sets bad and does not move")
{
	static const uint8_t bytes[] = { 0xff, 0xff, 0xff };
	struct rd rd = rd_over(bytes, sizeof(bytes));

	CHECK_INT(rd_u32(&rd), 0);
	CHECK(rd.bad);
	CHECK_INT(rd_left(&rd), 3);
}

TEST("once bad, nothing is read any more, even what would fit")
{
	static const uint8_t bytes[] = { 7, 7 };
	struct rd rd = rd_over(bytes, sizeof(bytes));

	CHECK_INT(rd_u64(&rd), 0);
	CHECK_INT(rd_u8(&rd), 0);
	CHECK(rd_bytes(&rd, 1) == NULL);
	CHECK_INT(rd_slice(&rd, 1).len, 0);
}

TEST("a length that would wrap the pointer is past the end")
{
	static const uint8_t bytes[] = { 1 };
	struct rd rd = rd_over(bytes, sizeof(bytes));

	CHECK(rd_bytes(&rd, SIZE_MAX) == NULL);
	CHECK(rd.bad);
}

TEST("nothing at NULL can be read as nothing")
{
	struct rd rd = rd_over(NULL, 0);
	struct slice s = rd_slice(&rd, 0);

	CHECK(!rd.bad);
	CHECK(slice_is(s, ""));
	CHECK_INT(rd_u8(&rd), 0);
	CHECK(rd.bad);
}

TEST("a slice preceded by its length is borrowed from the bytes")
{
	static const char bytes[] = "\0\5hello!";
	struct rd rd = rd_over(bytes, 8);
	struct slice s = rd_slice16(&rd);

	CHECK(slice_is(s, "hello"));
	CHECK(s.text == bytes + 2);
	CHECK_INT(rd_left(&rd), 1);
}

TEST("a slice whose length promises more than there is sets bad and is empty text")
{
	struct rd rd = rd_over("\0\6hello", 7);
	struct slice s = rd_slice16(&rd);

	CHECK(rd.bad);
	CHECK_INT(s.len, 0);
	CHECK(s.text != NULL);
}

TEST("slices are compared by all their bytes")
{
	struct slice s = slice_of("devices/1");

	CHECK(slice_is(s, "devices/1"));
	CHECK(!slice_is(s, "devices"));
	CHECK(!slice_is(s, "devices/12"));
	CHECK(slice_starts(s, "devices/"));
	CHECK(slice_starts(s, ""));
	CHECK(!slice_starts(s, "devices/1/"));
}

TEST("an empty slice without text is the empty text")
{
	struct slice s = { 0 }, head;

	CHECK(slice_is(s, ""));
	CHECK(slice_starts(s, ""));
	CHECK(!slice_starts(s, "a"));
	CHECK(!slice_cut(&s, '/', &head));
	CHECK_INT(slice_of(NULL).len, 0);
}

TEST("cutting yields each part, empty ones too, and the last with false")
{
	struct slice rest = slice_of("a//b"), head;

	CHECK(slice_cut(&rest, '/', &head));
	CHECK(slice_is(head, "a"));
	CHECK(slice_cut(&rest, '/', &head));
	CHECK(slice_is(head, ""));
	CHECK(!slice_cut(&rest, '/', &head));
	CHECK(slice_is(head, "b"));
	CHECK(slice_is(rest, ""));
}

TEST("a separator at the end leaves an empty last part")
{
	struct slice rest = slice_of("a/"), head;

	CHECK(slice_cut(&rest, '/', &head));
	CHECK(!slice_cut(&rest, '/', &head));
	CHECK(slice_is(head, ""));
}

TEST("the copy of a slice is terminated")
{
	OWN_TEXT copy = slice_text((struct slice){ .text = "hello world", .len = 5 });
	OWN_TEXT empty = slice_text((struct slice){ 0 });

	CHECK_STR(copy, "hello");
	CHECK_STR(empty, "");
}

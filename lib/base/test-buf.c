/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/mem.h"
#include "t.h"

TEST("an unused buffer is empty text")
{
	struct buf b = BUF_INIT(10);

	CHECK_STR(buf_text(&b), "");
	buf_clear(&b);
}

TEST("numbers are put big-endian")
{
	struct buf b = BUF_INIT(64);

	buf_put_u8(&b, 1);
	buf_put_u16(&b, 0x0203);
	buf_put_u32(&b, 0x04050607);
	buf_put_u64(&b, 0x08090a0b0c0d0e0f);
	CHECK_INT(b.len, 15);
	for (size_t i = 0; i < b.len; i++)
		CHECK_INT(b.data[i], i + 1);
	buf_clear(&b);
}

TEST("a whole number is put as text, the least and the largest too")
{
	struct buf b = BUF_INIT(128);

	buf_put_i64(&b, 0);
	buf_putc(&b, ' ');
	buf_put_i64(&b, -10);
	buf_putc(&b, ' ');
	buf_put_i64(&b, INT64_MAX);
	buf_putc(&b, ' ');
	buf_put_i64(&b, INT64_MIN);
	CHECK_STR(buf_text(&b), "0 -10 9223372036854775807 -9223372036854775808");
	buf_clear(&b);
}

TEST("exactly the maximum fits; one more fails, and everything after it")
{
	struct buf b = BUF_INIT(10);

	buf_puts(&b, "0123456789");
	CHECK(!b.failed);
	buf_putc(&b, 'x');
	CHECK(b.failed);
	buf_puts(&b, "");
	CHECK_STR(buf_text(&b), "0123456789");
	buf_clear(&b);
	CHECK(!b.failed);
	CHECK_INT(b.max, 10);
}

TEST("a formatted text longer than what is left fails without a partial write")
{
	struct buf b = BUF_INIT(8);

	buf_putf(&b, "%d", 1234);
	buf_putf(&b, "%s", "56789");
	CHECK(b.failed);
	CHECK_STR(buf_text(&b), "1234");
	buf_clear(&b);
}

TEST("bytes are dropped from the front")
{
	struct buf b = BUF_INIT(64);

	buf_puts(&b, "hello world");
	buf_drop(&b, 6);
	CHECK_STR(buf_text(&b), "world");
	buf_drop(&b, 100);
	CHECK_STR(buf_text(&b), "");
	buf_clear(&b);
}

TEST("taking the text leaves an empty buffer that can be used again")
{
	struct buf b = BUF_INIT(64);
	OWN_TEXT text = NULL;

	buf_puts(&b, "one");
	text = buf_take_text(&b);
	CHECK_STR(text, "one");
	buf_puts(&b, "two");
	CHECK_STR(buf_text(&b), "two");
	buf_clear(&b);
}

TEST("a wiped buffer can be used again, up to the same maximum")
{
	struct buf b = BUF_INIT(3);

	buf_puts(&b, "abcd");
	CHECK(b.failed);
	buf_wipe(&b);
	buf_puts(&b, "abc");
	CHECK(!b.failed);
	CHECK_STR(buf_text(&b), "abc");
	buf_wipe(&b);
	buf_wipe(&b);
}

TEST("the content stays while the buffer grows past every size, terminated each time")
{
	enum { N = 300000 };
	struct buf b = BUF_INIT(N);

	for (int i = 0; i < N; i++) {
		buf_put_u8(&b, (uint8_t)(i % 251));
		if (b.data[b.len] != 0)
			fail_msg("not terminated at %d", i);
	}
	for (int i = 0; i < N; i++)
		if (b.data[i] != i % 251)
			fail_msg("changed at %d", i);
	CHECK(!b.failed);
	buf_put_u8(&b, 0);
	CHECK(b.failed);
	buf_clear(&b);
}

TEST("a reset buffer is empty text and forgets its failure")
{
	struct buf b = BUF_INIT(4);

	buf_puts(&b, "abc");
	buf_putf(&b, "%d", 12);
	CHECK(b.failed);
	buf_reset(&b);
	CHECK(!b.failed);
	CHECK_STR(buf_text(&b), "");
	buf_put(&b, NULL, 0);
	CHECK_STR(buf_text(&b), "");
	buf_clear(&b);
}

TEST("a buffer of no bytes at all takes nothing but nothing")
{
	struct buf b = BUF_INIT(0);

	buf_puts(&b, "");
	CHECK(!b.failed);
	CHECK_STR(buf_text(&b), "");
	buf_putc(&b, 'x');
	CHECK(b.failed);
	buf_clear(&b);
}

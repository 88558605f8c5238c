/* SPDX-License-Identifier: Apache-2.0 */
#include "base/visible.h"

#include "base/mem.h"
#include "t.h"

static void
check(const char *text, const char *shown)
{
	CLEAR(buf) out = BUF_INIT(256);

	buf_put_visible(&out, text);
	CHECK_STR(buf_text(&out), shown);
}

TEST("what people write is shown as it is; what a terminal obeys, and what is no UTF-8, as its bytes")
{
	check("", "");
	check("Gerät 7 \xe2\x82\xac", "Gerät 7 \xe2\x82\xac");
	check("\033[31mred\n", "\\x1b[31mred\\x0a");
	check("x\xc2\x9b"
	      "31mred\xc2\x9d"
	      "0;title\xc2\x9c",
		"x\\xc2\\x9b31mred\\xc2\\x9d0;title\\xc2\\x9c");
	check("\x7f\xc2\xa0\xff\xe2\x82", "\\x7f\xc2\xa0\\xff\\xe2\\x82");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What an input is told of a message. */
#include "gateway/inputs/input_bag.h"

#include "base/own.h"
#include "t.h"

TEST("an input is told who sent a message, and of its properties all but the output")
{
	static const struct {
		const char *bag, *device, *module, *wanted;
	} rows[] = {
		{ "", "leaf", NULL, "%24.cdid=leaf" },
		{ "%24.on=hot/&%24.mid=m1&level=high&flag&empty=", "edge", "sensor",
			"%24.cdid=edge&%24.cmid=sensor&%24.mid=m1&level=high&flag&empty=" },
		{ "%24.cdid=other&$.cmid=other&a=1", "leaf", NULL, "%24.cdid=leaf&a=1" },
		{ "a=raw value&b=%2F+%26", "leaf", NULL, "%24.cdid=leaf&a=raw%20value&b=%2F%2B%26" },
		{ "a=1/", "leaf", NULL, "%24.cdid=leaf&a=1" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEAR(buf) out = BUF_INIT(4096);

		input_bag_make(&out, slice_of(rows[i].bag), rows[i].device, rows[i].module);
		CHECK_STR(buf_text(&out), rows[i].wanted);
	}
}

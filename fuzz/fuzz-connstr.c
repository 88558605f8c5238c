/* SPDX-License-Identifier: Apache-2.0 */
/* Connection strings: what is accepted is written in one way, which is accepted and written the same. */
#include "fuzz.h"
#include "wire/connstr.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN_TEXT text = mem_textn((const char *)data, size);
	CLEAR(buf) first = BUF_INIT(65536);
	CLEAR(buf) second = BUF_INIT(65536);
	struct err err = ERR_INIT;
	OWN(connstr) c = connstr_parse(text, &err);
	OWN(connstr) again = NULL;

	if (!c)
		return 0;
	connstr_format(&first, c);
	again = connstr_parse(buf_text(&first), &err);
	if (!again) {
		FUZZ_CHECK(err.kind == ERR_LIMIT); /* padding may have been added */
		return 0;
	}
	connstr_format(&second, again);
	FUZZ_CHECK(fuzz_same(fuzz_slice(&first), fuzz_slice(&second)));
	return 0;
}

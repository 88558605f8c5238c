/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events: what is read does not depend on how the bytes are cut. */
#include "fuzz.h"
#include "wire/sse.h"

static bool
on_event(void *arg, const char *data)
{
	buf_putf(arg, "[%s]", data);
	return true;
}

static bool
read_in(struct buf *seen, const uint8_t *data, size_t size, size_t piece)
{
	struct sse_reader reader;
	bool good = true;

	sse_reader_init(&reader, 256, on_event, seen);
	for (size_t at = 0; good && at < size; at += piece)
		good = sse_reader_feed(&reader, data + at, size - at < piece ? size - at : piece);
	buf_puts(seen, buf_text(&reader.id));
	sse_reader_clear(&reader);
	return good;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT(1 << 20), cut = BUF_INIT(1 << 20);
	bool good = read_in(&whole, data, size, size + 1);

	FUZZ_CHECK(read_in(&cut, data, size, 1) == good);
	FUZZ_CHECK(whole.len == cut.len && memcmp(buf_text(&whole), buf_text(&cut), whole.len) == 0);
	buf_clear(&whole);
	buf_clear(&cut);
	return 0;
}

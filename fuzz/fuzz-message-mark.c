/* SPDX-License-Identifier: Apache-2.0 */
/* Marks come from whoever is let in as a gateway: what is read is written the same again, and what is cut out of a bag is in it no more. */
#include "fuzz.h"
#include "wire/message_mark.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { .text = (const char *)data, .len = size }, found, again;
	CLEAR(buf) written = BUF_INIT(1 << 20);
	CLEAR(buf) rest = BUF_INIT(1 << 20);
	CLEAR(buf) more = BUF_INIT(1 << 20);
	struct message_mark mark, copy;

	if (message_mark_parse(&mark, text)) {
		message_mark_format(&written, &mark);
		FUZZ_CHECK(message_mark_parse(&copy, slice_of(buf_text(&written))));
		FUZZ_CHECK(copy.sequence == mark.sequence && copy.previous == mark.previous && copy.stored_ms == mark.stored_ms);
	}
	if (!message_mark_cut(text, &rest, &found))
		return 0;
	FUZZ_CHECK(rest.failed || !message_mark_cut((struct slice){ .text = buf_text(&rest), .len = rest.len }, &more, &again));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Property bags: what is read from one, written as another and read again is the same. */
#include "base/text.h"
#include "fuzz.h"
#include "wire/property_bag.h"

static void
write_again(struct buf *out, struct slice text)
{
	struct property_bag bag;

	property_bag_init(&bag, text);
	while (property_bag_next(&bag)) {
		FUZZ_CHECK(bag.has_value || bag.value.len == 0);
		property_system_name(buf_text(&bag.name));
		property_put(out, buf_text(&bag.name), bag.has_value ? buf_text(&bag.value) : NULL);
	}
	property_bag_clear(&bag);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { .text = (const char *)data, .len = size };
	CLEAR(buf) first = BUF_INIT(PROPERTY_BAG_MAX);
	CLEAR(buf) second = BUF_INIT(PROPERTY_BAG_MAX);

	write_again(&first, text);
	/* The text of a topic is UTF-8 without NUL; of other bytes only survival is asked. */
	if (first.failed || size == 0 || memchr(data, 0, size) || !text_is_utf8(text.text, size))
		return 0;
	write_again(&second, fuzz_slice(&first));
	FUZZ_CHECK(fuzz_same(fuzz_slice(&first), fuzz_slice(&second)));
	return 0;
}

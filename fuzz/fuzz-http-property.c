/* SPDX-License-Identifier: Apache-2.0 */
/* "header\nvalue": as a property of a bag and as a header again.  A header line is one line, and what it holds is plain. */
#include "base/text.h"
#include "fuzz.h"
#include "wire/http_property.h"
#include "wire/property_bag.h"

static void
check_again(const char *header, const char *value, struct slice text)
{
	struct property_bag bag;

	property_bag_init(&bag, text);
	FUZZ_CHECK(property_bag_next(&bag) && bag.has_value);
	if (text_is_utf8(value, strlen(value)))
		FUZZ_CHECK(text_is(buf_text(&bag.value), value));
	if (text_is_utf8(header, strlen(header))) {
		OWN_TEXT line = http_property_header(buf_text(&bag.name), value);

		FUZZ_CHECK(!text_has_control(line, strlen(line)) && strstr(line, ": "));
	}
	FUZZ_CHECK(!property_bag_next(&bag));
	property_bag_clear(&bag);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN_TEXT header = mem_textn((const char *)data, size < 10000 ? size : 10000);
	char *value = strchr(header, '\n');
	CLEAR(buf) bag = BUF_INIT(65536);

	if (!value)
		return 0;
	*value++ = '\0';
	if (http_property_put(&bag, header, value))
		check_again(header, value, fuzz_slice(&bag));
	else
		FUZZ_CHECK(bag.len == 0);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The screen before http-parser: wherever the input is cut, it ends at the same byte with the same answer.  The first byte says where to cut, and whether it is a head or chunks. */
#include "fuzz.h"
#include "net/http_screen.h"

static struct http_screen
begin(bool chunks)
{
	struct http_screen screen;

	http_screen_init(&screen);
	if (chunks)
		http_screen_expect_chunks(&screen);
	return screen;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_screen whole, cut;
	enum http_screen_answer at_once, in_two;
	size_t used = 0, first = 0, second = 0, at;

	if (size == 0)
		return 0;
	whole = cut = begin(data[0] & 1);
	at = (size_t)(data[0] >> 1) % size;
	data++;
	size--;
	at_once = http_screen_feed(&whole, data, size, &used);
	FUZZ_CHECK(used <= size && (at_once != HTTP_SCREEN_MORE || used == size));
	in_two = http_screen_feed(&cut, data, at, &first);
	if (in_two == HTTP_SCREEN_MORE)
		in_two = http_screen_feed(&cut, data + at, size - at, &second);
	FUZZ_CHECK(in_two == at_once && first + second == used);
	return 0;
}

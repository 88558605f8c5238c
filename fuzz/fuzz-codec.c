/* SPDX-License-Identifier: Apache-2.0 */
/* base64, hex and percent-encoding: strict base64 has one text for its bytes, and everything that is encoded is decoded to what
 * it was. */
#include "fuzz.h"
#include "wire/codec.h"

#define OUT_MAX (4 * 1024 * 1024)

static void
check_base64(struct slice text)
{
	CLEAR(buf) bytes = BUF_INIT(OUT_MAX);
	CLEAR(buf) again = BUF_INIT(OUT_MAX);
	bool strict = base64_decode(&bytes, text.text, text.len, BASE64_STRICT);

	FUZZ_CHECK(strict || bytes.len == 0);
	base64_encode(&again, bytes.data, bytes.len);
	if (strict)
		FUZZ_CHECK(fuzz_same(fuzz_slice(&again), text));
	buf_reset(&bytes);
	FUZZ_CHECK(base64_decode(&bytes, text.text, text.len, BASE64_LAX) || !strict);
	buf_reset(&bytes);
	buf_reset(&again);
	base64_encode(&again, text.text, text.len);
	FUZZ_CHECK(base64_decode(&bytes, buf_text(&again), again.len, BASE64_STRICT) && fuzz_same(fuzz_slice(&bytes), text));
}

static void
check_percent(struct slice text, void (*encode)(struct buf *, const char *, size_t))
{
	CLEAR(buf) encoded = BUF_INIT(OUT_MAX);
	CLEAR(buf) decoded = BUF_INIT(OUT_MAX);

	percent_decode(&decoded, text.text, text.len);
	buf_reset(&decoded);
	encode(&encoded, text.text, text.len);
	FUZZ_CHECK(percent_decode(&decoded, buf_text(&encoded), encoded.len) && fuzz_same(fuzz_slice(&decoded), text));
}

static void
check_hex(struct slice text)
{
	CLEAR(buf) encoded = BUF_INIT(OUT_MAX);
	uint8_t bytes[64];

	hex_decode(bytes, text.len / 2 < sizeof(bytes) ? text.len / 2 : sizeof(bytes), text.text, text.len);
	if (text.len > sizeof(bytes))
		return;
	hex_encode(&encoded, text.text, text.len, text.len & 1);
	FUZZ_CHECK(hex_decode(bytes, text.len, buf_text(&encoded), encoded.len) &&
		   (text.len == 0 || memcmp(bytes, text.text, text.len) == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { .text = (const char *)data, .len = size };

	check_base64(text);
	check_percent(text, percent_encode);
	check_percent(text, percent_encode_segment);
	check_hex(text);
	return 0;
}

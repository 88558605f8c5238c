/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/codec.h"

struct pair {
	const char *bytes, *text;
};

TEST("base64 writes and reads the vectors of RFC 4648")
{
	static const struct pair vectors[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xff\xbf", "+/+/" } };

	for (size_t i = 0; i < COUNT(vectors); i++) {
		CLEAR(buf) text = BUF_INIT(64);
		CLEAR(buf) bytes = BUF_INIT(64);

		base64_encode(&text, vectors[i].bytes, strlen(vectors[i].bytes));
		CHECK_STR(buf_text(&text), vectors[i].text);
		CHECK(base64_decode(&bytes, vectors[i].text, strlen(vectors[i].text), BASE64_STRICT));
		CHECK_STR(buf_text(&bytes), vectors[i].bytes);
	}
}

TEST("base64 with white space, wrong padding, bits left over or other characters is refused")
{
	static const char *const bad[] = { "Z", "Zg=", "Zg===", "=",
		"==", "====", "Zm9v=", "Zm9v====", "Z===", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", "Zg==Zg==", "Z=g=", "Zm-_",
		"Zm9\x80" };

	for (size_t i = 0; i < COUNT(bad); i++) {
		CLEAR(buf) out = BUF_INIT(64);

		buf_puts(&out, "kept");
		if (base64_decode(&out, bad[i], strlen(bad[i]), BASE64_STRICT) ||
			base64_decode(&out, bad[i], strlen(bad[i]), BASE64_LAX))
			fail_msg("accepted '%s'", bad[i]);
		CHECK_STR(buf_text(&out), "kept");
	}
}

TEST("base64 without its padding is read only when that is allowed")
{
	static const char *const open[] = { "Zg", "Zm8", "Zm9vYg" };

	for (size_t i = 0; i < COUNT(open); i++) {
		CLEAR(buf) out = BUF_INIT(64);

		CHECK(!base64_decode(&out, open[i], strlen(open[i]), BASE64_STRICT));
		CHECK(base64_decode(&out, open[i], strlen(open[i]), BASE64_LAX));
	}
}

TEST("base64 above the maximum of the buffer is refused and leaves nothing behind")
{
	CLEAR(buf) out = BUF_INIT(4);

	CHECK(!base64_decode(&out, "Zm9vYmFy", 8, BASE64_STRICT));
	CHECK_INT(out.len, 0);
}

TEST("hex is written in the case that is asked for and read in both")
{
	CLEAR(buf) out = BUF_INIT(64);
	uint8_t bytes[3] = { 0 };

	hex_encode(&out, "\xab\x00\x7f", 3, false);
	hex_encode(&out, "\xab", 1, true);
	CHECK_STR(buf_text(&out), "ab007fAB");
	CHECK(hex_decode(bytes, 3, "aB007F", 6));
	CHECK_MEM(bytes, "\xab\x00\x7f", 3);
}

TEST("hex of another length or with other characters is refused")
{
	uint8_t bytes[2];

	CHECK(!hex_decode(bytes, 2, "abc", 3));
	CHECK(!hex_decode(bytes, 2, "abcdef", 6));
	CHECK(!hex_decode(bytes, 2, "0x12", 4));
	CHECK(!hex_decode(bytes, 2, "ab g", 4));
	CHECK(hex_decode(bytes, 0, "", 0));
}

TEST("percent-encoding keeps letters, digits and -._~ only")
{
	CLEAR(buf) out = BUF_INIT(256);

	percent_encode(&out, "aZ09-._~ /!'()*$%\xc3\xa4\0", 20);
	CHECK_STR(buf_text(&out), "aZ09-._~%20%2F%21%27%28%29%2A%24%25%C3%A4%00");
}

TEST("a segment of a path keeps what may stand in it")
{
	CLEAR(buf) out = BUF_INIT(256);

	percent_encode_segment(&out, "$edgeAgent:a@b/c?d#e%f", 22);
	CHECK_STR(buf_text(&out), "$edgeAgent:a@b%2Fc%3Fd%23e%25f");
}

TEST("percent-decoding takes both cases of hex, and plus for a plus")
{
	CLEAR(buf) out = BUF_INIT(256);

	CHECK(percent_decode(&out, "a%2fb%2Fc+d%00", 14));
	CHECK_INT(out.len, 8);
	CHECK_MEM(out.data, "a/b/c+d\0", 8);
}

TEST("a percent sign without two digits is refused and leaves nothing behind")
{
	static const char *const bad[] = { "%", "a%2", "%zz", "100%", "%%41", "% 1", "%+1" };

	for (size_t i = 0; i < COUNT(bad); i++) {
		CLEAR(buf) out = BUF_INIT(64);

		buf_puts(&out, "kept");
		if (percent_decode(&out, bad[i], strlen(bad[i])))
			fail_msg("accepted '%s'", bad[i]);
		CHECK_STR(buf_text(&out), "kept");
	}
}

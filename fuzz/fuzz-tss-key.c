/* SPDX-License-Identifier: Apache-2.0 */
/* TPM keys in PEM: what is accepted is written and read again as the same. */
#include "fuzz.h"
#include "wire/pem.h"
#include "wire/tss_key.h"

static void
check(const char *text, size_t len)
{
	static struct tss_key key, again;
	struct buf pem = BUF_INIT(65536);
	struct err err = ERR_INIT;

	if (tss_key_parse(&key, text, len, &err) == 0) {
		tss_key_put_pem(&key, &pem);
		FUZZ_CHECK(tss_key_is(buf_text(&pem), pem.len));
		FUZZ_CHECK(tss_key_parse(&again, buf_text(&pem), pem.len, &err) == 0);
		FUZZ_CHECK(key.type == again.type && key.parent == again.parent);
		FUZZ_CHECK(key.public_len == again.public_len && memcmp(key.public_blob, again.public_blob, key.public_len) == 0);
		FUZZ_CHECK(
			key.private_len == again.private_len && memcmp(key.private_blob, again.private_blob, key.private_len) == 0);
	}
	buf_clear(&pem);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf pem = BUF_INIT(1024 * 1024);
	OWN_TEXT text = mem_textn((const char *)data, size);
	struct err err = ERR_INIT;
	uint32_t handle = 0;

	check(text, size);
	pem_put(&pem, "TSS2 PRIVATE KEY", data, size); /* what base64 would hide from the fuzzer */
	check(buf_text(&pem), pem.len);
	if (tss_key_parse_uri(text, &handle, &err) == 0)
		FUZZ_CHECK(handle >> 24 == 0x81);
	buf_clear(&pem);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Basic authentication: what is read is a name without a colon and a password, which written again are what came. */
#include "fuzz.h"
#include "wire/codec.h"
#include "wire/http_basic.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEAR(buf) name = BUF_INIT(HTTP_BASIC_MAX);
	CLEAR(buf) again = BUF_INIT(2 * HTTP_BASIC_MAX);
	CLEAR(buf) same = BUF_INIT(HTTP_BASIC_MAX);
	char *text = mem_textn((const char *)data, size);
	const char *password, *second;

	if (strlen(text) == size && http_basic_read(&name, &password, text)) {
		OWN_TEXT both = mem_textf("%s:%s", (char *)name.data, password);

		FUZZ_CHECK(!strchr((char *)name.data, ':') && strlen(both) == name.len);
		buf_puts(&again, "Basic ");
		base64_encode(&again, (const uint8_t *)both, strlen(both));
		FUZZ_CHECK(http_basic_read(&same, &second, buf_text(&again)) && fuzz_same_text(second, password));
	}
	mem_free(text);
	return 0;
}

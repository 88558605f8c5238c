/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11 URIs: what is accepted can be written and read again as the same, and its PIN is not in what is written. */
#include "base/text.h"
#include "fuzz.h"
#include "wire/pkcs11_uri.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN_TEXT text = mem_textn((const char *)data, size);
	struct err err = ERR_INIT;
	OWN(pkcs11_uri) uri = pkcs11_uri_parse(text, &err);
	OWN(pkcs11_uri) again = NULL;
	OWN_TEXT written = NULL;

	if (!uri) {
		FUZZ_CHECK(*err.text);
		return 0;
	}
	written = pkcs11_uri_format(uri);
	FUZZ_CHECK(!strchr(written, '?'));
	again = pkcs11_uri_parse(written, &err);
	if (!again) {
		FUZZ_CHECK(strlen(written) > 4096); /* all of it encoded where it was not */
		return 0;
	}
	for (int a = 0; a < PKCS11_PIN_SOURCE; a++)
		FUZZ_CHECK(fuzz_same_text(uri->text[a], again->text[a]));
	FUZZ_CHECK(uri->id_len == again->id_len && memcmp(uri->id, again->id, uri->id_len) == 0);
	return 0;
}

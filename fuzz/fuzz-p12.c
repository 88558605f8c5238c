/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #12: what is read has its ceilings.  Rounds are counted before they are run, so that no input is slow for long. */
#include "base/mem.h"
#include "fuzz.h"
#include "pki/p12.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEAR(buf) bytes = BUF_INIT(1 << 20);
	CLEAR(certs) found = { 0 };
	struct err err = ERR_INIT;

	buf_put(&bytes, data, size);
	if (p12_is(&bytes) && p12_take_certs(&found, &bytes, "x", 4, &err) == 0)
		FUZZ_CHECK(found.n > 0 && found.n <= 4);
	return 0;
}

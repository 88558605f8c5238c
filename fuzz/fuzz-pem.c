/* SPDX-License-Identifier: Apache-2.0 */
/* PEM: each block, written again, is read as the same. */
#include "fuzz.h"
#include "wire/pem.h"

static void
check_again(const struct pem *pem)
{
	OWN_TEXT label = slice_text(pem->label);
	CLEAR(buf) text = BUF_INIT(4 * PEM_BLOCK_MAX);
	struct err err = ERR_INIT;
	struct pem again;

	pem_put(&text, label, pem->der.data, pem->der.len);
	FUZZ_CHECK(!text.failed);
	pem_init(&again, buf_text(&text), text.len);
	FUZZ_CHECK(pem_next(&again, &err) == 1);
	FUZZ_CHECK(fuzz_same(again.label, pem->label) && fuzz_same(fuzz_slice(&again.der), fuzz_slice(&pem->der)));
	FUZZ_CHECK(pem_next(&again, &err) == 0);
	pem_clear(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct pem pem;

	pem_init(&pem, (const char *)data, size);
	while (pem_next(&pem, &err) > 0)
		if (!pem.encrypted)
			check_again(&pem);
	pem_clear(&pem);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* EST's bodies: whatever is taken is written and taken again as the same. */
#include "fuzz.h"
#include "pki/est.h"
#include "pki/est_attributes.h"

static void
check_certs(const uint8_t *data, size_t size)
{
	CLEAR(buf) text = BUF_INIT(4 * EST_BODY_MAX);
	struct certs certs = { 0 }, again = { 0 };
	struct err err = ERR_INIT;

	if (est_take_certs(&certs, data, size, &err) == 0) {
		FUZZ_CHECK(certs.n > 0 && certs.n <= EST_CERTS_MAX);
		FUZZ_CHECK(est_put_certs(&text, &certs, &err) == 0);
		FUZZ_CHECK(est_take_certs(&again, text.data, text.len, &err) == 0 && again.n == certs.n);
	}
	certs_clear(&certs);
	certs_clear(&again);
}

static void
check_attributes(const uint8_t *data, size_t size)
{
	CLEAR(buf) text = BUF_INIT(4 * EST_BODY_MAX);
	struct est_attributes wishes, again;
	struct err err = ERR_INIT;

	if (est_take_attributes(&wishes, data, size, &err) < 0)
		return;
	FUZZ_CHECK(est_put_attributes(&text, &wishes, &err) == 0);
	FUZZ_CHECK(est_take_attributes(&again, text.data, text.len, &err) == 0);
	FUZZ_CHECK(again.challenge_password == wishes.challenge_password && again.has_key == wishes.has_key &&
		   again.key == wishes.key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;

	check_certs(data, size);
	check_attributes(data, size);
	csr_free(est_take_csr(data, size, &err));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates: the end that is read alone is the one that the whole has. */
#include "fuzz.h"
#include "pki/cert.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	int64_t end = 0;
	bool has_end = cert_read_not_after(data, size, &end);
	OWN(cert) cert = cert_from_der(data, size, &err);

	if (cert && cert_not_after(cert) != INT64_MIN)
		FUZZ_CHECK(has_end && end == cert_not_after(cert));
	return 0;
}

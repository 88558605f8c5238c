/* SPDX-License-Identifier: Apache-2.0 */
/* A TPM2B_PUBLIC: what is accepted has a name that follows from its bytes, and a key can be wrapped for it or is refused with a sentence. */
#include "fuzz.h"
#include "keys/tpm_wrap.h"

static void
wrap_for(const struct tpm_public *key)
{
	static const struct secret secret = { .len = 32 };
	CLEAR(buf) blob = BUF_INIT(TPM_WRAPPED_MAX);
	struct err err = ERR_INIT;

	if (tpm_wrap_key(&blob, key, key, &secret, &err) < 0)
		FUZZ_CHECK(err.text[0] != '\0');
	else
		FUZZ_CHECK(blob.len > 0 && !blob.failed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tpm_public key;
	struct err err = ERR_INIT;
	uint8_t digest[DIGEST_SHA256_LEN];

	if (tpm_public_decode(&key, data, size, &err) < 0) {
		FUZZ_CHECK(err.text[0] != '\0');
		return 0;
	}
	FUZZ_CHECK(size > 2 && size <= TPM_PUBLIC_MAX);
	digest_sha256(data + 2, size - 2, digest);
	FUZZ_CHECK(memcmp(key.name + 2, digest, sizeof(digest)) == 0);
	wrap_for(&key);
	return 0;
}

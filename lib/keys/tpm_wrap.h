/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An HMAC key for one TPM: what devices get as authenticationKey (edge-services 9.5), and what proves that a TPM has an endorsement key.
 *
 *	TPM2B_ID_OBJECT		the inner key, for who has both the endorsement key and, by its name, the storage root key: TPM2_ActivateCredential gives it
 *	TPM2B_ENCRYPTED_SECRET	the seed of that, for the endorsement key ("IDENTITY")
 *	TPM2B_PRIVATE		the HMAC key, encrypted with the inner key and once more under a seed for the storage root key: TPM2_Import takes it
 *	TPM2B_ENCRYPTED_SECRET	the seed of that ("DUPLICATE")
 *	TPM2B_PUBLIC		what the HMAC key may do: sign with SHA-256, by an empty authorisation, and never be duplicated
 *
 * The sources are TPM 2.0 Part 1: "Credential Protection" for the first two, "Duplication" with its inner and its outer wrapper for the next two, "Protected Storage" for
 * the encryption and the HMAC that both have, "Key Derivation Function" for KDFa.  The inner key proves the one half and the outer wrapper the other: who has only the
 * endorsement key, or only the storage root key, has nothing.  The host sees the inner key but not the HMAC key, which is plain inside the TPM only. */

#include "base/buf.h"
#include "base/secret.h"
#include "wire/tpm_public.h"

#define TPM_WRAPPED_MAX 2048 /* two RSA keys take about 950 bytes */
#define TPM_AES_LEN 16

/* Another blob each time, of the same key. */
int tpm_wrap_key(struct buf *out, const struct tpm_public *endorsement_key, const struct tpm_public *storage_root_key,
	const struct secret *key, struct err *err);

/* -- Its parts, for tests with known values ------------------------------------------------------------------------------------------ */

/* KDFa with SHA-256; at most 32 bytes, which one round gives.  The context may be NULL. */
void tpm_kdf_a(void *out, size_t len, const void *key, size_t key_len, const char *label, const void *context, size_t context_len);
/* TPM2B_DIGEST of the HMAC, then the encrypted text, with the keys that follow from seed and name. */
int tpm_protect(struct buf *out, const uint8_t seed[static DIGEST_SHA256_LEN], const uint8_t name[static TPM_NAME_LEN],
	const struct buf *text, struct err *err);

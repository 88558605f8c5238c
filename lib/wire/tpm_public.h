/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The public part of a key that never leaves its TPM: TPM2B_PUBLIC, as TPM2_ReadPublic writes it (TPM 2.0 Part 2, "TPM2B_PUBLIC").
 *
 * Read here is only what an endorsement key or a storage root key may be, so that a secret encrypted for it can be read by one TPM and by nothing else: a restricted
 * decryption key that was made in its TPM and is bound to it; RSA of 2048 bits or NIST P-256, named by SHA-256, protecting by AES-128-CFB.  That is what the TCG's EK
 * templates L-1, L-2, H-1 and H-2 give, and the storage root keys made after them.  Whether a P-256 point is on the curve is for keys/tpm_seed.h. */

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

#define TPM_PUBLIC_MAX 512	/* an RSA key with a policy, the longest, has 316 bytes */
#define TPM_PUBLIC_TEXT_MAX 684 /* in base64 */
#define TPM_NAME_LEN (2 + DIGEST_SHA256_LEN)
#define TPM_RSA_LEN 256
#define TPM_P256_LEN 32

enum tpm_public_kind { TPM_PUBLIC_RSA, TPM_PUBLIC_P256 };

struct tpm_public {
	enum tpm_public_kind kind;
	uint32_t attributes; /* TPMA_OBJECT */
	uint8_t name
		[TPM_NAME_LEN]; /* the algorithm's number and the digest of the public area: what the TPM itself calls this key */
	union {
		uint8_t modulus[TPM_RSA_LEN];			/* the exponent is 65537 */
		uint8_t point[1 + TPM_P256_LEN + TPM_P256_LEN]; /* 4, x, y */
	};
};

int tpm_public_decode(struct tpm_public *out, const void *data, size_t len, struct err *err);
int tpm_public_parse(struct tpm_public *out, const char *base64, struct err *err); /* strict base64: a key has one spelling */

/* A name vouches for attributes only when the TPM has the private half.  It needs that half for a key that is used by its own authorisation, and not by a policy, which
 * whoever makes up a key may choose: without this, TPM2_ActivateCredential takes a made-up public half for the name. */
bool tpm_public_may_be_parent(const struct tpm_public *key);

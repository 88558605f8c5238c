/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sending a seed to one TPM (TPM 2.0 Part 1, "Secret Sharing", annexes B "RSA" and C "ECDH"): the sender draws it and encrypts it for a storage key; only the TPM that has
 * the private half finds it, and derives from it the keys of what came along (tpm_wrap.h).
 *
 *	RSA	a random seed, RSAES-OAEP with SHA-256 and the label "IDENTITY" or "DUPLICATE", its zero byte included
 *	P-256	an ephemeral key; the seed is KDFe over the ECDH secret, the label and the x coordinates of both
 *
 * The label says what the seed is for: a TPM does not take the one for the other. */

#include "base/buf.h"
#include "wire/tpm_public.h"

#define TPM_SEED_LEN DIGEST_SHA256_LEN

/* Appends TPM2B_ENCRYPTED_SECRET, and fills the seed, which the caller wipes.  Fails for a point that is not on the curve. */
int tpm_seed_send(
	struct buf *out, uint8_t seed[static TPM_SEED_LEN], const struct tpm_public *to, const char *label, struct err *err);
int tpm_seed_check(const struct tpm_public *to, struct err *err); /* can it be sent one? */

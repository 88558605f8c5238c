/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The revocation list of a CA, from what is revoked (ca_revoked.h): made, and kept as a file that others read, which is replaced as a whole. */

#include "ca/ca_revoked.h"
#include "ca/ca_signer.h"

#define CA_CRL_DAYS 7
#define CA_CRL_MAX_BYTES (64 << 20)

/* A new one, numbered, valid from now for `lifetime_s`, as DER in *out. */
int ca_crl_make(struct buf *out, const struct ca_signer *signer, struct ca_revoked *revoked, int64_t now, int64_t lifetime_s,
	struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What is revoked (ca_revoked.h) as it is looked into: the list of a CA, signed, for others; and the set that a server of ours asks, which needs no signature and holds whether the CA's key
 * is there or not. */

#include "ca/ca_revoked.h"
#include "ca/ca_signer.h"
#include "pki/revocations.h"

#define CA_CRL_DAYS 7
#define CA_CRL_MAX_BYTES (64 << 20)

/* A new one, numbered, valid from now for `lifetime_s`, as DER in *out. */
int ca_crl_make(struct buf *out, const struct ca_signer *signer, struct ca_revoked *revoked, struct ca_journal *journal,
	int64_t now, int64_t lifetime_s, struct err *err);
/* All of it, of whichever CA the journal has. */
int ca_crl_set(struct revocations *out, struct ca_revoked *revoked, struct ca_journal *journal, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an EST server knows of revocation: the lists of its issuers, made anew when something was revoked (rootedge ca revoke) or half of the last list's time is over, kept as files, and as a
 * set that each judgement looks into.  Any thread; refreshing blocks, and one does it at a time. */

#include "ca/ca_revoked.h"
#include "est/est_config.h"
#include "pki/ocsp.h"
#include "pki/revocations.h"

struct est_revocation;
/* The lists are files of the folder `crl` in state_dir: NAME.crl, DER. */
struct est_revocation *est_revocation_open(const char *state_dir, struct ca_journal *journal, struct err *err);
void est_revocation_close(struct est_revocation *revocation);

/* Makes what is due.  What was published stays when it fails. */
int est_revocation_refresh(struct est_revocation *revocation, const struct est_config *config, int64_t now, struct err *err);
struct revocations *est_revocation_current(struct est_revocation *revocation); /* the caller owns a reference */
/* The list of the issuer of this name, as DER; false: there is none. */
bool est_revocation_list(struct est_revocation *revocation, const char *issuer, struct buf *out);
/* OCSP about those issuers; on a worker. */
int est_revocation_answer(struct est_revocation *revocation, const struct est_config *config, const void *request, size_t len,
	int64_t now, struct buf *out, struct err *err);

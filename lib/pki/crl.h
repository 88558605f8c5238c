/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A revocation list being made (RFC 5280 5): version 2, numbered, with the reason of each entry.  Reading them is revocations.h. */

#include "pki/cert.h"

/* RFC 5280 5.3.1, those that a CA has a use for. */
enum crl_reason {
	CRL_UNSPECIFIED = 0,
	CRL_KEY_COMPROMISE = 1,
	CRL_AFFILIATION_CHANGED = 3,
	CRL_SUPERSEDED = 4,
	CRL_CESSATION = 5,
	CRL_WITHDRAWN = 9
};
const char *crl_reason_name(enum crl_reason reason); /* "keyCompromise" */
bool crl_reason_parse(const char *name, enum crl_reason *out);

struct crl;
struct crl *crl_new(int64_t number, int64_t this_update, int64_t next_update);
void crl_free(struct crl *crl);
OWN_DEFINE(crl);
/* serial: hex, as the journal has it. */
int crl_add(struct crl *crl, const char *serial, int64_t when, enum crl_reason reason, struct err *err);
/* Signed, as DER appended to out. */
int crl_sign(struct crl *crl, const struct cert *ca, const struct key *key, struct buf *out, struct err *err);

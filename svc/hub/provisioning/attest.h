/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* May this device register?  A pure function of the registration id that it claims, the evidence that it shows, the enrollments, and the time (hub 6.5).  No
 * I/O, no clock.
 *
 * The registration id of the path (or the user name) is the only one there is: the CN of the certificate and the resource of the token must be that same one
 * (atk-18).  An individual enrollment of this id decides alone: a certificate of a group, or a key derived from one, does not get past it (atk-17).  Among
 * groups, the first whose CA is met on the way up from the leaf decides, also when it says no. */

#include "diag/verdict.h"
#include "hub/provisioning/enrollment.h"
#include "pki/revocations.h"

struct attest_claim {
	const char *id_scope;	     /* ours */
	const char *given_scope;     /* what the device says it is */
	const char *registration_id; /* as the device writes it */
};

struct attest_tpm {
	char *endorsement_key, *storage_root_key; /* base64 of TPM2B_PUBLIC, as the device writes them; NULL: it does not say */
};
void attest_tpm_clear(struct attest_tpm *tpm);

struct attest_evidence {
	const struct certs *chain;    /* what the handshake proved possession of, leaf first; n == 0: nothing */
	const char *token;	      /* password or Authorization header; NULL or "": none */
	const struct attest_tpm *tpm; /* what it says of its TPM; NULL: it came by a way on which none is challenged */
};

struct attest_records {
	const struct revocations *revoked;   /* NULL: nothing */
	const struct enrollment *individual; /* of this id in any case; NULL: there is none */
	const struct enrollment *const *groups;
	size_t n_groups;
};

/* Always a verdict.  *matched is the enrollment that let the device in, borrowed from the records, or NULL. */
struct verdict *attest_decide(const struct attest_claim *claim, const struct attest_evidence *evidence,
	const struct attest_records *records, int64_t now, const struct enrollment **matched);

/* May the TPM be challenged that the device says it has?  Nothing is proved by that: who can read the challenge shows by signing with its key, which attest_decide
 * judges.  Only for an individual enrollment of a TPM, with evidence->tpm. */
struct verdict *attest_challenge(const struct attest_claim *claim, const struct attest_evidence *evidence,
	const struct attest_records *records, int64_t now);

/* The key of a device under a group's key (hub 6.5); of an empty key nothing follows. */
void attest_derive_key(struct secret *out, const struct secret *group_key, const char *registration_id);

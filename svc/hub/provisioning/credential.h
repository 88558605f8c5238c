/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A device that registers may ask for a certificate to connect to the hub with (hub 6.6): it sends a CSR along, and gets the chain back when it is assigned.  The enrollment
 * names the policy by which it is issued, the hub's record of the device gets its SHA-256.
 *
 * It is in the CA's journal before the registration is changed, and the same CSR of the same registration finds it there: whatever is killed in between, no second
 * one is issued for it. */

#include <jansson.h>

#include "auth/identity.h"
#include "hub/provisioning/issuing.h"
#include "hub/provisioning/registration.h"

/* What the device asks for. */
struct credential {
	struct csr *csr; /* NULL: nothing */
	bool is_pem;	 /* in the spelling of the preview of 2021, `clientCertificateCsr`, which PEM goes with */
};
void credential_clear(struct credential *wish);
/* -1: what is there can't be read; the sentence is for the device. */
int credential_read(struct credential *out, const json_t *body, struct err *err);

/* true: the certificate is on disk and r->issued names it, or none was asked for and it is NULL.  false: *v says why not, or it is accepted and this is a
 * failure, with err.  issuing may be NULL. */
bool credential_issue(const struct issuing *issuing, const struct enrollment *enrollment, const char *registration_id,
	const struct credential *wish, struct registration *r, struct verdict *v, struct err *err);

/* The certificate lets this device in, which is new, and nothing else does. */
void credential_trust(struct identity *device, const char *thumbprint);
/* A device in a linked hub keeps the thumbprint it has there in the other slot.  The caller owns what it gets. */
struct identity *credential_beside(const struct identity *wanted, const struct identity *there);

json_t *credential_chain_json(const struct ca_entry *issued); /* base64 of DER, the leaf first */
/* Puts the chain into what a device is told: `issuedCertificateChain`, and in the older spelling `issuedClientCertificate`, too. */
int credential_tell(const struct issuing *issuing, const struct registration *r, json_t *state, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A CA that signs: its certificate with those above it, and its key, wherever lib/keys finds that.  Immutable; any thread may sign.  Signing takes a
 * millisecond (a token: much longer), so it belongs on a worker. */

#include "keys/key_source.h"
#include "pki/issue.h"

struct ca_signer;
/* cert_path: PEM, the CA first, each issued by the next; the root may be missing.  key_place: as keys/key_source.h has it; keys NULL: a file.  A token or TPM that is away is worth a line
 * in the log: the CA is there, and signs when that is back. */
struct ca_signer *ca_signer_load(const char *cert_path, const char *key_place, struct key_source *keys, struct err *err);
/* A CA whose key is elsewhere: it has certificates and dates, and no key (ca_signer_key is NULL). */
struct ca_signer *ca_signer_load_keyless(const char *cert_path, struct err *err);
/* A root of its own for those who have no PKI: EC P-384, ten years, no CA below it.  Where the certificate is there nothing happens; a key without one (a kill
 * between the two) is used. */
int ca_signer_make(const char *cert_path, const char *key_path, const char *name, int64_t now, struct err *err);
void ca_signer_free(struct ca_signer *signer);
OWN_DEFINE(ca_signer);

const struct certs *ca_signer_chain(const struct ca_signer *signer); /* the CA first */
const struct key *ca_signer_key(
	const struct ca_signer *signer);		  /* for lists and answers that it signs; borrowed; NULL: it is elsewhere */
int64_t ca_signer_begins(const struct ca_signer *signer); /* when all of the chain is valid: seconds UTC */
int64_t ca_signer_ends(const struct ca_signer *signer);
/* To be written down and given out: its key is not to be asked for (issue_cert_bytes). */
struct cert *ca_signer_sign(
	const struct ca_signer *signer, const struct profile *profile, EVP_PKEY *subject_public, struct err *err);

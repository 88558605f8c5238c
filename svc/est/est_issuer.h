/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A CA that an EST server issues by, from its table [issuer.NAME]. */

#include "ca/ca_signer.h"
#include "ca/trust_dir.h"
#include "est/est_upstream.h"
#include "pki/chain.h"
#include "wire/toml.h"

struct est_issuer {
	char *name;
	struct ca_signer *signer;
	bool signer_is_borrowed;
	struct est_upstream *upstream; /* NULL: the signer has the key */
	struct certs shown;	       /* for /cacerts: the CA, those above it and the root, and what a root rollover adds */
	int64_t crl_lifetime_s;
	char *crl_url, *ocsp_url; /* that stand in its certificates; NULL: none */
	char *trust_dir;	  /* where its roots roll over (ca/trust_dir.h); NULL: they don't */
	char trust_stamp[TRUST_DIR_STAMP_LEN];
	char *retired;		 /* which of its roots have retired, as devices are told (pki/root_line.h); NULL: none */
	struct anchors *anchors; /* the CA itself: who shows a certificate of it renews that */
};
void est_issuer_clear(struct est_issuer *issuer);
/* On failure what was read is still to be cleared. */
int est_issuer_load(struct est_issuer *out, const struct toml *table, struct key_source *keys, struct err *err);

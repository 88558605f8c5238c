/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who signs a certificate that is made here: the issuer that the request names, or what the method configured for its id says (edge-services 4.2). */

#include <jansson.h>

#include "certd/cert_store.h"
#include "keyd/client.h"
#include "pki/issue.h"

struct signer {
	struct certs chain; /* the issuer's certificate first; empty: self-signed */
	struct key *key;
};
void signer_clear(struct signer *signer);

struct signer_query {
	struct cert_store *store;
	struct keyd_client *keyd;
	const char *id, *name;		       /* name: of the certificate that this one is made to follow; or the id */
	const json_t *config;		       /* what cert_issuance has for the name, or NULL */
	const char *issuer_id, *issuer_handle; /* NULL: by configuration */
	const struct csr *csr;
};

/* ERR_INVALID, ERR_MISSING: the caller's doing; ERR_BROKEN: the configuration's. */
int signer_choose(struct signer *out, const struct signer_query *query, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How certd makes certificates (edge-services 4): by the issuer that the request names, or by the method configured for the id. */

#include <jansson.h>

#include "certd/cert_store.h"
#include "certd/est.h"
#include "certd/turns.h"
#include "keyd/client.h"

struct issuance {
	struct cert_store *store;
	struct keyd_client *keyd;
	struct est *est;
	struct renewals *renewals; /* of the local CA, where it is issued itself */
	struct turns *turns;	   /* of whoever makes or changes a certificate */
	const json_t *
		config; /* {"<id>": {"method": "self_signed"|"local_ca"|"est", "common_name" or "subject", "expiry_days"}}, borrowed */
};

struct issuance_request {
	const char *id, *csr;
	const char *issuer_id, *issuer_handle; /* NULL: by configuration */
};

/* The new chain, appended to pem; it is stored under the id before this returns. */
int issuance_create(const struct issuance *issuance, const struct issuance_request *request, struct buf *pem, struct err *err);

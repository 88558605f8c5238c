/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Certificates from EST servers (edge-services 8): as whom the server is asked, the identity that certd gets and keeps for that, and what is believed of the answer.
 *
 * Where a bootstrap identity is configured, certd has the EST identity issued by it, renews it with itself while it is good, and with the bootstrap identity once it has ended: a device
 * that was off for longer than its identity lasted needs no person.  Nothing that is good is replaced by what was not judged (pki/issued.h), and a crash at any point leaves a pair of
 * certificate and key that belong together. */

#include <jansson.h>

#include "certd/cert_store.h"
#include "keyd/client.h"
#include "pki/issued.h"

struct est;

struct est_config {
	struct cert_store *store;
	struct keyd_client *keyd;
	const json_t *cert_issuance; /* borrowed */
	const char *dir;	     /* for requests that are not decided yet */
	const char *system_roots;    /* a file, for servers that no certificate is configured for; or NULL */
};

/* Renews identities by itself from now on. */
struct est *est_new(const struct est_config *config, struct err *err);
void est_stop(struct est *est); /* what is under way ends soon, and fails */
void est_free(struct est *est);

/* Around all that waits for a server, the lock of an id too: of the service's workers a few may, so that the others are there for whoever needs none.  ERR_UNAVAILABLE: enough do. */
int est_enter(struct est *est, struct err *err);
void est_leave(struct est *est);
/* The chain for this request, appended to pem.  The caller holds the lock of the id. */
int est_issue(struct est *est, const char *id, const struct csr *csr, enum issued_use use, struct buf *pem, struct err *err);

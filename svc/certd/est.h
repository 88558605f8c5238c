/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Certificates from EST servers (edge-services 8): which server is asked as whom (est_account.h), the identity that certd gets and keeps for that (est_identity.h), and one request and what
 * is believed of its answer (est_enrolment.h). */

#include <jansson.h>

#include "certd/est_pair.h"
#include "common/renewals.h"
#include "pki/issued.h"

struct est;

struct est_config {
	struct cert_store *store;
	struct keyd_client *keyd;
	const json_t *cert_issuance; /* borrowed */
	const char *dir;	     /* for requests that are not decided yet */
	const char *system_roots;    /* a file, for servers that no certificate is configured for; or NULL */
	struct renewals *renewals;   /* borrowed; identities are added to it, and used until it has stopped */
};

struct est *est_new(const struct est_config *config, struct err *err);
void est_stop(struct est *est); /* what is under way ends soon, and fails */
void est_free(struct est *est);

/* As each identity that is there and good; whatever comes of it the others have their turn.  1: all had it, 0: some are not there, -1: one has failed, in err. */
int est_each_identity(
	struct est *est, int (*each)(void *arg, const struct est_pair *as, struct err *err), void *arg, struct err *err);

/* Around all that waits for a server, the turn of an id too: of the service's workers some may, so that the others are there for whoever needs none.  ERR_UNAVAILABLE: enough do. */
#define EST_UNDER_WAY_MAX 8
int est_enter(struct est *est, struct err *err);
void est_leave(struct est *est);
/* The chain for this request, appended to pem.  The caller has the turn of the id. */
int est_issue(struct est *est, const char *id, const struct csr *csr, enum issued_use use, struct buf *pem, struct err *err);

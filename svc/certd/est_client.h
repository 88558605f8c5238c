/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One EST server (RFC 7030) from a client's side: an operation is one exchange of HTTPS, whose answer is read and not yet believed (pki/issued.h).  Blocks, so call it on a worker. */

#include <stdatomic.h>

#include "pki/cert.h"
#include "pki/chain.h"
#include "pki/est_attributes.h"
#include "pki/issue.h"

struct est_client {
	const char *url; /* the folder of the operations: "https://est.local/.well-known/est", perhaps with a label behind it */
	const char *username, *password; /* NULL: no HTTP authentication */
	struct anchors *anchors;	 /* what this server is trusted by */
	const struct certs *chain;	 /* own certificate, or NULL */
	const struct key *key;
	const atomic_bool *cancelled; /* or NULL */
};

/* Failures: ERR_DENIED is the server that isn't trusted or says no (401, 403), ERR_INVALID a request that it refuses or an answer that is none of EST, ERR_LIMIT one that is too
 * large, ERR_UNAVAILABLE all that may be better later. */
int est_client_cas(const struct est_client *client, struct certs *out, struct err *err);
/* What the server wishes of requests; a server without that operation wishes nothing. */
int est_client_attributes(const struct est_client *client, struct est_attributes *out, struct err *err);

enum est_outcome {
	EST_ISSUED,
	EST_PENDING,	     /* somebody decides first: ask again with the same request */
	EST_UNAUTHENTICATED, /* 401: the credential isn't accepted */
	EST_NO_OPERATION,    /* 404, 405, 501 */
	EST_FAILED,
};
/* operation: "simpleenroll" or "simplereenroll".  The sentence is in err for all but EST_ISSUED. */
enum est_outcome est_client_enroll(const struct est_client *client, const char *operation, const struct csr *csr, struct certs *out,
	int64_t *retry_after_s, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One EST server (RFC 7030) from a client's side: an operation is one exchange of HTTPS, whose answer is read and not yet believed (pki/issued.h).  Blocks, so call it on a worker. */

#include <stdatomic.h>

#include "net/http_client.h"
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
	const char *who;	      /* asks, for verdicts; NULL: certd */
	bool keeps_roots; /* what est_client_cas gets is trusted by the caller from then on: else the server is told that it is not (docs/trust.md) */
	const char *
		holds; /* instead: which roots the caller trusts, whatever it gets, as root_line_put_fingerprint writes them; or NULL */
	const char *connect_to;	      /* NULL, or where the server is, instead of where its name says */
	struct http_session *session; /* or NULL: a connection for each operation */
};

/* Failures: ERR_DENIED is the server that isn't trusted or says no (401, 403), ERR_INVALID a request that it refuses or an answer that is none of EST, ERR_LIMIT one that is too
 * large, ERR_UNAVAILABLE all that may be better later. */
int est_client_cas(const struct est_client *client, struct certs *out, struct err *err);
/* The same, and which roots have retired, as the server says it (pki/root_line.h); NULL: it does not.  The caller owns the text. */
int est_client_roots(const struct est_client *client, struct certs *out, char **retired, struct err *err);
/* What the server wishes of requests; a server without that operation wishes nothing. */
int est_client_attributes(const struct est_client *client, struct est_attributes *out, struct err *err);

/* What says in a request which TLS session it is made for: of the session's connection, which is made if need be.  The caller owns the text. */
char *est_client_challenge(const struct est_client *client, struct err *err);

enum est_outcome {
	EST_ISSUED,
	EST_PENDING,	     /* somebody decides first: ask again with the same request */
	EST_UNAUTHENTICATED, /* 401: the credential isn't accepted */
	EST_NO_OPERATION,    /* 404, 405, 501 */
	EST_FAILED,
};
struct est_request {
	const char *operation; /* "simpleenroll" or "simplereenroll" */
	const struct csr *csr;
	bool is_bound; /* it has the challenge of the session's connection */
};
/* The sentence is in err for all but EST_ISSUED. */
enum est_outcome est_client_enroll(const struct est_client *client, const struct est_request *request, struct certs *out,
	int64_t *retry_after_s, struct err *err);

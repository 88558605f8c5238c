/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the hub's own issuing CA tells anybody of its certificates, as an EST server does of its own (est/est_status.h): its revocation list at /crl/issuing.crl, OCSP at /ocsp-issuing.  On the
 * HTTPS port, and without TLS on that of --http-port, beside what the EST server inside has. */

#include "est/est_service.h"
#include "hub/provisioning/issuing.h"
#include "net/loop.h"

struct hub_issuing_status_config {
	const char *state_dir;
	struct issuing *issuing; /* borrowed */
	struct loop *loop;	 /* whose clock looks after it */
};
struct hub_issuing_status;
struct hub_issuing_status *hub_issuing_status_open(const struct hub_issuing_status_config *config, struct err *err);
void hub_issuing_status_start(struct hub_issuing_status *status); /* on the thread of its loop, or before it runs; NULL is fine */
/* False: it is for somebody else.  status NULL: always. */
bool hub_issuing_status_serve(struct hub_issuing_status *status, struct http_request *req);
void hub_issuing_status_stop(struct hub_issuing_status *status); /* waits for its worker; before the loops are freed */
void hub_issuing_status_close(struct hub_issuing_status *status);

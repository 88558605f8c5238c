/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an issuing CA, the hub's or that of provisioning alone, tells anybody of its certificates, as an EST server does of its own (est/est_status.h): its revocation list at /crl/issuing.crl, OCSP at /ocsp-issuing.  On the
 * HTTPS port, and without TLS on that of --http-port; at a hub beside what the EST server inside has. */

#include "est/est_service.h"
#include "hub/provisioning/issuing.h"
#include "net/loop.h"

struct issuing_status_config {
	const char *state_dir;
	struct issuing *issuing; /* borrowed */
	struct loop *loop;	 /* whose clock looks after it */
};
struct issuing_status;
struct issuing_status *issuing_status_open(const struct issuing_status_config *config, struct err *err);
void issuing_status_start(struct issuing_status *status); /* on the thread of its loop, or before it runs; NULL is fine */
/* False: it is for somebody else.  status NULL: always. */
bool issuing_status_serve(struct issuing_status *status, struct http_request *req);
void issuing_status_stop(struct issuing_status *status); /* waits for its worker; before the loops are freed */
void issuing_status_close(struct issuing_status *status);

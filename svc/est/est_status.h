/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an EST server tells anybody of its certificates, over HTTPS or plain HTTP, since all of it is signed: revocation lists (/crl/NAME.crl) and OCSP (/ocsp, RFC 6960 appendix A). */

#include "base/pool.h"
#include "est/est_revocation.h"
#include "net/http_server.h"

struct est_status {
	struct est_revocation *revocation;
	struct pool *workers; /* NULL: it ends */
};
bool est_status_wants(const struct http_request *req);
/* On its loop; the configuration is taken over. */
void est_status_handle(const struct est_status *status, struct http_request *req, struct est_config *config_take);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One request brought to its end at an EST server: the server's CA certificates, the request, and the judgement of what comes back (pki/issued.h). */

#include "certd/est_server.h"
#include "pki/issued.h"

struct est_enrolment {
	const char *id;
	struct est_request request;
	enum issued_use use;
};

/* The chain, leaf first; added to when it is EST_ISSUED. */
enum est_outcome est_enrol(const struct est_context *ctx, struct est_server *server, const struct est_enrolment *enrolment,
	struct certs *chain, struct err *err);

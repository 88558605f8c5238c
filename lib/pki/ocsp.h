/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Answers to OCSP requests (RFC 6960), signed by the CA itself.  What a number's state is says whoever keeps the journal. */

#include "pki/cert.h"
#include "pki/crl.h"

#define OCSP_REQUEST_MAX 4096
#define OCSP_ANSWER_MAX 16384

enum ocsp_state { OCSP_IS_GOOD, OCSP_IS_REVOKED, OCSP_IS_UNKNOWN };
struct ocsp_finding {
	enum ocsp_state state;
	int64_t when; /* IS_REVOKED */
	enum crl_reason reason;
};
struct ocsp_ca {
	const struct cert *cert;
	const struct key *key;
};
struct ocsp_desk {
	const struct ocsp_ca *cas;
	size_t n_cas;
	/* serial: hex in upper case, of the CA.  -1: it could not be found out, which is answered so. */
	int (*find)(void *arg, const struct ocsp_ca *ca, const char *serial, struct ocsp_finding *out);
	void *arg;
};

/* Always an answer, which may be that the request can't be read or is about no CA of ours; -1 with err when none can be made. */
int ocsp_answer(
	struct buf *out, const void *request, size_t len, const struct ocsp_desk *desk, int64_t now, int64_t next, struct err *err);

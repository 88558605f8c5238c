/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Is this the certificate that was asked for?  What a CA of somebody else's answers is judged before it replaces anything: for the key of the request and its name, for the purpose it was
 * asked for, valid now, under a CA that this server names.  Pure: no I/O, no clock. */

#include "diag/verdict.h"
#include "pki/cert.h"
#include "pki/issue.h"

enum issued_use { ISSUED_LEAF, ISSUED_CLIENT, ISSUED_SERVER, ISSUED_CA };

struct issued_query {
	const struct csr *csr;
	enum issued_use use;
	const struct certs *answer; /* in whatever order, with whatever beside it */
	const struct certs *cas;    /* what the server's certificates lead to */
	int64_t now;
};

/* When *v stays accepted: the certificate first, each followed by its issuer, then what is left of `cas` (the roots of a roll-over). */
void issued_judge(struct certs *chain, struct verdict *v, const struct issued_query *query);

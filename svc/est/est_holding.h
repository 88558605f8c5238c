/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside est: who has fetched the CA certificates with a certificate of his own has the roots that were among them, or those that he says, and that is written down (est_store.h), for whoever wants to retire a root.
 * It is written after the answer: a crash in between leaves one who holds a root and is not counted, never the other way round. */

#include "base/pool.h"
#include "est/est_judge.h"
#include "est/est_revocation.h"

struct est_holding_desk {
	struct pool *workers;
	struct est_store *store;
	struct est_revocation *revocation;
};
/* Of a client that was sent these certificates, which may be others than those of the configuration by which it is judged: that may be a later one.  What can't be looked into now is overlooked;
 * the client comes again. */
struct est_holding_visit {
	struct est_config *config; /* taken */
	const struct est_label *label;
	struct certs peer; /* taken */
	const struct certs *sent;
	const char *
		said; /* which roots it says it trusts, in fingerprints, whatever it was sent; NULL: it keeps what it was sent.  Anything else says nothing */
};
void est_holding_note(const struct est_holding_desk *desk, const struct est_holding_visit *visit, struct owner *owner);

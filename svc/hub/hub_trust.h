/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a session at the hub stands on, and its end when that is withdrawn.  Trust is withdrawn in two ways, because a record can change between the decision and the moment
 * the session stands in the directory: the change closes the session that it finds, and each message looks whether anything has changed since its session was judged. */

#include "auth/trust.h"
#include "heads/head.h"
#include "hub/hub_evidence.h"
#include "hub/hub_revocation.h"
#include "hub/registry/ca.h"
#include "net/tls.h"

/* -- What one session stands on: there are as many as connections, so no record and no key ---------------------------------------- */

struct standing {
	struct subject subject;
	struct trust trust;
	struct speaker *speaker; /* a gateway that speaks for it; NULL: it speaks for itself */
	uint64_t epoch;		 /* of the registry, when it was last looked at */
};
/* It was let in on this evidence, by that leaf (NULL: none was needed), for which `vouched` (NULL: none) answers.  The epoch is that of before the evidence was found. Returns
 * the thumbprint that counted, which is the evidence's, or NULL. */
const char *standing_init(struct standing *standing, const struct evidence *evidence, const struct cert *leaf,
	const struct authority *vouched, uint64_t epoch);
void standing_clear(struct standing *standing);

/* -- Withdrawal ---------------------------------------------------------------------------------------------------------------------- */

struct hub_trust {
	struct registry *registry; /* borrowed, like all of it */
	struct ca_registry *cas;
	struct hub_revocation *revocation;
	struct directory *directory;
	struct tls_cache *tls_cache;
	struct standing *(*standing_of)(struct head_session *session); /* on its loop */
};
/* Watches the registry and the CAs from now on; `trust` stays where it is. */
void hub_trust_watch(struct hub_trust *trust);
/* OK while nothing has changed that it stands on. */
enum reason hub_trust_check(const struct hub_trust *trust, struct standing *standing);

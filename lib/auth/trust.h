/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* By what a session was let in, and whether it would still be: the record as it was judged, and which thumbprint or CA counted.  So a slot that is filled, or a
 * CA that leaves, ends the sessions that stood on it and no others. */

#include "auth/authority.h"

struct trust {
	struct identity *identity; /* as it was judged */
	char *thumbprint;	   /* of the slot that counted; NULL: none did */
	uint8_t ca[DIGEST_SHA256_LEN];
	bool by_ca;
};
/* The identity was let in with this certificate (NULL: with a token), for which `vouched` (NULL: none) answers. */
void trust_init(struct trust *trust, const struct identity *identity, const struct cert *leaf, const struct authority *vouched);
void trust_clear(struct trust *trust);

/* OK, or why it would not be let in any more.  now: its record, NULL when it is gone. */
enum reason trust_check(const struct trust *trust, const struct identity *now, const struct authorities *cas);

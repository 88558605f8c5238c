/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* By what a session was let in, and whether it would still be: what of the record was judged, as a digest (identity_ground), and which thumbprint or CA counted.  So a slot that is
 * filled, or a CA that leaves, ends the sessions that stood on it and no others, and an open session holds no record and no key. */

#include "auth/authority.h"
#include "pki/revocations.h"

#define TRUST_ABOVE_MAX 3

struct trust {
	uint8_t ground[DIGEST_SHA256_LEN];
	uint8_t ca[DIGEST_SHA256_LEN];
	uint8_t leaf[REVOCATION_ID_LEN];		   /* of the certificate that was shown, when one counted */
	uint8_t above[TRUST_ABOVE_MAX][REVOCATION_ID_LEN]; /* of the CAs between it and the one that vouched, and of that */
	uint8_t n_above : 6;
	bool by_thumbprint : 1, by_ca : 1;
};
/* The identity was let in with this certificate (NULL: with a token), for which `vouched` (NULL: none) answers.  Returns the thumbprint that counted, which is the identity's;
 * NULL: none did. */
const char *trust_init(
	struct trust *trust, const struct identity *identity, const struct cert *leaf, const struct authority *vouched);

/* With a CA that vouches: who is below a CA that is revoked is revoked with it.  The chain is as it was shown, the leaf first; of a longer one than there is room for the first counts. */
void trust_stand_below(struct trust *trust, const struct certs *chain, const struct authority *vouched);

/* OK, or why it would not be let in any more.  now: its record, NULL when it is gone. */
enum reason trust_check(
	const struct trust *trust, const struct identity *now, const struct authorities *cas, const struct revocations *revoked);

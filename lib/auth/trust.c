/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a session's ground still holds (trust.h).  Rules only. */
#include "auth/trust.h"

#include <string.h>

#include "auth/thumbprint.h"
#include "base/mem.h"

static const char *
thumbprint_of(const struct identity *identity, const struct cert *leaf)
{
	for (int i = 0; leaf && identity->auth == IDENTITY_AUTH_THUMBPRINT && i < 2; i++)
		if (thumbprint_compare(identity->thumbprints[i], leaf) != THUMBPRINT_DIFFERS)
			return identity->thumbprints[i];
	return NULL;
}

const char *
trust_init(struct trust *trust, const struct identity *identity, const struct cert *leaf, const struct authority *vouched)
{
	const char *thumbprint = thumbprint_of(identity, leaf);

	*trust = (struct trust){ .by_thumbprint = thumbprint != NULL, .by_ca = vouched != NULL };
	identity_ground(identity, thumbprint, trust->ground);
	if (leaf && (trust->by_thumbprint || trust->by_ca))
		revocation_id(leaf, trust->leaf);
	if (vouched)
		memcpy(trust->ca, cert_sha256(vouched->cert), sizeof(trust->ca));
	return thumbprint;
}

static bool
is_ground(const struct trust *trust, const struct identity *now, const char *thumbprint)
{
	uint8_t ground[DIGEST_SHA256_LEN];

	identity_ground(now, thumbprint, ground);
	return mem_equal_ct(ground, trust->ground, sizeof(ground));
}

/* The thumbprint that counted may stand in either slot. */
static bool
holds(const struct trust *trust, const struct identity *now)
{
	if (!trust->by_thumbprint)
		return is_ground(trust, now, NULL);
	for (int i = 0; i < 2; i++)
		if (now->thumbprints[i] && is_ground(trust, now, now->thumbprints[i]))
			return true;
	return false;
}

enum reason
trust_check(const struct trust *trust, const struct identity *now, const struct authorities *cas, const struct revocations *revoked)
{
	const struct authority *ca;

	if (!now || !holds(trust, now))
		return SESSION_WITHDRAWN;
	if ((trust->by_thumbprint || trust->by_ca) && revocations_have_id(revoked, trust->leaf))
		return CERT_REVOKED;
	if (!trust->by_ca)
		return OK;
	ca = cas ? authorities_find(cas, trust->ca) : NULL;
	return ca && authority_scope_covers(&ca->scope, now) ? OK : CA_WITHDRAWN;
}

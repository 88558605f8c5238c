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

static void
add_above(struct trust *trust, const struct cert *ca)
{
	if (trust->n_above < TRUST_ABOVE_MAX)
		revocation_id(ca, trust->above[trust->n_above++]);
}

void
trust_stand_below(struct trust *trust, const struct certs *chain, const struct authority *vouched)
{
	if (!vouched)
		return;
	add_above(trust, vouched->cert);
	for (size_t i = 1; i < chain->n; i++)
		if (!cert_is_same(chain->item[i], vouched->cert))
			add_above(trust, chain->item[i]);
}

static bool
is_revoked(const struct trust *trust, const struct revocations *revoked)
{
	bool is = (trust->by_thumbprint || trust->by_ca) && revocations_have_id(revoked, trust->leaf);

	for (uint8_t i = 0; !is && i < trust->n_above; i++)
		is = revocations_have_id(revoked, trust->above[i]);
	return is;
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

	if (!now)
		return SESSION_REMOVED;
	if (!now->enabled)
		return SESSION_DISABLED;
	if (!holds(trust, now))
		return SESSION_WITHDRAWN;
	if (is_revoked(trust, revoked))
		return CERT_REVOKED;
	if (!trust->by_ca)
		return OK;
	ca = cas ? authorities_find(cas, trust->ca) : NULL;
	return ca && authority_scope_covers(&ca->scope, now) ? OK : CA_WITHDRAWN;
}

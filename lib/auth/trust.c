/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a session's ground still holds (trust.h).  Rules only. */
#include "auth/trust.h"

#include <string.h>

#include "auth/thumbprint.h"
#include "base/mem.h"

void
trust_init(struct trust *trust, const struct identity *identity, const struct cert *leaf, const struct authority *vouched)
{
	*trust = (struct trust){ .identity = identity_ref(identity), .by_ca = vouched != NULL };
	if (vouched)
		memcpy(trust->ca, cert_sha256(vouched->cert), sizeof(trust->ca));
	for (int i = 0; leaf && identity->auth == IDENTITY_AUTH_THUMBPRINT && !trust->thumbprint && i < 2; i++)
		if (thumbprint_compare(identity->thumbprints[i], leaf) != THUMBPRINT_DIFFERS)
			trust->thumbprint = mem_text(identity->thumbprints[i]);
}

void
trust_clear(struct trust *trust)
{
	identity_free(trust->identity);
	mem_free(trust->thumbprint);
	*trust = (struct trust){ 0 };
}

enum reason
trust_check(const struct trust *trust, const struct identity *now, const struct authorities *cas)
{
	const struct authority *ca;

	if (!now || !identity_same_trust_by(trust->identity, now, trust->thumbprint))
		return SESSION_WITHDRAWN;
	if (!trust->by_ca)
		return OK;
	ca = cas ? authorities_find(cas, trust->ca) : NULL;
	return ca && authority_scope_covers(&ca->scope, now) ? OK : CA_WITHDRAWN;
}

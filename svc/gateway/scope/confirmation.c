/* SPDX-License-Identifier: Apache-2.0 */
/* Ages (confirmation.h). */
#include "gateway/scope/confirmation.h"

struct confirmation
confirmation_kept(int64_t wall, int64_t known_s, int64_t boot_ms)
{
	return (struct confirmation){ .wall = wall, .boot_ms = boot_ms, .known_s = known_s > 0 ? known_s : 0, .is_kept = true };
}

int64_t
confirmation_known_s(const struct confirmation *c, int64_t boot_ms)
{
	return c->known_s + (boot_ms - c->boot_ms) / 1000;
}

int64_t
confirmation_age_s(const struct confirmation *c, int64_t wall, int64_t boot_ms)
{
	int64_t known = confirmation_known_s(c, boot_ms);

	return c->is_kept && wall - c->wall > known ? wall - c->wall : known;
}

bool
confirmation_is_later(const struct confirmation *a, const struct confirmation *b)
{
	if (a->is_kept != b->is_kept)
		return b->is_kept;
	return a->is_kept ? a->known_s < b->known_s : a->boot_ms > b->boot_ms;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A digest of the id is a point on the line of all weights, one hub's behind the other's. */
#include "hub/provisioning/allocation.h"

#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/enrollment.h"

static uint64_t
point_of(const char *registration_id, uint64_t total)
{
	OWN_TEXT folded = enrollment_id_fold(registration_id);
	uint8_t hash[DIGEST_SHA256_LEN];
	uint64_t point = 0;

	digest_sha256(folded, strlen(folded), hash);
	for (size_t i = 0; i < sizeof(point); i++)
		point = point << 8 | hash[i];
	return point % total;
}

size_t
allocation_pick(const char *policy, const int64_t *weights, size_t n, const char *registration_id)
{
	uint64_t total = 0, point;

	for (size_t i = 0; i < n; i++)
		total += (uint64_t)weights[i];
	if (text_is(policy, "static") || total == 0)
		return 0;
	point = point_of(registration_id, total);
	for (size_t i = 0; i < n; i++) {
		if (point < (uint64_t)weights[i])
			return i;
		point -= (uint64_t)weights[i];
	}
	return 0;
}

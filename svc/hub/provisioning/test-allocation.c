/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/mem.h"
#include "hub/provisioning/allocation.h"
#include "t.h"

static void
spread(const char *policy, const int64_t *weights, size_t n, size_t *counts)
{
	char id[32];

	for (int i = 0; i < 10000; i++) {
		snprintf(id, sizeof(id), "device-%d", i);
		counts[allocation_pick(policy, weights, n, id)]++;
	}
}

TEST("devices are spread over hubs by their weights, none to a weight of 0")
{
	static const int64_t weights[] = { 1, 0, 3 };
	size_t counts[3] = { 0 };

	spread("hashed", weights, 3, counts);
	CHECK(counts[1] == 0);
	CHECK(counts[0] > 2300 && counts[0] < 2700);
	CHECK(counts[0] + counts[2] == 10000);
}

TEST("one id is always the same hub's, however it is written, and static is the first one's")
{
	static const int64_t weights[] = { 5, 7, 11 };
	size_t counts[3] = { 0 };

	CHECK(allocation_pick("hashed", weights, 3, "Pump-17") == allocation_pick("geoLatency", weights, 3, "pUMP-17"));
	spread("static", weights, 3, counts);
	CHECK(counts[0] == 10000);
}

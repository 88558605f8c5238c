/* SPDX-License-Identifier: Apache-2.0 */
/* Who may have how much of a queue that is nearly full. */
#include "gateway/queue/queue_share.h"

#include "t.h"

#define MAX 1600
#define QUARTER (MAX / 4)

static bool
take(struct queue_share *share, const char *device_id, const char *module_id, uint64_t size, uint64_t *used)
{
	struct message m = { .device_id = slice_of(device_id), .module_id = slice_of(module_id) };

	if (!queue_share_take(share, &m, size, *used, MAX))
		return false;
	*used += size;
	return true;
}

/* As many bytes as it gets, ten by ten. */
static uint64_t
flood(struct queue_share *share, const char *device_id, const char *module_id, uint64_t *used)
{
	uint64_t before = *used;

	while (take(share, device_id, module_id, 10, used))
		;
	return *used - before;
}

TEST("three quarters are whoever's, of the last one each takes half of what is left, and who sends little has room")
{
	OWN(queue_share) share = queue_share_new();
	uint64_t used = 0;

	CHECK_INT(flood(share, "a", "", &used), MAX - QUARTER + QUARTER / 2);
	CHECK_INT(flood(share, "b", "", &used), QUARTER / 4);
	CHECK_INT(flood(share, "b", "m", &used), QUARTER / 8);
	for (int i = 0; i < 2; i++)
		CHECK(take(share, "quiet", "", 10, &used));
	CHECK(!take(share, "a", "", 10, &used));
	CHECK(used < MAX);
}

TEST("nobody takes more than there is")
{
	OWN(queue_share) share = queue_share_new();
	uint64_t used = MAX - 5;

	CHECK(!take(share, "a", "", 6, &used));
	CHECK(!take(share, "a", "", MAX + 1, &(uint64_t){ 0 }));
	CHECK(take(share, "a", "", 5, &used));
	CHECK(!take(share, "a", "", 1, &used));
	used = MAX + 1; /* routes have lowered it */
	CHECK(!take(share, "b", "", 1, &used));
}

TEST("when there is room again all begin anew; when there is a little more, he who was refused goes on")
{
	OWN(queue_share) share = queue_share_new();
	uint64_t used = MAX - QUARTER;

	CHECK_INT(flood(share, "a", "", &used), QUARTER / 2);
	used -= 20;
	CHECK_INT(flood(share, "a", "", &used), 10);
	used = 0;
	CHECK_INT(flood(share, "a", "", &used), MAX - QUARTER + QUARTER / 2);
}

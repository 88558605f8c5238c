/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "hub/refusals.h"
#include "t.h"

static struct identity *
device(const char *id, const char *generation)
{
	struct identity *identity = identity_new(id, NULL);

	identity->generation_id = mem_text(generation);
	return identity;
}

static void
refuse(struct refusals *refusals, const char *id, const char *generation, const char *found, int64_t now)
{
	OWN(verdict) v = verdict_new("hub", "Is it?", id);
	OWN(identity) who = device(id, generation);

	verdict_fail(v, SAS_EXPIRED, "token", "expiry", "later", found);
	refusals_keep(refusals, who, v, now);
}

static bool
has(struct refusals *refusals, const char *id, const char *generation, const char *words, int64_t want)
{
	OWN(identity) who = device(id, generation);
	int64_t when = 0;
	OWN_TEXT json = refusals_find(refusals, who, &when);

	return json && strstr(json, words) && when == want;
}

TEST("the last refusal of a device is kept, and that of another takes the place of the oldest")
{
	struct refusals *refusals = refusals_new(2);

	refuse(refusals, "one", "1", "first", 10);
	refuse(refusals, "two", "1", "second", 11);
	refuse(refusals, "one", "1", "third", 12);
	CHECK(has(refusals, "one", "1", "third", 12) && has(refusals, "two", "1", "second", 11));
	refuse(refusals, "three", "1", "fourth", 13);
	CHECK(!has(refusals, "one", "1", "", 12));
	CHECK(has(refusals, "two", "1", "second", 11) && has(refusals, "three", "1", "fourth", 13));
	refusals_free(refusals);
}

TEST("a device that was made again is not told what the one before was refused for")
{
	struct refusals *refusals = refusals_new(4);

	refuse(refusals, "one", "1", "first", 10);
	CHECK(!has(refusals, "one", "2", "", 10));
	refusals_free(refusals);
}

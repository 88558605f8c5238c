/* SPDX-License-Identifier: Apache-2.0 */
/* Which twins are remembered. */
#include "gateway/twins/twin_memory.h"

#include "base/mem.h"
#include "t.h"

static void
give(struct twin_memory *m, const char *name, const char *generation)
{
	twin_memory_give(m, name, kept_twin_new(generation));
}

static bool
has(struct twin_memory *m, const char *name, const char *generation)
{
	OWN(kept_twin) twin = twin_memory_take(m, name);

	return twin && kept_twin_is_of(twin, generation);
}

TEST("what was given last is there under its name, once, until it is taken")
{
	struct twin_memory m = { 0 };

	give(&m, "dev1", "g1");
	give(&m, "dev2", "g2");
	give(&m, "dev1", "g3");
	CHECK(!has(&m, "dev3", "g1"));
	CHECK(has(&m, "dev1", "g3"));
	CHECK(!has(&m, "dev1", "g1"));
	CHECK(has(&m, "dev2", "g2"));
	twin_memory_clear(&m);
}

TEST("the one that was not used for longest makes place")
{
	struct twin_memory m = { 0 };
	char name[16];

	for (int i = 0; i <= TWIN_MEMORY_MAX; i++) {
		snprintf(name, sizeof(name), "dev%d", i);
		give(&m, name, "g");
		if (i == 1) /* dev0 is used again */
			twin_memory_give(&m, "dev0", twin_memory_take(&m, "dev0"));
	}
	CHECK(has(&m, "dev0", "g"));
	CHECK(!has(&m, "dev1", "g"));
	CHECK(has(&m, name, "g"));
	twin_memory_clear(&m);
}

TEST("who is forgotten, or all, are not in it any more")
{
	struct twin_memory m = { 0 };

	give(&m, "dev1", "g");
	give(&m, "dev2", "g");
	give(&m, "dev3", "g");
	twin_memory_forget(&m, "dev2");
	twin_memory_forget(&m, "dev4");
	CHECK(!has(&m, "dev2", "g"));
	CHECK(has(&m, "dev3", "g"));
	twin_memory_clear(&m);
	CHECK(!has(&m, "dev1", "g"));
}

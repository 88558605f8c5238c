/* SPDX-License-Identifier: Apache-2.0 */
/* What the hub was asked about a moment ago. */
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/scope/asked.h"
#include "t.h"

#define LONG_MS 3600000
#define DEADLINE_MS 20000

TEST("a claim is asked about once, also by those who come while that is open, and again with another credential or for another "
     "name")
{
	struct asked *a = asked_new(LONG_MS);

	CHECK(asked_may(a, "dev1", "old", 3));
	CHECK(asked_may(a, "dev1", "old", 3)); /* it waits for the same answer */
	asked_close(a, "dev1", "old", 3, true);
	CHECK(!asked_may(a, "dev1", "old", 3));
	CHECK(asked_may(a, "dev1", "new", 3));
	CHECK(asked_may(a, "dev2", "old", 3));
	CHECK(asked_may(a, "dev1", "", 0));
	CHECK(!asked_may(a, "dev1", "old", 3));
	asked_free(a);
}

TEST("name and credential do not run into each other")
{
	struct asked *a = asked_new(LONG_MS);

	CHECK(asked_may(a, "dev1", "2token", 6));
	CHECK(asked_may(a, "dev12", "token", 5));
	asked_free(a);
}

TEST("a claim may be asked about again after its time")
{
	struct asked *a = asked_new(20);
	int64_t start = clock_boot_ms();

	CHECK(asked_may(a, "dev1", "token", 5));
	asked_close(a, "dev1", "token", 5, true);
	while (!asked_may(a, "dev1", "token", 5))
		CHECK(clock_boot_ms() - start < DEADLINE_MS);
	CHECK(clock_boot_ms() - start >= 20);
	asked_free(a);
}

TEST("what got no answer is asked about again at once")
{
	struct asked *a = asked_new(LONG_MS);

	CHECK(asked_may(a, "dev1", "token", 5));
	asked_close(a, "dev1", "token", 5, false);
	CHECK(asked_may(a, "dev1", "token", 5));
	asked_close(a, "dev1", "token", 5, true);
	CHECK(!asked_may(a, "dev1", "token", 5));
	asked_free(a);
}

TEST("that a device is below another gateway is remembered by its name, and no credential looks like it")
{
	struct asked *a = asked_new(LONG_MS);

	CHECK(!asked_is_elsewhere(a, "dev1"));
	asked_note_elsewhere(a, "dev1");
	CHECK(asked_is_elsewhere(a, "dev1"));
	CHECK(!asked_is_elsewhere(a, "dev2"));
	CHECK(asked_may(a, "dev1", "token", 5));
	asked_free(a);
}

TEST("a crowd of strangers does not make it grow: the oldest are forgotten")
{
	struct asked *a = asked_new(LONG_MS);

	CHECK(asked_may(a, "dev1", "token", 5));
	for (int i = 0; i < 10000; i++) {
		OWN_TEXT name = mem_textf("stranger%d", i);

		CHECK(asked_may(a, name, "token", 5));
		asked_close(a, name, "token", 5, true);
	}
	CHECK(asked_may(a, "dev1", "token", 5));
	CHECK(!asked_may(a, "stranger9999", "token", 5));
	asked_free(a);
}

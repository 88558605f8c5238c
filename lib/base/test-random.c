/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "base/text.h"
#include "t.h"

TEST("all bytes asked for are drawn, and different ones each time")
{
	static uint8_t a[4096], b[4096];
	size_t n_zero = 0;

	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	for (size_t i = 0; i < sizeof(a); i++)
		n_zero += a[i] == 0;
	CHECK(n_zero < 100); /* 16 are expected */
	CHECK(memcmp(a, b, sizeof(a)) != 0);
	CHECK(random_u64() != random_u64());
	random_bytes(a, 0);
}

TEST("numbers below a limit stay below it and reach all of it")
{
	bool seen[7] = { false };

	for (int i = 0; i < 2000; i++) {
		uint32_t v = random_below(7);

		CHECK(v < 7);
		seen[v] = true;
	}
	for (int i = 0; i < 7; i++)
		CHECK(seen[i]);
	CHECK_INT(random_below(1), 0);
	CHECK_INT(random_below(0), 0);
	CHECK(random_below(UINT32_MAX) < UINT32_MAX);
}

TEST("a UUID is of version 4 and lower case")
{
	char uuid[RANDOM_UUID_LEN], other[RANDOM_UUID_LEN];

	CHECK(random_uuid(uuid) == uuid);
	random_uuid(other);
	CHECK_INT(strlen(uuid), 36);
	CHECK_INT(strspn(uuid, "0123456789abcdef-"), 36);
	CHECK(uuid[8] == '-' && uuid[13] == '-' && uuid[18] == '-' && uuid[23] == '-');
	CHECK(uuid[14] == '4');
	CHECK(strchr("89ab", uuid[19]) != NULL);
	CHECK(!text_is(uuid, other));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "gateway/keep/keep_sum.h"
#include "t.h"

static void
add(struct keep_sum *sum, const char *name, bool is_due, const char *blob)
{
	keep_sum_add(sum, "key", 3, name, is_due, blob, strlen(blob));
}

static bool
is_same(const struct keep_sum *a, const struct keep_sum *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

TEST("the sum is that of the rows that are there, in whatever order they came, and after others went")
{
	struct keep_sum a = { 0 }, b = { 0 }, none = { 0 };

	add(&a, "dev1", false, "one");
	add(&a, "dev2", true, "two");
	add(&b, "dev3", false, "three");
	add(&b, "dev2", true, "two");
	add(&b, "dev1", false, "one");
	CHECK(!is_same(&a, &b));
	add(&b, "dev3", false, "three");
	CHECK(is_same(&a, &b));
	add(&a, "dev1", false, "one");
	add(&a, "dev2", true, "two");
	CHECK(is_same(&a, &none));
}

TEST("another text, name, mark or key makes another sum, also where they only change places")
{
	static const struct {
		const char *name, *blob;
		bool is_due;
	} others[] = { { "dev1", "onE", false }, { "dev2", "one", false }, { "dev1", "one", true }, { "dev10", "ne", false },
		{ "dev", "1one", false } };
	struct keep_sum first = { 0 }, keyed = { 0 };

	add(&first, "dev1", false, "one");
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		struct keep_sum other = { 0 };

		add(&other, others[i].name, others[i].is_due, others[i].blob);
		CHECK(!is_same(&first, &other));
	}
	keep_sum_add(&keyed, "kez", 3, "dev1", false, "one", 3);
	CHECK(!is_same(&first, &keyed));
}

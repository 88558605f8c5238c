/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "hub/provisioning/enrollment.h"
#include "t.h"

TEST("a registration id has letters, digits and -._: and ends with a letter, a digit or a hyphen")
{
	CHECK(enrollment_id_is_valid("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"));
	CHECK(enrollment_id_is_valid("Plant.7:line_3-"));
	CHECK(!enrollment_id_is_valid("ends-with-dot."));
	CHECK(!enrollment_id_is_valid("ends-with-colon:"));
	CHECK(!enrollment_id_is_valid("ends_"));
	CHECK(!enrollment_id_is_valid("a/b"));
	CHECK(!enrollment_id_is_valid("a b"));
	CHECK(!enrollment_id_is_valid("caf\xc3\xa9"));
	CHECK(!enrollment_id_is_valid("a+"));
	CHECK(!enrollment_id_is_valid(""));
	CHECK(!enrollment_id_is_valid(NULL));
}

TEST("a registration id has at most 128 characters")
{
	char id[ENROLLMENT_ID_MAX + 2];

	memset(id, 'a', sizeof(id));
	id[ENROLLMENT_ID_MAX + 1] = '\0';
	CHECK(!enrollment_id_is_valid(id));
	id[ENROLLMENT_ID_MAX] = '\0';
	CHECK(enrollment_id_is_valid(id));
}

TEST("ids that differ in case only are kept under one name")
{
	OWN_TEXT one = enrollment_id_fold("Dev-A:1");
	OWN_TEXT other = enrollment_id_fold("DEV-a:1");

	CHECK_STR(one, "dev-a:1");
	CHECK_STR(other, one);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "diag/reason.h"
#include "t.h"

TEST("every reason is found by its code, in any case")
{
	for (int i = 0; i < REASON_COUNT; i++) {
		const struct reason_row *row = reason_row((enum reason)i);

		CHECK(reason_find(row->code) == row);
	}
	CHECK(reason_find("cert_expired") == reason_row(CERT_EXPIRED));
	CHECK(!reason_find("NO_SUCH_CODE"));
	CHECK(!reason_find(""));
}

TEST("every reason says what it means, and every refusal what to do")
{
	for (int i = 0; i < REASON_COUNT; i++) {
		const struct reason_row *row = reason_row((enum reason)i);

		if (!*row->sentence || row->sentence[strlen(row->sentence) - 1] != '.')
			fail_msg("%s: '%s' is no sentence", row->code, row->sentence);
		if (row->severity == REASON_BAD && !*row->fix)
			fail_msg("%s does not say what to do", row->code);
	}
}

TEST("only OK is good")
{
	CHECK_INT(reason_row(OK)->severity, REASON_GOOD);
	for (int i = 0; i < REASON_COUNT; i++)
		if (i != OK)
			CHECK(reason_row((enum reason)i)->severity != REASON_GOOD);
}

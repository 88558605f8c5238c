/* SPDX-License-Identifier: Apache-2.0 */
/* The table of reasons, and a look-up by code. */
#include "base/mem.h"
#include "base/text.h"
#include "diag/reason.h"

static const struct reason_row rows[] = {
#define REASON(code, severity, sentence, fix, rule) { #code, severity, sentence, fix, rule },
#include "diag/reasons.tbl.h"
#undef REASON
};

const struct reason_row *
reason_row(enum reason reason)
{
	return &rows[reason < REASON_COUNT ? reason : OK];
}

const struct reason_row *
reason_find(const char *code)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		if (text_is_nocase(rows[i].code, code))
			return &rows[i];
	return NULL;
}

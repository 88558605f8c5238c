/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reason codes: the one table (reasons.tbl.h) that logs print, metrics count, `rootedge explain` explains and tests assert.  A code
 * is stable; its words may improve. */

enum reason {
#define REASON(code, severity, sentence, fix, rule) code,
#include "diag/reasons.tbl.h"
#undef REASON
	REASON_COUNT
};

enum reason_severity { REASON_GOOD, REASON_NOTE, REASON_BAD };

struct reason_row {
	const char *code; /* "TRUST_UNKNOWN_ISSUER" */
	enum reason_severity severity;
	const char *sentence; /* what it means, one sentence */
	const char *fix;      /* what to do next */
	const char *rule;     /* "RFC 5280 6.1.3", "" where there is none */
};

const struct reason_row *reason_row(enum reason reason);
const struct reason_row *reason_find(const char *code); /* NULL when there is no such code */

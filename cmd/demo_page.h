/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Pages of the story for people.  What stands in them is what the verdicts say; here it only gets its place on the page. */

#include "base/buf.h"
#include "diag/verdict.h"

struct demo_page {
	struct buf *out;
	bool colour;
	bool began; /* a blank line stands before each heading but the first */
};

/* One of the five questions: the answer, who gave it, the chain as a tree, and what was compared. */
void demo_page_question(struct demo_page *page, int number, const struct verdict *verdict);
/* "TempSensor with ...": no, the reason, and what was compared. */
void demo_page_refusal(struct demo_page *page, const char *title, const struct verdict *verdict);

void demo_page_heading(struct demo_page *page, const char *text);
void demo_page_row(struct demo_page *page, const char *label, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "✓ ..." or "✗ ...": how it ended. */
void demo_page_outcome(struct demo_page *page, bool good, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

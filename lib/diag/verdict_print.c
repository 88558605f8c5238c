/* SPDX-License-Identifier: Apache-2.0 */
/* A verdict as a page for people: the answer first, with its cause when it is no; then the chain as a tree, root on top; then every check. */
#include <string.h>

#include "base/mem.h"
#include "diag/verdict.h"

struct page {
	struct buf *out;
	const char *good, *bad, *note, *dim, *end;
};

static struct page
page_of(struct buf *out, bool colour)
{
	if (!colour)
		return (struct page){ out, "", "", "", "", "" };
	return (struct page){ out, "\033[32m", "\033[1;31m", "\033[33m", "\033[2m", "\033[0m" };
}

static void
print_answer(struct page *p, const struct verdict *v)
{
	const struct check *c = verdict_first_failure(v);
	const struct reason_row *row;

	if (!c) {
		buf_putf(p->out, "%s✓ %s%s  yes: %s\n", p->good, v->question, p->end, v->peer);
		return;
	}
	row = reason_row(c->reason);
	buf_putf(p->out, "%s✗ %s%s  no: %s\n", p->bad, row->sentence, p->end, row->code);
	if (*c->subject)
		buf_putf(p->out, "    at      %s\n", c->subject);
	if (*c->wanted)
		buf_putf(p->out, "    wanted  %s\n", c->wanted);
	if (*c->found)
		buf_putf(p->out, "    found   %s\n", c->found);
	if (*row->fix)
		buf_putf(p->out, "    to do   %s\n", row->fix);
}

static void
print_chain(struct page *p, const struct verdict *v)
{
	for (size_t i = v->n_chain; i-- > 0;) {
		size_t depth = v->n_chain - 1 - i;

		buf_putf(p->out, "  %*s%s%s\n", (int)(depth > 0 ? (depth - 1) * 3 : 0), "", depth > 0 ? "└─ " : "", v->chain[i]);
	}
}

static void
print_check(struct page *p, const struct check *c)
{
	bool note = c->passed && c->reason != OK;

	buf_putf(p->out, "  %s%s%s %s", !c->passed ? p->bad : note ? p->note : p->good, !c->passed ? "✗" : note ? "!" : "✓", p->end, c->what);
	if (*c->subject)
		buf_putf(p->out, " of %s", c->subject);
	if (*c->found)
		buf_putf(p->out, ": %s", c->found);
	if (!c->passed && *c->wanted)
		buf_putf(p->out, " (wanted: %s)", c->wanted);
	else if (c->passed && *c->wanted && strcmp(c->wanted, c->found) != 0)
		buf_putf(p->out, " %s(wanted: %s)%s", p->dim, c->wanted, p->end);
	if (!c->passed || note)
		buf_putf(p->out, "  %s%s%s", p->dim, reason_row(c->reason)->code, p->end);
	buf_putc(p->out, '\n');
}

void
verdict_print(const struct verdict *v, struct buf *out, bool colour)
{
	struct page p = page_of(out, colour);

	print_answer(&p, v);
	print_chain(&p, v);
	for (size_t i = 0; i < v->n_checks; i++)
		print_check(&p, &v->checks[i]);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A verdict as a page for people: the answer first, with its cause when it is no; then the chain as a tree, root on top; then
 * every check. */
#include <string.h>

#include "base/visible.h"
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
put_text(struct page *p, const char *text)
{
	buf_put_visible(p->out, text);
}

static void
put_row(struct page *p, const char *name, const char *text)
{
	if (!*text)
		return;
	buf_putf(p->out, "    %s%-7s%s ", p->dim, name, p->end);
	put_text(p, text);
	buf_putc(p->out, '\n');
}

static void
print_answer(struct page *p, const struct verdict *v)
{
	const struct check *c = verdict_first_failure(v);
	const struct reason_row *row = reason_row(verdict_cause(v));

	buf_putf(p->out, "%s%s ", c ? p->bad : p->good, c ? "✗" : "✓");
	put_text(p, v->question);
	buf_putf(p->out, "%s  %s: ", p->end, c ? "no" : "yes");
	put_text(p, c ? row->code : v->peer);
	buf_putc(p->out, '\n');
	if (c)
		put_row(p, "cause", row->sentence);
}

/* For whom the question is plain: "✗ CODE: sentence", or what the answer means. */
static void
print_headline(struct page *p, const struct verdict *v, const char *when_accepted)
{
	const struct reason_row *row = reason_row(verdict_cause(v));
	bool good = verdict_accepted(v);

	buf_putf(p->out, "%s%s%s ", good ? p->good : p->bad, good ? "✓" : "✗", good ? p->end : "");
	if (good)
		put_text(p, when_accepted);
	else
		buf_putf(p->out, "%s%s: %s", row->code, p->end, row->sentence);
	buf_putc(p->out, '\n');
}

static void
print_cause(struct page *p, const struct verdict *v)
{
	const struct check *c = verdict_first_failure(v);

	if (!c)
		return;
	put_row(p, "at", c->subject);
	put_row(p, "wanted", c->wanted);
	put_row(p, "found", c->found);
	put_row(p, "rule", c->rule);
	put_row(p, "to do", reason_row(c->reason)->fix);
}

/* Root on top, each certificate below its issuer. */
static void
print_chain(struct page *p, const struct verdict *v)
{
	for (size_t i = v->n_chain; i-- > 0;) {
		size_t depth = v->n_chain - 1 - i;

		buf_putf(p->out, "  %*s%s", (int)(depth > 0 ? (depth - 1) * 3 : 0), "", depth > 0 ? "└─ " : "");
		put_text(p, v->chain[i]);
		buf_putc(p->out, '\n');
	}
}

/* What was wanted only where it says more than what was found. */
static void
print_details(struct page *p, const struct check *c)
{
	if (*c->found) {
		buf_puts(p->out, ": ");
		put_text(p, c->found);
	}
	if (*c->wanted && strcmp(c->wanted, c->found) != 0) {
		buf_putf(p->out, " %s(wanted: ", c->passed ? p->dim : "");
		put_text(p, c->wanted);
		buf_putf(p->out, ")%s", c->passed ? p->end : "");
	}
}

/* "✓ name of CN=gw: gw.local"; the details of the cause stand above already. */
static void
print_check(struct page *p, const struct check *c, bool is_cause)
{
	bool note = c->passed && c->reason != OK;

	buf_putf(p->out, "  %s%s%s ", !c->passed ? p->bad : note ? p->note : p->good, !c->passed ? "✗" : note ? "!" : "✓", p->end);
	put_text(p, c->what);
	if (*c->subject) {
		buf_puts(p->out, " of ");
		put_text(p, c->subject);
	}
	if (!is_cause)
		print_details(p, c);
	if (c->reason != OK)
		buf_putf(p->out, "  %s%s%s", p->dim, reason_row(c->reason)->code, p->end);
	buf_putc(p->out, '\n');
}

static void
print_evidence(struct page *p, const struct verdict *v)
{
	const struct check *cause = verdict_first_failure(v);

	print_cause(p, v);
	print_chain(p, v);
	for (size_t i = 0; i < v->n_checks; i++)
		print_check(p, &v->checks[i], &v->checks[i] == cause);
}

void
verdict_print(const struct verdict *v, struct buf *out, bool colour)
{
	struct page p = page_of(out, colour);

	print_answer(&p, v);
	print_evidence(&p, v);
}

void
verdict_print_finding(const struct verdict *v, const char *when_accepted, struct buf *out, bool colour)
{
	struct page p = page_of(out, colour);

	print_headline(&p, v, when_accepted);
	print_evidence(&p, v);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Two columns: a label, and what it is.  Whatever two things were compared stand below each other, spelled alike, so that eyes
 * can compare them too. */
#include "demo_page.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define GOOD "\033[32m"
#define BAD "\033[1;31m"
#define END "\033[0m"

#define LABEL_WIDTH 10
#define CHAIN_WIDTH 44

static const char *
paint(const struct demo_page *p, const char *colour)
{
	return p->colour ? colour : "";
}

/* -- What every page is made of ---------------------------------------------------------------------------------------------- */

void
demo_page_heading(struct demo_page *p, const char *text)
{
	buf_putf(p->out, "%s%s%s%s\n", p->began ? "\n" : "", paint(p, BOLD), text, paint(p, END));
	p->began = true;
}

void
demo_page_row(struct demo_page *p, const char *label, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	buf_putf(p->out, "     %s%-*s%s ", paint(p, DIM), LABEL_WIDTH, label, paint(p, END));
	buf_vputf(p->out, fmt, args);
	buf_putc(p->out, '\n');
	va_end(args);
}

void
demo_page_outcome(struct demo_page *p, bool good, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	buf_putf(p->out, "   %s%s ", paint(p, good ? GOOD : BAD), good ? "✓" : "✗");
	buf_vputf(p->out, fmt, args);
	buf_putf(p->out, "%s\n", paint(p, END));
	va_end(args);
}

/* -- Verdicts ---------------------------------------------------------------------------------------------------------------- */

struct speaker {
	const char *who, *name;
};

static const struct speaker speakers[] = {
	{ "hub", "ContosoIotHub (hub)" },
	{ "edge", "EdgeGateway (edge)" },
	{ "gateway", "EdgeGateway (gateway)" },
	{ "device", "TempSensor (device)" },
};

static const char *
speaker_of(const struct verdict *v)
{
	for (size_t i = 0; i < COUNT(speakers); i++)
		if (text_is(speakers[i].who, v->who))
			return speakers[i].name;
	return v->who;
}

/* How a check reads here: its two sides below each other, or side by side, or a few words when it passed.  What is not in this
 * table is told in the check's own words. */
struct wording {
	const char *what;
	const char *only;	    /* for checks that wanted just this; NULL: for all */
	const char *wanted, *found; /* labels; found NULL: in one row */
	const char *passed;
	bool is_thumbprint;
};

static const struct wording wordings[] = {
	{ "name", NULL, "asked for", "it is for", NULL, false },
	{ "primary thumbprint", NULL, "on record", "shown", "primary slot", true },
	{ "secondary thumbprint", NULL, "on record", "shown", "secondary slot", true },
	{ "thumbprint", NULL, "on record", "shown", NULL, true },
	{ "key", NULL, "signs with", NULL, NULL, false },
	{ "record", "confirmed by the hub", "its record", NULL, NULL, false },
	{ "record", NULL, NULL, NULL, "registered", false },
	{ "chain", NULL, NULL, NULL, "up to a trusted root", false },
	{ "validity", NULL, NULL, NULL, "within its dates", false },
	{ "status", NULL, NULL, NULL, "enabled", false },
	{ "CA", NULL, NULL, NULL, "may issue certificates", false },
};

static const struct wording *
wording_of(const struct check *check)
{
	static const struct wording none = { 0 };

	for (size_t i = 0; i < COUNT(wordings); i++) {
		const struct wording *w = &wordings[i];

		if (text_is(w->what, check->what) && (!w->only || text_is(w->only, check->wanted)))
			return w;
	}
	return &none;
}

/* Those of two slots stand below each other. */
static void
put_thumbprints(struct demo_page *p, const char *label, const char *text)
{
	const char *second = strstr(text, " or ");

	demo_page_row(p, label, "%.*s", second ? (int)(second - text) : (int)strlen(text), text);
	if (second)
		put_thumbprints(p, "or", second + strlen(" or "));
}

static void
put_side(struct demo_page *p, const struct wording *w, const char *label, const char *text)
{
	if (!*text)
		return;
	if (w->is_thumbprint)
		put_thumbprints(p, label, text);
	else
		demo_page_row(p, label, "%s", text);
}

static void
put_sides(struct demo_page *p, const struct check *check)
{
	const struct wording *w = wording_of(check);

	if (w->wanted && !w->found) {
		demo_page_row(p, w->wanted, "%s (%s)", check->wanted, check->found);
		return;
	}
	put_side(p, w, w->wanted ? w->wanted : "wanted", check->wanted);
	put_side(p, w, w->found ? w->found : "found", check->found);
}

/* "also   registered, enabled, within its dates" */
static void
put_others(struct demo_page *p, const struct verdict *v)
{
	CLEAR(buf) list = BUF_INIT(4096);

	for (size_t i = 0; i < v->n_checks; i++) {
		const struct check *check = &v->checks[i];
		const struct wording *w = wording_of(check);

		if (!w->what || w->passed)
			buf_putf(&list, "%s%s", list.len > 0 ? ", " : "",
				w->passed	? w->passed
				: *check->found ? check->found
						: check->what);
	}
	if (list.len > 0)
		demo_page_row(p, "also", "%s", buf_text(&list));
}

/* Root on top, each certificate below its issuer; of a line only the subject and the last day, and these below each other. */
static void
put_chain(struct demo_page *p, const struct verdict *v)
{
	for (size_t i = v->n_chain; i-- > 0;) {
		int depth = (int)(v->n_chain - 1 - i), indent = depth > 0 ? (depth - 1) * 3 : 0;
		const char *line = v->chain[i], *more = strstr(line, "  ("), *rest = more ? strchr(more, ',') : NULL;
		int len = more && rest ? (int)(more - line) : (int)strlen(line), pad = CHAIN_WIDTH - 3 * depth - len;

		buf_putf(p->out, "     %*s%s%.*s", indent, "", depth > 0 ? "└─ " : "", len, line);
		if (more && rest)
			buf_putf(p->out, "%*s%s%.*s%s", pad > 2 ? pad : 2, "", paint(p, DIM), (int)(rest - more - 3), more + 3,
				paint(p, END));
		buf_putc(p->out, '\n');
	}
}

/* "yes" to a question, or who it is where the question asks for that. */
static void
put_yes(struct demo_page *p, const struct verdict *v)
{
	if (text_starts(v->question, "Who "))
		demo_page_outcome(p, true, "%s, says %s", v->peer, speaker_of(v));
	else
		demo_page_outcome(p, true, "yes, says %s", speaker_of(v));
}

static void
put_no(struct demo_page *p, const struct verdict *v)
{
	const struct reason_row *reason = reason_row(verdict_cause(v));

	demo_page_outcome(p, false, "no, says %s: %s", speaker_of(v), reason->code);
	demo_page_row(p, "because", "%s", reason->sentence);
	put_sides(p, verdict_first_failure(v));
}

void
demo_page_question(struct demo_page *p, int number, const struct verdict *v)
{
	OWN_TEXT heading = mem_textf("%d  %s", number, v->question);

	demo_page_heading(p, heading);
	if (!verdict_accepted(v)) {
		put_no(p, v);
		put_chain(p, v);
		return;
	}
	put_yes(p, v);
	put_chain(p, v);
	for (size_t i = 0; i < v->n_checks; i++)
		if (wording_of(&v->checks[i])->wanted)
			put_sides(p, &v->checks[i]);
	put_others(p, v);
}

void
demo_page_refusal(struct demo_page *p, const char *title, const struct verdict *v)
{
	buf_putf(p->out, "   %s\n", title);
	if (verdict_accepted(v))
		put_yes(p, v);
	else
		put_no(p, v);
}

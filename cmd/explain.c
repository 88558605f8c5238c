/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge explain: what a reason code means and what to do about it, from the one table that everybody decides with. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cmd.h"
#include "diag/reason.h"
#include "page.h"
#include "wire/json.h"

struct options {
	bool json;
};

static const struct option_row rows[] = {
	{ "json", 0, NULL, "one JSON object a line for each code", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = { "rootedge explain", "[CODE...]",
	"Explain reason codes, as they stand in logs and in the answers of other commands; without one, list them all.",
	"Exit status: 0 explained, 1 there is no such code, 2 called wrongly.", rows };

static const char *
severity_name(enum reason_severity severity)
{
	static const char *const names[] = { [REASON_GOOD] = "good", [REASON_NOTE] = "note", [REASON_BAD] = "refusal" };

	return names[severity];
}

static void
print_json(const struct reason_row *row)
{
	OWN_LIB(json_t) object = json_pack("{s:s, s:s, s:s, s:s, s:s}", "code", row->code, "severity", severity_name(row->severity),
		"sentence", row->sentence, "fix", row->fix, "rule", row->rule);
	OWN_TEXT line = json_line(object);

	puts(line);
}

static void
print_field(const char *name, const char *text)
{
	if (*text)
		printf("  %-6s %s\n", name, text);
}

static void
print_row(const struct reason_row *row)
{
	bool colour = page_has_colour();

	printf("%s%s%s (%s)\n  %s\n", colour ? "\033[1m" : "", row->code, colour ? "\033[0m" : "", severity_name(row->severity),
		row->sentence);
	print_field("to do", row->fix);
	print_field("rule", row->rule);
}

static void
list(const struct options *o)
{
	for (int i = 0; i < REASON_COUNT; i++) {
		const struct reason_row *row = reason_row((enum reason)i);

		if (o->json)
			print_json(row);
		else
			printf("%-24s %s\n", row->code, row->sentence);
	}
}

/* -- A code that is none ------------------------------------------------------------------------------------------------------------ */

static char *
upper(const char *word)
{
	char *text = mem_text(word);

	for (char *at = text; *at; at++)
		*at = (char)(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at == '-' ? '_' : *at);
	return text;
}

/* Those that have it as a part, "EXPIRED"; otherwise the one that it may be a misspelling of. */
static void
propose(const char *word)
{
	const char *codes[REASON_COUNT], *near;
	int n = 0;

	for (int i = 0; i < REASON_COUNT; i++) {
		codes[i] = reason_row((enum reason)i)->code;
		if (strlen(word) > 2 && strstr(codes[i], word))
			fprintf(stderr, "%s%s", n++ == 0 ? "; there is " : ", ", codes[i]);
	}
	near = n == 0 ? text_nearest(word, codes, REASON_COUNT) : NULL;
	if (near)
		fprintf(stderr, "; did you mean %s?\n", near);
	else
		fputs(n > 0 ? "\n" : "; rootedge explain lists them all\n", stderr);
}

static int
explain(const struct options *o, const char *word)
{
	OWN_TEXT code = upper(word);
	const struct reason_row *row = reason_find(code);

	if (!row) {
		fprintf(stderr, "rootedge explain: there is no code '%s'", code);
		propose(code);
		return 1;
	}
	if (o->json)
		print_json(row);
	else
		print_row(row);
	return 0;
}

int
cmd_explain(int argc, char **argv)
{
	struct options o = { 0 };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &o, argc, argv, &err), status = 0;

	if (n < 0)
		return page_failure(usage.command, &err, 2);
	if (n == 0)
		list(&o);
	for (int i = 0; i < n; i++) {
		if (i > 0 && !o.json)
			puts("");
		if (explain(&o, argv[i]) != 0)
			status = 1;
	}
	return status;
}

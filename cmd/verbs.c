/* SPDX-License-Identifier: Apache-2.0 */
/* Listing and finding verbs (verbs.h). */
#include "verbs.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static const struct verb_head *
row(const struct verb_table *t, size_t i)
{
	return (const struct verb_head *)(const void *)((const char *)t->rows + i * t->row_size);
}

const void *
verb_of_name(const struct verb_table *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (text_is(row(t, i)->name, name))
			return row(t, i);
	return NULL;
}

void
verb_list(FILE *out, const struct verb_table *t)
{
	size_t width = 0;

	for (size_t i = 0; i < t->n; i++)
		if (strlen(row(t, i)->name) > width)
			width = strlen(row(t, i)->name);
	for (size_t i = 0; i < t->n; i++)
		fprintf(out, "  %-*s  %s\n", (int)width, row(t, i)->name, row(t, i)->help);
}

void
verb_say_unknown(const struct verb_table *t, const char *word)
{
	const char **names = mem_array(t->n, sizeof(*names)), *near;

	for (size_t i = 0; i < t->n; i++)
		names[i] = row(t, i)->name;
	near = text_nearest(word, names, t->n);
	if (near)
		fprintf(stderr, "%s: there is no verb '%s'; did you mean '%s'?\n", t->command, word, near);
	else
		fprintf(stderr, "%s: there is no verb '%s'; %s --help lists them\n", t->command, word, t->command);
	mem_free(names);
}

static int
help(FILE *out, const struct verb_table *t)
{
	fprintf(out, "%s\n\nusage: %s VERB [OPTIONS]\n\n", t->summary, t->command);
	verb_list(out, t);
	fprintf(out, "%s\n%s VERB --help tells more.\n", t->more ? t->more : "", t->command);
	return out == stdout ? 0 : 2;
}

const void *
verb_find(const struct verb_table *t, int argc, char **argv, int *status)
{
	const void *found = argc > 1 ? verb_of_name(t, argv[1]) : NULL;

	if (found)
		return found;
	if (argc < 2) {
		*status = help(stderr, t);
	} else if (text_is(argv[1], "--help") || text_is(argv[1], "-h") || text_is(argv[1], "help")) {
		*status = help(stdout, t);
	} else {
		verb_say_unknown(t, argv[1]);
		*status = 2;
	}
	return NULL;
}

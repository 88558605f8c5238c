/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The verbs of a noun, as a table whose rows begin with a name and a sentence about it: the one way to list them, to find one, and to say that there is none of that name. */

#include <stddef.h>
#include <stdio.h>

struct verb_head {
	const char *name, *help;
};

struct verb_table {
	const char *command, *summary; /* "rootedge cert", one sentence */
	const char *more;	       /* what stands below the list in --help, or NULL */
	const void *rows;	       /* each begins as a struct verb_head does */
	size_t n, row_size;
};
#define VERB_TABLE(command, summary, more, rows)                                                                                   \
	{                                                                                                                          \
		command, summary, more, rows, COUNT(rows), sizeof((rows)[0])                                                       \
	}

/* The row that argv[1] names.  NULL: help was printed, or said what is wrong, and *status is the exit status. */
const void *verb_find(const struct verb_table *table, int argc, char **argv, int *status);
/* For nouns that do something without a verb, too. */
const void *verb_of_name(const struct verb_table *table, const char *name);
void verb_list(FILE *out, const struct verb_table *table);
void verb_say_unknown(const struct verb_table *table, const char *word); /* on standard error */

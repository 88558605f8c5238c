/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Command-line options from one table: it parses, and it writes --help and the man page.
 *
 *	static const struct option_row rows[] = {
 *		{ "port", 'p', "PORT", "listen here; 0 takes a free one", OPTION_INT, offsetof(struct opts, port), 0, 65535 },
 *		{ 0 } };
 *
 * Long options "--name VALUE" and "--name=VALUE", short ones "-p VALUE"; "--" ends them.  A wrong option names the nearest one. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum option_type {
	OPTION_END,
	OPTION_FLAG, /* bool */
	OPTION_TEXT, /* const char *, borrowed from argv */
	OPTION_INT,  /* int64_t within min and max */
	OPTION_LIST, /* struct option_list, may be given several times */
};

#define OPTION_LIST_MAX 32
struct option_list {
	const char *items[OPTION_LIST_MAX];
	size_t n;
};

struct option_row {
	const char *name;
	char letter; /* or 0 */
	const char *value;
	const char *help;
	enum option_type type;
	size_t offset;
	int64_t min, max;
};

struct option_usage {
	const char *command;   /* "rootedge hub" */
	const char *arguments; /* "HOST[:PORT]" or "" */
	const char *summary;   /* one sentence */
	const char *more;      /* further paragraphs, or NULL */
	const struct option_row *rows;
};

/* Fill *opts.  Returns the number of operands (moved to argv[0..n-1]); -1 with err set.  --help prints and exits with 0. */
int option_parse(const struct option_usage *usage, void *opts, int argc, char **argv, struct err *err);
void option_print_help(const struct option_usage *usage, FILE *out);

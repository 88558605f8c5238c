/* SPDX-License-Identifier: Apache-2.0 */
/* Options from a table.  Operands may stand between options; they are moved to the front of argv. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"

static const struct option_row *
find_long(const struct option_row *rows, const char *name, size_t len)
{
	for (; rows->type != OPTION_END; rows++)
		if (strlen(rows->name) == len && memcmp(rows->name, name, len) == 0)
			return rows;
	return NULL;
}

static const struct option_row *
find_letter(const struct option_row *rows, char letter)
{
	for (; rows->type != OPTION_END; rows++)
		if (rows->letter == letter)
			return rows;
	return NULL;
}

/* `dashes` and the len bytes at name are what was given. */
static int
unknown(const struct option_usage *usage, const char *dashes, const char *name, size_t len, struct err *err)
{
	OWN_TEXT word = mem_textn(name, len);
	const char *names[64] = { "help" }, *near;
	size_t n = 1;

	for (const struct option_row *r = usage->rows; r->type != OPTION_END && n < COUNT(names); r++)
		names[n++] = r->name;
	near = text_nearest(word, names, n);
	if (near)
		return err_set(
			err, ERR_INVALID, "%s: there is no option %s%s; did you mean --%s?", usage->command, dashes, word, near);
	return err_set(err, ERR_INVALID, "%s: there is no option %s%s; --help lists them", usage->command, dashes, word);
}

static int
store(const struct option_row *row, const char *value, void *opts, struct err *err)
{
	void *at = (char *)opts + row->offset;
	struct option_list *list = at;

	switch (row->type) {
	case OPTION_FLAG:
		*(bool *)at = true;
		return 0;
	case OPTION_TEXT:
		*(const char **)at = value;
		return 0;
	case OPTION_INT:
		if (!text_to_i64(value, row->min, row->max, at))
			return err_set(err, ERR_INVALID, "--%s: expected a number from %lld to %lld, found '%s'", row->name,
				(long long)row->min, (long long)row->max, value);
		return 0;
	case OPTION_LIST:
		if (list->n == OPTION_LIST_MAX)
			return err_set(err, ERR_LIMIT, "--%s: given more than %d times", row->name, OPTION_LIST_MAX);
		list->items[list->n++] = value;
		return 0;
	case OPTION_END:
		break;
	}
	return 0;
}

/* One option at argv[*i]; the value may be the next argument. */
static int
take_option(const struct option_usage *usage, void *opts, int argc, char **argv, int *i, struct err *err)
{
	const char *arg = argv[*i], *value = NULL;
	const struct option_row *row;

	if (arg[1] == '-') {
		const char *name = arg + 2, *equals = strchr(name, '=');
		size_t len = equals ? (size_t)(equals - name) : strlen(name);

		row = find_long(usage->rows, name, len);
		if (!row)
			return unknown(usage, "--", name, len, err);
		value = equals ? equals + 1 : NULL;
	} else {
		row = find_letter(usage->rows, arg[1]);
		if (!row)
			return unknown(usage, "-", arg + 1, strlen(arg + 1), err);
		value = arg[2] ? arg + 2 : NULL;
	}
	if (row->type == OPTION_FLAG && value)
		return err_set(err, ERR_INVALID, "--%s takes no value", row->name);
	if (row->type != OPTION_FLAG && !value) {
		if (*i + 1 >= argc)
			return err_set(err, ERR_INVALID, "--%s needs a value: %s", row->name, row->value);
		value = argv[++*i];
	}
	return store(row, value, opts, err);
}

int
option_parse(const struct option_usage *usage, void *opts, int argc, char **argv, struct err *err)
{
	int n_operands = 0;
	bool ended = false;

	for (int i = 1; i < argc; i++) {
		if (!ended && text_is(argv[i], "--")) {
			ended = true;
		} else if (!ended && (text_is(argv[i], "--help") || text_is(argv[i], "-h"))) {
			option_print_help(usage, stdout);
			exit(0);
		} else if (!ended && argv[i][0] == '-' && argv[i][1]) {
			if (take_option(usage, opts, argc, argv, &i, err) < 0)
				return -1;
		} else {
			argv[n_operands++] = argv[i];
		}
	}
	return n_operands;
}

void
option_print_help(const struct option_usage *usage, FILE *out)
{
	fprintf(out, "%s\n\nusage: %s [OPTIONS]%s%s\n\n", usage->summary, usage->command, *usage->arguments ? " " : "",
		usage->arguments);
	for (const struct option_row *r = usage->rows; r->type != OPTION_END; r++) {
		char letter[8] = "    ", left[64];

		if (r->letter)
			snprintf(letter, sizeof(letter), "-%c, ", r->letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, r->name, r->value ? " " : "", r->value ? r->value : "");
		fprintf(out, "  %-34s %s\n", left, r->help);
	}
	fprintf(out, "  %-34s %s\n", "-h, --help", "this text");
	if (usage->more)
		fprintf(out, "\n%s\n", usage->more);
}

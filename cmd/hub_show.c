/* SPDX-License-Identifier: Apache-2.0 */
/* JSON for people: an object as lines "name: value", what is inside it further in; a list of like things as a table.  What devices have chosen is shown without what would
 * move a terminal's cursor. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "hub_tool.h"

#define COLUMNS_MAX 12
#define WIDTH_MAX 64

static void
put_text(FILE *out, const char *text)
{
	for (const char *at = text; *at; at++)
		fputc((unsigned char)*at < 0x20 || *at == 0x7f ? '.' : *at, out);
}

/* A scalar as it reads; the caller owns it. */
static char *
scalar_text(const json_t *value)
{
	char *text;

	if (!value || json_is_null(value))
		return mem_text("-");
	if (json_is_string(value))
		return mem_text(json_string_value(value));
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
	return text ? text : mem_text("?");
}

static bool
is_scalar(const json_t *value)
{
	return !(json_is_object(value) && json_object_size(value) > 0) && !(json_is_array(value) && json_array_size(value) > 0);
}

static void show_at(FILE *out, const json_t *value, int depth);

static void
show_member(FILE *out, const char *lead, const json_t *value, int depth)
{
	OWN_TEXT text = is_scalar(value) ? scalar_text(value) : NULL;

	fprintf(out, "%*s", depth * 2, "");
	put_text(out, lead);
	if (text) {
		fputc(' ', out);
		put_text(out, text);
	}
	fputc('\n', out);
	if (!text)
		show_at(out, value, depth + 1);
}

static void
show_at(FILE *out, const json_t *value, int depth)
{
	const char *key;
	json_t *member;
	size_t i;

	if (is_scalar(value)) {
		show_member(out, "", value, depth);
	} else if (json_is_object(value)) {
		json_object_foreach((json_t *)(uintptr_t)value, key, member) {
			OWN_TEXT lead = mem_textf("%s:", key);

			show_member(out, lead, member, depth);
		}
	} else {
		json_array_foreach(value, i, member)
			show_member(out, "-", member, depth);
	}
}

void
hub_show(FILE *out, const json_t *value)
{
	OWN_TEXT text = is_scalar(value) ? scalar_text(value) : NULL;

	if (text) {
		put_text(out, text);
		fputc('\n', out);
	} else {
		show_at(out, value, 0);
	}
}

/* -- Tables -------------------------------------------------------------------------------------------------------------------- */

static const json_t *
find_path(const json_t *value, const char *path)
{
	OWN_TEXT copy = mem_text(path);
	char *rest = copy, *word;

	while (value && (word = strsep(&rest, ".")))
		value = json_object_get(value, word);
	return value;
}

void
hub_show_table(FILE *out, const json_t *list, const struct hub_column *columns)
{
	size_t width[COLUMNS_MAX] = { 0 }, n = 0, i;
	const json_t *row;

	for (; columns[n].title && n < COLUMNS_MAX; n++)
		width[n] = strlen(columns[n].title);
	json_array_foreach(list, i, row)
		for (size_t c = 0; c < n; c++) {
			OWN_TEXT text = scalar_text(find_path(row, columns[c].path));
			size_t len = strlen(text);

			width[c] = len > width[c] ? len < WIDTH_MAX ? len : WIDTH_MAX : width[c];
		}
	for (size_t c = 0; c < n; c++)
		fprintf(out, c + 1 < n ? "%-*s  " : "%.0d%s\n", c + 1 < n ? (int)width[c] : 0, columns[c].title);
	json_array_foreach(list, i, row)
		for (size_t c = 0; c < n; c++) {
			OWN_TEXT text = scalar_text(find_path(row, columns[c].path));

			put_text(out, text);
			if (c + 1 == n)
				fputc('\n', out);
			else
				fprintf(out, "%*s", (int)(width[c] > strlen(text) ? width[c] - strlen(text) : 0) + 2, "");
		}
}

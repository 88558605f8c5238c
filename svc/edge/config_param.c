/* SPDX-License-Identifier: Apache-2.0 */
/* The table of parameters, and the reference that is made from it. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "edge/config_param.h"

#define ALIAS_OF(name) .kind = KIND_ALIAS, .like = name
#define ANY .kind = KIND_ANY
#define BOOL(otherwise) .kind = KIND_BOOL, .number = otherwise
#define FILE_URI .kind = KIND_FILE
#define FILE_URIS .kind = KIND_FILES
#define FILE_OR_IDS .kind = KIND_FILE_OR_IDS
#define FILE_OR_ISSUED .kind = KIND_FILE_OR_ISSUED, .like = "issued"
#define HOST .kind = KIND_HOST
#define HOSTS .kind = KIND_HOSTS
#define HTTPS_URL .kind = KIND_HTTPS
#define IDS .kind = KIND_IDS
#define INT(least, most, otherwise) .kind = KIND_INT, .min = least, .max = most, .number = otherwise
#define KEY_URI .kind = KIND_KEY
#define SECRET .kind = KIND_SECRET
#define SPAN(otherwise) .kind = KIND_SPAN, .text = otherwise
#define TABLE .kind = KIND_TABLE
#define TABLE_LIKE(other) .kind = KIND_TABLE, .like = other
#define TABLES .kind = KIND_TABLES
#define TEXT .kind = KIND_TEXT
#define TEXT_OR(otherwise) .kind = KIND_TEXT, .text = otherwise
#define TEXTS .kind = KIND_TEXTS
#define URL .kind = KIND_URL
#define WORD(list, otherwise) .kind = KIND_WORD, .words = list, .text = otherwise

static const struct config_param params[] = {
#define PARAM(in, name, how, what) { .table = in, .key = name, .help = what, .standing = PARAM_WORKS, how },
#define PARAM_IDLE(in, name, how, what) { .table = in, .key = name, .help = what, .standing = PARAM_IDLES, how },
#define PARAM_LATER(in, name, how, what) { .table = in, .key = name, .help = what, .standing = PARAM_COMES, how },
#define PARAM_REFUSED(in, name, how, what) { .table = in, .key = name, .help = what, .standing = PARAM_IS_REFUSED, how },
#include "edge/params.tbl.h"
};

const struct config_param *
config_param_at(size_t i)
{
	return i < COUNT(params) ? &params[i] : NULL;
}

static const struct config_param *
find_in(const char *table, const char *key)
{
	for (size_t i = 0; i < COUNT(params); i++)
		if (text_is(params[i].table, table) && text_is(params[i].key, key))
			return &params[i];
	return NULL;
}

const struct config_param *
config_param_find(const char *table, const char *like, const char *key)
{
	const struct config_param *found = find_in(table, key);

	if (!found && like)
		found = find_in(like, key);
	return found ? found : find_in(table, "*");
}

size_t
config_param_keys(const char *table, const char *like, const char **out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < COUNT(params) && n < max; i++)
		if ((text_is(params[i].table, table) || (like && text_is(params[i].table, like))) && !text_is(params[i].key, "*"))
			out[n++] = params[i].key;
	return n;
}

bool
config_word_is_in(const char *words, const char *word)
{
	struct slice rest = slice_of(words), one;
	bool more = true;

	while (more) {
		more = slice_cut(&rest, '|', &one);
		if (one.len == strlen(word) && memcmp(one.text, word, one.len) == 0)
			return true;
	}
	return false;
}

bool
config_param_is_secret(const struct config_param *param)
{
	return param->kind == KIND_SECRET;
}

char *
config_param_default(const struct config_param *param)
{
	if (param->kind == KIND_BOOL)
		return mem_text(param->number ? "true" : "false");
	if (param->kind == KIND_INT && param->number >= param->min && param->number > 0)
		return mem_textf("%" PRId64, param->number);
	return param->text ? mem_textf("\"%s\"", param->text) : NULL;
}

/* -- The reference ------------------------------------------------------------------------------------------------------------------------ */

static void
print_heading(FILE *out, const struct config_param *param)
{
	static const struct {
		const char *table, *heading;
	} shared[] = {
		{ "issued", "Tables that have a certificate issued" },
		{ "renewal", "Tables that say when a certificate is renewed" },
		{ "symmetric", "Tables that hold a symmetric key" },
		{ "principal", "[[principal]]" },
	};
	const char *heading = NULL;

	for (size_t i = 0; i < COUNT(shared); i++)
		if (text_is(param->table, shared[i].table))
			heading = shared[i].heading;
	if (heading)
		fprintf(out, "\n## %s\n", heading);
	else if (*param->table)
		fprintf(out, "\n## [%s]\n", param->table);
	else
		fputs("# config.toml of an edge device\n", out);
	fputs("\n| key | meaning | default |\n|---|---|---|\n", out);
}

static void
print_row(FILE *out, const struct config_param *param)
{
	static const char *const prefix[] = {
		[PARAM_WORKS] = "",
		[PARAM_IDLES] = "accepted, and does nothing: ",
		[PARAM_COMES] = "(not heeded yet) ",
		[PARAM_IS_REFUSED] = "(not yet) ",
	};
	OWN_TEXT otherwise = config_param_default(param);

	fprintf(out, "| `%s` | %s%s", text_is(param->key, "*") ? "ID" : param->key, prefix[param->standing], param->help);
	if (param->kind == KIND_ALIAS)
		fprintf(out, " (`%s`)", param->like);
	if (param->words) {
		struct slice rest = slice_of(param->words), one;
		bool more = true, first = true;

		for (; more; first = false) {
			more = slice_cut(&rest, '|', &one);
			fprintf(out, "%s`%.*s`", first ? "; " : ", ", (int)one.len, one.text);
		}
	}
	fprintf(out, " | %s%s%s |\n", otherwise ? "`" : "", otherwise ? otherwise : "", otherwise ? "`" : "");
}

void
config_print_reference(FILE *out)
{
	for (size_t i = 0; i < COUNT(params); i++) {
		if (i == 0 || !text_is(params[i - 1].table, params[i].table))
			print_heading(out, &params[i]);
		print_row(out, &params[i]);
	}
}

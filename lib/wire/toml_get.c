/* SPDX-License-Identifier: Apache-2.0 */
/* TOML: asking for values.  Whoever reads a configuration names the key and the type; here the sentence is made that says where
 * and what is wrong. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "wire/toml.h"

int
toml_err(const struct toml *value, struct err *err, const char *fmt, ...)
{
	char sentence[sizeof(err->text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	return err_set(err, ERR_INVALID, "%s:%d: %s%s%s", value->file, value->line, value->key ? value->key : "",
		value->key ? ": " : "", sentence);
}

/* The value that has this type; NULL in *out when it is absent. */
static int
find_typed(const struct toml *table, const char *path, enum toml_type type, const struct toml **out, struct err *err)
{
	const struct toml *value = toml_find_path(table, path);

	if (value && value->type != type)
		return err_set(err, ERR_INVALID, "%s:%d: %s: expected %s, found %s", value->file, value->line, path,
			toml_type_name(type), toml_type_name(value->type));
	*out = value;
	return 0;
}

static int
missing(const struct toml *table, const char *path, struct err *err)
{
	if (table->key)
		return err_set(err, ERR_MISSING, "%s:%d: `%s` is missing in %s", table->file, table->line, path, table->key);
	return err_set(err, ERR_MISSING, "%s: `%s` is missing", table->file, path);
}

int
toml_find_text(const struct toml *table, const char *path, const char **out, struct err *err)
{
	const struct toml *value = NULL;

	if (find_typed(table, path, TOML_STRING, &value, err) < 0)
		return -1;
	if (value && strlen(value->text) != value->text_len)
		return err_set(err, ERR_INVALID, "%s:%d: %s: the string holds a NUL character", value->file, value->line, path);
	if (value)
		*out = value->text;
	return 0;
}

int
toml_get_text(const struct toml *table, const char *path, const char **out, struct err *err)
{
	return toml_find_path(table, path) ? toml_find_text(table, path, out, err) : missing(table, path, err);
}

int
toml_find_int(const struct toml *table, const char *path, int64_t min, int64_t max, int64_t *out, struct err *err)
{
	const struct toml *value = NULL;

	if (find_typed(table, path, TOML_INTEGER, &value, err) < 0)
		return -1;
	if (value && (value->integer < min || value->integer > max))
		return err_set(err, ERR_INVALID, "%s:%d: %s: %" PRId64 " is not between %" PRId64 " and %" PRId64, value->file,
			value->line, path, value->integer, min, max);
	if (value)
		*out = value->integer;
	return 0;
}

int
toml_get_int(const struct toml *table, const char *path, int64_t min, int64_t max, int64_t *out, struct err *err)
{
	return toml_find_path(table, path) ? toml_find_int(table, path, min, max, out, err) : missing(table, path, err);
}

int
toml_find_bool(const struct toml *table, const char *path, bool *out, struct err *err)
{
	const struct toml *value = NULL;

	if (find_typed(table, path, TOML_BOOLEAN, &value, err) < 0)
		return -1;
	if (value)
		*out = value->boolean;
	return 0;
}

static int
find_nested(const struct toml *table, const char *path, enum toml_type type, const struct toml **out, struct err *err)
{
	const struct toml *value = NULL;

	if (find_typed(table, path, type, &value, err) < 0)
		return -1;
	if (value)
		*out = value;
	return 0;
}

int
toml_find_table(const struct toml *table, const char *path, const struct toml **out, struct err *err)
{
	return find_nested(table, path, TOML_TABLE, out, err);
}

int
toml_find_array(const struct toml *table, const char *path, const struct toml **out, struct err *err)
{
	return find_nested(table, path, TOML_ARRAY, out, err);
}

int
toml_check_keys(const struct toml *table, const char *const *known, size_t n, struct err *err)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct toml *value = table->item[i];
		const char *near;
		size_t at = 0;

		while (at < n && !text_is(value->key, known[at]))
			at++;
		if (at < n)
			continue;
		near = text_nearest(value->key, known, n);
		return err_set(err, ERR_INVALID, "%s:%d: unknown key `%s`%s%s%s", value->file, value->line, value->key,
			near ? ", did you mean `" : "", near ? near : "", near ? "`?" : "");
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from outside. */
#include "base/mem.h"
#include "wire/json.h"

/* Is it nested deeper than anything of ours?  jansson recurses as deep as its input wants (up to 2048), here and again when it
 * prints or frees. */
static bool
is_too_deep(const char *text, size_t len)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{') && ++depth > JSON_DEPTH_MAX)
			return true;
		else if (!in_string && (c == ']' || c == '}'))
			depth--;
	}
	return false;
}

json_t *
json_parse(const void *text, size_t len, struct err *err)
{
	json_error_t why;
	json_t *json;

	if (len > JSON_MAX)
		return err_null(err, ERR_LIMIT, "JSON of %zu bytes; at most %d are accepted", len, JSON_MAX);
	if (is_too_deep(text, len))
		return err_null(err, ERR_LIMIT, "JSON nested deeper than %d", JSON_DEPTH_MAX);
	json = json_loadb(len > 0 ? text : "", len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (!json)
		return err_null(err, ERR_INVALID, "JSON line %d, column %d: %s", why.line, why.column, why.text);
	return json;
}

char *
json_line(const json_t *json)
{
	char *dumped = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	char *text = mem_text(dumped ? dumped : "null");

	mem_free(dumped);
	return text;
}

/* 1: there, with the right type; 0: absent or null; -1.  But for 1 *out is NULL. */
static int
member(const json_t *object, const char *key, json_type type, const char *type_name, json_t **out, struct err *err)
{
	json_t *value;

	*out = NULL;
	if (!json_is_object(object))
		return err_set(err, ERR_INVALID, "expected a JSON object");
	value = json_object_get(object, key);
	if (!value || json_is_null(value))
		return 0;
	if (json_typeof(value) != type)
		return err_set(err, ERR_INVALID, "JSON member `%s` is not %s", key, type_name);
	*out = value;
	return 1;
}

int
json_find_text(const json_t *object, const char *key, const char **out, struct err *err)
{
	json_t *value;
	int there = member(object, key, JSON_STRING, "a string", &value, err);

	if (there < 0)
		return -1;
	*out = json_string_value(value);
	return 0;
}

int
json_get_text(const json_t *object, const char *key, const char **out, struct err *err)
{
	const char *text;

	if (json_find_text(object, key, &text, err) < 0)
		return -1;
	if (!text)
		return err_set(err, ERR_INVALID, "missing field `%s`", key);
	*out = text;
	return 0;
}

int
json_find_int(const json_t *object, const char *key, int64_t *out, struct err *err)
{
	json_t *value;
	int there = member(object, key, JSON_INTEGER, "a whole number", &value, err);

	if (there > 0)
		*out = json_integer_value(value);
	return there < 0 ? -1 : 0;
}

int
json_find_bool(const json_t *object, const char *key, bool *out, struct err *err)
{
	json_t *value;

	if (!json_is_object(object))
		return err_set(err, ERR_INVALID, "expected a JSON object");
	value = json_object_get(object, key);
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_boolean(value))
		return err_set(err, ERR_INVALID, "JSON member `%s` is not true or false", key);
	*out = json_is_true(value);
	return 0;
}

int
json_find_object(const json_t *object, const char *key, json_t **out, struct err *err)
{
	return member(object, key, JSON_OBJECT, "an object", out, err) < 0 ? -1 : 0;
}

int
json_find_array(const json_t *object, const char *key, json_t **out, struct err *err)
{
	return member(object, key, JSON_ARRAY, "an array", out, err) < 0 ? -1 : 0;
}

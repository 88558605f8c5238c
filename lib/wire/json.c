/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from outside, and back. */
#include "wire/json.h"

#include <string.h>

#include "base/buf.h"

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

/* -- Writing ------------------------------------------------------------------------------------------------------------------------------- */

static void put_value(struct buf *out, const json_t *json);

/* What has to be escaped in a string: most of one is put as it is, in one piece. */
static size_t
plain_len(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && (unsigned char)text[n] >= ' ' && text[n] != '"' && text[n] != '\\')
		n++;
	return n;
}

static void
put_escaped(struct buf *out, char c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *at = memchr(from, c, sizeof(from) - 1);

	if (at) {
		buf_putc(out, '\\');
		buf_putc(out, to[at - from]);
	} else {
		buf_putf(out, "\\u%04X", (unsigned char)c);
	}
}

static void
put_text(struct buf *out, const char *text, size_t len)
{
	buf_putc(out, '"');
	while (len > 0) {
		size_t n = plain_len(text, len);

		buf_put(out, text, n);
		if (n < len)
			put_escaped(out, text[n++]);
		text += n;
		len -= n;
	}
	buf_putc(out, '"');
}

static void
put_object(struct buf *out, const json_t *json)
{
	const char *key, *between = "{";
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)json, key, value) {
		buf_puts(out, between);
		put_text(out, key, strlen(key));
		buf_putc(out, ':');
		put_value(out, value);
		between = ",";
	}
	buf_puts(out, *between == '{' ? "{}" : "}");
}

static void
put_array(struct buf *out, const json_t *json)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < json_array_size(json); i++) {
		if (i > 0)
			buf_putc(out, ',');
		put_value(out, json_array_get(json, i));
	}
	buf_putc(out, ']');
}

/* Its digits are jansson's. */
static void
put_real(struct buf *out, const json_t *json)
{
	OWN_TEXT text = json_dumps(json, JSON_ENCODE_ANY);

	buf_puts(out, text ? text : "null");
}

static void
put_value(struct buf *out, const json_t *json)
{
	switch (json ? json_typeof(json) : JSON_NULL) {
	case JSON_OBJECT:
		put_object(out, json);
		return;
	case JSON_ARRAY:
		put_array(out, json);
		return;
	case JSON_STRING:
		put_text(out, json_string_value(json), json_string_length(json));
		return;
	case JSON_INTEGER:
		buf_put_i64(out, json_integer_value(json));
		return;
	case JSON_REAL:
		put_real(out, json);
		return;
	case JSON_TRUE:
		buf_puts(out, "true");
		return;
	case JSON_FALSE:
		buf_puts(out, "false");
		return;
	case JSON_NULL:
		buf_puts(out, "null");
		return;
	}
}

/* jansson's own writer looks at each character as one of Unicode, and notes each object in a table, lest one stand in itself: ours can't. */
char *
json_line(const json_t *json)
{
	struct buf out = BUF_INIT(SIZE_MAX - 1);

	put_value(&out, json);
	return buf_take_text(&out);
}

/* -- Members ------------------------------------------------------------------------------------------------------------------------------- */

/* 1: there, with the right type; 0: absent or null; -1. */
static int
member(const json_t *object, const char *key, json_type type, const char *type_name, json_t **out, struct err *err)
{
	json_t *value;

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
	*out = there ? json_string_value(value) : NULL;
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
	*out = NULL;
	return member(object, key, JSON_OBJECT, "an object", out, err) < 0 ? -1 : 0;
}

int
json_find_array(const json_t *object, const char *key, json_t **out, struct err *err)
{
	*out = NULL;
	return member(object, key, JSON_ARRAY, "an array", out, err) < 0 ? -1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of the query language, by name.  What a function cannot be asked about is undefined, never an error: a query meets documents of every
 * shape. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/query_inside.h"

#define TEXT_MAX (64 * 1024) /* what CONCAT may make */

typedef json_t *query_call(json_t *const *args, size_t n);

struct query_function {
	const char *name;
	size_t min, max;
	query_call *call;
};

/* -- Types --------------------------------------------------------------------------------------------------------------------- */

static json_t *
is_defined(json_t *const *args, size_t n)
{
	(void)n;
	return json_boolean(args[0] != NULL);
}

#define IS_TYPE(name, condition)                                                                                                   \
	static json_t *is_##name(json_t *const *args, size_t n)                                                                    \
	{                                                                                                                          \
		const json_t *v = args[0];                                                                                         \
                                                                                                                                   \
		(void)n;                                                                                                           \
		return json_boolean(v && (condition));                                                                             \
	}
IS_TYPE(null, json_is_null(v))
IS_TYPE(bool, json_is_boolean(v))
IS_TYPE(number, json_is_number(v))
IS_TYPE(string, json_is_string(v))
IS_TYPE(object, json_is_object(v))
IS_TYPE(array, json_is_array(v))
IS_TYPE(primitive, !json_is_object(v) && !json_is_array(v))

static json_t *
as_number(json_t *const *args, size_t n)
{
	const char *text = json_string_value(args[0]);
	char *end;
	double value;

	(void)n;
	if (json_is_number(args[0]))
		return json_incref(args[0]);
	if (!text || !*text || isspace((unsigned char)*text))
		return NULL;
	value = strtod(text, &end);
	return *end ? NULL : query_number(value);
}

/* -- Texts ---------------------------------------------------------------------------------------------------------------------- */

/* Both are strings. */
static bool
are_texts(json_t *const *args)
{
	return json_is_string(args[0]) && json_is_string(args[1]);
}

static json_t *
starts_with(json_t *const *args, size_t n)
{
	(void)n;
	return are_texts(args) ? json_boolean(text_starts(json_string_value(args[0]), json_string_value(args[1]))) : NULL;
}

static json_t *
ends_with(json_t *const *args, size_t n)
{
	(void)n;
	return are_texts(args) ? json_boolean(text_ends(json_string_value(args[0]), json_string_value(args[1]))) : NULL;
}

static json_t *
contains(json_t *const *args, size_t n)
{
	(void)n;
	return are_texts(args) ? json_boolean(strstr(json_string_value(args[0]), json_string_value(args[1])) != NULL) : NULL;
}

static int64_t
n_characters(const char *text, size_t len)
{
	int64_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

/* Where the character of this number begins; the end when there are fewer. */
static const char *
character(const char *text, int64_t number)
{
	for (; *text; text++)
		if (((unsigned char)*text & 0xc0) != 0x80 && number-- == 0)
			break;
	return text;
}

static json_t *
length(json_t *const *args, size_t n)
{
	(void)n;
	return json_is_string(args[0]) ? json_integer(n_characters(json_string_value(args[0]), json_string_length(args[0]))) : NULL;
}

static json_t *
index_of(json_t *const *args, size_t n)
{
	const char *text, *found;

	(void)n;
	if (!are_texts(args))
		return NULL;
	text = json_string_value(args[0]);
	found = strstr(text, json_string_value(args[1]));
	return json_integer(found ? n_characters(text, (size_t)(found - text)) : -1);
}

static json_t *
substring(json_t *const *args, size_t n)
{
	const char *begin, *end;

	if (!json_is_string(args[0]) || !json_is_integer(args[1]) || json_integer_value(args[1]) < 0)
		return NULL;
	if (n == 3 && (!json_is_integer(args[2]) || json_integer_value(args[2]) < 0))
		return NULL;
	begin = character(json_string_value(args[0]), json_integer_value(args[1]));
	end = n == 3 ? character(begin, json_integer_value(args[2])) : begin + strlen(begin);
	return json_stringn(begin, (size_t)(end - begin));
}

/* ASCII: what the other letters' cases are depends on whom one asks. */
static json_t *
change_case(const json_t *value, int (*to)(int))
{
	OWN_TEXT text = json_is_string(value) ? mem_text(json_string_value(value)) : NULL;

	if (!text)
		return NULL;
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x80)
			*c = (char)to((unsigned char)*c);
	return json_string(text);
}

static json_t *
lower(json_t *const *args, size_t n)
{
	(void)n;
	return change_case(args[0], tolower);
}

static json_t *
upper(json_t *const *args, size_t n)
{
	(void)n;
	return change_case(args[0], toupper);
}

static json_t *
concat(json_t *const *args, size_t n)
{
	CLEAR(buf) out = BUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < n; i++) {
		if (!json_is_string(args[i]))
			return NULL;
		buf_puts(&out, json_string_value(args[i]));
	}
	return out.failed ? NULL : json_string(buf_text(&out));
}

/* -- Numbers --------------------------------------------------------------------------------------------------------------------------- */

#define OF_NUMBER(name, expression)                                                                                                \
	static json_t *number_##name(json_t *const *args, size_t n)                                                                \
	{                                                                                                                          \
		double x = json_number_value(args[0]);                                                                             \
                                                                                                                                   \
		(void)n;                                                                                                           \
		return json_is_number(args[0]) ? query_number(expression) : NULL;                                                  \
	}
OF_NUMBER(abs, fabs(x))
OF_NUMBER(exp, exp(x))
OF_NUMBER(square, x *x)
OF_NUMBER(ceiling, ceil(x))
OF_NUMBER(floor, floor(x))
OF_NUMBER(sign, (x > 0) - (x < 0))
OF_NUMBER(sqrt, sqrt(x))

static json_t *
number_power(json_t *const *args, size_t n)
{
	(void)n;
	if (!json_is_number(args[0]) || !json_is_number(args[1]))
		return NULL;
	return query_number(pow(json_number_value(args[0]), json_number_value(args[1])));
}

/* -- The table ------------------------------------------------------------------------------------------------------------------------------ */

static const struct query_function functions[] = {
	{ "ABS", 1, 1, number_abs },
	{ "AS_NUMBER", 1, 1, as_number },
	{ "CEILING", 1, 1, number_ceiling },
	{ "CONCAT", 2, QUERY_ARGS_MAX, concat },
	{ "CONTAINS", 2, 2, contains },
	{ "ENDS_WITH", 2, 2, ends_with },
	{ "ENDSWITH", 2, 2, ends_with },
	{ "EXP", 1, 1, number_exp },
	{ "FLOOR", 1, 1, number_floor },
	{ "INDEX_OF", 2, 2, index_of },
	{ "IS_ARRAY", 1, 1, is_array },
	{ "IS_BOOL", 1, 1, is_bool },
	{ "IS_DEFINED", 1, 1, is_defined },
	{ "IS_NULL", 1, 1, is_null },
	{ "IS_NUMBER", 1, 1, is_number },
	{ "IS_OBJECT", 1, 1, is_object },
	{ "IS_PRIMITIVE", 1, 1, is_primitive },
	{ "IS_STRING", 1, 1, is_string },
	{ "LENGTH", 1, 1, length },
	{ "LOWER", 1, 1, lower },
	{ "POWER", 2, 2, number_power },
	{ "SIGN", 1, 1, number_sign },
	{ "SQRT", 1, 1, number_sqrt },
	{ "SQUARE", 1, 1, number_square },
	{ "STARTS_WITH", 2, 2, starts_with },
	{ "STARTSWITH", 2, 2, starts_with },
	{ "SUBSTRING", 2, 3, substring },
	{ "UPPER", 1, 1, upper },
};

const struct query_function *
query_function_find(const char *name, size_t len)
{
	for (size_t i = 0; i < COUNT(functions); i++)
		if (strlen(functions[i].name) == len && strncasecmp(functions[i].name, name, len) == 0)
			return &functions[i];
	return NULL;
}

bool
query_function_takes(const struct query_function *function, size_t n)
{
	return n >= function->min && n <= function->max;
}

const char *
query_function_name(const struct query_function *function)
{
	return function->name;
}

bool
query_function_is_starts_with(const struct query_function *function)
{
	return function->call == starts_with;
}

json_t *
query_function_call(const struct query_function *function, json_t *const *args, size_t n)
{
	return function->call(args, n);
}

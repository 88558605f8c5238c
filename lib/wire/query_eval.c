/* SPDX-License-Identifier: Apache-2.0 */
/* What an expression is for a document (query.h).  Nothing here fails: what makes no sense is undefined. */
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"
#include "wire/query_inside.h"

/* -- Scalars -------------------------------------------------------------------------------------------------------------------------- */

json_t *
query_number(double value)
{
	if (!isfinite(value))
		return NULL;
	if (value == floor(value) && fabs(value) < 9007199254740992.0)
		return json_integer((json_int_t)value);
	return json_real(value);
}

static bool
is_scalar(const json_t *value)
{
	return value && !json_is_object(value) && !json_is_array(value);
}

/* Exact for all 64 bits of an integer beside a real. */
static int
order_numbers(const json_t *a, const json_t *b)
{
	long double x = json_is_integer(a) ? (long double)json_integer_value(a) : (long double)json_real_value(a);
	long double y = json_is_integer(b) ? (long double)json_integer_value(b) : (long double)json_real_value(b);

	return (x > y) - (x < y);
}

/* Is there an order between them?  *order as from strcmp. */
static bool
find_order(const json_t *a, const json_t *b, int *order)
{
	if (json_is_number(a) && json_is_number(b)) {
		*order = order_numbers(a, b);
		return true;
	}
	if (json_is_string(a) && json_is_string(b)) {
		*order = strcmp(json_string_value(a), json_string_value(b));
		return true;
	}
	return false;
}

static bool
are_equal(const json_t *a, const json_t *b)
{
	int order;

	return find_order(a, b, &order) ? order == 0 : json_typeof(a) == json_typeof(b);
}

enum query_truth
query_compare(enum query_kind how, const json_t *a, const json_t *b)
{
	int order;

	if (!is_scalar(a) || !is_scalar(b))
		return QUERY_UNDEFINED;
	if (how == QUERY_EQ || how == QUERY_NE)
		return are_equal(a, b) == (how == QUERY_EQ) ? QUERY_TRUE : QUERY_FALSE;
	if (!find_order(a, b, &order))
		return QUERY_UNDEFINED;
	if (how == QUERY_LT || how == QUERY_GE)
		return (order < 0) == (how == QUERY_LT) ? QUERY_TRUE : QUERY_FALSE;
	return (order > 0) == (how == QUERY_GT) ? QUERY_TRUE : QUERY_FALSE;
}

/* Whole numbers stay whole as long as they fit. */
static json_t *
compute_whole(enum query_kind how, json_int_t a, json_int_t b)
{
	json_int_t result;

	if (how == QUERY_ADD && !__builtin_add_overflow(a, b, &result))
		return json_integer(result);
	if (how == QUERY_SUB && !__builtin_sub_overflow(a, b, &result))
		return json_integer(result);
	if (how == QUERY_MUL && !__builtin_mul_overflow(a, b, &result))
		return json_integer(result);
	if (how == QUERY_MOD && b != 0)
		return json_integer(b == -1 ? 0 : a % b);
	return NULL;
}

json_t *
query_compute(enum query_kind how, const json_t *a, const json_t *b)
{
	json_t *whole =
		json_is_integer(a) && json_is_integer(b) ? compute_whole(how, json_integer_value(a), json_integer_value(b)) : NULL;
	double x = json_number_value(a), y = json_number_value(b);

	if (whole || !json_is_number(a) || !json_is_number(b))
		return whole;
	if (how == QUERY_ADD)
		return query_number(x + y);
	if (how == QUERY_SUB)
		return query_number(x - y);
	if (how == QUERY_MUL)
		return query_number(x * y);
	if (y == 0)
		return NULL;
	return query_number(how == QUERY_DIV ? x / y : fmod(x, y));
}

/* -- Paths -------------------------------------------------------------------------------------------------------------------------------- */

/* Names of the document itself are found in any case. */
static json_t *
find_top(const json_t *row, const char *name)
{
	json_t *found = json_object_get(row, name), *value;
	const char *key;

	if (found)
		return found;
	json_object_foreach((json_t *)(uintptr_t)row, key, value)
		if (text_is_nocase(key, name))
			return value;
	return NULL;
}

/* A member; of an array the element "[3]". */
static json_t *
find_member(const json_t *of, const char *name)
{
	int64_t index;
	OWN_TEXT digits =
		json_is_array(of) && name[0] == '[' && text_ends(name, "]") ? mem_textn(name + 1, strlen(name) - 2) : NULL;

	if (!digits)
		return json_object_get(of, name);
	return text_to_i64(digits, 0, INT32_MAX, &index) ? json_array_get(of, (size_t)index) : NULL;
}

static json_t *
find_path(const struct query_node *node, const json_t *row)
{
	json_t *at = find_top(row, node->path[0]);

	for (size_t i = 1; at && i < node->n_path; i++)
		at = find_member(at, node->path[i]);
	return at;
}

bool
query_path_is(const struct query_node *node, const char *const *names)
{
	if (node->kind != QUERY_PATH)
		return false;
	for (size_t i = 0; i < node->n_path; i++)
		if (!names[i] || !(i == 0 ? text_is_nocase(names[i], node->path[i]) : text_is(names[i], node->path[i])))
			return false;
	return !names[node->n_path];
}

char *
query_path_text(const struct query_node *node)
{
	CLEAR(buf) out = BUF_INIT((size_t)8 * QUERY_MAX);

	for (size_t i = 0; i < node->n_path; i++)
		buf_putf(&out, "%s%s", i > 0 ? "." : "", node->path[i]);
	return buf_take_text(&out);
}

bool
query_is_starts_with(const struct query_node *node)
{
	return node->kind == QUERY_CALL && query_function_is_starts_with(node->function);
}

void
query_each_path(const struct query_node *node, void (*each)(void *arg, const struct query_node *path), void *arg)
{
	if (!node)
		return;
	if (node->kind == QUERY_PATH)
		each(arg, node);
	for (size_t i = 0; i < node->n_kids; i++)
		query_each_path(node->kids[i], each, arg);
}

/* -- Expressions ---------------------------------------------------------------------------------------------------------------------------- */

static enum query_truth truth_of(const struct query_node *node, const json_t *row);

static enum query_truth
truth_of_json(const json_t *value)
{
	return json_is_true(value) ? QUERY_TRUE : json_is_false(value) ? QUERY_FALSE : QUERY_UNDEFINED;
}

/* AND is false as soon as one is, OR true as soon as one is; what is undefined leaves it undefined otherwise. */
static enum query_truth
truth_of_chain(const struct query_node *node, const json_t *row)
{
	enum query_truth decides = node->kind == QUERY_AND ? QUERY_FALSE : QUERY_TRUE;
	enum query_truth sum = node->kind == QUERY_AND ? QUERY_TRUE : QUERY_FALSE;

	for (size_t i = 0; i < node->n_kids; i++) {
		enum query_truth one = truth_of(node->kids[i], row);

		if (one == decides)
			return one;
		if (one == QUERY_UNDEFINED)
			sum = QUERY_UNDEFINED;
	}
	return sum;
}

static enum query_truth
negate(enum query_truth truth)
{
	return truth == QUERY_UNDEFINED ? truth : truth == QUERY_TRUE ? QUERY_FALSE : QUERY_TRUE;
}

static enum query_truth
is_among(const json_t *value, const json_t *list)
{
	const json_t *one;
	size_t i;

	if (!is_scalar(value) || !json_is_array(list))
		return QUERY_UNDEFINED;
	json_array_foreach(list, i, one)
		if (query_compare(QUERY_EQ, value, one) == QUERY_TRUE)
			return QUERY_TRUE;
	return QUERY_FALSE;
}

static enum query_truth
truth_of_pair(const struct query_node *node, const json_t *row)
{
	OWN_LIB(json_t) a = query_value(node->kids[0], row);
	OWN_LIB(json_t) b = query_value(node->kids[1], row);

	if (node->kind == QUERY_IN)
		return is_among(a, b);
	if (node->kind == QUERY_NIN)
		return negate(is_among(a, b));
	return query_compare(node->kind, a, b);
}

/* For the kinds that are true or false. */
static bool
is_logical(const struct query_node *node)
{
	return node->kind >= QUERY_AND && node->kind <= QUERY_NIN && node->kind != QUERY_MINUS;
}

static enum query_truth
truth_of(const struct query_node *node, const json_t *row)
{
	OWN_LIB(json_t) value = NULL;

	if (node->kind == QUERY_AND || node->kind == QUERY_OR)
		return truth_of_chain(node, row);
	if (node->kind == QUERY_NOT)
		return negate(truth_of(node->kids[0], row));
	if (is_logical(node))
		return truth_of_pair(node, row);
	value = query_value(node, row);
	return truth_of_json(value);
}

static json_t *
call(const struct query_node *node, const json_t *row)
{
	json_t *args[QUERY_ARGS_MAX] = { NULL };
	json_t *result;

	for (size_t i = 0; i < node->n_kids; i++)
		args[i] = query_value(node->kids[i], row);
	result = query_function_call(node->function, args, node->n_kids);
	for (size_t i = 0; i < node->n_kids; i++)
		json_decref(args[i]);
	return result;
}

static json_t *
compute(const struct query_node *node, const json_t *row)
{
	OWN_LIB(json_t) a = node->kind == QUERY_MINUS ? json_integer(0) : query_value(node->kids[0], row);
	OWN_LIB(json_t) b = query_value(node->kids[node->n_kids - 1], row);

	return query_compute(node->kind == QUERY_MINUS ? QUERY_SUB : node->kind, a, b);
}

static json_t *
coalesce(const struct query_node *node, const json_t *row)
{
	json_t *first = query_value(node->kids[0], row);

	return first ? first : query_value(node->kids[1], row);
}

json_t *
query_value(const struct query_node *node, const json_t *row)
{
	enum query_truth truth;

	if (node->kind == QUERY_VALUE)
		return json_incref(node->value);
	if (node->kind == QUERY_PATH)
		return json_incref(find_path(node, row));
	if (node->kind == QUERY_CALL)
		return call(node, row);
	if (node->kind == QUERY_COALESCE)
		return coalesce(node, row);
	if (!is_logical(node))
		return compute(node, row);
	truth = truth_of(node, row);
	return truth == QUERY_UNDEFINED ? NULL : json_boolean(truth == QUERY_TRUE);
}

bool
query_is_true(const struct query_node *node, const json_t *row)
{
	return !node || truth_of(node, row) == QUERY_TRUE;
}

json_t *
query_project(const struct query *query, const json_t *row)
{
	json_t *out;

	if (query->n_columns == 0)
		return json_incref((json_t *)(uintptr_t)row);
	out = json_object();
	for (size_t i = 0; i < query->n_columns; i++) {
		json_t *value = query_value(query->columns[i].what, row);

		if (value)
			json_object_set_new(out, query->columns[i].name, value);
	}
	return out;
}

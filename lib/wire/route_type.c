/* SPDX-License-Identifier: Apache-2.0 */
/* The types of a condition, as far as they are known before there is a message: properties are texts, $body may be anything.  The original refuses a route that can never be
 * right, such as one that compares a property with a number, and so do we, with the way out. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/route_inside.h"

enum type { ANY, TEXT, NUMBER, LOGICAL, NOTHING /* null, undefined */ };

static const char *const type_names[] = { "anything", "a text", "a number", "true or false", "null" };

static const struct {
	const char *name;
	enum type result, takes[3]; /* the last one for all that follow */
} functions[] = {
	{ "ABS", NUMBER, { NUMBER } },
	{ "AS_NUMBER", NUMBER, { ANY } },
	{ "CEILING", NUMBER, { NUMBER } },
	{ "CONCAT", TEXT, { TEXT, TEXT, TEXT } },
	{ "CONTAINS", LOGICAL, { TEXT, TEXT } },
	{ "ENDS_WITH", LOGICAL, { TEXT, TEXT } },
	{ "ENDSWITH", LOGICAL, { TEXT, TEXT } },
	{ "EXP", NUMBER, { NUMBER } },
	{ "FLOOR", NUMBER, { NUMBER } },
	{ "INDEX_OF", NUMBER, { TEXT, TEXT } },
	{ "LENGTH", NUMBER, { TEXT } },
	{ "LOWER", TEXT, { TEXT } },
	{ "POWER", NUMBER, { NUMBER, NUMBER } },
	{ "SIGN", NUMBER, { NUMBER } },
	{ "SQRT", NUMBER, { NUMBER } },
	{ "SQUARE", NUMBER, { NUMBER } },
	{ "STARTS_WITH", LOGICAL, { TEXT, TEXT } },
	{ "STARTSWITH", LOGICAL, { TEXT, TEXT } },
	{ "SUBSTRING", TEXT, { TEXT, NUMBER, NUMBER } },
	{ "UPPER", TEXT, { TEXT } },
};

static enum type
type_of_value(const json_t *value)
{
	if (!value || json_is_null(value))
		return NOTHING;
	if (json_is_string(value))
		return TEXT;
	if (json_is_number(value))
		return NUMBER;
	return json_is_boolean(value) ? LOGICAL : ANY;
}

/* What was made has its type as its note. */
static enum type
type_of(const struct query_node *node)
{
	if (node->kind == QUERY_VALUE)
		return type_of_value(node->value);
	if (node->kind == QUERY_PATH)
		return text_is_nocase(node->path[0], "$body") || text_is_nocase(node->path[0], "{$body") ? ANY : TEXT;
	return (enum type)node->note;
}

static bool
may_be(const struct query_node *node, enum type wanted)
{
	enum type type = type_of(node);

	return wanted == ANY || type == ANY || type == NOTHING || type == wanted;
}

static const char *
way_out(enum type given, enum type wanted)
{
	if (given == TEXT && wanted == NUMBER)
		return ": AS_NUMBER makes a number of a text";
	return given == TEXT && wanted == LOGICAL ? ": a property is compared, as in level = 'high', or asked for by IS_DEFINED"
						  : "";
}

static int
fail_kid(struct query_parser *p, size_t at, const struct query_node *kid, enum type wanted)
{
	enum type given = type_of(kid);

	return query_fail(&p->lexer, at, "%s is needed here, and this is %s%s", type_names[wanted], type_names[given],
		way_out(given, wanted));
}

static int
check_kids(struct query_parser *p, struct query_node *node, size_t at, enum type wanted, enum type result)
{
	for (size_t i = 0; i < node->n_kids; i++)
		if (!may_be(node->kids[i], wanted))
			return fail_kid(p, at, node->kids[i], wanted);
	node->note = (int)result;
	return 0;
}

/* Both of one type. */
static int
check_alike(struct query_parser *p, struct query_node *node, size_t at, enum type result)
{
	enum type a = type_of(node->kids[0]), b = type_of(node->kids[1]);

	if (!may_be(node->kids[0], b) && !may_be(node->kids[1], a))
		return query_fail(&p->lexer, at, "%s meets %s here%s", type_names[a], type_names[b],
			(a == TEXT && b == NUMBER) || (a == NUMBER && b == TEXT) ? way_out(TEXT, NUMBER) : "");
	node->note = (int)result;
	return 0;
}

static int
check_call(struct query_parser *p, struct query_node *node, size_t at)
{
	node->note = LOGICAL; /* IS_DEFINED and its like, which take anything */
	for (size_t i = 0; i < COUNT(functions); i++) {
		if (!text_is(functions[i].name, query_function_name(node->function)))
			continue;
		node->note = (int)functions[i].result;
		for (size_t k = 0; k < node->n_kids; k++) {
			enum type wanted = functions[i].takes[k < COUNT(functions[i].takes) ? k : COUNT(functions[i].takes) - 1];

			if (!may_be(node->kids[k], wanted))
				return fail_kid(p, at, node->kids[k], wanted);
		}
	}
	return 0;
}

int
route_check_types(struct query_parser *p, struct query_node *node, size_t at)
{
	switch (node->kind) {
	case QUERY_AND:
	case QUERY_OR:
	case QUERY_NOT:
		return check_kids(p, node, at, LOGICAL, LOGICAL);
	case QUERY_MINUS:
	case QUERY_ADD:
	case QUERY_SUB:
	case QUERY_MUL:
	case QUERY_DIV:
	case QUERY_MOD:
		return check_kids(p, node, at, NUMBER, NUMBER);
	case QUERY_EQ:
	case QUERY_NE:
	case QUERY_LT:
	case QUERY_LE:
	case QUERY_GT:
	case QUERY_GE:
		return check_alike(p, node, at, LOGICAL);
	case QUERY_COALESCE:
		return check_alike(
			p, node, at, type_of(node->kids[0]) == NOTHING ? type_of(node->kids[1]) : type_of(node->kids[0]));
	case QUERY_CALL:
		return check_call(p, node, at);
	case QUERY_IN:
	case QUERY_NIN:
		node->note = LOGICAL;
		return 0;
	case QUERY_VALUE:
	case QUERY_PATH:
		break;
	}
	return 0;
}

/* What is null or undefined is so for every message. */
int
route_check_condition(struct query_parser *p, const struct query_node *where, size_t at)
{
	enum type type = type_of(where);

	return type == LOGICAL || type == ANY ? 0 : fail_kid(p, at, where, LOGICAL);
}

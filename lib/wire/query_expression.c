/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of the query language's expressions, by recursive descent with one token in hand.  What nests is counted on the way down; what comes out is
 * no deeper than QUERY_DEPTH_MAX, so everyone may walk the tree by recursion. */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "wire/query_inside.h"

/* -- Tokens --------------------------------------------------------------------------------------------------------------------------- */

void
query_next(struct query_parser *p)
{
	json_decref(p->token.value);
	p->token = query_lex(&p->lexer);
}

bool
query_is_word(const struct query_parser *p, const char *word)
{
	return p->token.kind == QT_NAME && p->token.len == strlen(word) &&
	       strncasecmp(p->lexer.text + p->token.at, word, p->token.len) == 0;
}

bool
query_take_word(struct query_parser *p, const char *word)
{
	if (!query_is_word(p, word))
		return false;
	query_next(p);
	return true;
}

bool
query_is_sign(const struct query_parser *p, enum query_sign sign)
{
	return p->token.kind == QT_SIGN && p->token.sign == sign;
}

bool
query_take_sign(struct query_parser *p, enum query_sign sign)
{
	if (!query_is_sign(p, sign))
		return false;
	query_next(p);
	return true;
}

/* The lexer has said already what is bad. */
int
query_fail_expected(struct query_parser *p, const char *what)
{
	if (p->token.kind == QT_BAD)
		return -1;
	if (p->token.kind == QT_END)
		return query_fail(&p->lexer, p->token.at, "%s is expected, and the query ends", what);
	return query_fail(&p->lexer, p->token.at, "%s is expected, not %.*s", what, (int)(p->token.len < 40 ? p->token.len : 40),
		p->lexer.text + p->token.at);
}

static struct query_node *
expected(struct query_parser *p, const char *what)
{
	(void)query_fail_expected(p, what);
	return NULL;
}

/* -- Paths ------------------------------------------------------------------------------------------------------------------------------ */

static const char *const reserved[] = { "SELECT", "TOP", "FROM", "WHERE", "GROUP", "BY", "AS", "AND", "OR", "NOT", "IN", "NIN" };

bool
query_is_reserved(const struct query_parser *p)
{
	for (size_t i = 0; i < COUNT(reserved); i++)
		if (query_is_word(p, reserved[i]))
			return true;
	for (const char *const *word = p->dialect ? p->dialect->words : NULL; word && *word; word++)
		if (query_is_word(p, *word))
			return true;
	return false;
}

static void
add_name(struct query_node *node, char *name_take)
{
	node->path = mem_resize(node->path, (node->n_path + 1) * sizeof(char *));
	node->path[node->n_path++] = name_take;
}

static int
check_path_length(struct query_parser *p, const struct query_node *node)
{
	return node->n_path <= QUERY_DEPTH_MAX ? 0
					       : query_fail(&p->lexer, p->token.at, "a path has at most %d names", QUERY_DEPTH_MAX);
}

/* name[3]: the index is a step of its own, as it is written. */
static int
path_index(struct query_parser *p, struct query_node *node)
{
	if (p->token.kind != QT_NUMBER || !json_is_integer(p->token.value))
		return query_fail_expected(p, "a whole number");
	add_name(node, mem_textf("[%lld]", (long long)json_integer_value(p->token.value)));
	query_next(p);
	if (!query_take_sign(p, QS_CLOSE_LIST))
		return query_fail_expected(p, "]");
	return check_path_length(p, node);
}

/* name | [[name with anything]] */
static int
path_step(struct query_parser *p, struct query_node *node)
{
	char *name;

	if (query_is_sign(p, QS_OPEN_NAME)) {
		name = query_lex_quoted_name(&p->lexer);
		if (!name)
			return query_fail(&p->lexer, p->token.at, "a name and ]] are expected behind [[");
		add_name(node, name);
	} else if (p->token.kind == QT_NAME) {
		add_name(node, mem_textn(p->lexer.text + p->token.at, p->token.len));
	} else {
		return query_fail_expected(p, "a name");
	}
	query_next(p);
	while (p->dialect && query_take_sign(p, QS_OPEN_LIST))
		if (path_index(p, node) < 0)
			return -1;
	return check_path_length(p, node);
}

void
query_path_prefix(struct query_node *path, const char *name)
{
	path->path = mem_resize(path->path, (path->n_path + 1) * sizeof(char *));
	memmove(path->path + 1, path->path, path->n_path * sizeof(char *));
	path->path[0] = mem_text(name);
	path->n_path++;
}

void
query_path_join(struct query_node *path)
{
	char *joined = query_path_text(path);

	for (size_t i = 0; i < path->n_path; i++)
		mem_free(path->path[i]);
	path->path[0] = joined;
	path->n_path = 1;
}

struct query_node *
query_parse_path(struct query_parser *p)
{
	OWN(query_node) node = query_node_new(QUERY_PATH);

	do {
		if (path_step(p, node) < 0)
			return NULL;
	} while (query_take_sign(p, QS_DOT));
	return GIVE(node);
}

/* -- Expressions, weakest first ------------------------------------------------------------------------------------------------------ */

/* It was made by what stands at `at`; NULL when it can't be. */
static struct query_node *
made(struct query_parser *p, struct query_node *node_take, size_t at)
{
	OWN(query_node) node = node_take;

	if (node->depth > QUERY_DEPTH_MAX) {
		(void)query_fail(&p->lexer, p->token.at, "expressions may be nested %d deep", QUERY_DEPTH_MAX);
		return NULL;
	}
	if (p->dialect && p->dialect->check(p, node, at) < 0)
		return NULL;
	return GIVE(node);
}

/* One of two, and what it is about; takes left, also when it fails. */
static struct query_node *
pair(struct query_parser *p, enum query_kind kind, size_t at, struct query_node *left_take, struct query_node *right_take)
{
	OWN(query_node) node = query_node_new(kind);

	query_node_adopt(node, left_take);
	if (!right_take)
		return NULL;
	query_node_adopt(node, right_take);
	return made(p, GIVE(node), at);
}

static json_t *
negative(const json_t *number)
{
	if (json_is_integer(number) && json_integer_value(number) != INT64_MIN)
		return json_integer(-json_integer_value(number));
	return json_real(-json_number_value(number));
}

/* A constant of an array: nothing has to be looked up for it. */
static json_t *
parse_constant(struct query_parser *p)
{
	static const struct {
		const char *word;
		json_t *(*make)(void);
	} words[] = { { "true", json_true }, { "false", json_false }, { "null", json_null } };
	bool minus = query_take_sign(p, QS_MINUS);
	json_t *value = NULL;

	if (p->token.kind == QT_NUMBER)
		value = minus ? negative(p->token.value) : json_incref(p->token.value);
	else if (p->token.kind == QT_STRING && !minus)
		value = json_incref(p->token.value);
	for (size_t i = 0; !value && !minus && i < COUNT(words); i++)
		if (query_is_word(p, words[i].word))
			value = words[i].make();
	if (value)
		query_next(p);
	else
		(void)query_fail_expected(p, "a constant");
	return value;
}

/* Behind the opening bracket. */
static struct query_node *
parse_list(struct query_parser *p)
{
	OWN(query_node) node = query_node_value(json_array());
	json_t *value;

	if (query_take_sign(p, QS_CLOSE_LIST))
		return GIVE(node);
	do {
		value = parse_constant(p);
		if (!value)
			return NULL;
		json_array_append_new(node->value, value);
		if (json_array_size(node->value) > QUERY_LIST_MAX)
			return expected(p, "an array with fewer elements");
	} while (query_take_sign(p, QS_COMMA));
	if (!query_take_sign(p, QS_CLOSE_LIST))
		return expected(p, "] or a comma");
	return GIVE(node);
}

/* Behind the opening parenthesis. */
static struct query_node *
parse_arguments(struct query_parser *p, const struct query_function *function, size_t at)
{
	OWN(query_node) node = query_node_new(QUERY_CALL);
	struct query_node *argument;

	node->function = function;
	if (!query_is_sign(p, QS_CLOSE))
		do {
			argument = query_parse_or(p);
			if (!argument)
				return NULL;
			query_node_adopt(node, argument);
		} while (node->n_kids < QUERY_ARGS_MAX && query_take_sign(p, QS_COMMA));
	if (!query_take_sign(p, QS_CLOSE))
		return expected(p, ") or a comma");
	if (!query_function_takes(function, node->n_kids)) {
		(void)query_fail(&p->lexer, at, "%s does not take %zu arguments", query_function_name(function), node->n_kids);
		return NULL;
	}
	return made(p, GIVE(node), at);
}

static struct query_node *
parse_call(struct query_parser *p, const struct query_token *name)
{
	const char *text = p->lexer.text + name->at;
	const struct query_function *function = query_function_find(text, name->len);
	struct query_node *node = NULL;

	if (p->dialect && p->dialect->parse_call(p, name, &node))
		return node;
	if (!function) {
		(void)query_fail(&p->lexer, name->at, "there is no function %.*s", (int)(name->len < 40 ? name->len : 40), text);
		return NULL;
	}
	return parse_arguments(p, function, name->at);
}

/* A word: a constant, a function or the beginning of a path. */
static struct query_node *
parse_word(struct query_parser *p)
{
	struct query_token name = p->token;
	struct query_lexer ahead = p->lexer;
	struct query_token after;

	if (query_is_reserved(p))
		return expected(p, "a value");
	if (query_is_word(p, "true") || query_is_word(p, "false") || query_is_word(p, "null"))
		return query_node_value(parse_constant(p));
	if (query_take_word(p, "undefined"))
		return query_node_value(NULL);
	after = query_lex(&ahead);
	json_decref(after.value);
	if (after.kind != QT_SIGN || after.sign != QS_OPEN)
		return query_parse_path(p);
	query_next(p);
	query_next(p);
	return parse_call(p, &name);
}

/* {name}: with the brace before its first name, so that it can be told from one without. */
static struct query_node *
parse_braced(struct query_parser *p)
{
	OWN(query_node) node = query_parse_path(p);
	char *name;

	if (!node)
		return NULL;
	if (!query_take_sign(p, QS_CLOSE_BRACE))
		return expected(p, "}");
	name = mem_textf("{%s", node->path[0]);
	mem_free(node->path[0]);
	node->path[0] = name;
	return GIVE(node);
}

static struct query_node *
parse_primary(struct query_parser *p)
{
	struct query_node *node;

	if (query_take_sign(p, QS_OPEN)) {
		node = query_parse_or(p);
		if (node && !query_take_sign(p, QS_CLOSE)) {
			query_node_free(node);
			return expected(p, ")");
		}
		return node;
	}
	if (query_take_sign(p, QS_OPEN_LIST))
		return parse_list(p);
	if (p->dialect && query_take_sign(p, QS_OPEN_BRACE))
		return parse_braced(p);
	if (query_is_sign(p, QS_OPEN_NAME))
		return query_parse_path(p);
	if (p->token.kind == QT_NAME)
		return parse_word(p);
	if (p->token.kind != QT_NUMBER && p->token.kind != QT_STRING)
		return expected(p, "a value");
	return query_node_value(parse_constant(p));
}

/* -x, and the one place that every recursion passes. */
static struct query_node *
parse_unary(struct query_parser *p)
{
	struct query_node *node, *inner;
	size_t at = p->token.at;

	if (p->level >= QUERY_DEPTH_MAX)
		return expected(p, "something less nested");
	p->level++;
	if (query_is_sign(p, QS_MINUS)) {
		query_next(p);
		inner = parse_unary(p);
		if (inner && inner->kind == QUERY_VALUE && json_is_number(inner->value)) {
			node = query_node_value(negative(inner->value));
			query_node_free(inner);
		} else {
			node = query_node_new(QUERY_MINUS);
			if (inner)
				query_node_adopt(node, inner);
			node = inner ? made(p, node, at) : (query_node_free(node), NULL);
		}
	} else {
		node = parse_primary(p);
	}
	p->level--;
	return node;
}

struct operator_row {
	enum query_sign sign;
	enum query_kind kind;
};

static const struct operator_row products[] = { { QS_STAR, QUERY_MUL }, { QS_SLASH, QUERY_DIV }, { QS_PERCENT, QUERY_MOD }, { 0 } };
static const struct operator_row sums[] = { { QS_PLUS, QUERY_ADD }, { QS_MINUS, QUERY_SUB }, { 0 } };
static const struct operator_row comparisons[] = { { QS_EQ, QUERY_EQ }, { QS_NE, QUERY_NE }, { QS_LT, QUERY_LT },
	{ QS_LE, QUERY_LE }, { QS_GT, QUERY_GT }, { QS_GE, QUERY_GE }, { 0 } };

static const struct operator_row *
take_operator(struct query_parser *p, const struct operator_row *rows)
{
	for (; rows->sign; rows++)
		if (query_take_sign(p, rows->sign))
			return rows;
	return NULL;
}

static struct query_node *
parse_product(struct query_parser *p)
{
	struct query_node *node = parse_unary(p);
	const struct operator_row *row;
	size_t at = p->token.at;

	for (; node && (row = take_operator(p, products)); at = p->token.at)
		node = pair(p, row->kind, at, node, parse_unary(p));
	return node;
}

/* a || b is CONCAT(a, b). */
static struct query_node *
parse_joined(struct query_parser *p, size_t at, struct query_node *left_take)
{
	OWN(query_node) node = query_node_new(QUERY_CALL);
	struct query_node *right = parse_product(p);

	node->function = query_function_find("CONCAT", 6);
	query_node_adopt(node, left_take);
	if (!right)
		return NULL;
	query_node_adopt(node, right);
	return made(p, GIVE(node), at);
}

struct query_node *
query_parse_sum(struct query_parser *p)
{
	struct query_node *node = parse_product(p);
	const struct operator_row *row;
	size_t at = p->token.at;

	for (; node; at = p->token.at)
		if (p->dialect && query_take_sign(p, QS_CONCAT))
			node = parse_joined(p, at, node);
		else if ((row = take_operator(p, sums)))
			node = pair(p, row->kind, at, node, parse_product(p));
		else
			return node;
	return NULL;
}

/* x IN [..], x NIN [..], x NOT IN [..] */
static struct query_node *
parse_membership(struct query_parser *p, struct query_node *left_take, bool is_not)
{
	struct query_node *list = NULL;
	size_t at = p->token.at;

	if (query_take_sign(p, QS_OPEN_LIST))
		list = parse_list(p);
	else if (p->token.kind == QT_NAME && !query_is_reserved(p))
		list = query_parse_path(p);
	else
		(void)query_fail_expected(p, "[ and constants");
	return pair(p, is_not ? QUERY_NIN : QUERY_IN, at, left_take, list);
}

static struct query_node *
parse_comparison(struct query_parser *p)
{
	struct query_node *node = query_parse_sum(p);
	size_t at = p->token.at;
	const struct operator_row *row = node ? take_operator(p, comparisons) : NULL;

	if (row)
		return pair(p, row->kind, at, node, query_parse_sum(p));
	if (!node)
		return NULL;
	if (query_take_word(p, "IN"))
		return parse_membership(p, node, false);
	if (query_take_word(p, "NIN"))
		return parse_membership(p, node, true);
	if (!query_take_word(p, "NOT"))
		return node;
	if (query_take_word(p, "IN"))
		return parse_membership(p, node, true);
	query_node_free(node);
	return expected(p, "IN");
}

static struct query_node *
parse_not(struct query_parser *p)
{
	struct query_node *node, *inner;
	size_t at = p->token.at;

	if (!query_take_word(p, "NOT"))
		return parse_comparison(p);
	if (p->level >= QUERY_DEPTH_MAX)
		return expected(p, "something less nested");
	p->level++;
	inner = parse_not(p);
	p->level--;
	if (!inner)
		return NULL;
	node = query_node_new(QUERY_NOT);
	query_node_adopt(node, inner);
	return made(p, node, at);
}

/* Terms with the same word between them are one node: a long condition isn't a deep one. */
static struct query_node *
parse_chain(struct query_parser *p, const char *word, enum query_kind kind, struct query_node *(*parse_term)(struct query_parser *))
{
	struct query_node *first = parse_term(p), *term;
	OWN(query_node) node = NULL;
	size_t at = p->token.at;

	if (!first || !query_is_word(p, word))
		return first;
	node = query_node_new(kind);
	query_node_adopt(node, first);
	while (query_take_word(p, word)) {
		term = parse_term(p);
		if (!term)
			return NULL;
		query_node_adopt(node, term);
	}
	return made(p, GIVE(node), at);
}

static struct query_node *
parse_and(struct query_parser *p)
{
	return parse_chain(p, "AND", QUERY_AND, parse_not);
}

/* Weakest of all, and a ?? b ?? c is the first that is there. */
struct query_node *
query_parse_or(struct query_parser *p)
{
	struct query_node *node = parse_chain(p, "OR", QUERY_OR, parse_and);
	size_t at = p->token.at;

	for (; node && p->dialect && query_take_sign(p, QS_COALESCE); at = p->token.at)
		node = pair(p, QUERY_COALESCE, at, node, parse_chain(p, "OR", QUERY_OR, parse_and));
	return node;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of the query language, by recursive descent with one token in hand.  What nests is counted on the way down; what comes out is no deeper
 * than QUERY_DEPTH_MAX, so everyone may walk the tree by recursion. */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/query_inside.h"

#define LIST_MAX 2048 /* elements of an array, terms of AND and OR: more than 8192 characters have */

struct parser {
	struct query_lexer lexer;
	struct query_token token; /* the next one */
	int level;
	enum query_source from;
};

/* -- Trees ---------------------------------------------------------------------------------------------------------------------------- */

static void
query_node_free(struct query_node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->n_kids; i++)
		query_node_free(node->kids[i]);
	for (size_t i = 0; i < node->n_path; i++)
		mem_free(node->path[i]);
	json_decref(node->value);
	mem_free(node->kids);
	mem_free(node->path);
	mem_free(node);
}

OWN_DEFINE(query_node);

static struct query_node *
node_new(enum query_kind kind)
{
	struct query_node *node = NEW(query_node);

	node->kind = kind;
	node->depth = 1;
	return node;
}

static struct query_node *
value_node(json_t *value_take)
{
	struct query_node *node = node_new(QUERY_VALUE);

	node->value = value_take;
	return node;
}

static void
adopt(struct query_node *node, struct query_node *kid_take)
{
	node->kids = mem_resize(node->kids, (node->n_kids + 1) * sizeof(struct query_node *));
	node->kids[node->n_kids++] = kid_take;
	if (kid_take->depth >= node->depth)
		node->depth = kid_take->depth + 1;
}

void
query_free(struct query *query)
{
	if (!query)
		return;
	for (size_t i = 0; i < query->n_columns; i++) {
		query_node_free(query->columns[i].what);
		mem_free(query->columns[i].name);
	}
	for (size_t i = 0; i < query->n_group_by; i++)
		query_node_free(query->group_by[i]);
	query_node_free(query->where);
	mem_free(query->columns);
	mem_free(query->group_by);
	mem_free(query);
}

/* -- Tokens --------------------------------------------------------------------------------------------------------------------------- */

static void
next(struct parser *p)
{
	json_decref(p->token.value);
	p->token = query_lex(&p->lexer);
}

static bool
is_word(const struct parser *p, const char *word)
{
	return p->token.kind == QT_NAME && p->token.len == strlen(word) &&
	       strncasecmp(p->lexer.text + p->token.at, word, p->token.len) == 0;
}

static bool
take_word(struct parser *p, const char *word)
{
	if (!is_word(p, word))
		return false;
	next(p);
	return true;
}

static bool
is_sign(const struct parser *p, enum query_sign sign)
{
	return p->token.kind == QT_SIGN && p->token.sign == sign;
}

static bool
take_sign(struct parser *p, enum query_sign sign)
{
	if (!is_sign(p, sign))
		return false;
	next(p);
	return true;
}

/* The lexer has said already what is bad. */
static int
fail_expected(struct parser *p, const char *what)
{
	if (p->token.kind == QT_BAD)
		return -1;
	if (p->token.kind == QT_END)
		return query_fail(&p->lexer, p->token.at, "%s is expected, and the query ends", what);
	return query_fail(&p->lexer, p->token.at, "%s is expected, not %.*s", what, (int)(p->token.len < 40 ? p->token.len : 40),
		p->lexer.text + p->token.at);
}

static struct query_node *
expected(struct parser *p, const char *what)
{
	(void)fail_expected(p, what);
	return NULL;
}

/* -- Paths ------------------------------------------------------------------------------------------------------------------------------ */

static const char *const reserved[] = { "SELECT", "TOP", "FROM", "WHERE", "GROUP", "BY", "AS", "AND", "OR", "NOT", "IN", "NIN" };

static bool
is_reserved(const struct parser *p)
{
	for (size_t i = 0; i < COUNT(reserved); i++)
		if (is_word(p, reserved[i]))
			return true;
	return false;
}

static void
add_name(struct query_node *node, char *name_take)
{
	node->path = mem_resize(node->path, (node->n_path + 1) * sizeof(char *));
	node->path[node->n_path++] = name_take;
}

/* name | [[name with anything]] */
static int
path_step(struct parser *p, struct query_node *node)
{
	char *name;

	if (is_sign(p, QS_OPEN_NAME)) {
		name = query_lex_quoted_name(&p->lexer);
		if (!name)
			return query_fail(&p->lexer, p->token.at, "a name and ]] are expected behind [[");
		add_name(node, name);
	} else if (p->token.kind == QT_NAME) {
		add_name(node, mem_textn(p->lexer.text + p->token.at, p->token.len));
	} else {
		return fail_expected(p, "a name");
	}
	next(p);
	return node->n_path <= QUERY_DEPTH_MAX ? 0
					       : query_fail(&p->lexer, p->token.at, "a path has at most %d names", QUERY_DEPTH_MAX);
}

static struct query_node *
parse_path(struct parser *p)
{
	OWN(query_node) node = node_new(QUERY_PATH);

	do {
		if (path_step(p, node) < 0)
			return NULL;
	} while (take_sign(p, QS_DOT));
	return GIVE(node);
}

/* -- Expressions, weakest first ------------------------------------------------------------------------------------------------------ */

static struct query_node *parse_or(struct parser *p);

static struct query_node *
check_depth(struct parser *p, struct query_node *node)
{
	if (!node || node->depth <= QUERY_DEPTH_MAX)
		return node;
	(void)query_fail(&p->lexer, p->token.at, "expressions may be nested %d deep", QUERY_DEPTH_MAX);
	query_node_free(node);
	return NULL;
}

/* One of two, and what it is about; takes left, also when it fails. */
static struct query_node *
pair(struct parser *p, enum query_kind kind, struct query_node *left_take, struct query_node *right_take)
{
	OWN(query_node) node = node_new(kind);

	adopt(node, left_take);
	if (!right_take)
		return NULL;
	adopt(node, right_take);
	return check_depth(p, GIVE(node));
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
parse_constant(struct parser *p)
{
	static const struct {
		const char *word;
		json_t *(*make)(void);
	} words[] = { { "true", json_true }, { "false", json_false }, { "null", json_null } };
	bool minus = take_sign(p, QS_MINUS);
	json_t *value = NULL;

	if (p->token.kind == QT_NUMBER)
		value = minus ? negative(p->token.value) : json_incref(p->token.value);
	else if (p->token.kind == QT_STRING && !minus)
		value = json_incref(p->token.value);
	for (size_t i = 0; !value && !minus && i < COUNT(words); i++)
		if (is_word(p, words[i].word))
			value = words[i].make();
	if (value)
		next(p);
	else
		(void)fail_expected(p, "a constant");
	return value;
}

/* Behind the opening bracket. */
static struct query_node *
parse_list(struct parser *p)
{
	OWN(query_node) node = value_node(json_array());
	json_t *value;

	if (take_sign(p, QS_CLOSE_LIST))
		return GIVE(node);
	do {
		value = parse_constant(p);
		if (!value)
			return NULL;
		json_array_append_new(node->value, value);
		if (json_array_size(node->value) > LIST_MAX)
			return expected(p, "an array with fewer elements");
	} while (take_sign(p, QS_COMMA));
	if (!take_sign(p, QS_CLOSE_LIST))
		return expected(p, "] or a comma");
	return GIVE(node);
}

/* Behind the opening parenthesis. */
static struct query_node *
parse_arguments(struct parser *p, const struct query_function *function, size_t at)
{
	OWN(query_node) node = node_new(QUERY_CALL);
	struct query_node *argument;

	node->function = function;
	if (!is_sign(p, QS_CLOSE))
		do {
			argument = parse_or(p);
			if (!argument)
				return NULL;
			adopt(node, argument);
		} while (node->n_kids < QUERY_ARGS_MAX && take_sign(p, QS_COMMA));
	if (!take_sign(p, QS_CLOSE))
		return expected(p, ") or a comma");
	if (!query_function_takes(function, node->n_kids)) {
		(void)query_fail(&p->lexer, at, "%s does not take %zu arguments", query_function_name(function), node->n_kids);
		return NULL;
	}
	return GIVE(node);
}

static struct query_node *
parse_call(struct parser *p, const struct query_token *name)
{
	const char *text = p->lexer.text + name->at;
	const struct query_function *function = query_function_find(text, name->len);

	if (!function) {
		(void)query_fail(&p->lexer, name->at, "there is no function %.*s", (int)(name->len < 40 ? name->len : 40), text);
		return NULL;
	}
	return parse_arguments(p, function, name->at);
}

/* A word: a constant, a function or the beginning of a path. */
static struct query_node *
parse_word(struct parser *p)
{
	struct query_token name = p->token;
	struct query_lexer ahead = p->lexer;
	struct query_token after;

	if (is_reserved(p))
		return expected(p, "a value");
	if (is_word(p, "true") || is_word(p, "false") || is_word(p, "null"))
		return value_node(parse_constant(p));
	if (take_word(p, "undefined"))
		return value_node(NULL);
	after = query_lex(&ahead);
	json_decref(after.value);
	if (after.kind != QT_SIGN || after.sign != QS_OPEN)
		return parse_path(p);
	next(p);
	next(p);
	return parse_call(p, &name);
}

static struct query_node *
parse_primary(struct parser *p)
{
	struct query_node *node;

	if (take_sign(p, QS_OPEN)) {
		node = parse_or(p);
		if (node && !take_sign(p, QS_CLOSE)) {
			query_node_free(node);
			return expected(p, ")");
		}
		return node;
	}
	if (take_sign(p, QS_OPEN_LIST))
		return parse_list(p);
	if (is_sign(p, QS_OPEN_NAME))
		return parse_path(p);
	if (p->token.kind == QT_NAME)
		return parse_word(p);
	if (p->token.kind != QT_NUMBER && p->token.kind != QT_STRING)
		return expected(p, "a value");
	return value_node(parse_constant(p));
}

/* -x, and the one place that every recursion passes. */
static struct query_node *
parse_unary(struct parser *p)
{
	struct query_node *node, *inner;

	if (p->level >= QUERY_DEPTH_MAX)
		return expected(p, "something less nested");
	p->level++;
	if (is_sign(p, QS_MINUS)) {
		next(p);
		inner = parse_unary(p);
		if (inner && inner->kind == QUERY_VALUE && json_is_number(inner->value)) {
			node = value_node(negative(inner->value));
			query_node_free(inner);
		} else {
			node = node_new(QUERY_MINUS);
			if (inner)
				adopt(node, inner);
			node = inner ? check_depth(p, node) : (query_node_free(node), NULL);
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
take_operator(struct parser *p, const struct operator_row *rows)
{
	for (; rows->sign; rows++)
		if (take_sign(p, rows->sign))
			return rows;
	return NULL;
}

static struct query_node *
parse_product(struct parser *p)
{
	struct query_node *node = parse_unary(p);
	const struct operator_row *row;

	while (node && (row = take_operator(p, products)))
		node = pair(p, row->kind, node, parse_unary(p));
	return node;
}

static struct query_node *
parse_sum(struct parser *p)
{
	struct query_node *node = parse_product(p);
	const struct operator_row *row;

	while (node && (row = take_operator(p, sums)))
		node = pair(p, row->kind, node, parse_product(p));
	return node;
}

/* x IN [..], x NIN [..], x NOT IN [..] */
static struct query_node *
parse_membership(struct parser *p, struct query_node *left_take, bool is_not)
{
	struct query_node *list = NULL;

	if (take_sign(p, QS_OPEN_LIST))
		list = parse_list(p);
	else if (p->token.kind == QT_NAME && !is_reserved(p))
		list = parse_path(p);
	else
		(void)fail_expected(p, "[ and constants");
	return pair(p, is_not ? QUERY_NIN : QUERY_IN, left_take, list);
}

static struct query_node *
parse_comparison(struct parser *p)
{
	struct query_node *node = parse_sum(p);
	const struct operator_row *row = node ? take_operator(p, comparisons) : NULL;

	if (row)
		return pair(p, row->kind, node, parse_sum(p));
	if (!node)
		return NULL;
	if (take_word(p, "IN"))
		return parse_membership(p, node, false);
	if (take_word(p, "NIN"))
		return parse_membership(p, node, true);
	if (!take_word(p, "NOT"))
		return node;
	if (take_word(p, "IN"))
		return parse_membership(p, node, true);
	query_node_free(node);
	return expected(p, "IN");
}

static struct query_node *
parse_not(struct parser *p)
{
	struct query_node *node, *inner;

	if (!take_word(p, "NOT"))
		return parse_comparison(p);
	if (p->level >= QUERY_DEPTH_MAX)
		return expected(p, "something less nested");
	p->level++;
	inner = parse_not(p);
	p->level--;
	if (!inner)
		return NULL;
	node = node_new(QUERY_NOT);
	adopt(node, inner);
	return check_depth(p, node);
}

/* Terms with the same word between them are one node: a long condition isn't a deep one. */
static struct query_node *
parse_chain(struct parser *p, const char *word, enum query_kind kind, struct query_node *(*parse_term)(struct parser *))
{
	struct query_node *first = parse_term(p), *term;
	OWN(query_node) node = NULL;

	if (!first || !is_word(p, word))
		return first;
	node = node_new(kind);
	adopt(node, first);
	while (take_word(p, word)) {
		term = parse_term(p);
		if (!term)
			return NULL;
		adopt(node, term);
	}
	return check_depth(p, GIVE(node));
}

static struct query_node *
parse_and(struct parser *p)
{
	return parse_chain(p, "AND", QUERY_AND, parse_not);
}

static struct query_node *
parse_or(struct parser *p)
{
	return parse_chain(p, "OR", QUERY_OR, parse_and);
}

/* -- SELECT ------------------------------------------------------------------------------------------------------------------------------ */

static const struct {
	const char *word;
	enum query_fold fold;
} folds[] = {
	{ "COUNT", QUERY_COUNT },
	{ "AVG", QUERY_AVG },
	{ "SUM", QUERY_SUM },
	{ "MIN", QUERY_MIN },
	{ "MAX", QUERY_MAX_OF },
};

static enum query_fold
fold_here(struct parser *p)
{
	struct query_lexer ahead = p->lexer;
	struct query_token after = query_lex(&ahead);

	json_decref(after.value);
	for (size_t i = 0; i < COUNT(folds); i++)
		if (is_word(p, folds[i].word) && after.kind == QT_SIGN && after.sign == QS_OPEN)
			return folds[i].fold;
	return QUERY_FOLD_NONE;
}

/* COUNT() | COUNT(*) | COUNT(x) | AVG(x) ... */
static int
parse_fold(struct parser *p, struct query_column *column)
{
	next(p);
	next(p);
	if (column->fold == QUERY_COUNT && (is_sign(p, QS_CLOSE) || take_sign(p, QS_STAR)))
		return take_sign(p, QS_CLOSE) ? 0 : fail_expected(p, ")");
	column->what = parse_sum(p);
	if (!column->what)
		return -1;
	return take_sign(p, QS_CLOSE) ? 0 : fail_expected(p, ")");
}

/* [AS] alias; without one a path gives its last name, anything else a number. */
static int
parse_alias(struct parser *p, struct query_column *column, size_t n)
{
	bool as = take_word(p, "AS");
	const struct query_node *what = column->what;

	if (p->token.kind == QT_NAME && !is_reserved(p)) {
		column->name = mem_textn(p->lexer.text + p->token.at, p->token.len);
		next(p);
		return 0;
	}
	if (as)
		return fail_expected(p, "a name");
	if (column->fold == QUERY_FOLD_NONE && what->kind == QUERY_PATH)
		column->name = mem_text(what->path[what->n_path - 1]);
	else
		column->name = mem_textf("$%zu", n);
	return 0;
}

static int
parse_column(struct parser *p, struct query *query)
{
	struct query_column *column;

	if (query->n_columns >= LIST_MAX)
		return fail_expected(p, "FROM");
	query->columns = mem_resize(query->columns, (query->n_columns + 1) * sizeof(*query->columns));
	column = &query->columns[query->n_columns++];
	*column = (struct query_column){ .fold = fold_here(p) };
	if (column->fold != QUERY_FOLD_NONE) {
		query->folds = true;
		if (parse_fold(p, column) < 0)
			return -1;
	} else {
		column->what = parse_sum(p);
		if (!column->what)
			return -1;
	}
	return parse_alias(p, column, query->n_columns);
}

static int
parse_columns(struct parser *p, struct query *query)
{
	if (take_sign(p, QS_STAR))
		return 0;
	do {
		if (parse_column(p, query) < 0)
			return -1;
	} while (take_sign(p, QS_COMMA));
	return 0;
}

static int
parse_top(struct parser *p, struct query *query)
{
	query->top = -1;
	if (!take_word(p, "TOP"))
		return 0;
	if (p->token.kind != QT_NUMBER || !json_is_integer(p->token.value) || json_integer_value(p->token.value) < 0)
		return fail_expected(p, "a whole number");
	query->top = json_integer_value(p->token.value);
	next(p);
	return 0;
}

static int
parse_source(struct parser *p, struct query *query)
{
	if (!take_word(p, "devices"))
		return fail_expected(p, "devices, devices.modules or devices.jobs");
	query->from = QUERY_DEVICES;
	if (!take_sign(p, QS_DOT))
		return 0;
	query->from = is_word(p, "jobs") ? QUERY_JOBS : QUERY_MODULES;
	return take_word(p, "modules") || take_word(p, "jobs") ? 0 : fail_expected(p, "modules or jobs");
}

static int
parse_group_by(struct parser *p, struct query *query)
{
	struct query_node *path;

	if (!take_word(p, "GROUP"))
		return 0;
	if (!take_word(p, "BY"))
		return fail_expected(p, "BY");
	do {
		path = p->token.kind == QT_NAME && is_reserved(p) ? expected(p, "a name") : parse_path(p);
		if (!path)
			return -1;
		query->group_by = mem_resize(query->group_by, (query->n_group_by + 1) * sizeof(*query->group_by));
		query->group_by[query->n_group_by++] = path;
		if (query->n_group_by > QUERY_DEPTH_MAX)
			return fail_expected(p, "the end");
	} while (take_sign(p, QS_COMMA));
	query->folds = true;
	return 0;
}

/* -- What the words mean together -------------------------------------------------------------------------------------------------------- */

/* "devices.modules.moduleId" is moduleId: the source in front of a path is taken off. */
static void
drop_source(void *arg, const struct query_node *path)
{
	enum query_source from = *(const enum query_source *)arg;
	struct query_node *node = (struct query_node *)(uintptr_t)path; /* of the tree that is being made */
	size_t n = 0;

	if (!text_is_nocase(node->path[0], "devices") || node->n_path < 2)
		return;
	n = 1;
	if (from != QUERY_DEVICES && node->n_path > 2 && text_is_nocase(node->path[1], from == QUERY_JOBS ? "jobs" : "modules"))
		n = 2;
	for (size_t i = 0; i < n; i++)
		mem_free(node->path[i]);
	node->n_path -= n;
	memmove(node->path, node->path + n, node->n_path * sizeof(char *));
}

static void
drop_sources(struct query *query)
{
	for (size_t i = 0; i < query->n_columns; i++)
		query_each_path(query->columns[i].what, drop_source, &query->from);
	for (size_t i = 0; i < query->n_group_by; i++)
		query_each_path(query->group_by[i], drop_source, &query->from);
	query_each_path(query->where, drop_source, &query->from);
}

static bool
is_grouped_by(const struct query *query, const struct query_node *what)
{
	OWN_TEXT wanted = what->kind == QUERY_PATH ? query_path_text(what) : NULL;

	for (size_t i = 0; wanted && i < query->n_group_by; i++) {
		OWN_TEXT path = query_path_text(query->group_by[i]);

		if (text_is(path, wanted))
			return true;
	}
	return false;
}

static int
check_meaning(const struct query *query, struct err *err)
{
	if (query->from == QUERY_JOBS && (query->n_columns > 0 || query->folds))
		return err_set(err, ERR_INVALID, "FROM devices.jobs goes with SELECT * only, without groups");
	if (query->folds && query->n_columns == 0)
		return err_set(err, ERR_INVALID, "GROUP BY does not go with SELECT *");
	for (size_t i = 0; query->folds && i < query->n_columns; i++) {
		const struct query_column *column = &query->columns[i];

		if (column->fold == QUERY_FOLD_NONE && !is_grouped_by(query, column->what))
			return err_set(err, ERR_INVALID, "%s is neither an aggregate nor in GROUP BY", column->name);
	}
	return 0;
}

static int
parse_all(struct parser *p, struct query *query)
{
	if (!take_word(p, "SELECT"))
		return fail_expected(p, "SELECT");
	if (parse_top(p, query) < 0 || parse_columns(p, query) < 0)
		return -1;
	if (!take_word(p, "FROM"))
		return fail_expected(p, "FROM");
	if (parse_source(p, query) < 0)
		return -1;
	if (take_word(p, "WHERE") && !(query->where = parse_or(p)))
		return -1;
	if (parse_group_by(p, query) < 0)
		return -1;
	if (p->token.kind != QT_END)
		return fail_expected(p, "an operator or the end");
	drop_sources(query);
	return check_meaning(query, p->lexer.err);
}

static int
parse_only_condition(struct parser *p, struct query *query)
{
	query->top = -1;
	query->from = p->from;
	if (p->token.kind == QT_END)
		return 0;
	if (is_sign(p, QS_STAR))
		next(p);
	else if (!(query->where = parse_or(p)))
		return -1;
	if (p->token.kind != QT_END)
		return fail_expected(p, "an operator or the end");
	drop_sources(query);
	return 0;
}

static struct query *
parse(const char *text, enum query_source from, int (*how)(struct parser *, struct query *), struct err *err)
{
	struct parser p = { .from = from };
	OWN(query) query = NEW(query);
	int done;

	if (query_lexer_init(&p.lexer, text, err) < 0)
		return NULL;
	next(&p);
	done = how(&p, query);
	json_decref(p.token.value);
	return done < 0 ? NULL : GIVE(query);
}

struct query *
query_parse(const char *text, struct err *err)
{
	return parse(text, QUERY_DEVICES, parse_all, err);
}

struct query *
query_parse_condition(const char *text, enum query_source from, struct err *err)
{
	return parse(text, from, parse_only_condition, err);
}

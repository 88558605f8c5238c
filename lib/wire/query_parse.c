/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of a query's statement, around the expressions (query_expression.c), and what its words mean together. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/query_inside.h"

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
fold_here(struct query_parser *p)
{
	struct query_lexer ahead = p->lexer;
	struct query_token after = query_lex(&ahead);

	json_decref(after.value);
	for (size_t i = 0; i < COUNT(folds); i++)
		if (query_is_word(p, folds[i].word) && after.kind == QT_SIGN && after.sign == QS_OPEN)
			return folds[i].fold;
	return QUERY_FOLD_NONE;
}

/* COUNT() | COUNT(*) | COUNT(x) | AVG(x) ... */
static int
parse_fold(struct query_parser *p, struct query_column *column)
{
	query_next(p);
	query_next(p);
	if (column->fold == QUERY_COUNT && (query_is_sign(p, QS_CLOSE) || query_take_sign(p, QS_STAR)))
		return query_take_sign(p, QS_CLOSE) ? 0 : query_fail_expected(p, ")");
	column->what = query_parse_sum(p);
	if (!column->what)
		return -1;
	return query_take_sign(p, QS_CLOSE) ? 0 : query_fail_expected(p, ")");
}

/* [AS] alias; without one a path gives its last name, anything else a number. */
static int
parse_alias(struct query_parser *p, struct query_column *column, size_t n)
{
	bool as = query_take_word(p, "AS");
	const struct query_node *what = column->what;

	if (p->token.kind == QT_NAME && !query_is_reserved(p)) {
		column->name = mem_textn(p->lexer.text + p->token.at, p->token.len);
		query_next(p);
		return 0;
	}
	if (as)
		return query_fail_expected(p, "a name");
	if (column->fold == QUERY_FOLD_NONE && what->kind == QUERY_PATH)
		column->name = mem_text(what->path[what->n_path - 1]);
	else
		column->name = mem_textf("$%zu", n);
	return 0;
}

static int
parse_column(struct query_parser *p, struct query *query)
{
	struct query_column *column;

	if (query->n_columns >= QUERY_LIST_MAX)
		return query_fail_expected(p, "FROM");
	query->columns = mem_resize(query->columns, (query->n_columns + 1) * sizeof(*query->columns));
	column = &query->columns[query->n_columns++];
	*column = (struct query_column){ .fold = fold_here(p) };
	if (column->fold != QUERY_FOLD_NONE) {
		query->folds = true;
		if (parse_fold(p, column) < 0)
			return -1;
	} else {
		column->what = query_parse_sum(p);
		if (!column->what)
			return -1;
	}
	return parse_alias(p, column, query->n_columns);
}

static int
parse_columns(struct query_parser *p, struct query *query)
{
	if (query_take_sign(p, QS_STAR))
		return 0;
	do {
		if (parse_column(p, query) < 0)
			return -1;
	} while (query_take_sign(p, QS_COMMA));
	return 0;
}

static int
parse_top(struct query_parser *p, struct query *query)
{
	query->top = -1;
	if (!query_take_word(p, "TOP"))
		return 0;
	if (p->token.kind != QT_NUMBER || !json_is_integer(p->token.value) || json_integer_value(p->token.value) < 0)
		return query_fail_expected(p, "a whole number");
	query->top = json_integer_value(p->token.value);
	query_next(p);
	return 0;
}

static int
parse_source(struct query_parser *p, struct query *query)
{
	if (!query_take_word(p, "devices"))
		return query_fail_expected(p, "devices, devices.modules or devices.jobs");
	query->from = QUERY_DEVICES;
	if (!query_take_sign(p, QS_DOT))
		return 0;
	query->from = query_is_word(p, "jobs") ? QUERY_JOBS : QUERY_MODULES;
	return query_take_word(p, "modules") || query_take_word(p, "jobs") ? 0 : query_fail_expected(p, "modules or jobs");
}

static int
parse_group_by(struct query_parser *p, struct query *query)
{
	struct query_node *path;

	if (!query_take_word(p, "GROUP"))
		return 0;
	if (!query_take_word(p, "BY"))
		return query_fail_expected(p, "BY");
	do {
		if (query_is_reserved(p))
			return query_fail_expected(p, "a name");
		path = query_parse_path(p);
		if (!path)
			return -1;
		query->group_by = mem_resize(query->group_by, (query->n_group_by + 1) * sizeof(*query->group_by));
		query->group_by[query->n_group_by++] = path;
		if (query->n_group_by > QUERY_DEPTH_MAX)
			return query_fail_expected(p, "the end");
	} while (query_take_sign(p, QS_COMMA));
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
parse_all(struct query_parser *p, struct query *query)
{
	if (!query_take_word(p, "SELECT"))
		return query_fail_expected(p, "SELECT");
	if (parse_top(p, query) < 0 || parse_columns(p, query) < 0)
		return -1;
	if (!query_take_word(p, "FROM"))
		return query_fail_expected(p, "FROM");
	if (parse_source(p, query) < 0)
		return -1;
	if (query_take_word(p, "WHERE") && !(query->where = query_parse_or(p)))
		return -1;
	if (parse_group_by(p, query) < 0)
		return -1;
	if (p->token.kind != QT_END)
		return query_fail_expected(p, "an operator or the end");
	drop_sources(query);
	return check_meaning(query, p->lexer.err);
}

static int
parse_only_condition(struct query_parser *p, struct query *query)
{
	query->top = -1;
	query->from = p->from;
	if (p->token.kind == QT_END)
		return 0;
	if (query_is_sign(p, QS_STAR))
		query_next(p);
	else if (!(query->where = query_parse_or(p)))
		return -1;
	if (p->token.kind != QT_END)
		return query_fail_expected(p, "an operator or the end");
	drop_sources(query);
	return 0;
}

static struct query *
parse(const char *text, enum query_source from, int (*how)(struct query_parser *, struct query *), struct err *err)
{
	struct query_parser p = { .from = from };
	OWN(query) query = NEW(query);
	int done;

	if (query_lexer_init(&p.lexer, text, err) < 0)
		return NULL;
	query_next(&p);
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

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of the query language share. */

#include "wire/query.h"

enum query_token_kind {
	QT_END,
	QT_BAD, /* the lexer's err says why */
	QT_NAME,
	QT_STRING,
	QT_NUMBER,
	QT_SIGN, /* operators and brackets: `sign` */
};

enum query_sign {
	QS_NONE,
	QS_EQ,
	QS_NE,
	QS_LT,
	QS_LE,
	QS_GT,
	QS_GE,
	QS_PLUS,
	QS_MINUS,
	QS_STAR,
	QS_SLASH,
	QS_PERCENT,
	QS_OPEN,
	QS_CLOSE,
	QS_OPEN_LIST,
	QS_CLOSE_LIST,
	QS_OPEN_NAME, /* [[ */
	QS_COMMA,
	QS_DOT,
	QS_CONCAT,   /* || */
	QS_COALESCE, /* ?? */
	QS_OPEN_BRACE,
	QS_CLOSE_BRACE,
};

struct query_token {
	enum query_token_kind kind;
	enum query_sign sign;
	size_t at, len; /* in the text */
	json_t *value;	/* strings and numbers; owned by the token */
};

struct query_lexer {
	const char *text;
	size_t at, len;
	struct err *err;
};

int query_lexer_init(struct query_lexer *lexer, const char *text, struct err *err);
struct query_token query_lex(struct query_lexer *lexer);
/* The name between [[ and ]]; behind QS_OPEN_NAME only.  NULL: there is none. */
char *query_lex_quoted_name(struct query_lexer *lexer);
/* "... at character N": the number is that of a character, not of a byte. */
int query_fail(struct query_lexer *lexer, size_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* -- Trees ------------------------------------------------------------------------------------------------------------------------------- */
struct query_node *query_node_new(enum query_kind kind);
struct query_node *query_node_value(json_t *value_take);
void query_node_adopt(struct query_node *node, struct query_node *kid_take);
void query_node_free(struct query_node *node);
OWN_DEFINE(query_node);

/* -- Grammar: one token in hand.  What fails has said so to the lexer's err ---------------------------------------------------------------- */
#define QUERY_LIST_MAX 2048 /* elements of an array, terms of AND and OR: more than 8192 characters have */
struct query_parser;
/* What another language on these expressions has beside them; it also has ||, ??, {name} and indexes in paths. */
struct query_dialect {
	const char *const *words; /* reserved as well; NULL at the end */
	/* Is what was just made, by the operator or function at `at`, possible?  It may leave a note in it. */
	int (*check)(struct query_parser *p, struct query_node *node, size_t at);
	/* A call of a function of its own, behind the opening parenthesis: false when it is none, otherwise *node is what it is, or NULL. */
	bool (*parse_call)(struct query_parser *p, const struct query_token *name, struct query_node **node);
};
struct query_parser {
	const struct query_dialect *dialect; /* NULL: queries */
	struct query_lexer lexer;
	struct query_token token; /* the next one */
	int level;
	enum query_source from;
};
void query_next(struct query_parser *p);
bool query_is_word(const struct query_parser *p, const char *word);
bool query_take_word(struct query_parser *p, const char *word); /* take: if it is there, it is gone */
bool query_is_sign(const struct query_parser *p, enum query_sign sign);
bool query_take_sign(struct query_parser *p, enum query_sign sign);
bool query_is_reserved(const struct query_parser *p);
int query_fail_expected(struct query_parser *p, const char *what);
/* The caller's, or NULL. */
struct query_node *query_parse_path(struct query_parser *p);
struct query_node *query_parse_sum(struct query_parser *p); /* a value: what a column may be */
struct query_node *query_parse_or(struct query_parser *p);  /* a condition */
void query_path_prefix(struct query_node *path, const char *name);
void query_path_join(struct query_node *path); /* all of its names become one, with dots between */

/* -- Values: three-valued logic and arithmetic, on borrowed JSON ----------------------------------------------------------------- */
enum query_truth { QUERY_FALSE, QUERY_TRUE, QUERY_UNDEFINED };
enum query_truth query_compare(enum query_kind how, const json_t *a, const json_t *b);
json_t *query_number(double value); /* an integer where it is one; NULL when it is no number */
json_t *query_compute(enum query_kind how, const json_t *a, const json_t *b);

/* -- Functions ----------------------------------------------------------------------------------------------------------------------- */
const struct query_function *query_function_find(const char *name, size_t len);
bool query_function_takes(const struct query_function *function, size_t n);
const char *query_function_name(const struct query_function *function);
bool query_function_is_starts_with(const struct query_function *function);
/* args: NULL where undefined. */
#define QUERY_ARGS_MAX 16
json_t *query_function_call(const struct query_function *function, json_t *const *args, size_t n);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The query language over twins and jobs (hub 4.5): text in, a tree out, and what the tree says about a JSON document.
 *
 *	SELECT [TOP n] * | projection [[AS] alias], ...
 *	FROM devices | devices.modules | devices.jobs
 *	[WHERE condition] [GROUP BY path, ...]
 *
 * The conditions of configurations and jobs are the same language without the words around (query_parse_condition).  No I/O here; a parsed query is
 * immutable and may be used by any thread.
 *
 * Values are JSON, and "undefined" (NULL here) is what a document does not have.  Logic is three-valued: a comparison with undefined is undefined, and
 * only what is true is selected.  Scalars are equal when type and value are; an order is known between two numbers and between two strings (by bytes).
 * Objects and arrays compare with nothing. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"

#define QUERY_MAX 8192	   /* characters, as the original has it */
#define QUERY_DEPTH_MAX 64 /* of expressions in each other */
#define QUERY_GROUPS_MAX 10000

enum query_kind {
	QUERY_VALUE, /* `value`, a constant; NULL is undefined */
	QUERY_PATH,
	QUERY_AND, /* two kids or more */
	QUERY_OR,
	QUERY_NOT,
	QUERY_MINUS,
	QUERY_EQ,
	QUERY_NE,
	QUERY_LT,
	QUERY_LE,
	QUERY_GT,
	QUERY_GE,
	QUERY_IN,
	QUERY_NIN,
	QUERY_ADD,
	QUERY_SUB,
	QUERY_MUL,
	QUERY_DIV,
	QUERY_MOD,
	QUERY_CALL,
	QUERY_COALESCE, /* the first kid, or the second where that is undefined; of routes only */
};

struct query_function; /* of query_function.c */

struct query_node {
	enum query_kind kind;
	int depth;
	int note; /* a dialect's */
	json_t *value;
	char **path; /* the first name in any case, the others as they are */
	size_t n_path;
	const struct query_function *function;
	struct query_node **kids;
	size_t n_kids;
};

enum query_fold { QUERY_FOLD_NONE, QUERY_COUNT, QUERY_AVG, QUERY_SUM, QUERY_MIN, QUERY_MAX_OF };

struct query_column {
	enum query_fold fold;
	struct query_node *what; /* NULL: COUNT() */
	char *name;
};

enum query_source { QUERY_DEVICES, QUERY_MODULES, QUERY_JOBS };

struct query {
	enum query_source from;
	int64_t top; /* -1: all */
	struct query_column *columns;
	size_t n_columns;	  /* 0: * */
	bool folds;		  /* rows are groups */
	struct query_node *where; /* NULL: everything */
	struct query_node **group_by;
	size_t n_group_by;
};

/* The error says where ("at character 17") and why. */
struct query *query_parse(const char *text, struct err *err);
/* Only what stands behind WHERE; "" and "*" are everything.  Paths may begin with the name of the source. */
struct query *query_parse_condition(const char *text, enum query_source from, struct err *err);
void query_free(struct query *query);
OWN_DEFINE(query);

/* What the expression is for this document: a new reference, NULL when undefined. */
json_t *query_value(const struct query_node *node, const json_t *row);
/* Is the row selected?  node NULL: always. */
bool query_is_true(const struct query_node *node, const json_t *row);
/* The row as the projections want it (without folds); a new reference.  What is undefined is left out. */
json_t *query_project(const struct query *query, const json_t *row);

/* Is the path these names, the first one in any case?  NULL-terminated. */
bool query_path_is(const struct query_node *node, const char *const *names);
/* "tags.building.floor", the first name as it is written; the caller owns it. */
char *query_path_text(const struct query_node *node);
/* Is it a call of STARTSWITH or one of its other names? */
bool query_is_starts_with(const struct query_node *node);
/* Calls `each` for every path in the tree. */
void query_each_path(const struct query_node *node, void (*each)(void *arg, const struct query_node *path), void *arg);

/* -- Groups: COUNT, AVG, SUM, MIN, MAX ------------------------------------------------------------------------------------------ */
struct query_groups;
struct query_groups *query_groups_new(const struct query *query); /* borrowed */
void query_groups_free(struct query_groups *groups);
OWN_DEFINE(query_groups);
int query_groups_add(struct query_groups *groups, const json_t *row, struct err *err); /* -1: more groups than QUERY_GROUPS_MAX */
json_t *query_groups_rows(const struct query_groups *groups);			       /* in the order in which they were met */

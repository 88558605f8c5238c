/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of a query: its nodes are made, grow and go. */
#include "base/mem.h"
#include "wire/query_inside.h"

void
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

struct query_node *
query_node_new(enum query_kind kind)
{
	struct query_node *node = NEW(query_node);

	node->kind = kind;
	node->depth = 1;
	return node;
}

struct query_node *
query_node_value(json_t *value_take)
{
	struct query_node *node = query_node_new(QUERY_VALUE);

	node->value = value_take;
	return node;
}

void
query_node_adopt(struct query_node *node, struct query_node *kid_take)
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

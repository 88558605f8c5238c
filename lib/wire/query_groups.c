/* SPDX-License-Identifier: Apache-2.0 */
/* COUNT, AVG, SUM, MIN and MAX over the rows of a query, in one group or one for each value of what is grouped by.  Folding needs no row twice, so a
 * million of them pass in the memory of their groups. */
#include <math.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "wire/json.h"
#include "wire/query_inside.h"

struct fold {
	int64_t n;   /* values that counted */
	json_t *sum; /* SUM and AVG: a number; MIN and MAX: the value so far */
};

struct group {
	json_t *key; /* what is grouped by, undefined ones left out: index to value */
	struct fold *folds;
};

struct query_groups {
	const struct query *query;
	struct map *by_key;
	struct group **list;
	size_t n, room;
};

struct query_groups *
query_groups_new(const struct query *query)
{
	struct query_groups *groups = NEW(query_groups);

	groups->query = query;
	groups->by_key = map_new();
	return groups;
}

void
query_groups_free(struct query_groups *groups)
{
	if (!groups)
		return;
	for (size_t i = 0; i < groups->n; i++) {
		for (size_t f = 0; f < groups->query->n_columns; f++)
			json_decref(groups->list[i]->folds[f].sum);
		json_decref(groups->list[i]->key);
		mem_free(groups->list[i]->folds);
		mem_free(groups->list[i]);
	}
	map_free(groups->by_key);
	mem_free(groups->list);
	mem_free(groups);
}

static struct group *
group_new(const struct query *query, json_t *key_take)
{
	struct group *group = NEW(group);

	group->key = key_take;
	group->folds = mem_array(query->n_columns, sizeof(*group->folds));
	return group;
}

static json_t *
key_of(const struct query *query, const json_t *row)
{
	json_t *key = json_object();
	char index[24];

	for (size_t i = 0; i < query->n_group_by; i++) {
		json_t *value = query_value(query->group_by[i], row);

		snprintf(index, sizeof(index), "%zu", i);
		if (value)
			json_object_set_new(key, index, value);
	}
	return key;
}

static struct group *
find_group(struct query_groups *groups, json_t *key_take, struct err *err)
{
	OWN_LIB(json_t) key = key_take;
	OWN_TEXT text = json_line(key);
	struct group *group = map_find_text(groups->by_key, text);

	if (group)
		return group;
	if (groups->n >= QUERY_GROUPS_MAX)
		return err_null(err, ERR_LIMIT, "there are more than %d groups", QUERY_GROUPS_MAX);
	if (groups->n == groups->room) {
		groups->room = groups->room ? groups->room * 2 : 16;
		groups->list = mem_resize(groups->list, groups->room * sizeof(struct group *));
	}
	group = group_new(groups->query, json_incref(key));
	groups->list[groups->n++] = group;
	map_put_text(groups->by_key, text, group);
	return group;
}

static void
replace(json_t **place, json_t *value_take)
{
	json_decref(*place);
	*place = value_take;
}

static void
fold_value(struct fold *fold, enum query_fold how, json_t *value)
{
	json_t *sum;

	if (how == QUERY_COUNT) {
		fold->n += value != NULL;
		return;
	}
	if (how == QUERY_SUM || how == QUERY_AVG) {
		if (!json_is_number(value))
			return;
		sum = fold->sum ? query_compute(QUERY_ADD, fold->sum, value) : json_incref(value);
		replace(&fold->sum, sum);
		fold->n++;
		return;
	}
	if (!json_is_number(value) && !json_is_string(value))
		return;
	if (!fold->sum || query_compare(how == QUERY_MIN ? QUERY_LT : QUERY_GT, value, fold->sum) == QUERY_TRUE)
		replace(&fold->sum, json_incref(value));
	fold->n++;
}

int
query_groups_add(struct query_groups *groups, const json_t *row, struct err *err)
{
	const struct query *query = groups->query;
	struct group *group = find_group(groups, key_of(query, row), err);

	if (!group)
		return -1;
	for (size_t i = 0; i < query->n_columns; i++) {
		const struct query_column *column = &query->columns[i];
		OWN_LIB(json_t) value = column->what ? query_value(column->what, row) : json_true();

		if (column->fold != QUERY_FOLD_NONE)
			fold_value(&group->folds[i], column->fold, value);
		else if (!group->folds[i].sum)
			group->folds[i].sum = json_incref(value); /* the same for all of the group */
	}
	return 0;
}

static json_t *
fold_result(const struct fold *fold, enum query_fold how)
{
	if (how == QUERY_COUNT)
		return json_integer(fold->n);
	if (how == QUERY_SUM && !fold->sum)
		return fold->n == 0 ? json_integer(0) : NULL;
	if (how == QUERY_AVG)
		return fold->n > 0 && fold->sum ? query_number(json_number_value(fold->sum) / (double)fold->n) : NULL;
	return json_incref(fold->sum);
}

static json_t *
group_row(const struct query *query, const struct fold *folds)
{
	json_t *row = json_object();

	for (size_t i = 0; i < query->n_columns; i++) {
		json_t *value = fold_result(&folds[i], query->columns[i].fold);

		if (value)
			json_object_set_new(row, query->columns[i].name, value);
	}
	return row;
}

json_t *
query_groups_rows(const struct query_groups *groups)
{
	const struct query *query = groups->query;
	json_t *rows = json_array();

	for (size_t i = 0; i < groups->n && (query->top < 0 || (int64_t)i < query->top); i++)
		json_array_append_new(rows, group_row(query, groups->list[i]->folds));
	/* Nothing counted is zero, not no answer. */
	if (groups->n == 0 && query->n_group_by == 0 && query->top != 0) {
		struct fold *none = mem_array(query->n_columns, sizeof(*none));

		json_array_append_new(rows, group_row(query, none));
		mem_free(none);
	}
	return rows;
}

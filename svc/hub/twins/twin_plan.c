/* SPDX-License-Identifier: Apache-2.0 */
/* From a condition to indexes (twin_plan.h).  Each shape of a term that has an index is a row of a table. */
#include "hub/twins/twin_plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"

#define WHOLE_MAX 9007199254740992.0 /* 2^53 */

struct planner {
	struct twin_plan *plan;
	enum query_source from;
	const char *const *paths;
	size_t n_paths;
};

/* -- Legs ------------------------------------------------------------------------------------------------------------------------------ */

static void
way_clear(struct twin_way *way)
{
	for (size_t i = 0; i < way->n_legs; i++) {
		mem_free(way->legs[i].path);
		json_decref(way->legs[i].low);
		json_decref(way->legs[i].high);
	}
	mem_free(way->legs);
	*way = (struct twin_way){ 0 };
}

void
twin_plan_free(struct twin_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->n_ways; i++)
		way_clear(&plan->ways[i]);
	mem_free(plan);
}

static struct twin_leg *
add_leg(struct twin_way *way, enum twin_leg_kind kind, const char *path)
{
	way->legs = mem_resize(way->legs, (way->n_legs + 1) * sizeof(*way->legs));
	way->legs[way->n_legs] = (struct twin_leg){ .kind = kind, .path = mem_text(path) };
	return &way->legs[way->n_legs++];
}

/* -- Terms ------------------------------------------------------------------------------------------------------------------------------- */

/* A term as "path operator constant", whichever side it was written on. */
struct term {
	enum query_kind how; /* EQ, LT, ..., IN, or CALL for STARTSWITH */
	const struct query_node *path;
	json_t *constant; /* borrowed */
};

static enum query_kind
mirrored(enum query_kind how)
{
	static const enum query_kind pairs[][2] = { { QUERY_LT, QUERY_GT }, { QUERY_LE, QUERY_GE }, { QUERY_GT, QUERY_LT },
		{ QUERY_GE, QUERY_LE } };

	for (size_t i = 0; i < COUNT(pairs); i++)
		if (pairs[i][0] == how)
			return pairs[i][1];
	return how;
}

static bool
read_term(struct term *term, const struct query_node *node)
{
	const struct query_node *a, *b;

	if (node->n_kids != 2)
		return false;
	a = node->kids[0];
	b = node->kids[1];
	*term = (struct term){ .how = node->kind, .path = a, .constant = b->value };
	if (node->kind == QUERY_IN || query_is_starts_with(node))
		return a->kind == QUERY_PATH && b->kind == QUERY_VALUE && b->value;
	if (node->kind != QUERY_EQ && (node->kind < QUERY_LT || node->kind > QUERY_GE))
		return false;
	if (a->kind == QUERY_VALUE && b->kind == QUERY_PATH)
		*term = (struct term){ .how = mirrored(node->kind), .path = b, .constant = a->value };
	else if (a->kind != QUERY_PATH || b->kind != QUERY_VALUE)
		return false;
	return term->constant != NULL;
}

/* -- Identities ---------------------------------------------------------------------------------------------------------------------------- */

static int
compare_values(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	OWN_TEXT s = json_line(x);
	OWN_TEXT t = json_line(y);

	if (json_is_number(x) && json_is_number(y) && json_number_value(x) != json_number_value(y))
		return json_number_value(x) < json_number_value(y) ? -1 : 1;
	return strcmp(s, t);
}

/* Is the leg for this value there already?  1 and 1.0 are one, as long as a real tells whole numbers apart. */
static bool
is_last(const struct twin_way *way, const json_t *value)
{
	const json_t *last = way->n_legs > 0 ? way->legs[way->n_legs - 1].low : NULL;

	if (json_is_number(last) && json_is_number(value) && json_typeof(last) != json_typeof(value))
		return json_number_value(last) == json_number_value(value) && fabs(json_number_value(value)) < WHOLE_MAX;
	return last && json_equal(last, value);
}

static bool
is_indexable(enum twin_leg_kind kind, const json_t *value)
{
	return kind == TWIN_LEG_VALUE ? json_is_number(value) || json_is_boolean(value) || json_is_string(value)
				      : json_is_string(value);
}

/* A leg for each value; false: one of them is in no index. */
static bool
add_values(struct twin_way *way, enum twin_leg_kind kind, const char *path, const struct term *term)
{
	size_t n = term->how == QUERY_IN ? json_array_size(term->constant) : 1;
	json_t **values;
	bool good = n <= TWIN_LEGS_MAX && (term->how != QUERY_IN || json_is_array(term->constant));

	if (!good)
		return false;
	values = mem_array(n > 0 ? n : 1, sizeof(*values));
	for (size_t i = 0; i < n; i++) {
		values[i] = term->how == QUERY_IN ? json_array_get(term->constant, i) : term->constant;
		good = good && is_indexable(kind, values[i]);
	}
	if (good)
		qsort(values, n, sizeof(*values), compare_values);
	for (size_t i = 0; good && i < n; i++)
		if (!is_last(way, values[i]))
			add_leg(way, kind, path)->low = json_incref(values[i]);
	mem_free(values);
	return good;
}

static const struct {
	const char *names[3];
	enum twin_leg_kind kind;
	bool of_devices, of_modules;
} texts[] = {
	{ { "deviceId" }, TWIN_LEG_DEVICE, true, true },
	{ { "moduleId" }, TWIN_LEG_MODULE, false, true },
	{ { "deviceScope" }, TWIN_LEG_SCOPE, true, false },
};

static bool
is_of(const struct planner *planner, bool of_devices, bool of_modules)
{
	return planner->from == QUERY_DEVICES ? of_devices : of_modules;
}

/* status = 'disabled', capabilities.iotEdge [= true] */
static bool
is_rare_state(const struct planner *planner, const struct term *term, enum twin_leg_kind *kind)
{
	static const char *const status[] = { "status", NULL }, *const edge[] = { "capabilities", "iotEdge", NULL };

	if (planner->from != QUERY_DEVICES || term->how != QUERY_EQ)
		return false;
	if (query_path_is(term->path, status) && text_is(json_string_value(term->constant), "disabled")) {
		*kind = TWIN_LEG_DISABLED;
		return true;
	}
	*kind = TWIN_LEG_EDGE;
	return query_path_is(term->path, edge) && json_is_true(term->constant);
}

static bool
plan_identity(const struct planner *planner, struct twin_way *way, const struct term *term)
{
	enum twin_leg_kind kind;

	if (is_rare_state(planner, term, &kind)) {
		add_leg(way, kind, NULL);
		return true;
	}
	if (term->how != QUERY_EQ && term->how != QUERY_IN)
		return false;
	for (size_t i = 0; i < COUNT(texts); i++)
		if (is_of(planner, texts[i].of_devices, texts[i].of_modules) && query_path_is(term->path, texts[i].names))
			return add_values(way, texts[i].kind, NULL, term);
	return false;
}

/* -- Values of twins ------------------------------------------------------------------------------------------------------------------------ */

static bool
is_declared(const struct planner *planner, const char *path)
{
	for (size_t i = 0; i < planner->n_paths; i++) {
		size_t len = strlen(planner->paths[i]);

		if (strncmp(path, planner->paths[i], len) == 0 && (!path[len] || path[len] == '.'))
			return true;
	}
	return false;
}

/* The path as it stands in the table, or NULL when it is not indexed. */
static char *
table_path(const struct planner *planner, const struct query_node *node)
{
	CLEAR(buf) out = BUF_INIT(64 * 1024);
	bool tags = text_is_nocase(node->path[0], "tags");

	if (node->n_path < 2 || !(tags || text_is_nocase(node->path[0], "properties")))
		return NULL;
	buf_puts(&out, tags ? "tags" : "properties");
	for (size_t i = 1; i < node->n_path; i++) {
		if (strchr(node->path[i], '.') || node->path[i][0] == '$')
			return NULL;
		buf_putf(&out, ".%s", node->path[i]);
	}
	if (!tags && !is_declared(planner, buf_text(&out)))
		return NULL;
	return planner->from == QUERY_MODULES ? mem_textf("modules.%s", buf_text(&out)) : buf_take_text(&out);
}

/* The first text behind all that begin with this one. */
static json_t *
text_behind(const char *prefix)
{
	size_t len = strlen(prefix);
	OWN_TEXT text = mem_text(prefix);

	/* UTF-8 has no byte 0xff, so the last one can be made one more; the result is bytes to compare with, not characters. */
	text[len - 1]++;
	return json_stringn_nocheck(text, len);
}

static bool
plan_prefix(struct twin_way *way, const char *path, const json_t *prefix)
{
	struct twin_leg *leg;

	if (!json_is_string(prefix) || json_string_length(prefix) == 0)
		return false;
	leg = add_leg(way, TWIN_LEG_RANGE, path);
	leg->low = json_string(json_string_value(prefix));
	leg->high = text_behind(json_string_value(prefix));
	leg->without_high = true;
	return true;
}

static bool
plan_range(struct twin_way *way, const char *path, const struct term *term)
{
	struct twin_leg *leg;

	if (!json_is_number(term->constant) && !json_is_string(term->constant))
		return false;
	leg = add_leg(way, TWIN_LEG_RANGE, path);
	if (term->how == QUERY_LT || term->how == QUERY_LE)
		leg->high = json_incref(term->constant);
	else
		leg->low = json_incref(term->constant);
	leg->without_low = term->how == QUERY_GT;
	leg->without_high = term->how == QUERY_LT;
	return true;
}

static bool
plan_value(const struct planner *planner, struct twin_way *way, const struct term *term)
{
	OWN_TEXT path = table_path(planner, term->path);

	if (!path)
		return false;
	if (term->how == QUERY_EQ || term->how == QUERY_IN)
		return add_values(way, TWIN_LEG_VALUE, path, term);
	if (term->how == QUERY_CALL)
		return plan_prefix(way, path, term->constant);
	return plan_range(way, path, term);
}

/* -- The whole --------------------------------------------------------------------------------------------------------------------------------- */

/* Two ends of one value are one range: rate > 1 AND rate < 5. */
static bool
join_range(struct twin_plan *plan, const struct twin_way *way)
{
	const struct twin_leg *leg = &way->legs[0];

	if (way->n_legs != 1 || leg->kind != TWIN_LEG_RANGE || (leg->low && leg->high))
		return false;
	for (size_t i = 0; i < plan->n_ways; i++) {
		struct twin_leg *other = plan->ways[i].legs;

		if (plan->ways[i].n_legs != 1 || other->kind != TWIN_LEG_RANGE || !text_is(other->path, leg->path))
			continue;
		if (other->low && !other->high && leg->high && json_is_number(other->low) == json_is_number(leg->high)) {
			other->high = json_incref(leg->high);
			other->without_high = leg->without_high;
			return true;
		}
		if (other->high && !other->low && leg->low && json_is_number(other->high) == json_is_number(leg->low)) {
			other->low = json_incref(leg->low);
			other->without_low = leg->without_low;
			return true;
		}
	}
	return false;
}

static void
plan_term(const struct planner *planner, const struct query_node *node)
{
	struct twin_plan *plan = planner->plan;
	struct twin_way way = { 0 };
	struct term term;
	OWN_LIB(json_t) yes = json_true();

	if (plan->n_ways == TWIN_WAYS_MAX - 1)
		return;
	if (node->kind == QUERY_PATH)
		term = (struct term){ .how = QUERY_EQ, .path = node, .constant = yes };
	else if (!read_term(&term, node))
		return;
	if ((plan_identity(planner, &way, &term) || plan_value(planner, &way, &term)) && !join_range(plan, &way)) {
		plan->ways[plan->n_ways++] = way;
		return;
	}
	way_clear(&way);
}

static void
plan_terms(const struct planner *planner, const struct query_node *node)
{
	if (node->kind == QUERY_AND)
		for (size_t i = 0; i < node->n_kids; i++)
			plan_terms(planner, node->kids[i]);
	else
		plan_term(planner, node);
}

struct twin_plan *
twin_plan_new(const struct query *query, const char *const *indexed_paths, size_t n_indexed_paths)
{
	struct twin_plan *plan = NEW(twin_plan);
	const struct planner planner = { .plan = plan, .from = query->from, .paths = indexed_paths, .n_paths = n_indexed_paths };

	if (query->where)
		plan_terms(&planner, query->where);
	add_leg(&plan->ways[plan->n_ways++], TWIN_LEG_ALL, NULL);
	return plan;
}

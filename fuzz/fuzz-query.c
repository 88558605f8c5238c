/* SPDX-License-Identifier: Apache-2.0 */
/* Queries of services: whatever is understood can be asked about any document, and what is no deeper than promised. */
#include "fuzz.h"
#include "wire/json.h"
#include "wire/query.h"

static const char document[] = "{\"deviceId\":\"d\",\"version\":3,\"tags\":{\"a\":{\"b\":1.5},\"s\":\"text\",\"t\":true},"
			       "\"properties\":{\"reported\":{\"l\":[1,"
			       "\"x\",null],\"n\":null}}}";

static size_t
deepest(const struct query_node *node)
{
	size_t depth = 0;

	for (size_t i = 0; i < node->n_kids; i++) {
		size_t kid = deepest(node->kids[i]);

		depth = kid > depth ? kid : depth;
	}
	return depth + 1;
}

static void
ask(const struct query *query, const json_t *row)
{
	struct err err = ERR_INIT;
	OWN(query_groups) groups = query_groups_new(query);
	OWN_LIB(json_t) projected = NULL;
	OWN_LIB(json_t) rows = NULL;

	if (query->where)
		FUZZ_CHECK(deepest(query->where) <= QUERY_DEPTH_MAX);
	(void)query_is_true(query->where, row);
	if (query->folds) {
		FUZZ_CHECK(query_groups_add(groups, row, &err) == 0);
		rows = query_groups_rows(groups);
		FUZZ_CHECK(rows && json_array_size(rows) <= 1);
	} else {
		projected = query_project(query, row);
		FUZZ_CHECK(projected);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	OWN_LIB(json_t) row = json_parse(document, sizeof(document) - 1, &err);
	OWN_TEXT text = mem_textn((const char *)data, size);
	OWN(query) query = query_parse(text, &err);
	OWN(query) condition = query_parse_condition(text, QUERY_DEVICES, &err);

	if (query)
		ask(query, row);
	if (condition)
		ask(condition, row);
	FUZZ_CHECK((query && condition) || err.text[0]);
	return 0;
}

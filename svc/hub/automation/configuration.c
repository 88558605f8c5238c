/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration says, and which of several counts (configuration.h). */
#include "hub/automation/configuration.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"

/* -- Conditions --------------------------------------------------------------------------------------------------------------------------- */

static void
look_for_desired(void *arg, const struct query_node *path)
{
	bool *found = arg;

	*found = *found || (path->n_path >= 2 && text_is_nocase(path->path[0], "properties") && text_is(path->path[1], "desired"));
}

/* Desired properties are what configurations set: one whose condition depended on them would undo itself for ever. */
static struct query *
without_desired(struct query *query_take, struct err *err)
{
	bool found = false;

	if (query_take && query_take->where)
		query_each_path(query_take->where, look_for_desired, &found);
	if (!found)
		return query_take;
	query_free(query_take);
	return err_null(err, ERR_INVALID,
		"a condition looks at tags, reported properties and what the registry has, not at desired properties, which "
		"configurations set");
}

static struct query *
parse_condition(const char *condition, enum content_kind kind, struct err *err)
{
	const char *text = condition + strspn(condition, " \t\r\n");
	enum query_source from = kind == CONTENT_MODULE ? QUERY_MODULES : QUERY_DEVICES;
	OWN_TEXT whole = NULL;
	OWN(query) query = NULL;

	if (strncasecmp(text, "FROM ", 5) != 0)
		return without_desired(query_parse_condition(text, from, err), err);
	whole = mem_textf("SELECT * %s", text);
	query = query_parse(whole, err);
	if (query && query->from != from)
		return err_null(err, ERR_INVALID, "the condition is on another kind of twins than the content");
	return without_desired(GIVE(query), err);
}

int
configuration_check_condition(const char *condition, enum content_kind kind, struct err *err)
{
	OWN(query) query = parse_condition(condition, kind, err);

	return query ? 0 : -1;
}

/* Deployments are for gateways only. */
struct query *
configuration_sweep_query(const struct configuration *c, struct err *err)
{
	const char *condition = json_string_value(json_object_get(c->doc, "targetCondition"));
	OWN(query) target = parse_condition(condition, c->kind, err);
	OWN(query) query = NULL;

	if (!target)
		return NULL;
	if (c->kind == CONTENT_MODULES && !target->where)
		return query_parse("SELECT deviceId FROM devices WHERE capabilities.iotEdge = true", err);
	query = query_parse(
		c->kind == CONTENT_MODULE ? "SELECT deviceId, moduleId FROM devices.modules" : "SELECT deviceId FROM devices", err);
	if (query)
		query->where = GIVE(target->where);
	return GIVE(query);
}

/* -- A configuration in memory -------------------------------------------------------------------------------------------------------------- */

struct configuration *
configuration_new(const char *id, const char *etag, json_t *doc, int64_t created_ms)
{
	struct configuration *c = NEW(configuration);

	c->id = mem_text(id);
	c->etag = mem_text(etag);
	c->doc = doc;
	c->created_ms = created_ms;
	return c;
}

void
configuration_free(struct configuration *c)
{
	if (!c)
		return;
	mem_free(c->id);
	mem_free(c->etag);
	json_decref(c->doc);
	query_free(c->condition);
	mem_free(c);
}

/* -- What its document says ------------------------------------------------------------------------------------------------------------------- */

static enum configuration_answer
read_target(struct configuration *c, struct err *err)
{
	const char *condition = NULL;

	if (json_find_text(c->doc, "targetCondition", &condition, err) < 0)
		return CONFIGURATION_BAD_CONDITION;
	if (!condition || !condition[strspn(condition, " \t\r\n")])
		return CONFIGURATION_OK; /* it waits for one */
	c->condition = parse_condition(condition, c->kind, err);
	if (!c->condition)
		return CONFIGURATION_BAD_CONDITION;
	return CONFIGURATION_OK;
}

static enum configuration_answer
check_metrics(const json_t *doc, struct err *err)
{
	json_t *metrics = NULL, *queries = NULL, *text;
	const char *name;

	if (json_find_object(doc, "metrics", &metrics, err) < 0 ||
		(metrics && json_find_object(metrics, "queries", &queries, err) < 0))
		return CONFIGURATION_BAD_METRIC;
	json_object_foreach(queries, name, text) {
		OWN(query) query = json_is_string(text) ? query_parse(json_string_value(text), err) : NULL;

		if (!query)
			return CONFIGURATION_BAD_METRIC;
	}
	return CONFIGURATION_OK;
}

enum configuration_answer
configuration_read(struct configuration *c, struct err *err)
{
	json_t *labels = NULL;
	enum configuration_answer answer;

	if (content_check(json_object_get(c->doc, "content"), &c->kind, err) < 0)
		return CONFIGURATION_BAD_CONTENT;
	if (json_find_int(c->doc, "priority", &c->priority, err) < 0 || json_find_object(c->doc, "labels", &labels, err) < 0)
		return CONFIGURATION_INVALID;
	if (c->priority < 0) {
		(void)err_set(err, ERR_INVALID, "a priority is not negative");
		return CONFIGURATION_INVALID;
	}
	answer = read_target(c, err);
	return answer == CONFIGURATION_OK ? check_metrics(c->doc, err) : answer;
}

json_t *
configuration_entries(const struct configuration *c, const char *module_id)
{
	json_t *entries = json_object_get(json_object_get(c->doc, "content"), c->kind == CONTENT_DEVICE	  ? "deviceContent"
									      : c->kind == CONTENT_MODULE ? "moduleContent"
													  : "modulesContent");

	return c->kind == CONTENT_MODULES ? json_object_get(entries, module_id) : entries;
}

/* -- Which of several counts -------------------------------------------------------------------------------------------------------------------- */

struct configuration *
configuration_find(struct configuration *const *list, size_t n, const char *id, bool is_doomed)
{
	for (size_t i = 0; i < n; i++)
		if (text_is(list[i]->id, id) && list[i]->is_doomed == is_doomed)
			return list[i];
	return NULL;
}

bool
configuration_is_among(const struct configuration *c, struct configuration *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == c)
			return true;
	return false;
}

/* Least important first. */
static bool
is_below(const struct configuration *a, const struct configuration *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority;
	return a->created_ms != b->created_ms ? a->created_ms < b->created_ms : strcmp(a->id, b->id) < 0;
}

/* A layer adds to what the agent is told; a whole deployment says all of it. */
static bool
is_layer(const struct configuration *c)
{
	const json_t *agent = json_object_get(content_entries(json_object_get(c->doc, "content"), c->kind), "$edgeAgent");

	return c->kind == CONTENT_MODULES && !json_object_get(agent, "properties.desired");
}

size_t
configuration_choose(
	struct configuration *const *list, size_t n_list, enum content_kind kind, struct configuration *chosen[CONFIGURATIONS_MAX])
{
	const struct configuration *base = NULL;
	size_t n = 0, at;

	for (size_t i = 0; i < n_list; i++)
		if (list[i]->kind == kind && !is_layer(list[i]) && (!base || is_below(base, list[i])))
			base = list[i];
	for (size_t i = 0; i < n_list; i++) {
		struct configuration *c = list[i];

		if (c->kind != kind || (c != base && (!is_layer(c) || !base || is_below(c, base))))
			continue;
		for (at = n++; at > 0 && is_below(c, chosen[at - 1]); at--)
			chosen[at] = chosen[at - 1];
		chosen[at] = c;
	}
	return n;
}

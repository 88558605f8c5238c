/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations and what follows from them (configuration.h).
 *
 * Which twins meet which condition stands in the table configuration_twin.  It is brought up to date from both sides: a configuration that is new or changed is
 * swept, which is a query like any other (twin_walk.h); a twin that is new or changed is asked all conditions.  Whenever a row comes or goes, the twin is settled: what
 * its configurations say now is compared with what stands there, and written if it differs.  The twin is written before the row, so a crash in between leaves work to be
 * found again, never work that counts as done. */
#include "hub/configuration.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "hub/twin_store.h"
#include "hub/twin_walk.h"
#include "wire/codec.h"
#include "wire/json.h"

#define STEP_MS 50
#define SWEEP_ROWS 100	   /* between two looks at the clock */
#define CHANGED_MAX 100000 /* twins that wait to be asked; beyond, everything is swept */
#define METRIC_MS 100

struct configuration {
	char *id, *etag;
	json_t *doc; /* as it was put */
	enum content_kind kind;
	struct query *condition; /* NULL: no twin meets it */
	int64_t created_ms, priority;
	bool to_sweep, to_finish;
	bool is_doomed; /* deleted; it goes when all twins are without it */
	int64_t sweep;	/* number of the last one */
};

struct configurations {
	struct registry *registry;
	struct twins *twins;
	struct directory *directory;
	struct db *db;
	const char *const *indexed_paths;
	size_t n_indexed_paths;
	struct configuration *list[CONFIGURATIONS_MAX];
	size_t n;
	struct configuration *swept; /* whose walk this is */
	struct twin_walk walk;
	struct map *changed; /* names of twins to be asked all conditions */
	struct job job;
	atomic_bool wanted, queued;
	struct owner *owner;
};

/* -- Conditions --------------------------------------------------------------------------------------------------------------------------- */

/* "FROM devices.modules WHERE ..." is how the original has conditions on modules; the condition alone will do as well. */
static struct query *
parse_condition(const char *condition, enum content_kind kind, struct err *err)
{
	const char *text = condition + strspn(condition, " \t\r\n");
	enum query_source from = kind == CONTENT_MODULE ? QUERY_MODULES : QUERY_DEVICES;
	OWN_TEXT whole = NULL;
	OWN(query) query = NULL;

	if (strncasecmp(text, "FROM ", 5) != 0)
		return query_parse_condition(text, from, err);
	whole = mem_textf("SELECT * %s", text);
	query = query_parse(whole, err);
	if (query && query->from != from)
		return err_null(err, ERR_INVALID, "the condition is on another kind of twins than the content");
	return GIVE(query);
}

int
configuration_check_condition(const char *condition, enum content_kind kind, struct err *err)
{
	OWN(query) query = parse_condition(condition, kind, err);

	return query ? 0 : -1;
}

/* The query that finds the twins: their names, by the same condition.  Deployments are for gateways only. */
static struct query *
sweep_query(const struct configuration *c, struct err *err)
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

/* -- Configurations in memory ---------------------------------------------------------------------------------------------------------------- */

static void
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
OWN_DEFINE(configuration);

static struct configuration *
find(struct configurations *cs, const char *id)
{
	for (size_t i = 0; i < cs->n; i++)
		if (text_is(cs->list[i]->id, id) && !cs->list[i]->is_doomed)
			return cs->list[i];
	return NULL;
}

static struct configuration *
find_doomed(struct configurations *cs, const char *id)
{
	for (size_t i = 0; i < cs->n; i++)
		if (text_is(cs->list[i]->id, id) && cs->list[i]->is_doomed)
			return cs->list[i];
	return NULL;
}

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

static enum configuration_answer
read_doc(struct configuration *c, struct err *err)
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

/* -- Which twin has which configurations -------------------------------------------------------------------------------------------------------- */

struct target {
	const char *device_id, *module_id; /* module_id "" for a device */
};

struct held {
	struct configuration *list[CONFIGURATIONS_MAX];
	bool applied[CONFIGURATIONS_MAX];
	size_t n;
};

static int
load_held(struct configurations *cs, struct target target, const struct configuration *except, struct held *held, struct err *err)
{
	struct db_stmt *rows =
		db_query(cs->db, err, "SELECT id, applied FROM configuration_twin WHERE device_id = ? AND module_id = ?", "tt",
			target.device_id, target.module_id);
	int got = rows ? 0 : -1;

	held->n = 0;
	while (rows && (got = db_next(rows, err)) == 1) {
		struct configuration *c = find(cs, db_text(rows, 0));

		if (c && c != except && held->n < CONFIGURATIONS_MAX) {
			held->applied[held->n] = db_int(rows, 1) != 0;
			held->list[held->n++] = c;
		}
	}
	db_done(rows);
	return got;
}

static int
hold(struct configurations *cs, const struct configuration *c, struct target target, struct err *err)
{
	return db_run(cs->db, err,
		"INSERT INTO configuration_twin (id, device_id, module_id, applied, sweep) VALUES (?, ?, ?, 0, ?)"
		" ON CONFLICT (id, device_id, module_id) DO UPDATE SET sweep = excluded.sweep",
		"ttti", c->id, target.device_id, target.module_id, c->sweep);
}

static int
let_go(struct configurations *cs, const struct configuration *c, struct target target, struct err *err)
{
	return db_run(cs->db, err, "DELETE FROM configuration_twin WHERE id = ? AND device_id = ? AND module_id = ?", "ttt", c->id,
		target.device_id, target.module_id);
}

static int
set_applied(struct configurations *cs, const struct configuration *c, struct target target, bool applied, struct err *err)
{
	return db_run(cs->db, err, "UPDATE configuration_twin SET applied = ? WHERE id = ? AND device_id = ? AND module_id = ?",
		"ittt", (int64_t)applied, c->id, target.device_id, target.module_id);
}

/* -- Settling a twin ------------------------------------------------------------------------------------------------------------------------------ */

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

/* Those that count, of this kind, least important first. */
static size_t
choose(const struct held *held, enum content_kind kind, struct configuration *chosen[CONFIGURATIONS_MAX])
{
	const struct configuration *base = NULL;
	size_t n = 0, at;

	for (size_t i = 0; i < held->n; i++)
		if (held->list[i]->kind == kind && !is_layer(held->list[i]) && (!base || is_below(base, held->list[i])))
			base = held->list[i];
	for (size_t i = 0; i < held->n; i++) {
		struct configuration *c = held->list[i];

		if (c->kind != kind || (c != base && (!is_layer(c) || !base || is_below(c, base))))
			continue;
		for (at = n++; at > 0 && is_below(c, chosen[at - 1]); at--)
			chosen[at] = chosen[at - 1];
		chosen[at] = c;
	}
	return n;
}

static json_t *
entries_of(const struct configuration *c, const char *module_id)
{
	json_t *entries = json_object_get(json_object_get(c->doc, "content"), c->kind == CONTENT_DEVICE	  ? "deviceContent"
									      : c->kind == CONTENT_MODULE ? "moduleContent"
													  : "modulesContent");

	return c->kind == CONTENT_MODULES ? json_object_get(entries, module_id) : entries;
}

/* Write a twin's desired properties when they differ.  What is wrong with them is the configuration's fault: it is told and left. */
static int
write_desired(struct configurations *cs, const char *device_id, const char *module_id, struct configuration *const *chosen,
	size_t n, json_t *gone, struct err *err)
{
	OWN(twin) twin = twin_store_get(cs->db, device_id, module_id, err);
	OWN_LIB(json_t) desired = twin ? json_deep_copy(twin->desired.values) : NULL;
	struct twin_call call = { .device_id = mem_text(device_id), .module_id = mem_text(module_id), .replace = true };
	int done = twin ? 0 : -1;

	if (twin) {
		content_remove(desired, gone);
		for (size_t i = 0; i < n; i++)
			content_apply(desired, entries_of(chosen[i], module_id));
	}
	if (twin && !json_equal(desired, twin->desired.values)) {
		call.desired = json_incref(desired);
		twins_run(cs->twins, &call);
		if (call.answer == TWIN_FAILED)
			done = err_set(err, call.err.kind, "%s", call.err.text);
		else if (call.answer != TWIN_OK) {
			log_warn("configuration %s does not fit on %s%s%s: %s", n > 0 ? chosen[n - 1]->id : "?", device_id,
				module_id ? "/" : "", module_id ? module_id : "", call.err.text);
			done = 1;
		}
	}
	twin_call_clear(&call);
	return done;
}

/* The modules of a gateway that any of these speaks of, and that are there. */
static int
write_modules(struct configurations *cs, const char *device_id, struct configuration *const *chosen, size_t n, struct err *err)
{
	OWN_LIB(json_t) names = json_object();
	const char *name;
	json_t *value;
	int done = 0, one;

	for (size_t i = 0; i < n; i++)
		json_object_update(names, json_object_get(json_object_get(chosen[i]->doc, "content"), "modulesContent"));
	json_object_foreach(names, name, value) {
		OWN(identity) module = registry_find(cs->registry, device_id, name);

		one = module ? write_desired(cs, device_id, name, chosen, n, NULL, err) : 0;
		if (one < 0)
			return -1;
		done |= one;
	}
	return done;
}

static bool
is_chosen(const struct configuration *c, struct configuration *const *chosen, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (chosen[i] == c)
			return true;
	return false;
}

static int
settle_kind(struct configurations *cs, struct target target, enum content_kind kind, const struct held *held,
	const struct configuration *gone, struct err *err)
{
	struct configuration *chosen[CONFIGURATIONS_MAX];
	size_t n = choose(held, kind, chosen);
	json_t *removed = gone && gone->kind == kind ? entries_of(gone, target.module_id) : NULL;
	int done = 0;

	/* Another one that was applied before is replaced. */
	for (size_t i = 0; i < held->n; i++)
		if (held->list[i]->kind == kind && held->applied[i] && !is_chosen(held->list[i], chosen, n))
			removed = entries_of(held->list[i], target.module_id);
	if (kind == CONTENT_MODULES)
		done = n > 0 ? write_modules(cs, target.device_id, chosen, n, err) : 0;
	else if (n > 0 || removed)
		done = write_desired(cs, target.device_id, *target.module_id ? target.module_id : NULL, chosen, n, removed, err);
	for (size_t i = 0; done >= 0 && i < held->n; i++) {
		bool applied = done == 0 && is_chosen(held->list[i], chosen, n);

		if (held->list[i]->kind == kind && applied != held->applied[i] &&
			set_applied(cs, held->list[i], target, applied, err) < 0)
			return -1;
	}
	return done < 0 ? -1 : 0;
}

/* `gone` no longer counts for this twin. */
static int
settle(struct configurations *cs, struct target target, const struct configuration *gone, struct err *err)
{
	struct held held;

	if (load_held(cs, target, gone, &held, err) < 0)
		return -1;
	if (*target.module_id)
		return settle_kind(cs, target, CONTENT_MODULE, &held, gone, err);
	if (settle_kind(cs, target, CONTENT_DEVICE, &held, gone, err) < 0)
		return -1;
	return settle_kind(cs, target, CONTENT_MODULES, &held, gone, err);
}

static int
release(struct configurations *cs, const struct configuration *c, struct target target, struct err *err)
{
	return settle(cs, target, c, err) < 0 ? -1 : let_go(cs, c, target, err);
}

/* -- Sweeping: all twins of a configuration ------------------------------------------------------------------------------------------------------- */

static int
begin_sweep(struct configurations *cs, struct configuration *c, struct err *err)
{
	struct query *query;

	c->to_sweep = false;
	c->to_finish = true;
	c->sweep++;
	if (!c->condition)
		return 0;
	query = sweep_query(c, err);
	if (!query)
		return -1;
	cs->swept = c;
	return twin_walk_init(&cs->walk, query, c->id, cs->indexed_paths, cs->n_indexed_paths, NULL, SWEEP_ROWS, err);
}

static void
end_sweep(struct configurations *cs)
{
	if (cs->swept)
		twin_walk_clear(&cs->walk);
	cs->swept = NULL;
}

static int
sweep_on(struct configurations *cs, int64_t until, struct err *err)
{
	struct twin_row_context context = { .db = cs->db, .registry = cs->registry, .directory = cs->directory };
	struct configuration *c = cs->swept;
	json_t *row;
	size_t i;

	if (twin_walk_go(&cs->walk, &context, until, err) < 0)
		return -1;
	json_array_foreach(cs->walk.rows, i, row) {
		const char *module_id = json_string_value(json_object_get(row, "moduleId"));
		struct target target = { json_string_value(json_object_get(row, "deviceId")), module_id ? module_id : "" };

		OWN(identity) identity = registry_find(cs->registry, target.device_id, module_id);

		if (!identity || (c->kind == CONTENT_MODULES && !identity->is_edge))
			continue;
		if (hold(cs, c, target, err) < 0 || settle(cs, target, NULL, err) < 0)
			return -1;
	}
	json_array_clear(cs->walk.rows);
	if (cs->walk.state == TWIN_WALK_END)
		end_sweep(cs);
	return 0;
}

/* One of the twins that the last sweep did not find.  *found: there was one. */
static int
finish_one(struct configurations *cs, struct configuration *c, bool *found, struct err *err)
{
	struct db_stmt *row = db_query(cs->db, err,
		"SELECT device_id, module_id FROM configuration_twin WHERE id = ? AND sweep != ? LIMIT 1", "ti", c->id, c->sweep);
	int got = row ? db_next(row, err) : -1;
	OWN_TEXT device_id = got == 1 ? mem_text(db_text(row, 0)) : NULL;
	OWN_TEXT module_id = got == 1 ? mem_text(db_text(row, 1)) : NULL;

	db_done(row);
	*found = got == 1;
	if (got != 1)
		return got;
	return release(cs, c, (struct target){ device_id, module_id }, err);
}

/* The last of a configuration that was deleted. */
static int
bury(struct configurations *cs, struct configuration *c, struct err *err)
{
	size_t i = 0;

	if (db_run(cs->db, err, "DELETE FROM configuration WHERE id = ?", "t", c->id) < 0)
		return -1;
	while (cs->list[i] != c)
		i++;
	cs->list[i] = cs->list[--cs->n];
	configuration_free(c);
	return 0;
}

static int
finish_next(struct configurations *cs, struct configuration *c, struct err *err)
{
	if (finish_one(cs, c, &c->to_finish, err) < 0)
		return -1;
	return c->is_doomed && !c->to_finish ? bury(cs, c, err) : 0;
}

/* -- Asking: all conditions about one twin ------------------------------------------------------------------------------------------------------------ */

static int
ask_one(struct configurations *cs, struct configuration *c, struct target target, const json_t *row, bool is_edge, struct err *err)
{
	bool meets = c->condition && row && (c->kind != CONTENT_MODULES || is_edge) && query_is_true(c->condition->where, row);
	struct held held;
	bool holds = false;

	if (meets)
		return hold(cs, c, target, err);
	if (load_held(cs, target, NULL, &held, err) < 0)
		return -1;
	for (size_t i = 0; i < held.n; i++)
		holds = holds || held.list[i] == c;
	return holds ? release(cs, c, target, err) : 0;
}

static int
ask_all(struct configurations *cs, struct target target, struct err *err)
{
	struct twin_row_context context = { .db = cs->db, .registry = cs->registry, .directory = cs->directory };
	const char *module_id = *target.module_id ? target.module_id : NULL;
	OWN(identity) identity = registry_find(cs->registry, target.device_id, module_id);
	OWN_LIB(json_t) row = NULL;

	if (!identity)
		return db_run(cs->db, err, "DELETE FROM configuration_twin WHERE device_id = ? AND (module_id = ?2 OR ?2 = '')",
			"tt", target.device_id, target.module_id);
	if (twin_row_load(&context, target.device_id, module_id, TWIN_PARTS_SHOWN | TWIN_PART_CONFIGURATIONS, &row, err) < 0)
		return -1;
	for (size_t i = 0; i < cs->n; i++)
		if (!cs->list[i]->is_doomed && (cs->list[i]->kind == CONTENT_MODULE) == (module_id != NULL) &&
			ask_one(cs, cs->list[i], target, row, identity->is_edge, err) < 0)
			return -1;
	return settle(cs, target, NULL, err);
}

/* The parts of a module's deployment that its gateway has; a module that is new gets them. */
static int
ask_changed(struct configurations *cs, const char *name, struct err *err)
{
	const char *slash = strchr(name, '/');
	OWN_TEXT device_id = slash ? mem_textn(name, (size_t)(slash - name)) : mem_text(name);

	if (slash && ask_all(cs, (struct target){ device_id, "" }, err) < 0)
		return -1;
	return ask_all(cs, (struct target){ device_id, slash ? slash + 1 : "" }, err);
}

static int
ask_next_changed(struct configurations *cs, struct err *err)
{
	size_t at = 0, len;
	const void *key;
	void *value;
	OWN_TEXT name = NULL;

	if (!map_next(cs->changed, &at, &key, &len, &value))
		return 0;
	name = mem_textn(key, len);
	map_remove_text(cs->changed, name);
	return ask_changed(cs, name, err);
}

/* -- Steps -------------------------------------------------------------------------------------------------------------------------------------------- */

/* 1: something was done, 0: there is nothing to do. */
static int
do_something(struct configurations *cs, int64_t until, struct err *err)
{
	if (map_count(cs->changed) > 0)
		return ask_next_changed(cs, err) < 0 ? -1 : 1;
	if (cs->swept)
		return sweep_on(cs, until, err) < 0 ? -1 : 1;
	for (size_t i = 0; i < cs->n; i++)
		if (cs->list[i]->to_sweep && !cs->list[i]->is_doomed)
			return begin_sweep(cs, cs->list[i], err) < 0 ? -1 : 1;
	for (size_t i = 0; i < cs->n; i++)
		if (cs->list[i]->to_finish)
			return finish_next(cs, cs->list[i], err) < 0 ? -1 : 1;
	return 0;
}

/* What failed is no longer known in parts: the next event, or the next start, begins with all of it. */
static void
start_over(struct configurations *cs)
{
	end_sweep(cs);
	for (size_t i = 0; i < cs->n; i++)
		cs->list[i]->to_sweep = !cs->list[i]->is_doomed;
}

bool
configurations_step(struct configurations *cs, int64_t ms)
{
	int64_t until = clock_boot_ms() + ms;
	struct err err = ERR_INIT;
	int did = 1;

	while (did == 1 && clock_boot_ms() < until)
		did = do_something(cs, until, &err);
	if (did < 0) {
		log_error("configurations: %s", err.text);
		start_over(cs);
	}
	return did == 1;
}

static void wake(struct configurations *cs);

static void
run_step(struct job *job)
{
	struct configurations *cs = CONTAINER_OF(job, struct configurations, job);

	atomic_store(&cs->wanted, false);
	if (configurations_step(cs, STEP_MS))
		atomic_store(&cs->wanted, true);
}

static void
step_done(struct job *job)
{
	struct configurations *cs = CONTAINER_OF(job, struct configurations, job);

	atomic_store(&cs->queued, false);
	if (atomic_load(&cs->wanted))
		wake(cs);
}

static void
wake(struct configurations *cs)
{
	atomic_store(&cs->wanted, true);
	if (!cs->owner || atomic_exchange(&cs->queued, true))
		return;
	cs->job = (struct job){ .run = run_step, .done = step_done, .owner = cs->owner };
	if (!registry_work(cs->registry, &cs->job))
		atomic_store(&cs->queued, false);
}

static void
note_change(struct configurations *cs, const struct identity *identity)
{
	OWN_TEXT name = identity_name(identity->device_id, identity->module_id);

	if (cs->n == 0)
		return;
	if (map_count(cs->changed) >= CHANGED_MAX)
		for (size_t i = 0; i < cs->n; i++)
			cs->list[i]->to_sweep = true;
	else
		map_put_text(cs->changed, name, cs);
	wake(cs);
}

static void
on_twin(void *arg, const struct twin_event *event)
{
	note_change(arg, event->identity);
}

static void
on_identity(void *arg, const struct identity *before, const struct identity *after)
{
	note_change(arg, after ? after : before);
}

/* -- As they are shown ------------------------------------------------------------------------------------------------------------------------------------ */

static int
count_twins(struct configurations *cs, const struct configuration *c, int64_t *targeted, int64_t *applied, struct err *err)
{
	struct db_stmt *row =
		db_query(cs->db, err, "SELECT count(*), ifnull(sum(applied), 0) FROM configuration_twin WHERE id = ?", "t", c->id);
	int got = row ? db_next(row, err) : -1;

	if (got == 1) {
		*targeted = db_int(row, 0);
		*applied = db_int(row, 1);
	}
	db_done(row);
	return got < 0 ? -1 : 0;
}

static json_t *
system_metrics(struct configurations *cs, const struct configuration *c, struct err *err)
{
	const char *condition = json_string_value(json_object_get(c->doc, "targetCondition"));
	int64_t targeted = 0, applied = 0;
	OWN_TEXT target = NULL;
	OWN_TEXT query = mem_textf("select deviceId from %s where configurations.[[%s]].status = 'Applied'",
		c->kind == CONTENT_MODULE ? "devices.modules" : "devices", c->id);

	if (condition && strncasecmp(condition, "FROM ", 5) == 0)
		target = mem_textf("select deviceId %s", condition);
	else
		target = mem_textf("select deviceId from %s where %s", c->kind == CONTENT_MODULE ? "devices.modules" : "devices",
			c->condition && c->condition->where ? condition
			: c->condition			    ? "true"
							    : "false");
	if (count_twins(cs, c, &targeted, &applied, err) < 0)
		return NULL;
	return json_pack("{s:{s:I, s:I}, s:{s:s, s:s}}", "results", "targetedCount", (json_int_t)targeted, "appliedCount",
		(json_int_t)applied, "queries", "targetedCount", target, "appliedCount", query);
}

/* How many rows a metric has; NULL when that takes too long to be told in passing. */
static json_t *
measure(struct configurations *cs, const char *text)
{
	struct twin_row_context context = { .db = cs->db, .registry = cs->registry, .directory = cs->directory };
	struct err err = ERR_INIT;
	struct query *query = query_parse(text, &err);
	OWN_LIB(json_t) rows = NULL;
	struct twin_walk walk;
	json_t *result = NULL;

	if (!query || query->from == QUERY_JOBS) {
		query_free(query);
		return NULL;
	}
	if (twin_walk_init(&walk, query, text, cs->indexed_paths, cs->n_indexed_paths, NULL, 0, &err) == 0 &&
		twin_walk_go(&walk, &context, clock_boot_ms() + METRIC_MS, &err) == 0 && walk.state == TWIN_WALK_END) {
		rows = twin_walk_rows(&walk);
		result = json_integer((json_int_t)json_array_size(rows));
	}
	twin_walk_clear(&walk);
	return result;
}

static json_t *
metrics(struct configurations *cs, const struct configuration *c, bool measured)
{
	json_t *queries = json_object_get(json_object_get(c->doc, "metrics"), "queries"), *results = json_object(), *text;
	const char *name;

	json_object_foreach(queries, name, text) {
		json_t *result = measured ? measure(cs, json_string_value(text)) : NULL;

		if (result)
			json_object_set_new(results, name, result);
	}
	return json_pack("{s:o, s:o}", "results", results, "queries", queries ? json_incref(queries) : json_object());
}

static void
put_time(json_t *view, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT_LEN];

	json_object_set_new(view, name, json_string(clock_text_ms(ms, text)));
}

static json_t *
view(struct configurations *cs, const struct configuration *c, bool measured, struct err *err)
{
	static const char *const kept[] = { "schemaVersion", "labels", "content", "targetCondition" };
	OWN_LIB(json_t) shown = json_object();
	json_t *system = system_metrics(cs, c, err);

	if (!system)
		return NULL;
	json_object_set_new(shown, "id", json_string(c->id));
	for (size_t i = 0; i < COUNT(kept); i++)
		if (json_object_get(c->doc, kept[i]))
			json_object_set(shown, kept[i], json_object_get(c->doc, kept[i]));
	if (!json_object_get(shown, "schemaVersion"))
		json_object_set_new(shown, "schemaVersion", json_string("1.0"));
	json_object_set_new(shown, "priority", json_integer(c->priority));
	put_time(shown, "createdTimeUtc", c->created_ms);
	put_time(shown, "lastUpdatedTimeUtc", json_integer_value(json_object_get(c->doc, "updated_ms")));
	json_object_set_new(shown, "systemMetrics", system);
	json_object_set_new(shown, "metrics", metrics(cs, c, measured));
	json_object_set_new(shown, "etag", json_string(c->etag));
	return GIVE(shown);
}

/* -- Operations --------------------------------------------------------------------------------------------------------------------------------------------- */

static char *
new_etag(void)
{
	CLEAR(buf) text = BUF_INIT(32);
	uint8_t bytes[8];

	random_bytes(bytes, sizeof(bytes));
	base64_encode(&text, bytes, sizeof(bytes));
	return buf_take_text(&text);
}

static enum configuration_answer
show(struct configurations *cs, struct configuration_call *call, const struct configuration *c)
{
	call->result = view(cs, c, call->op == CONFIGURATION_GET, &call->err);
	call->etag = mem_text(c->etag);
	return call->result ? CONFIGURATION_OK : CONFIGURATION_FAILED;
}

static int
save(struct configurations *cs, const struct configuration *c, struct err *err)
{
	OWN_TEXT text = json_line(c->doc);

	return db_run(cs->db, err, "INSERT OR REPLACE INTO configuration (id, etag, created_ms, doc) VALUES (?, ?, ?, ?)", "ttit",
		c->id, c->etag, c->created_ms, text);
}

static enum configuration_answer
check_match(const struct configuration_call *call, const struct configuration *before)
{
	if (!before)
		return call->if_match || call->op != CONFIGURATION_PUT ? CONFIGURATION_MISSING : CONFIGURATION_OK;
	if (!call->if_match)
		return call->op == CONFIGURATION_PUT ? CONFIGURATION_EXISTS : CONFIGURATION_OK;
	return text_is(call->if_match, "*") || text_is(call->if_match, before->etag) ? CONFIGURATION_OK : CONFIGURATION_WRONG_ETAG;
}

/* The content stays what it was: left out, or said again. */
static enum configuration_answer
keep_content(json_t *doc, const struct configuration *before)
{
	json_t *content = json_object_get(doc, "content"), *was = json_object_get(before->doc, "content");

	if (content && !json_is_null(content) && !json_equal(content, was))
		return CONFIGURATION_IMMUTABLE;
	json_object_set(doc, "content", was);
	return CONFIGURATION_OK;
}

static void
put_in_place(struct configurations *cs, struct configuration *after, const struct configuration *before)
{
	size_t i = 0;

	while (i < cs->n && cs->list[i] != before)
		i++;
	if (before) {
		after->sweep = before->sweep;
		if (cs->swept == before)
			end_sweep(cs);
		configuration_free(cs->list[i]);
	} else {
		cs->n++;
	}
	cs->list[i] = after;
	after->to_sweep = true;
	wake(cs);
}

/* One of the same name that is on its way out leaves at once. */
static int
make_room(struct configurations *cs, struct configuration_call *call)
{
	struct configuration *c;

	while ((c = find_doomed(cs, call->id)))
		if (finish_next(cs, c, &call->err) < 0)
			return -1;
	return 0;
}

static enum configuration_answer
put(struct configurations *cs, struct configuration_call *call)
{
	struct configuration *before = find(cs, call->id);
	OWN(configuration) after = NULL;
	enum configuration_answer answer = check_match(call, before);

	if (answer != CONFIGURATION_OK)
		return answer;
	if (!before && make_room(cs, call) < 0)
		return CONFIGURATION_FAILED;
	if (!before && cs->n == CONFIGURATIONS_MAX)
		return CONFIGURATION_TOO_MANY;
	after = NEW(configuration);
	after->id = mem_text(call->id);
	after->etag = new_etag();
	after->doc = json_copy(call->body);
	after->created_ms = before ? before->created_ms : clock_wall_ms();
	json_object_set_new(after->doc, "updated_ms", json_integer(clock_wall_ms()));
	answer = before ? keep_content(after->doc, before) : CONFIGURATION_OK;
	if (answer == CONFIGURATION_OK)
		answer = read_doc(after, &call->err);
	if (answer != CONFIGURATION_OK)
		return answer;
	if (save(cs, after, &call->err) < 0)
		return CONFIGURATION_FAILED;
	put_in_place(cs, after, before);
	return show(cs, call, GIVE(after));
}

/* It is gone for who asks; what it has set is taken back in steps, and it is forgotten after that. */
static enum configuration_answer
drop(struct configurations *cs, struct configuration_call *call)
{
	struct configuration *c = find(cs, call->id);
	enum configuration_answer answer = check_match(call, c);

	if (answer != CONFIGURATION_OK)
		return answer;
	if (db_run(cs->db, &call->err, "UPDATE configuration SET is_doomed = 1 WHERE id = ?", "t", c->id) < 0)
		return CONFIGURATION_FAILED;
	if (cs->swept == c)
		end_sweep(cs);
	c->is_doomed = true;
	c->sweep++;
	c->to_sweep = false;
	c->to_finish = true;
	wake(cs);
	return CONFIGURATION_OK;
}

static int
by_id(const void *a, const void *b)
{
	return strcmp((*(struct configuration *const *)a)->id, (*(struct configuration *const *)b)->id);
}

static enum configuration_answer
list(struct configurations *cs, struct configuration_call *call)
{
	qsort(cs->list, cs->n, sizeof(*cs->list), by_id);
	call->result = json_array();
	for (size_t i = 0; i < cs->n && (call->max <= 0 || (int64_t)json_array_size(call->result) < call->max); i++) {
		json_t *shown = cs->list[i]->is_doomed ? NULL : view(cs, cs->list[i], false, &call->err);

		if (!shown && !cs->list[i]->is_doomed)
			return CONFIGURATION_FAILED;
		if (shown)
			json_array_append_new(call->result, shown);
	}
	return CONFIGURATION_OK;
}

static enum configuration_answer
get(struct configurations *cs, struct configuration_call *call)
{
	const struct configuration *c = find(cs, call->id);

	return c ? show(cs, call, c) : CONFIGURATION_MISSING;
}

void
configurations_run(struct configurations *cs, struct configuration_call *call)
{
	static enum configuration_answer (*const operations[])(struct configurations *, struct configuration_call *) = {
		[CONFIGURATION_GET] = get, [CONFIGURATION_LIST] = list, [CONFIGURATION_PUT] = put, [CONFIGURATION_REMOVE] = drop
	};

	call->answer = operations[call->op](cs, call);
}

static void
run_call(struct job *job)
{
	struct configuration_call *call = CONTAINER_OF(job, struct configuration_call, job);

	configurations_run(call->configurations, call);
}

static void
call_done(struct job *job)
{
	struct configuration_call *call = CONTAINER_OF(job, struct configuration_call, job);

	call->done(call);
}

bool
configurations_submit(struct configurations *cs, struct configuration_call *call, struct owner *owner)
{
	call->configurations = cs;
	call->job = (struct job){ .run = run_call, .done = call_done, .owner = owner };
	return registry_work(cs->registry, &call->job);
}

void
configuration_call_clear(struct configuration_call *call)
{
	mem_free(call->id);
	mem_free(call->if_match);
	mem_free(call->etag);
	json_decref(call->body);
	json_decref(call->result);
}

/* -- Opening ---------------------------------------------------------------------------------------------------------------------------------------------------- */

static int
load_one(struct configurations *cs, struct db_stmt *row, struct err *err)
{
	OWN(configuration) c = NEW(configuration);
	const char *text = db_text(row, 3);

	c->id = mem_text(db_text(row, 0));
	c->etag = mem_text(db_text(row, 1));
	c->created_ms = db_int(row, 2);
	c->doc = json_parse(text, strlen(text), err);
	if (!json_is_object(c->doc) || read_doc(c, err) != CONFIGURATION_OK || cs->n == CONFIGURATIONS_MAX)
		return err_set(err, ERR_BROKEN, "%s is damaged, and left untouched: the configuration %s", db_path(cs->db), c->id);
	c->is_doomed = db_int(row, 4) != 0;
	c->sweep = db_int(row, 5) + c->is_doomed;
	c->to_sweep = !c->is_doomed;
	c->to_finish = c->is_doomed;
	cs->list[cs->n++] = GIVE(c);
	return 0;
}

static int
load(struct configurations *cs, struct err *err)
{
	struct db_stmt *rows = db_query(cs->db, err,
		"SELECT id, etag, created_ms, doc, is_doomed, (SELECT ifnull(max(sweep), 0) FROM configuration_twin t WHERE t.id = "
		"c.id) FROM configuration c ORDER BY id",
		"");
	int got = rows ? 0 : -1;

	while (rows && (got = db_next(rows, err)) == 1)
		if (load_one(cs, rows, err) < 0) {
			got = -1;
			break;
		}
	db_done(rows);
	return got;
}

struct configurations *
configurations_open(struct registry *registry, struct twins *twins, struct directory *directory, struct owner *owner,
	const char *const *indexed_paths, size_t n_indexed_paths, struct err *err)
{
	struct configurations *cs = NEW(configurations);

	cs->registry = registry;
	cs->twins = twins;
	cs->directory = directory;
	cs->owner = owner;
	cs->indexed_paths = indexed_paths;
	cs->n_indexed_paths = n_indexed_paths;
	cs->db = registry_store_db(registry_store_of(registry));
	cs->changed = map_new();
	if (load(cs, err) < 0) {
		configurations_close(cs);
		return NULL;
	}
	twins_watch(twins, on_twin, cs);
	registry_watch_all(registry, on_identity, cs);
	if (cs->n > 0)
		wake(cs);
	return cs;
}

void
configurations_close(struct configurations *cs)
{
	if (!cs)
		return;
	end_sweep(cs);
	for (size_t i = 0; i < cs->n; i++)
		configuration_free(cs->list[i]);
	map_free(cs->changed);
	mem_free(cs);
}

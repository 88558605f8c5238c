/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that follow from configurations (configurations.h).
 *
 * Which twins meet which condition stands in the table configuration_twin.  It is brought up to date from both sides: a configuration that is new or changed is
 * swept, which is a query like any other (twin_walk.h); a twin that is new or changed is asked all conditions.  Whenever a row comes or goes, the twin is settled
 * (configurations_settle.c). */
#include "hub/automation/configurations_inside.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"

#define STEP_MS 50
#define SWEEP_ROWS 100	   /* between two looks at the clock */
#define CHANGED_MAX 100000 /* twins that wait to be asked; beyond, everything is swept */

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
	query = configuration_sweep_query(c, err);
	if (!query)
		return -1;
	cs->swept = c;
	return twin_walk_init(&cs->walk, query, c->id, cs->indexed_paths, cs->n_indexed_paths, NULL, SWEEP_ROWS, err);
}

void
configurations_end_sweep(struct configurations *cs)
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
		struct configuration_target target = { json_string_value(json_object_get(row, "deviceId")),
			module_id ? module_id : "" };

		OWN(identity) identity = registry_find(cs->registry, target.device_id, module_id);

		if (!identity || (c->kind == CONTENT_MODULES && !identity->is_edge))
			continue;
		if (configuration_store_hold(cs->db, c, target, err) < 0 || configurations_settle(cs, target, NULL, err) < 0)
			return -1;
	}
	json_array_clear(cs->walk.rows);
	if (cs->walk.state == TWIN_WALK_END)
		configurations_end_sweep(cs);
	return 0;
}

/* One of the twins that the last sweep did not find. */
static int
finish_one(struct configurations *cs, struct configuration *c, struct err *err)
{
	OWN_TEXT device_id = NULL;
	OWN_TEXT module_id = NULL;
	int got = configuration_store_unswept(cs->db, c, &device_id, &module_id, err);

	c->to_finish = got == 1;
	return got == 1 ? configurations_release(cs, c, (struct configuration_target){ device_id, module_id }, err) : got;
}

/* The last of a configuration that was deleted. */
static int
bury(struct configurations *cs, struct configuration *c, struct err *err)
{
	size_t i = 0;

	if (configuration_store_remove(cs->db, c, err) < 0)
		return -1;
	while (cs->list[i] != c)
		i++;
	cs->list[i] = cs->list[--cs->n];
	configuration_free(c);
	return 0;
}

int
configurations_finish_next(struct configurations *cs, struct configuration *c, struct err *err)
{
	if (finish_one(cs, c, err) < 0)
		return -1;
	return c->is_doomed && !c->to_finish ? bury(cs, c, err) : 0;
}

/* -- Asking: all conditions about one twin ------------------------------------------------------------------------------------------------------------ */

static int
ask_one(struct configurations *cs, struct configuration *c, struct configuration_target target, const json_t *row, bool is_edge,
	struct err *err)
{
	bool meets = c->condition && row && (c->kind != CONTENT_MODULES || is_edge) && query_is_true(c->condition->where, row);
	struct configuration_held held;

	if (meets)
		return configuration_store_hold(cs->db, c, target, err);
	if (configuration_store_held(cs->db, target, cs->list, cs->n, NULL, &held, err) < 0)
		return -1;
	return configuration_is_among(c, held.list, held.n) ? configurations_release(cs, c, target, err) : 0;
}

static int
ask_all(struct configurations *cs, struct configuration_target target, struct err *err)
{
	struct twin_row_context context = { .db = cs->db, .registry = cs->registry, .directory = cs->directory };
	const char *module_id = *target.module_id ? target.module_id : NULL;
	OWN(identity) identity = registry_find(cs->registry, target.device_id, module_id);
	OWN_LIB(json_t) row = NULL;

	if (!identity)
		return configuration_store_forget(cs->db, target, err);
	if (twin_row_load(&context, target.device_id, module_id, TWIN_PARTS_SHOWN | TWIN_PART_CONFIGURATIONS, &row, err) < 0)
		return -1;
	for (size_t i = 0; i < cs->n; i++)
		if (!cs->list[i]->is_doomed && (cs->list[i]->kind == CONTENT_MODULE) == (module_id != NULL) &&
			ask_one(cs, cs->list[i], target, row, identity->is_edge, err) < 0)
			return -1;
	return configurations_settle(cs, target, NULL, err);
}

/* The parts of a module's deployment that its gateway has; a module that is new gets them. */
static int
ask_changed(struct configurations *cs, const char *name, struct err *err)
{
	const char *slash = strchr(name, '/');
	OWN_TEXT device_id = slash ? mem_textn(name, (size_t)(slash - name)) : mem_text(name);

	if (slash && ask_all(cs, (struct configuration_target){ device_id, "" }, err) < 0)
		return -1;
	return ask_all(cs, (struct configuration_target){ device_id, slash ? slash + 1 : "" }, err);
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
			return configurations_finish_next(cs, cs->list[i], err) < 0 ? -1 : 1;
	return 0;
}

/* What failed is no longer known in parts: the next event, or the next start, begins with all of it. */
static void
start_over(struct configurations *cs)
{
	configurations_end_sweep(cs);
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
		configurations_wake(cs);
}

void
configurations_wake(struct configurations *cs)
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
	configurations_wake(cs);
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

/* -- Opening ---------------------------------------------------------------------------------------------------------------------------------------------------- */

static int
take_loaded(void *arg, struct configuration *c, struct err *err)
{
	struct configurations *cs = arg;

	if (cs->n == CONFIGURATIONS_MAX) {
		configuration_free(c);
		return err_set(err, ERR_BROKEN, "%s has more than %d configurations", db_path(cs->db), CONFIGURATIONS_MAX);
	}
	c->sweep += c->is_doomed;
	c->to_sweep = !c->is_doomed;
	c->to_finish = c->is_doomed;
	cs->list[cs->n++] = c;
	return 0;
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
	if (configuration_store_load(cs->db, take_loaded, cs, err) < 0) {
		configurations_close(cs);
		return NULL;
	}
	twins_watch(twins, on_twin, cs);
	registry_watch(registry, REGISTRY_ALL, on_identity, cs);
	if (cs->n > 0)
		configurations_wake(cs);
	return cs;
}

void
configurations_close(struct configurations *cs)
{
	if (!cs)
		return;
	configurations_end_sweep(cs);
	for (size_t i = 0; i < cs->n; i++)
		configuration_free(cs->list[i]);
	map_free(cs->changed);
	mem_free(cs);
}

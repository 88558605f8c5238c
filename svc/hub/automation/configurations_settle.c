/* SPDX-License-Identifier: Apache-2.0 */
/* Settling a twin (configurations_inside.h): of the configurations that it holds those that count are written to its desired properties. */
#include "hub/automation/configurations_inside.h"

#include "base/log.h"
#include "base/mem.h"
#include "hub/twins/twin_store.h"
#include "wire/json.h"

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
			content_apply(desired, configuration_entries(chosen[i], module_id));
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

static int
settle_kind(struct configurations *cs, struct configuration_target target, enum content_kind kind,
	const struct configuration_held *held, const struct configuration *gone, struct err *err)
{
	struct configuration *chosen[CONFIGURATIONS_MAX];
	size_t n = configuration_choose(held->list, held->n, kind, chosen);
	json_t *removed = gone && gone->kind == kind ? configuration_entries(gone, target.module_id) : NULL;
	int done = 0;

	/* Another one that was applied before is replaced. */
	for (size_t i = 0; i < held->n; i++)
		if (held->list[i]->kind == kind && held->applied[i] && !configuration_is_among(held->list[i], chosen, n))
			removed = configuration_entries(held->list[i], target.module_id);
	if (kind == CONTENT_MODULES)
		done = n > 0 ? write_modules(cs, target.device_id, chosen, n, err) : 0;
	else if (n > 0 || removed)
		done = write_desired(cs, target.device_id, *target.module_id ? target.module_id : NULL, chosen, n, removed, err);
	for (size_t i = 0; done >= 0 && i < held->n; i++) {
		bool applied = done == 0 && configuration_is_among(held->list[i], chosen, n);

		if (held->list[i]->kind == kind && applied != held->applied[i] &&
			configuration_store_set_applied(cs->db, held->list[i], target, applied, err) < 0)
			return -1;
	}
	return done < 0 ? -1 : 0;
}

int
configurations_settle(
	struct configurations *cs, struct configuration_target target, const struct configuration *gone, struct err *err)
{
	struct configuration_held held;

	if (configuration_store_held(cs->db, target, cs->list, cs->n, gone, &held, err) < 0)
		return -1;
	if (*target.module_id)
		return settle_kind(cs, target, CONTENT_MODULE, &held, gone, err);
	if (settle_kind(cs, target, CONTENT_DEVICE, &held, gone, err) < 0)
		return -1;
	return settle_kind(cs, target, CONTENT_MODULES, &held, gone, err);
}

int
configurations_release(
	struct configurations *cs, const struct configuration *c, struct configuration_target target, struct err *err)
{
	return configurations_settle(cs, target, c, err) < 0 ? -1 : configuration_store_let_go(cs->db, c, target, err);
}

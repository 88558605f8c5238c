/* SPDX-License-Identifier: Apache-2.0 */
/* [modules]: processes of this box that use the workload API, each on a socket of its own. */
#include <string.h>

#include "auth/identity.h"
#include "base/mem.h"
#include "base/text.h"
#include "edge/config_tables.h"

/* A module's socket and its names in certificates go without the "$" of the hub's own modules. */
static const char *
bare(const char *module_id)
{
	return module_id[0] == '$' ? module_id + 1 : module_id;
}

static bool
is_good_id(const struct config *c, const struct config_at *at, const char *id)
{
	if (!identity_id_is_valid(id) || !*bare(id)) {
		config_wrong(at, NULL, "'%.100s' is no module id", id);
		return false;
	}
	if (c->has_gateway && text_is_nocase(bare(id), "edgeHub")) {
		config_wrong(at, NULL, "the gateway is this module; [gateway] enabled = false leaves it to another");
		return false;
	}
	for (size_t i = 0; i < c->n_modules; i++)
		if (text_is_nocase(bare(id), bare(c->modules[i].id))) {
			config_wrong(at, NULL, "there is the module '%s' already", c->modules[i].id);
			return false;
		}
	return true;
}

/* A path that is relative to nothing, or a unit with a folder, would never be met. */
static void
check_place(const struct config_at *at, const char *key, bool is_path)
{
	const char *text = config_text(at, key);

	if (text && (is_path ? *text != '/' : strchr(text, '/') || !strchr(text, '.')))
		config_wrong(at, key,
			is_path ? "the whole path is expected, from / on" : "the name of a unit is expected: sensor.service");
}

static void
take_process(struct config_module *m, const struct config_at *at)
{
	m->has_uid = config_has(at, "uid");
	m->has_gid = config_has(at, "gid");
	m->uid = (uid_t)config_int(at, "uid");
	m->gid = (gid_t)config_int(at, "gid");
	m->executable = mem_text(config_text(at, "executable"));
	m->unit = mem_text(config_text(at, "unit"));
	m->cgroup = mem_text(config_text(at, "cgroup"));
	check_place(at, "executable", true);
	check_place(at, "cgroup", true);
	check_place(at, "unit", false);
	if (!m->has_uid && !m->has_gid && !m->executable && !m->unit && !m->cgroup)
		config_wrong(at, NULL, "which process is it?  uid, gid, executable, unit or cgroup says so");
}

static void
take_module(struct config *c, const struct config_at *at, const char *id)
{
	struct config_module *m;

	if (!is_good_id(c, at, id))
		return;
	if (c->n_modules == CONFIG_MODULES_MAX) {
		config_wrong(at, NULL, "more than %d modules", CONFIG_MODULES_MAX);
		return;
	}
	m = &c->modules[c->n_modules++];
	m->id = mem_text(id);
	m->key = mem_text(config_text(at, "key"));
	take_process(m, at);
	config_take_names(m->names, &m->n_names, at, "names");
}

void
config_take_modules(struct config *c, const struct config_at *root)
{
	struct config_at modules = config_table(root, "modules");

	for (size_t i = 0; modules.table && i < modules.table->n; i++) {
		struct config_at at = config_entry(&modules, i);

		if (at.table)
			take_module(c, &at, modules.table->item[i]->key);
	}
}

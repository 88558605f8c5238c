/* SPDX-License-Identifier: Apache-2.0 */
/* Host processes' modules in the hub (reconcile.h). */
#include "identityd/reconcile.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"

#define STATE_MAX 65536
#define FILE_NAME "prev_state"

/* -- What was ours ---------------------------------------------------------------------------------------------------------------------- */

/* Of another device nothing was. */
static json_t *
load_before(const char *dir, const struct device_info *device)
{
	OWN_TEXT path = mem_textf("%s/" FILE_NAME, dir);
	CLEAR(buf) text = BUF_INIT(STATE_MAX);
	struct err err = ERR_INIT;
	OWN_LIB(json_t) json = NULL;
	const char *hub, *id;
	json_t *modules;

	if (file_load(&text, path, &err) == 0)
		json = json_parse(text.data, text.len, &err);
	if (!json && err.kind != ERR_MISSING)
		log_warn("%s can't be read, so modules of host processes are made anew: %s", path, err.text);
	if (json && json_get_text(json, "hubName", &hub, &err) == 0 && json_get_text(json, "deviceId", &id, &err) == 0 &&
		json_find_array(json, "modules", &modules, &err) == 0 && modules && text_is(hub, device->hub_name) &&
		text_is(id, device->device_id))
		return json_incref(modules);
	return json_array();
}

static int
save(const char *dir, const struct device_info *device, const json_t *modules, struct err *err)
{
	OWN_TEXT path = mem_textf("%s/" FILE_NAME, dir);
	OWN_LIB(json_t) json =
		json_pack("{s:s, s:s, s:O}", "hubName", device->hub_name, "deviceId", device->device_id, "modules", modules);
	OWN_TEXT text = json_line(json);

	return file_save(path, text, strlen(text), 0600, err);
}

static void
forget(json_t *names, const char *name)
{
	for (size_t i = json_array_size(names); i > 0; i--)
		if (text_is(json_string_value(json_array_get(names, i - 1)), name))
			json_array_remove(names, i - 1);
}

/* -- Doing it --------------------------------------------------------------------------------------------------------------------------- */

static int
create(struct module_identities *m, const struct device_info *device, const char *name, struct err *err)
{
	OWN_LIB(json_t) identity = module_identity_create(m, device, name, err);

	return identity ? 0 : -1;
}

static int
do_step(struct module_identities *m, const struct device_info *device, const struct reconcile_step *step, struct err *err)
{
	if (step->deed == RECONCILE_KEEP)
		return 0;
	if (step->deed != RECONCILE_CREATE && module_identity_delete(m, device, step->module_id, err) < 0)
		return -1;
	log_info("module %s of a host process is %s", step->module_id,
		step->deed == RECONCILE_DELETE ? "not configured any more and deleted in the hub" : "made in the hub");
	return step->deed == RECONCILE_DELETE ? 0 : create(m, device, step->module_id, err);
}

static int
do_all(struct module_identities *m, const char *dir, const struct device_info *device, const struct reconcile_step *steps, size_t n,
	json_t *names, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		OWN_TEXT name = mem_text(steps[i].module_id); /* it may be of the names that change */

		if (do_step(m, device, &(struct reconcile_step){ steps[i].deed, name }, err) < 0)
			return -1;
		forget(names, name);
		if (steps[i].deed != RECONCILE_DELETE)
			json_array_append_new(names, json_string(name));
		if (steps[i].deed != RECONCILE_KEEP && save(dir, device, names, err) < 0)
			return -1;
	}
	return 0;
}

bool
reconcile_has_run(const char *dir)
{
	OWN_TEXT path = mem_textf("%s/" FILE_NAME, dir);

	return file_exists(path);
}

int
reconcile_run(struct module_identities *m, const char *dir, const struct device_info *device, const char *const *configured,
	size_t n_configured, struct err *err)
{
	OWN_LIB(json_t) hub = hub_api_list_modules(m->hub, device, err);
	OWN_LIB(json_t) before = hub ? load_before(dir, device) : NULL;
	OWN_LIB(json_t) names = before ? json_deep_copy(before) : NULL;
	struct reconcile_step steps[RECONCILE_MAX];
	size_t n;

	if (!hub)
		return -1;
	n = reconcile_plan(steps, hub, before, configured, n_configured);
	return do_all(m, dir, device, steps, n, names, err);
}

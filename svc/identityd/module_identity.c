/* SPDX-License-Identifier: Apache-2.0 */
/* Module identities. */
#include "identityd/module_identity.h"

#include <string.h>

#include "auth/identity.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "identityd/failure.h"
#include "identityd/module_backup.h"
#include "wire/codec.h"
#include "wire/json.h"

#define MASTER_KEY_ID "aziot_identityd_master_id"

static void
keep(struct module_identities *m, const struct device_info *device, const json_t *module)
{
	struct err err = ERR_INIT;

	if (module_backup_save(m->state_dir, device, module, &err) < 0)
		log_warn("the identity of module %s could not be kept for offline use: %s",
			json_string_value(json_object_get(module, "moduleId")), err.text);
}

/* -- Keys -------------------------------------------------------------------------------------------------------------------------------- */

/* Made when it is needed first, for keyd's token or TPM may be away at the start. */
static char *
master_handle(struct module_identities *m, struct err *err)
{
	char *handle;

	pthread_mutex_lock(&m->lock);
	if (!m->master_handle)
		m->master_handle = keyd_client_create_key(m->keyd, MASTER_KEY_ID, "derive,sign", err);
	handle = mem_text(m->master_handle);
	pthread_mutex_unlock(&m->lock);
	return handle ? handle : err_wrap_null(err, "the master key of module identities");
}

static char *
derived_handle(struct module_identities *m, const char *module_id, const char *generation, const char *which, struct err *err)
{
	OWN_TEXT data = mem_textf("%s:%s:%s", module_id, generation, which);
	OWN_TEXT master = master_handle(m, err);

	return master ? keyd_client_derive(m->keyd, master, data, strlen(data), err) : NULL;
}

static json_t *
exported_key(struct module_identities *m, const char *module_id, const char *generation, const char *which, struct err *err)
{
	OWN_TEXT handle = derived_handle(m, module_id, generation, which, err);
	struct buf bytes = BUF_INIT(64), text = BUF_INIT(128);
	json_t *json = NULL;

	if (handle && keyd_client_export_derived(m->keyd, handle, &bytes, err) == 0) {
		base64_encode(&text, bytes.data, bytes.len);
		json = json_string(buf_text(&text));
	}
	buf_wipe(&bytes);
	buf_wipe(&text);
	return json;
}

static json_t *
identity_json(struct module_identities *m, const struct device_info *device, const json_t *module, bool with_auth, struct err *err)
{
	const char *module_id = json_string_value(json_object_get(module, "moduleId"));
	const char *generation = json_string_value(json_object_get(module, "generationId"));
	OWN_TEXT handle = with_auth ? derived_handle(m, module_id, generation, "primary", err) : NULL;
	json_t *spec;

	if (with_auth && !handle) {
		failure_cause(err, "Key client error", ERR_BROKEN);
		return NULL;
	}
	spec = json_pack("{s:s, s:s, s:s, s:s, s:s}", "hubName", device->hub_name, "gatewayHost", device->gateway_host, "deviceId",
		device->device_id, "moduleId", module_id, "genId", generation);
	if (with_auth)
		json_object_set_new(spec, "auth", json_pack("{s:s, s:s}", "type", "sas", "keyHandle", handle));
	return json_pack("{s:s, s:o}", "type", "aziot", "spec", spec);
}

/* -- The hub ------------------------------------------------------------------------------------------------------------------------------ */

static int
check_id(const char *module_id, struct err *err)
{
	return identity_id_is_valid(module_id) ? 0 : err_set(err, ERR_INVALID, "parameter \"moduleId\" has an invalid value");
}

static json_t *
of_hub(struct module_identities *m, const struct device_info *device, const char *module_id, struct err *err)
{
	json_t *module = hub_api_get_module(m->hub, device, module_id, err);

	if (module)
		keep(m, device, module);
	else
		failure_cause(err, FAILURE_OF_HUB, err->kind);
	return module;
}

/* What was kept: NULL when there is nothing, which is said only where it is damaged. */
static json_t *
kept(struct module_identities *m, const struct device_info *device, const char *module_id)
{
	struct err err = ERR_INIT;
	json_t *module = module_backup_load(m->state_dir, device, module_id, &err);

	if (!module && err.kind != ERR_MISSING)
		log_warn("the kept identity of module %s can't be used: %s", module_id, err.text);
	return module;
}

static json_t *
find(struct module_identities *m, const struct device_info *device, const char *module_id, struct err *err)
{
	json_t *module = m->prefer_cache ? kept(m, device, module_id) : NULL;

	if (module)
		return module;
	module = of_hub(m, device, module_id, err);
	if (module || err->kind != ERR_UNAVAILABLE || m->prefer_cache)
		return module;
	module = kept(m, device, module_id);
	if (module)
		log_info("module %s: the hub is out of reach, the kept identity is used: %s", module_id, err->text);
	return module;
}

json_t *
module_identity_get(struct module_identities *m, const struct device_info *device, const char *module_id, struct err *err)
{
	OWN_LIB(json_t) module = check_id(module_id, err) < 0 ? NULL : find(m, device, module_id, err);

	return module ? identity_json(m, device, module, true, err) : NULL;
}

json_t *
module_identity_get_kept(struct module_identities *m, const struct device_info *device, const char *module_id, struct err *err)
{
	OWN_LIB(json_t) module = check_id(module_id, err) < 0 ? NULL : kept(m, device, module_id);

	if (!module && err->kind == ERR_NONE)
		(void)err_set(err, ERR_MISSING, "module identity not found: nothing was kept of it");
	return module ? identity_json(m, device, module, true, err) : NULL;
}

static json_t *
keys_json(struct module_identities *m, const struct device_info *device, const char *module_id, const char *generation,
	struct err *err)
{
	OWN_LIB(json_t) primary = exported_key(m, module_id, generation, "primary", err);
	OWN_LIB(json_t) secondary = primary ? exported_key(m, module_id, generation, "secondary", err) : NULL;

	if (!secondary) {
		failure_cause(err, "Key client error", ERR_BROKEN);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:{s:{s:O, s:O}, s:s}}", "moduleId", module_id, "deviceId", device->device_id,
		"authentication", "symmetricKey", "primaryKey", primary, "secondaryKey", secondary, "type", "sas");
}

/* Write the derived keys into the hub. */
static json_t *
set_keys(struct module_identities *m, const struct device_info *device, const json_t *module, struct err *err)
{
	const char *module_id = json_string_value(json_object_get(module, "moduleId"));
	const char *generation = json_string_value(json_object_get(module, "generationId"));
	OWN_LIB(json_t) body = keys_json(m, device, module_id, generation, err);
	OWN_LIB(json_t) answer = NULL;

	if (!body)
		return NULL;
	answer = hub_api_put_module(m->hub, device, module_id, body, "*", err);
	if (!answer) {
		failure_cause(err, FAILURE_OF_HUB, err->kind);
		return NULL;
	}
	keep(m, device, answer);
	return identity_json(m, device, answer, true, err);
}

/* The hub makes it without keys: they follow from the generation that it says. */
static json_t *
make(struct module_identities *m, const struct device_info *device, const char *module_id, struct err *err)
{
	OWN_LIB(json_t) body = json_pack("{s:s, s:s}", "moduleId", module_id, "deviceId", device->device_id);
	json_t *module = hub_api_put_module(m->hub, device, module_id, body, NULL, err);

	if (!module)
		failure_cause(err, FAILURE_OF_HUB, err->kind);
	return module;
}

json_t *
module_identity_create(struct module_identities *m, const struct device_info *device, const char *module_id, struct err *err)
{
	OWN_LIB(json_t) module = check_id(module_id, err) < 0 ? NULL : make(m, device, module_id, err);

	return module ? set_keys(m, device, module, err) : NULL;
}

json_t *
module_identity_update(struct module_identities *m, const struct device_info *device, const char *module_id, struct err *err)
{
	OWN_LIB(json_t) module = check_id(module_id, err) < 0 ? NULL : of_hub(m, device, module_id, err);

	if (!module && err->kind == ERR_MISSING) {
		*err = (struct err)ERR_INIT;
		return module_identity_create(m, device, module_id, err);
	}
	return module ? set_keys(m, device, module, err) : NULL;
}

int
module_identity_delete(struct module_identities *m, const struct device_info *device, const char *module_id, struct err *err)
{
	if (check_id(module_id, err) < 0)
		return -1;
	if (hub_api_delete_module(m->hub, device, module_id, err) < 0)
		return failure_cause(err, FAILURE_OF_HUB, err->kind);
	return module_backup_remove(m->state_dir, device, module_id, err);
}

json_t *
module_identity_list(struct module_identities *m, const struct device_info *device, struct err *err)
{
	OWN_LIB(json_t) modules = hub_api_list_modules(m->hub, device, err);
	json_t *list, *module;
	size_t i;

	if (!modules) {
		failure_cause(err, FAILURE_OF_HUB, err->kind);
		return NULL;
	}
	list = json_array();
	json_array_foreach(modules, i, module)
		json_array_append_new(list, identity_json(m, device, module, false, err));
	return list;
}

void
module_identities_init(struct module_identities *m)
{
	pthread_mutex_init(&m->lock, NULL);
}

void
module_identities_clear(struct module_identities *m)
{
	mem_free(m->master_handle);
	pthread_mutex_destroy(&m->lock);
}

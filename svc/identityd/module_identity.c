/* SPDX-License-Identifier: Apache-2.0 */
/* Module identities. */
#include <string.h>

#include "auth/identity.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "common/id_file.h"
#include "identityd/module_identity.h"
#include "wire/codec.h"
#include "wire/json.h"

#define MASTER_KEY_ID "aziot_identityd_master_id"
#define BACKUP_MAX 65536

/* -- Backup --------------------------------------------------------------------------------------------------------------------------- */

/* The folder carries hub and device: what was kept for another identity of this box is never used for this one. */
static char *
backup_dir(const char *state_dir, const struct hub_api *hub)
{
	struct buf path = BUF_INIT(4096);
	uint8_t digest[DIGEST_SHA256_LEN];

	buf_putf(&path, "%s/modules/", state_dir);
	digest_sha256(hub->hub_name, strlen(hub->hub_name), digest);
	hex_encode(&path, digest, sizeof(digest), false);
	buf_putc(&path, '-');
	digest_sha256(hub->device_id, strlen(hub->device_id), digest);
	hex_encode(&path, digest, sizeof(digest), false);
	return buf_take_text(&path);
}

static void
keep(struct module_identities *m, const char *module_id, const json_t *module)
{
	struct err err = ERR_INIT;
	OWN_TEXT path = id_file_path(m->backup_dir, module_id, "", &err);
	OWN_LIB(json_t) kept = json_pack("{s:s, s:s, s:O}", "moduleId", module_id, "deviceId", m->hub->device_id, "generationId",
		json_object_get(module, "generationId"));
	OWN_TEXT text = kept ? json_line(kept) : NULL;

	if (!path || !text || file_save(path, text, strlen(text), 0600, &err) < 0)
		log_warn("the identity of module %s could not be kept for offline use: %s", module_id, err.text);
}

static json_t *
load_kept(struct module_identities *m, const char *module_id, struct err *err)
{
	OWN_TEXT path = id_file_path(m->backup_dir, module_id, "", err);
	struct buf text = BUF_INIT(BACKUP_MAX);
	json_t *json = NULL;

	if (path && file_load(&text, path, err) == 0)
		json = json_parse(text.data, text.len, err);
	buf_clear(&text);
	return json;
}

/* -- Keys -------------------------------------------------------------------------------------------------------------------------------- */

static char *
derived_handle(struct module_identities *m, const char *module_id, const char *generation, const char *which, struct err *err)
{
	OWN_TEXT data = mem_textf("%s:%s:%s", module_id, generation, which);

	return keyd_client_derive(m->keyd, m->master_handle, data, strlen(data), err);
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
identity_json(struct module_identities *m, const json_t *module, bool with_auth, struct err *err)
{
	const char *module_id, *generation;
	OWN_TEXT handle = NULL;
	json_t *spec;

	if (json_get_text(module, "moduleId", &module_id, err) < 0 || json_get_text(module, "generationId", &generation, err) < 0)
		return NULL;
	spec = json_pack("{s:s, s:s, s:s, s:s, s:s}", "hubName", m->hub->hub_name, "gatewayHost", m->hub->gateway_host, "deviceId",
		m->hub->device_id, "moduleId", module_id, "genId", generation);
	if (with_auth) {
		handle = derived_handle(m, module_id, generation, "primary", err);
		if (!handle) {
			json_decref(spec);
			return NULL;
		}
		json_object_set_new(spec, "auth", json_pack("{s:s, s:s}", "type", "sas", "keyHandle", handle));
	}
	return json_pack("{s:s, s:o}", "type", "aziot", "spec", spec);
}

/* -- The hub ------------------------------------------------------------------------------------------------------------------------------ */

static int
check_id(const char *module_id, struct err *err)
{
	return identity_id_is_valid(module_id) ? 0 : err_set(err, ERR_INVALID, "parameter \"moduleId\" has an invalid value");
}

json_t *
module_identity_get(struct module_identities *m, const char *module_id, struct err *err)
{
	OWN_LIB(json_t) module = NULL;

	if (check_id(module_id, err) < 0)
		return NULL;
	module = hub_api_get_module(m->hub, module_id, err);
	if (module) {
		keep(m, module_id, module);
	} else if (err->kind == ERR_UNAVAILABLE) {
		struct err none = ERR_INIT;

		module = load_kept(m, module_id, &none);
		if (module)
			log_info("module %s: the hub is out of reach, the kept identity is used: %s", module_id, err->text);
		else if (none.kind != ERR_MISSING)
			*err = none;
	}
	return module ? identity_json(m, module, true, err) : NULL;
}

/* Write the derived keys into the hub. */
static json_t *
set_keys(struct module_identities *m, const char *module_id, const json_t *module, struct err *err)
{
	const char *generation;
	OWN_LIB(json_t) primary = NULL;
	OWN_LIB(json_t) secondary = NULL;
	OWN_LIB(json_t) body = NULL;
	OWN_LIB(json_t) answer = NULL;

	if (json_get_text(module, "generationId", &generation, err) < 0)
		return NULL;
	primary = exported_key(m, module_id, generation, "primary", err);
	secondary = primary ? exported_key(m, module_id, generation, "secondary", err) : NULL;
	if (!secondary)
		return NULL;
	body = json_pack("{s:s, s:s, s:{s:{s:O, s:O}, s:s}}", "moduleId", module_id, "deviceId", m->hub->device_id,
		"authentication", "symmetricKey", "primaryKey", primary, "secondaryKey", secondary, "type", "sas");
	answer = hub_api_put_module(m->hub, module_id, body, "*", err);
	if (!answer)
		return NULL;
	keep(m, module_id, answer);
	return identity_json(m, answer, true, err);
}

json_t *
module_identity_create(struct module_identities *m, const char *module_id, struct err *err)
{
	OWN_LIB(json_t) body = json_pack("{s:s, s:s}", "moduleId", module_id, "deviceId", m->hub->device_id);
	OWN_LIB(json_t) module = NULL;

	if (check_id(module_id, err) < 0)
		return NULL;
	module = hub_api_put_module(m->hub, module_id, body, NULL, err);
	return module ? set_keys(m, module_id, module, err) : NULL;
}

json_t *
module_identity_update(struct module_identities *m, const char *module_id, struct err *err)
{
	OWN_LIB(json_t) module = NULL;

	if (check_id(module_id, err) < 0)
		return NULL;
	module = hub_api_get_module(m->hub, module_id, err);
	if (!module && err->kind == ERR_MISSING)
		return module_identity_create(m, module_id, err);
	return module ? set_keys(m, module_id, module, err) : NULL;
}

int
module_identity_delete(struct module_identities *m, const char *module_id, struct err *err)
{
	OWN_TEXT path = id_file_path(m->backup_dir, module_id, "", err);

	if (check_id(module_id, err) < 0 || !path || hub_api_delete_module(m->hub, module_id, err) < 0)
		return -1;
	return file_remove(path, err);
}

json_t *
module_identity_list(struct module_identities *m, struct err *err)
{
	OWN_LIB(json_t) modules = hub_api_list_modules(m->hub, err);
	json_t *list, *module;
	size_t i;

	if (!modules)
		return NULL;
	list = json_array();
	json_array_foreach(modules, i, module) {
		json_t *one = identity_json(m, module, false, err);

		if (one)
			json_array_append_new(list, one);
	}
	return list;
}

int
module_identities_open(struct module_identities *m, struct hub_api *hub, const char *state_dir, struct err *err)
{
	m->hub = hub;
	m->keyd = hub->keyd;
	m->backup_dir = backup_dir(state_dir, hub);
	if (file_make_dir(m->backup_dir, 0700, err) < 0)
		return -1;
	m->master_handle = keyd_client_create_key(m->keyd, MASTER_KEY_ID, "derive,sign", err);
	return m->master_handle ? 0 : err_wrap(err, "the master key of module identities");
}

void
module_identities_clear(struct module_identities *m)
{
	mem_free(m->backup_dir);
	mem_free(m->master_handle);
}

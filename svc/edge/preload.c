/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded keys and certificates. */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "common/id_file.h"
#include "edge/operator_files.h"
#include "edge/preload.h"
#include "wire/json.h"

static int
preload(const struct layout *l, enum layout_role role, json_t *into, const char *id, const char *path, const char *dir,
	const char *extension, struct err *err)
{
	struct buf content = BUF_INIT(OPERATORS_FILE_MAX);
	OWN_TEXT copy = NULL;
	int status;

	if (!path)
		return 0;
	if (geteuid() != 0 || !config_keys_is_file(path)) {
		json_object_set_new(into, id, json_string(path));
		return 0;
	}
	copy = id_file_path(dir, id, extension, err);
	status = copy ? file_load(&content, path, err) : -1;
	if (status == 0)
		status = layout_save(l, role, copy, content.data, content.len, role == ROLE_KEYD ? 0600 : 0644, err);
	if (status == 0)
		json_object_set_new(into, id, json_string(copy));
	buf_wipe(&content);
	return status;
}

static int
preload_configured(const struct layout *l, enum layout_role role, json_t *into, const json_t *configured, const char *dir,
	const char *extension, struct err *err)
{
	const char *id;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)configured, id, value) {
		if (json_is_array(value))
			json_object_set(into, id, value);
		else if (preload(l, role, into, id, json_string_value(value), dir, extension, err) < 0)
			return -1;
	}
	return 0;
}

/* A key that stands in config.toml itself. */
static int
save_device_key(const struct layout *l, const struct config *c, json_t *into, const char *dir, struct err *err)
{
	OWN_TEXT path = NULL;

	if (c->device_key.len == 0)
		return 0;
	path = id_file_path(dir, "device-id", ".key", err);
	if (!path || layout_save(l, ROLE_KEYD, path, c->device_key.bytes, c->device_key.len, 0600, err) < 0)
		return -1;
	json_object_set_new(into, "device-id", json_string(path));
	return 0;
}

/* Where the copies for a role lie. */
static char *
make_dir(const struct layout *l, enum layout_role role, struct err *err)
{
	OWN_TEXT dir = mem_textf("%s/preloaded", l->config_dirs[role]);

	if (tree_empty(dir, err) < 0 ||
		tree_make(dir, 0710, (struct tree_owner){ .uid = geteuid(), .gid = l->users[role].gid }, err) < 0)
		return NULL;
	return GIVE(dir);
}

json_t *
preload_keys(const struct layout *l, const struct config *c, struct err *err)
{
	OWN_LIB(json_t) into = json_object();
	OWN_TEXT dir = make_dir(l, ROLE_KEYD, err);
	const struct {
		const char *id, *place;
	} own[] = {
		{ "device-id", c->by_certificate ? c->identity_pk : c->device_key_path },
		{ "aziot-edged-ca", c->ca_pk },
		{ "local-ca", c->issuance.local_ca_pk },
	};

	if (!dir || preload_configured(l, ROLE_KEYD, into, c->preloaded_keys, dir, ".key", err) < 0 ||
		preload_configured(l, ROLE_KEYD, into, c->issuance.keys, dir, ".key", err) < 0)
		return NULL;
	for (size_t i = 0; i < COUNT(own); i++)
		if (preload(l, ROLE_KEYD, into, own[i].id, own[i].place, dir, ".key", err) < 0)
			return NULL;
	return save_device_key(l, c, into, dir, err) < 0 ? NULL : GIVE(into);
}

json_t *
preload_certs(const struct layout *l, const struct config *c, struct err *err)
{
	OWN_LIB(json_t) into = json_object();
	OWN_TEXT dir = make_dir(l, ROLE_CERTD, err);
	const struct {
		const char *id, *path;
	} own[] = {
		{ "device-id", c->identity_cert },
		{ "aziot-edged-ca", c->ca_cert },
		{ "local-ca", c->issuance.local_ca_cert },
		{ "trust-bundle-user", c->trust_bundle },
	};

	if (!dir || preload_configured(l, ROLE_CERTD, into, c->preloaded_certs, dir, ".cer", err) < 0 ||
		preload_configured(l, ROLE_CERTD, into, c->issuance.certs, dir, ".cer", err) < 0)
		return NULL;
	for (size_t i = 0; i < COUNT(own); i++)
		if (preload(l, ROLE_CERTD, into, own[i].id, own[i].path, dir, ".cer", err) < 0)
			return NULL;
	return GIVE(into);
}

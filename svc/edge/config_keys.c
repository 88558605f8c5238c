/* SPDX-License-Identifier: Apache-2.0 */
/* Places of keys. */
#include <grp.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "edge/config_keys.h"
#include "wire/pkcs11_uri.h"
#include "wire/tss_key.h"
#include "wire/uri.h"

bool
config_keys_is_file(const char *place)
{
	return place && !pkcs11_uri_is(place) && !tss_key_is_uri(place);
}

static int
check_pkcs11(const struct toml *value, struct err *err)
{
	struct err why = ERR_INIT;
	OWN(pkcs11_uri) uri = pkcs11_uri_parse(value->text, &why);

	return uri ? 0 : toml_err(value, err, "%s", why.text);
}

static int
check_pkcs11_key(const struct toml *value, struct err *err)
{
	struct err why = ERR_INIT;
	OWN(pkcs11_uri) uri = pkcs11_uri_parse(value->text, &why);

	if (!uri)
		return toml_err(value, err, "%s", why.text);
	if (!uri->text[PKCS11_OBJECT] && uri->id_len == 0)
		return toml_err(value, err, "the pkcs11: URI names no key in the token (object or id)");
	return 0;
}

int
config_keys_take_place(char **out, const struct toml *value, struct err *err)
{
	struct err why = ERR_INIT;
	uint32_t handle;

	if (pkcs11_uri_is(value->text) && check_pkcs11_key(value, err) < 0)
		return -1;
	if (tss_key_is_uri(value->text) && tss_key_parse_uri(value->text, &handle, &why) < 0)
		return toml_err(value, err, "%s", why.text);
	*out = config_keys_is_file(value->text) ? uri_file_path(value->text, &why) : mem_text(value->text);
	return *out ? 0 : toml_err(value, err, "none of a file:///PATH, a pkcs11: and a tpm: URI");
}

size_t
config_keys_files(const char *place, char *out[static CONFIG_PLACE_FILES])
{
	struct err ignored = ERR_INIT;
	OWN(pkcs11_uri) uri = place && pkcs11_uri_is(place) ? pkcs11_uri_parse(place, &ignored) : NULL;
	size_t n = 0;

	if (!place)
		return 0;
	if (config_keys_is_file(place)) {
		out[n++] = mem_text(place);
		return n;
	}
	if (uri && uri->text[PKCS11_MODULE_PATH])
		out[n++] = mem_text(uri->text[PKCS11_MODULE_PATH]);
	if (uri && pkcs11_uri_pin_file(uri))
		out[n++] = mem_text(pkcs11_uri_pin_file(uri));
	return n;
}

/* -- [aziot_keys] ------------------------------------------------------------------------------------------------------------------------- */

static int
take_groups(struct config_keys *keys, const struct toml *root, struct err *err)
{
	const struct toml *list = NULL;

	if (toml_find_array(root, "aziot_keys.groups", &list, err) < 0)
		return -1;
	for (size_t i = 0; list && i < list->n; i++) {
		const struct toml *name = list->item[i];
		const struct group *group = name->type == TOML_STRING ? getgrnam(name->text) : NULL;

		if (!group || group->gr_gid == 0)
			return toml_err(name, err, "'%.40s' is no group of this system that keyd could be in",
				name->type == TOML_STRING ? name->text : toml_type_name(name->type));
		if (keys->n_groups == CONFIG_GROUPS_MAX)
			return toml_err(name, err, "more than %d groups", CONFIG_GROUPS_MAX);
		keys->groups[keys->n_groups++] = group->gr_gid;
	}
	return 0;
}

static int
take_paths(struct config_keys *keys, const struct toml *root, struct err *err)
{
	const struct toml *list = NULL;

	if (toml_find_array(root, "aziot_keys.paths", &list, err) < 0)
		return -1;
	for (size_t i = 0; list && i < list->n; i++) {
		const struct toml *path = list->item[i];

		if (path->type != TOML_STRING || path->text[0] != '/' || path->text[1] == '\0')
			return toml_err(path, err, "the whole path of a file or folder is expected");
		if (keys->n_paths == CONFIG_PATHS_MAX)
			return toml_err(path, err, "more than %d paths", CONFIG_PATHS_MAX);
		keys->paths[keys->n_paths++] = mem_text(path->text);
	}
	return 0;
}

static int
take_base(struct config_keys *keys, const struct toml *root, struct err *err)
{
	const char *base = NULL;

	if (toml_find_text(root, "aziot_keys.pkcs11_base_slot", &base, err) < 0)
		return -1;
	if (base && check_pkcs11(toml_find_path(root, "aziot_keys.pkcs11_base_slot"), err) < 0)
		return -1;
	keys->pkcs11_base_slot = mem_text(base);
	return 0;
}

static int
take_tpm(struct config_keys *keys, const struct toml *root, struct err *err)
{
	const char *tcti = NULL, *auth = NULL;

	if (toml_find_bool(root, "aziot_keys.tpm_base", &keys->tpm_base, err) < 0 ||
		toml_find_text(root, "tpm.tcti", &tcti, err) < 0 ||
		toml_find_text(root, "tpm.hierarchy_authorization.owner", &auth, err) < 0)
		return -1;
	keys->tpm_tcti = mem_text(tcti);
	keys->tpm_owner_auth = mem_text(auth);
	if (keys->tpm_base && keys->pkcs11_base_slot)
		return toml_err(toml_find_path(root, "aziot_keys.tpm_base"), err,
			"new keys are made in one place: either pkcs11_base_slot or tpm_base");
	if (auth && strlen(auth) > SECRET_MAX)
		return toml_err(
			toml_find_path(root, "tpm.hierarchy_authorization.owner"), err, "more than %d characters", SECRET_MAX);
	return 0;
}

int
config_keys_take(struct config_keys *keys, const struct toml *root, struct err *err)
{
	const char *library = NULL;

	if (toml_find_text(root, "aziot_keys.pkcs11_lib_path", &library, err) < 0)
		return -1;
	if (library && *library != '/')
		return toml_err(toml_find_path(root, "aziot_keys.pkcs11_lib_path"), err, "the whole path of a module is expected");
	keys->pkcs11_lib_path = mem_text(library);
	if (take_base(keys, root, err) < 0 || take_tpm(keys, root, err) < 0 || take_groups(keys, root, err) < 0)
		return -1;
	return take_paths(keys, root, err);
}

void
config_keys_clear(struct config_keys *keys)
{
	mem_free(keys->pkcs11_lib_path);
	mem_free(keys->pkcs11_base_slot);
	mem_free(keys->tpm_tcti);
	if (keys->tpm_owner_auth)
		mem_wipe(keys->tpm_owner_auth, strlen(keys->tpm_owner_auth));
	mem_free(keys->tpm_owner_auth);
	for (size_t i = 0; i < keys->n_paths; i++)
		mem_free(keys->paths[i]);
}

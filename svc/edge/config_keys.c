/* SPDX-License-Identifier: Apache-2.0 */
/* Places of keys. */
#include <grp.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "edge/config_keys.h"
#include "wire/pkcs11_uri.h"
#include "wire/uri.h"

bool
config_keys_is_file(const char *place)
{
	return place && !pkcs11_uri_is(place);
}

static int
check_pkcs11(const struct toml *value, struct err *err)
{
	struct err why = ERR_INIT;
	OWN(pkcs11_uri) uri = pkcs11_uri_parse(value->text, &why);

	return uri ? 0 : toml_err(value, err, "%s", why.text);
}

int
config_keys_take_place(char **out, const struct toml *value, struct err *err)
{
	struct err ignored = ERR_INIT;

	if (pkcs11_uri_is(value->text)) {
		if (check_pkcs11(value, err) < 0)
			return -1;
		*out = mem_text(value->text);
		return 0;
	}
	*out = uri_file_path(value->text, &ignored);
	return *out ? 0 : toml_err(value, err, "neither a file:///PATH nor a pkcs11: URI");
}

static char *
pin_file(const struct pkcs11_uri *uri)
{
	const char *source = uri->text[PKCS11_PIN_SOURCE];

	return mem_text(!source				 ? NULL
			: text_starts(source, "file://") ? source + 7
			: text_starts(source, "file:")	 ? source + 5
							 : source);
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
	if (uri && uri->text[PKCS11_PIN_SOURCE])
		out[n++] = pin_file(uri);
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

int
config_keys_take(struct config_keys *keys, const struct toml *root, struct err *err)
{
	const char *library = NULL;

	if (toml_find_text(root, "aziot_keys.pkcs11_lib_path", &library, err) < 0)
		return -1;
	if (library && *library != '/')
		return toml_err(toml_find_path(root, "aziot_keys.pkcs11_lib_path"), err, "the whole path of a module is expected");
	keys->pkcs11_lib_path = mem_text(library);
	if (take_base(keys, root, err) < 0 || take_groups(keys, root, err) < 0)
		return -1;
	return take_paths(keys, root, err);
}

void
config_keys_clear(struct config_keys *keys)
{
	mem_free(keys->pkcs11_lib_path);
	mem_free(keys->pkcs11_base_slot);
	for (size_t i = 0; i < keys->n_paths; i++)
		mem_free(keys->paths[i]);
}

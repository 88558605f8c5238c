/* SPDX-License-Identifier: Apache-2.0 */
/* Places of keys. */
#include <ctype.h>
#include <grp.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "edge/config_keys.h"
#include "wire/pkcs11_uri.h"
#include "wire/tss_key.h"
#include "wire/uri.h"

#define AUTH_KEY_INDEX_MAX 0x7fffff /* edge-services 9.5 */

bool
config_keys_is_file(const char *place)
{
	return place && !pkcs11_uri_is(place) && !tss_key_is_uri(place);
}

static int
check_pkcs11_key(const char *text, struct err *err)
{
	OWN(pkcs11_uri) uri = pkcs11_uri_parse(text, err);

	if (!uri)
		return -1;
	if (!uri->text[PKCS11_OBJECT] && uri->id_len == 0)
		return err_set(err, ERR_INVALID, "the pkcs11: URI names no key in the token (object or id)");
	return 0;
}

char *
config_keys_place(const char *text, struct err *err)
{
	struct err ignored = ERR_INIT;
	uint32_t handle;
	char *path;

	if (pkcs11_uri_is(text))
		return check_pkcs11_key(text, err) < 0 ? NULL : mem_text(text);
	if (tss_key_is_uri(text))
		return tss_key_parse_uri(text, &handle, err) < 0 ? NULL : mem_text(text);
	path = uri_file_path(text, &ignored);
	return path ? path : err_null(err, ERR_INVALID, "none of a file:///PATH, a pkcs11: and a tpm: URI");
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

static void
take_groups(struct config_keys *keys, const struct config_at *at)
{
	const struct toml *list = config_list(at, "groups");

	for (size_t i = 0; list && i < list->n; i++) {
		const struct group *group = getgrnam(list->item[i]->text);

		if (!group || group->gr_gid == 0)
			config_wrong(at, "groups", "'%.40s' is no group of this system that keyd could be in", list->item[i]->text);
		else if (keys->n_groups == CONFIG_GROUPS_MAX)
			config_wrong(at, "groups", "more than %d groups", CONFIG_GROUPS_MAX);
		else
			keys->groups[keys->n_groups++] = group->gr_gid;
	}
}

static void
take_paths(struct config_keys *keys, const struct config_at *at)
{
	const struct toml *list = config_list(at, "paths");

	for (size_t i = 0; list && i < list->n; i++) {
		const char *path = list->item[i]->text;

		if (path[0] != '/' || path[1] == '\0')
			config_wrong(at, "paths", "the whole path of a file or folder is expected");
		else if (keys->n_paths == CONFIG_PATHS_MAX)
			config_wrong(at, "paths", "more than %d paths", CONFIG_PATHS_MAX);
		else
			keys->paths[keys->n_paths++] = mem_text(path);
	}
}

static void
take_base(struct config_keys *keys, const struct config_at *at)
{
	struct err why = ERR_INIT;
	const char *base = config_text(at, "pkcs11_base_slot");
	OWN(pkcs11_uri) uri = base ? pkcs11_uri_parse(base, &why) : NULL;

	if (base && !uri)
		config_wrong(at, "pkcs11_base_slot", "%s", why.text);
	keys->pkcs11_base_slot = mem_text(base);
	keys->tpm_base = config_bool(at, "tpm_base");
	if (keys->tpm_base && base)
		config_wrong(at, "tpm_base", "new keys are made in one place: either pkcs11_base_slot or tpm_base");
}

/* "0x00_01_00": hexadecimal, with underscores as in TOML's own numbers. */
static void
take_auth_key_index(struct config_keys *keys, const struct config_at *tpm)
{
	const char *text = config_has(tpm, "auth_key_index") ? config_text(tpm, "auth_key_index") : NULL, *c = text;
	int64_t index = 0;

	keys->tpm_auth_key_index = -1;
	if (!text)
		return;
	if (!text_starts(text, "0x") || !text[2]) {
		config_wrong(tpm, "auth_key_index", "0x and hexadecimal digits are expected");
		return;
	}
	for (c += 2; *c && index <= AUTH_KEY_INDEX_MAX; c++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit = strchr(digits, tolower((unsigned char)*c));

		if (*c != '_' && !digit) {
			config_wrong(tpm, "auth_key_index", "0x and hexadecimal digits are expected");
			return;
		}
		if (digit)
			index = index * 16 + (digit - digits);
	}
	if (index > AUTH_KEY_INDEX_MAX)
		config_wrong(tpm, "auth_key_index", "0x000000 to 0x7fffff");
	keys->tpm_auth_key_index = index;
}

static void
take_tpm(struct config_keys *keys, const struct config_at *root)
{
	struct config_at tpm = config_table(root, "tpm"), passwords = config_table(&tpm, "hierarchy_authorization");
	const char *owner = config_text(&passwords, "owner"), *endorsement = config_text(&passwords, "endorsement");

	keys->tpm_tcti = mem_text(config_has(&tpm, "tcti") ? config_text(&tpm, "tcti") : NULL);
	take_auth_key_index(keys, &tpm);
	if (owner && strlen(owner) > SECRET_MAX)
		config_wrong(&passwords, "owner", "more than %d characters", SECRET_MAX);
	if (endorsement && strlen(endorsement) > SECRET_MAX)
		config_wrong(&passwords, "endorsement", "more than %d characters", SECRET_MAX);
	keys->tpm_owner_auth = mem_text(owner);
	keys->tpm_endorsement_auth = mem_text(endorsement);
}

void
config_keys_take(struct config_keys *keys, const struct config_at *root)
{
	struct config_at at = config_table(root, "aziot_keys");
	const char *library = config_text(&at, "pkcs11_lib_path");

	if (library && *library != '/')
		config_wrong(&at, "pkcs11_lib_path", "the whole path of a module is expected");
	keys->pkcs11_lib_path = mem_text(library);
	take_base(keys, &at);
	take_tpm(keys, root);
	take_groups(keys, &at);
	take_paths(keys, &at);
}

bool
config_keys_same_access(const struct config_keys *a, const struct config_keys *b)
{
	bool same = a->n_groups == b->n_groups && a->n_paths == b->n_paths;

	for (size_t i = 0; same && i < a->n_groups; i++)
		same = a->groups[i] == b->groups[i];
	for (size_t i = 0; same && i < a->n_paths; i++)
		same = text_is(a->paths[i], b->paths[i]);
	return same;
}

static void
wipe(char *password)
{
	if (password)
		mem_wipe(password, strlen(password));
	mem_free(password);
}

void
config_keys_clear(struct config_keys *keys)
{
	mem_free(keys->pkcs11_lib_path);
	mem_free(keys->pkcs11_base_slot);
	mem_free(keys->tpm_tcti);
	wipe(keys->tpm_owner_auth);
	wipe(keys->tpm_endorsement_auth);
	for (size_t i = 0; i < keys->n_paths; i++)
		mem_free(keys->paths[i]);
}

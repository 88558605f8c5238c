/* SPDX-License-Identifier: Apache-2.0 */
/* [[principal]]: processes of this box that speak to keyd, certd and identityd themselves, known by their user id. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "edge/config_tables.h"

static json_t *
texts_json(const struct config_at *at, const char *key)
{
	const struct toml *list = config_list(at, key);
	json_t *texts = json_array();

	for (size_t i = 0; list && i < list->n; i++)
		json_array_append_new(texts, json_string(list->item[i]->text));
	return texts;
}

static void
check_idtypes(const struct config *c, const struct config_at *at, const struct config_at *root)
{
	const struct toml *list = config_list(at, "idtype");
	struct config_at localid = config_table(root, "localid");

	for (size_t i = 0; list && i < list->n; i++) {
		const char *type = list->item[i]->text;

		if (!config_word_is_in("module|device|local", type))
			config_wrong(at, "idtype", "module, device or local, not '%.40s'", type);
		else if (text_is(type, "local") && !config_has(&localid, "domain"))
			config_wrong(at, "idtype", "a local identity needs localid.domain");
		else if (!text_is(type, "local") && text_is(c->source, "none"))
			config_wrong(at, "idtype", "without a hub (source = \"none\") there are local identities only");
	}
}

static bool
is_unique(const struct config *c, const struct config_at *at, const char *name, int64_t uid)
{
	const json_t *other;
	size_t i;

	json_array_foreach(c->principals, i, other) {
		if (text_is(json_string_value(json_object_get(other, "name")), name)) {
			config_wrong(at, "name", "there is the principal '%.60s' already", name);
			return false;
		}
		if (json_integer_value(json_object_get(other, "uid")) == uid) {
			config_wrong(at, "uid", "there is a principal with this user id already");
			return false;
		}
	}
	return true;
}

static void
take_principal(struct config *c, const struct config_at *at, const struct config_at *root)
{
	const char *name = config_text(at, "name");
	int64_t uid = config_int(at, "uid");
	struct config_at localid = config_table(at, "localid");
	json_t *one;

	check_idtypes(c, at, root);
	if (!config_need(at, "name") || !config_need(at, "uid") || !name || !is_unique(c, at, name, uid))
		return;
	if (uid == 0 || (uid >= c->first_uid && uid < c->first_uid + CONFIG_ROLE_UIDS))
		config_wrong(at, "uid",
			uid == 0 ? "root may everything already"
				 : "that is a user id of the roles themselves (privileges.first_uid)");
	one = json_pack("{s:s, s:I, s:o, s:o}", "name", name, "uid", (json_int_t)uid, "keys", texts_json(at, "keys"), "certs",
		texts_json(at, "certs"));
	if (config_has(at, "idtype"))
		json_object_set_new(one, "idtype", texts_json(at, "idtype"));
	if (localid.table)
		json_object_set_new(one, "localid",
			json_pack("{s:s*, s:s*}", "type", config_text(&localid, "type"), "attributes",
				config_text(&localid, "attributes")));
	json_array_append_new(c->principals, one);
}

void
config_take_principals(struct config *c, const struct config_at *root)
{
	const struct toml *list = config_list(root, "principal");
	struct config_at all = config_tables(root, "principal");

	c->principals = json_array();
	if (list && list->n > CONFIG_PRINCIPALS_MAX)
		config_wrong(root, "principal", "more than %d principals", CONFIG_PRINCIPALS_MAX);
	for (size_t i = 0; list && i < list->n && i < CONFIG_PRINCIPALS_MAX; i++) {
		struct config_at at = all;

		at.table = list->item[i];
		take_principal(c, &at, root);
	}
}

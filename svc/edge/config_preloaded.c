/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and certificates that keyd and certd have under ids of the operator's choice. */
#include <string.h>

#include "base/mem.h"
#include "common/id_file.h"
#include "edge/config_tables.h"

static bool
is_id(const struct config_at *at, const char *id)
{
	if (*id && strlen(id) <= ID_MAX)
		return true;
	config_wrong(at, id, "an id has between 1 and %d characters", ID_MAX);
	return false;
}

static void
take_keys(struct config *c, const struct config_at *at)
{
	for (size_t i = 0; at->table && i < at->table->n; i++) {
		const char *id = at->table->item[i]->key;
		OWN_TEXT place = config_place(at, id);

		if (place && is_id(at, id))
			json_object_set_new(c->preloaded_keys, id, json_string(place));
	}
}

static json_t *
ids_json(const struct toml *list)
{
	json_t *ids = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(ids, json_string(list->item[i]->text));
	return ids;
}

static void
take_certs(struct config *c, const struct config_at *at, const char *prefix)
{
	for (size_t i = 0; at->table && i < at->table->n; i++) {
		const char *key = at->table->item[i]->key;
		const struct toml *list = config_list(at, key);
		OWN_TEXT id = mem_textf("%s%s", prefix, key);
		OWN_TEXT path = config_file(at, key);

		if (!is_id(at, key))
			continue;
		if (list)
			json_object_set_new(c->preloaded_certs, id, ids_json(list));
		else if (path)
			json_object_set_new(c->preloaded_certs, id, json_string(path));
	}
}

void
config_take_preloaded(struct config *c, const struct config_at *root)
{
	struct config_at keys = config_table(root, "preloaded_keys"), certs = config_table(root, "preloaded_certs");
	struct config_at moby = config_table(root, "moby_runtime"), trust = config_table(&moby, "content_trust");
	struct config_at registries = config_table(&trust, "ca_certs");
	OWN_TEXT master = config_file(root, "imported_master_encryption_key");

	c->preloaded_keys = json_object();
	c->preloaded_certs = json_object();
	take_keys(c, &keys);
	take_certs(c, &certs, "");
	take_certs(c, &registries, "content-trust-");
	if (master)
		json_object_set_new(c->preloaded_keys, "iotedge_master_encryption_id", json_string(master));
}

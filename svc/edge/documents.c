/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of the operator's. */
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "edge/documents.h"
#include "wire/json.h"

json_t *
documents_list_identityd(const struct config *c)
{
	return json_pack("{s:s*}", "payload", c->dps_payload);
}

json_t *
documents_list_edged(const struct config *c)
{
	return json_pack("{s:s*}", "additional_info", c->additional_info);
}

json_t *
documents_load_payload(const char *path, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(DOCUMENT_MAX);
	json_t *json;

	if (file_load(&text, path, err) < 0)
		return NULL;
	json = json_loads(buf_text(&text), JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	return json ? json : err_null(err, ERR_INVALID, "%s: not JSON", path);
}

json_t *
documents_load_info(const char *path, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(DOCUMENT_MAX);
	OWN(toml) table = file_load(&text, path, err) < 0 ? NULL : toml_parse(buf_text(&text), text.len, path, err);
	OWN_LIB(json_t) json = json_object();

	for (size_t i = 0; table && i < table->n; i++) {
		if (table->item[i]->type != TOML_STRING)
			return toml_err(table->item[i], err, "a text is expected, not %s", toml_type_name(table->item[i]->type)),
			       NULL;
		json_object_set_new(json, table->item[i]->key, json_string(table->item[i]->text));
	}
	return table ? json_incref(json) : NULL;
}

json_t *
documents_load_identityd(const struct layout *l, const struct config *c, bool *changed, struct err *err)
{
	json_t *payload = c->dps_payload ? documents_load_payload(c->dps_payload, err) : NULL;

	(void)l;
	(void)changed;
	if (c->dps_payload && !payload)
		return err_wrap_null(err, "provisioning.payload.uri");
	return json_pack("{s:o*}", "payload", payload);
}

/* A file of its own, which it reads. */
json_t *
documents_load_edged(const struct layout *l, const struct config *c, bool *changed, struct err *err)
{
	OWN_LIB(json_t) info = c->additional_info ? documents_load_info(c->additional_info, err) : json_object();
	OWN_TEXT path = mem_textf("%s/additional_info.toml", l->config_dirs[ROLE_EDGED]);
	CLEAR(buf) text = BUF_INIT(DOCUMENT_MAX);
	CLEAR(buf) old = BUF_INIT(DOCUMENT_MAX);
	struct err ignored = ERR_INIT;

	if (!info)
		return err_wrap_null(err, "additional_info");
	if (!c->additional_info)
		return json_object();
	if (file_load(&text, c->additional_info, err) < 0)
		return NULL;
	if (file_load(&old, path, &ignored) < 0 || !text_is(buf_text(&old), buf_text(&text)))
		*changed = true;
	if (*changed && layout_save(l, ROLE_EDGED, path, text.data, text.len, 0600, err) < 0)
		return NULL;
	return json_pack("{s:s}", "additional_info", path);
}

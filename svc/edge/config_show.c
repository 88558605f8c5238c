/* SPDX-License-Identifier: Apache-2.0 */
/* What is in effect, by the table of parameters. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "edge/config_read.h"
#include "edge/config_show.h"
#include "wire/json.h"

#define HIDDEN "(hidden)"

/* -- Secrets ------------------------------------------------------------------------------------------------------------------------------- */

/* "...SharedAccessKey=(hidden)..." up to the end or the next separator. */
static char *
hide_after(const char *text, const char *name, const char *ends)
{
	const char *at = strcasestr(text, name);
	size_t head = at ? (size_t)(at - text) + strlen(name) : 0;

	return at ? mem_textf("%.*s" HIDDEN "%s", (int)head, text, text + head + strcspn(text + head, ends)) : mem_text(text);
}

/* A token's PIN stands in its URI, a hub's key in a connection string. */
static json_t *
shown_text(const struct config_param *param, const char *text)
{
	OWN_TEXT shown = NULL;

	if (text_starts(text, "pkcs11:"))
		shown = hide_after(text, "pin-value=", "&");
	else if (text_is(param->key, "connection_string"))
		shown = hide_after(text, "SharedAccessKey=", ";");
	else
		shown = mem_text(param->kind == KIND_SECRET ? HIDDEN : text);
	return json_string(shown);
}

static bool
is_secret_name(const char *name)
{
	return text_is(name, "password") || text_is(name, "owner_auth") || text_is(name, "endorsement_auth");
}

void
config_show_hide(json_t *told)
{
	const char *name;
	json_t *value;
	void *next;
	size_t i;

	json_array_foreach(told, i, value)
		config_show_hide(value);
	json_object_foreach_safe(told, next, name, value) {
		const char *text = json_string_value(value);
		OWN_TEXT shown = text && text_starts(text, "pkcs11:") ? hide_after(text, "pin-value=", "&") : NULL;

		if (text && is_secret_name(name))
			json_object_set_new(told, name, json_string(HIDDEN));
		else if (shown)
			json_object_set_new(told, name, json_string(shown));
		else
			config_show_hide(value);
	}
}

/* -- Values -------------------------------------------------------------------------------------------------------------------------------- */

static json_t *
value_json(const struct config_param *param, const struct toml *t)
{
	json_t *list;

	switch (t->type) {
	case TOML_STRING:
		return shown_text(param, t->text);
	case TOML_INTEGER:
		return json_integer(t->integer);
	case TOML_BOOLEAN:
		return json_boolean(t->boolean);
	case TOML_FLOAT:
		return json_real(t->number);
	case TOML_ARRAY:
		list = json_array();
		for (size_t i = 0; i < t->n; i++)
			json_array_append_new(list, value_json(param, t->item[i]));
		return list;
	default:
		return json_string("...");
	}
}

static void
add(json_t *out, const char *table, const char *key, json_t *value_take, const char *origin)
{
	json_array_append_new(
		out, json_pack("{s:s, s:s, s:o, s:s}", "table", table, "key", key, "value", value_take, "origin", origin));
}

static void
add_given(json_t *out, const char *table, const struct config_param *param, const struct toml *t)
{
	OWN_TEXT origin = t->line > 0 ? mem_textf("%s:%d", t->file, t->line) : mem_text(t->file);

	add(out, table, t->key, param->kind == KIND_ANY ? json_string("...") : value_json(param, t), origin);
}

static void
add_default(json_t *out, const char *table, const struct config_param *param)
{
	OWN_TEXT text = config_param_default(param);
	char machine[256] = "";

	if (param->standing == PARAM_IDLES)
		return;
	if (text)
		add(out, table, param->key, json_loads(text, JSON_DECODE_ANY, NULL), "default");
	else if (!*table && text_is(param->key, "hostname") && gethostname(machine, sizeof(machine) - 1) == 0)
		add(out, table, param->key, json_string(machine), "default: this machine's name");
}

/* -- Tables -------------------------------------------------------------------------------------------------------------------------------- */

static void add_table(json_t *out, const struct config_at *at);

static bool
is_table(const struct config_param *param, const struct toml *t)
{
	if (t)
		return t->type == TOML_TABLE && param->kind != KIND_ANY;
	/* What is absent has defaults; but no certificate that nobody asked for. */
	return param->kind == KIND_TABLE && !param->like;
}

static void
add_array(json_t *out, const struct config_at *at, const struct toml *list)
{
	struct config_at in = config_tables(at, list->key);

	for (size_t i = 0; i < list->n; i++) {
		snprintf(in.path, sizeof(in.path), "%.100s[%zu]", list->key, i);
		in.table = list->item[i];
		add_table(out, &in);
	}
}

static void
add_values(json_t *out, const struct config_at *at, bool tables)
{
	const char *keys[CONFIG_PARAMS_MAX];
	size_t n = config_param_keys(at->params, at->like, keys, COUNT(keys));

	for (size_t i = 0; i < n; i++) {
		const struct config_param *param = config_param_find(at->params, at->like, keys[i]);
		const struct toml *t = at->table ? toml_find(at->table, keys[i]) : NULL;
		struct config_at in;

		if (param->kind == KIND_TABLES) {
			if (tables && t && t->type == TOML_ARRAY)
				add_array(out, at, t);
			continue;
		}
		if (is_table(param, t) != tables)
			continue;
		in = config_table(at, keys[i]);
		if (tables)
			add_table(out, &in);
		else if (t)
			add_given(out, at->path, param, t);
		else
			add_default(out, at->path, param);
	}
}

/* Ids, which have no row of their own. */
static void
add_ids(json_t *out, const struct config_at *at, bool tables)
{
	for (size_t i = 0; at->table && i < at->table->n; i++) {
		const struct toml *t = at->table->item[i];
		const struct config_param *param = config_param_find(at->params, at->like, t->key);
		struct config_at in;

		if (!param || !text_is(param->key, "*") || is_table(param, t) != tables)
			continue;
		in = config_entry(at, i);
		if (tables)
			add_table(out, &in);
		else
			add_given(out, at->path, param, t);
	}
}

/* As in TOML: what is no table comes first. */
static void
add_table(json_t *out, const struct config_at *at)
{
	add_values(out, at, false);
	add_ids(out, at, false);
	add_values(out, at, true);
	add_ids(out, at, true);
}

json_t *
config_show_json(const struct toml *root)
{
	CLEAR(findings) ignored = { 0 };
	struct config_at at = config_read_root(root, &ignored);
	json_t *out = json_array();

	add_table(out, &at);
	return out;
}

/* -- For people ---------------------------------------------------------------------------------------------------------------------------- */

static bool
is_bare_key(const char *key)
{
	return *key && key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] == '\0';
}

static void
print_heading(const char *table, FILE *out)
{
	const char *bracket = strchr(table, '[');

	if (bracket)
		fprintf(out, "\n[[%.*s]]\n", (int)(bracket - table), table);
	else
		fprintf(out, "\n[%s]\n", table);
}

void
config_show_print(const json_t *values, FILE *out)
{
	const char *before = "";
	const json_t *one;
	size_t i;

	json_array_foreach(values, i, one) {
		const char *table = json_string_value(json_object_get(one, "table")),
			   *key = json_string_value(json_object_get(one, "key"));
		char *value = json_dumps(json_object_get(one, "value"), JSON_ENCODE_ANY);
		OWN_TEXT line = mem_textf(is_bare_key(key) ? "%s = %s" : "\"%s\" = %s", key, value ? value : "");

		if (!text_is(table, before))
			print_heading(table, out);
		fprintf(out, "%-60s # %s\n", line, json_string_value(json_object_get(one, "origin")));
		before = table;
		free(value);
	}
}

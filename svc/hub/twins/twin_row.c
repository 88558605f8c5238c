/* SPDX-License-Identifier: Apache-2.0 */
/* Twins as rows (twin_row.h). */
#include "hub/twins/twin_row.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/twin_doc.h"
#include "wire/json.h"

/* -- What is needed -------------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	unsigned parts;
} first_names[] = {
	{ "deviceId", 0 },
	{ "moduleId", 0 },
	{ "tags", TWIN_PART_TAGS },
	{ "etag", TWIN_PART_STORED },
	{ "version", TWIN_PART_STORED },
	{ "modelId", TWIN_PART_STORED },
	{ "configurations", TWIN_PART_CONFIGURATIONS },
	{ "cloudToDeviceMessageCount", TWIN_PART_COMMANDS },
};

static unsigned
parts_of_properties(const struct query_node *path)
{
	unsigned meta = path->n_path < 3 || path->path[2][0] == '$' ? TWIN_PART_META : 0;

	if (path->n_path < 2)
		return TWIN_PART_DESIRED | TWIN_PART_REPORTED | TWIN_PART_META;
	if (text_is(path->path[1], "desired"))
		return TWIN_PART_DESIRED | meta;
	return text_is(path->path[1], "reported") ? TWIN_PART_REPORTED | meta : 0;
}

static void
add_parts(void *arg, const struct query_node *path)
{
	unsigned *parts = arg;

	if (text_is_nocase(path->path[0], "properties")) {
		*parts |= parts_of_properties(path);
		return;
	}
	for (size_t i = 0; i < COUNT(first_names); i++)
		if (text_is_nocase(path->path[0], first_names[i].name)) {
			*parts |= first_names[i].parts;
			return;
		}
	*parts |= TWIN_PART_IDENTITY;
}

unsigned
twin_row_condition_parts(const struct query *query)
{
	unsigned parts = 0;

	query_each_path(query->where, add_parts, &parts);
	return parts;
}

unsigned
twin_row_column_parts(const struct query *query)
{
	unsigned parts = query->n_columns == 0 ? TWIN_PARTS_SHOWN : 0;

	for (size_t i = 0; i < query->n_columns; i++)
		query_each_path(query->columns[i].what, add_parts, &parts);
	for (size_t i = 0; i < query->n_group_by; i++)
		query_each_path(query->group_by[i], add_parts, &parts);
	return parts;
}

/* -- The identity's part ------------------------------------------------------------------------------------------------------------------ */

static void
put_identity(json_t *row, const struct twin_row_context *context, const struct identity *identity)
{
	OWN_TEXT name = identity_name(identity->device_id, identity->module_id);
	bool connected = context->directory && directory_is_connected(context->directory, name);
	OWN_LIB(json_t) record = identity_to_json(identity, connected, false);

	twin_put_record(row, record);
}

/* -- The stored part ------------------------------------------------------------------------------------------------------------------------ */

/* An identity has no row before the first change of its twin. */
static const char new_etag[] = "AAAAAAAAAAE=";

static json_t *
object_at(struct db_stmt *stored, int column)
{
	struct err ignored = ERR_INIT; /* what is damaged shows as empty: a query is no place to fail for it */
	const char *text = stored ? db_text(stored, column) : NULL;
	json_t *json = text ? json_parse(text, strlen(text), &ignored) : NULL;

	if (json_is_object(json))
		return json;
	json_decref(json);
	return json_object();
}

/* Columns: values, metadata, version. */
static json_t *
section(struct db_stmt *stored, int column, unsigned parts)
{
	json_t *view = object_at(stored, column);

	if (parts & TWIN_PART_META) {
		json_object_set_new(view, "$metadata", object_at(stored, column + 1));
		json_object_set_new(view, "$version", json_integer(stored ? db_int(stored, column + 2) : 1));
	}
	return view;
}

static void
put_stored(json_t *row, struct db_stmt *stored, unsigned parts)
{
	json_t *properties = NULL;

	if (parts & TWIN_PART_STORED) {
		const char *model = stored ? db_text(stored, 2) : NULL;

		json_object_set_new(row, "version", json_integer(stored ? db_int(stored, 0) : 1));
		json_object_set_new(row, "etag", json_string(stored ? db_text(stored, 1) : new_etag));
		json_object_set_new(row, "modelId", json_string(model ? model : ""));
	}
	if (parts & TWIN_PART_TAGS)
		json_object_set_new(row, "tags", object_at(stored, 3));
	if (parts & (TWIN_PART_DESIRED | TWIN_PART_REPORTED))
		properties = json_object();
	if (parts & TWIN_PART_DESIRED)
		json_object_set_new(properties, "desired", section(stored, 4, parts));
	if (parts & TWIN_PART_REPORTED)
		json_object_set_new(properties, "reported", section(stored, 7, parts));
	if (properties)
		json_object_set_new(row, "properties", properties);
}

static int
load_stored(json_t *row, struct db *db, const struct identity *identity, unsigned parts, struct err *err)
{
	struct db_stmt *stored = db_query(db, err,
		"SELECT version, etag, model_id, tags, desired, desired_meta, desired_version, reported, reported_meta, "
		"reported_version"
		" FROM twin WHERE device_id = ? AND module_id = ?",
		"tt", identity->device_id, identity->module_id ? identity->module_id : "");
	int got = stored ? db_next(stored, err) : -1;

	if (got >= 0)
		put_stored(row, got == 1 ? stored : NULL, parts);
	db_done(stored);
	return got < 0 ? -1 : 0;
}

/* A module shows its gateway's deployments beside its own. */
static int
put_configurations(json_t *row, struct db *db, const struct identity *identity, struct err *err)
{
	struct db_stmt *rows =
		db_query(db, err, "SELECT id, applied FROM configuration_twin WHERE device_id = ? AND module_id IN (?, '')", "tt",
			identity->device_id, identity->module_id ? identity->module_id : "");
	json_t *configurations = json_object();
	int got = rows ? 0 : -1;

	while (rows && (got = db_next(rows, err)) == 1)
		json_object_set_new(
			configurations, db_text(rows, 0), json_pack("{s:s}", "status", db_int(rows, 1) ? "Applied" : "Targeted"));
	db_done(rows);
	json_object_set_new(row, "configurations", configurations);
	return got;
}

static int
put_commands(json_t *row, struct db *db, const struct identity *identity, struct err *err)
{
	int64_t n;
	int got = db_number(db, &n, err, "SELECT COUNT(*) FROM command WHERE device_id = ? AND module_id = ?", "tt",
		identity->device_id, identity->module_id ? identity->module_id : "");

	if (got == 1)
		json_object_set_new(row, "cloudToDeviceMessageCount", json_integer(n));
	return got < 0 ? -1 : 0;
}

int
twin_row_load(const struct twin_row_context *context, const char *device_id, const char *module_id, unsigned parts, json_t **out,
	struct err *err)
{
	OWN(identity) identity = registry_find(context->registry, device_id, module_id);
	OWN_LIB(json_t) row = identity ? json_object() : NULL;

	*out = NULL;
	if (!identity)
		return 0;
	json_object_set_new(row, "deviceId", json_string(device_id));
	if (module_id)
		json_object_set_new(row, "moduleId", json_string(module_id));
	if (parts & TWIN_PART_IDENTITY)
		put_identity(row, context, identity);
	if ((parts & ~(unsigned)(TWIN_PART_IDENTITY | TWIN_PART_CONFIGURATIONS | TWIN_PART_COMMANDS)) &&
		load_stored(row, context->db, identity, parts, err) < 0)
		return -1;
	if ((parts & TWIN_PART_CONFIGURATIONS) && put_configurations(row, context->db, identity, err) < 0)
		return -1;
	if ((parts & TWIN_PART_COMMANDS) && put_commands(row, context->db, identity, err) < 0)
		return -1;
	*out = GIVE(row);
	return 0;
}

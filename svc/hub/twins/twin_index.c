/* SPDX-License-Identifier: Apache-2.0 */
/* The index of twins (twin_index.h).  A change writes the difference of what was indexed before and what is now, so a device that reports its battery every
 * minute costs one row each. */
#include "hub/twins/twin_index.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "wire/json.h"

#define PATH_MAX_LEN (64 * 1024) /* ten keys of 1 KiB have room */

bool
twin_index_value(const json_t *value, struct db_value *out)
{
	static const char truths[] = "\0\1";

	if (json_is_integer(value))
		*out = (struct db_value){ .type = DB_INT, .whole = json_integer_value(value) };
	else if (json_is_real(value))
		*out = (struct db_value){ .type = DB_REAL, .real = json_real_value(value) };
	else if (json_is_string(value))
		*out = (struct db_value){ .type = DB_TEXT, .data = json_string_value(value), .len = json_string_length(value) };
	else if (json_is_boolean(value))
		*out = (struct db_value){ .type = DB_BLOB, .data = truths + json_is_true(value), .len = 1 };
	else
		return false;
	return true;
}

json_t *
twin_index_json(const struct db_value *value)
{
	switch (value->type) {
	case DB_INT:
		return json_integer(value->whole);
	case DB_REAL:
		return json_real(value->real);
	case DB_TEXT:
		return json_stringn(value->data, value->len);
	case DB_BLOB:
		return value->len == 1 ? json_boolean(*(const char *)value->data != 0) : NULL;
	case DB_NULL:
		break;
	}
	return NULL;
}

/* -- What is to be indexed of a document: path to scalar ----------------------------------------------------------------------------- */

static void
flatten(json_t *out, struct buf *path, json_t *value)
{
	size_t len = path->len;
	struct db_value ignored;
	const char *key;
	json_t *member;

	if (twin_index_value(value, &ignored) && !path->failed)
		json_object_set(out, buf_text(path), value);
	json_object_foreach(value, key, member) {
		buf_putf(path, ".%s", key);
		flatten(out, path, member);
		path->failed = false;
		buf_cut(path, len);
	}
}

/* The member at "a.b.c" of a document, and whatever is below. */
static void
flatten_at(json_t *out, struct buf *path, json_t *document, struct slice names)
{
	json_t *at = document;
	struct slice name;
	bool more = names.len > 0;

	while (at && more) {
		OWN_TEXT key = NULL;

		more = slice_cut(&names, '.', &name);
		key = slice_text(name);
		at = json_object_get(at, key);
		buf_putf(path, ".%s", key);
	}
	if (at)
		flatten(out, path, at);
}

static void
put_prefix(struct buf *path, const char *module_id, const char *name)
{
	buf_reset(path);
	buf_putf(path, "%s%s", module_id ? "modules." : "", name);
}

static json_t *
indexed(const json_t *twin, const char *module_id, const json_t *declared)
{
	CLEAR(buf) path = BUF_INIT(PATH_MAX_LEN);
	json_t *out = json_object();
	const json_t *one;
	size_t i;

	put_prefix(&path, module_id, "tags");
	flatten(out, &path, json_object_get(twin, "tags"));
	json_array_foreach(declared, i, one) {
		struct slice rest = slice_of(json_string_value(one)), section;
		OWN_TEXT name = NULL;

		slice_cut(&rest, '.', &section); /* "properties" */
		slice_cut(&rest, '.', &section);
		name = slice_text(section);
		put_prefix(&path, module_id, "properties.");
		buf_puts(&path, name);
		flatten_at(out, &path, json_object_get(twin, name), rest);
	}
	return out;
}

/* -- Writing --------------------------------------------------------------------------------------------------------------------------- */

static int
run_one(struct db *db, const char *sql, const char *path, json_t *value, const char *device_id, const char *module_id,
	struct err *err)
{
	struct db_value values[4] = {
		{ .type = DB_TEXT, .data = path, .len = strlen(path) },
		{ 0 },
		{ .type = DB_TEXT, .data = device_id, .len = strlen(device_id) },
		{ .type = DB_TEXT, .data = module_id ? module_id : "", .len = module_id ? strlen(module_id) : 0 },
	};

	if (!twin_index_value(value, &values[1]))
		return 0;
	return db_run_values(db, err, sql, values, 4);
}

/* For each of `these` that is not the same in `others`. */
static int
run_each(struct db *db, const char *sql, json_t *these, const json_t *others, const char *device_id, const char *module_id,
	struct err *err)
{
	const char *path;
	json_t *value;

	json_object_foreach(these, path, value) {
		const json_t *other = json_object_get(others, path);

		if (other && json_equal(value, other))
			continue;
		if (run_one(db, sql, path, value, device_id, module_id, err) < 0)
			return -1;
	}
	return 0;
}

static int
write_difference(struct db *db, const char *device_id, const char *module_id, json_t *before, json_t *after, struct err *err)
{
	if (run_each(db, "DELETE FROM twin_value WHERE path = ? AND value = ? AND device_id = ? AND module_id = ?", before, after,
		    device_id, module_id, err) < 0)
		return -1;
	return run_each(db, "INSERT OR IGNORE INTO twin_value (path, value, device_id, module_id) VALUES (?, ?, ?, ?)", after,
		before, device_id, module_id, err);
}

static json_t *
load_declared(struct db *db, struct err *err)
{
	struct db_stmt *rows = db_query(db, err, "SELECT path FROM twin_index_path ORDER BY path", "");
	json_t *out = json_array();
	int got = -1;

	while (rows && (got = db_next(rows, err)) == 1)
		json_array_append_new(out, json_string(db_text(rows, 0)));
	db_done(rows);
	if (got == 0)
		return out;
	json_decref(out);
	return NULL;
}

static int
update_declared(struct db *db, const char *device_id, const char *module_id, const json_t *before, const json_t *after,
	const json_t *declared, struct err *err)
{
	OWN_LIB(json_t) was = indexed(before, module_id, declared);
	OWN_LIB(json_t) is = indexed(after, module_id, declared);

	return write_difference(db, device_id, module_id, was, is, err);
}

int
twin_index_update(
	struct db *db, const char *device_id, const char *module_id, const json_t *before, const json_t *after, struct err *err)
{
	OWN_LIB(json_t) declared = load_declared(db, err);

	if (!declared)
		return -1;
	return update_declared(db, device_id, module_id, before, after, declared, err);
}

/* -- Removing and building anew ------------------------------------------------------------------------------------------------------------ */

static json_t *
parse_column(struct db_stmt *row, int column)
{
	struct err ignored = ERR_INIT;
	const char *text = db_text(row, column);

	return text ? json_parse(text, strlen(text), &ignored) : NULL;
}

/* The twins that `rows` yields (device, module, tags, desired, reported) lose or get their entries. */
static int
each_twin(struct db *db, struct db_stmt *rows, const json_t *declared, bool is_there, struct err *err)
{
	int got = rows ? 0 : -1;

	while (rows && (got = db_next(rows, err)) == 1) {
		OWN_LIB(json_t) twin = json_object();
		const char *module_id = db_text(rows, 1);

		json_object_set_new(twin, "tags", parse_column(rows, 2));
		json_object_set_new(twin, "desired", parse_column(rows, 3));
		json_object_set_new(twin, "reported", parse_column(rows, 4));
		if (update_declared(db, db_text(rows, 0), *module_id ? module_id : NULL, is_there ? NULL : twin,
			    is_there ? twin : NULL, declared, err) < 0) {
			got = -1;
			break;
		}
	}
	db_done(rows);
	return got;
}

#define TWIN_COLUMNS "SELECT device_id, module_id, tags, desired, reported FROM twin"

int
twin_index_remove(struct db *db, const char *device_id, const char *module_id, struct err *err)
{
	OWN_LIB(json_t) declared = load_declared(db, err);

	if (!declared)
		return -1;
	if (module_id)
		return each_twin(db,
			db_query(db, err, TWIN_COLUMNS " WHERE device_id = ? AND module_id = ?", "tt", device_id, module_id),
			declared, false, err);
	return each_twin(db, db_query(db, err, TWIN_COLUMNS " WHERE device_id = ?", "t", device_id), declared, false, err);
}

static int
check_path(const char *path, struct err *err)
{
	if (text_starts(path, "properties.desired.") || text_starts(path, "properties.reported.") ||
		text_is(path, "properties.desired") || text_is(path, "properties.reported"))
		return 0;
	return err_set(err, ERR_INVALID,
		"'%s' cannot be indexed: it is a path below properties.desired or properties.reported (tags always are)", path);
}

/* Sorted, each once. */
static json_t *
wanted_paths(const char *const *paths, size_t n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++) {
		size_t at = 0;

		while (at < json_array_size(out) && strcmp(json_string_value(json_array_get(out, at)), paths[i]) < 0)
			at++;
		if (!text_is(json_string_value(json_array_get(out, at)), paths[i]))
			json_array_insert_new(out, at, json_string(paths[i]));
	}
	return out;
}

static int
rebuild(struct db *db, const json_t *wanted, struct err *err)
{
	const json_t *one;
	size_t i;

	if (db_run(db, err, "DELETE FROM twin_value", "") < 0 || db_run(db, err, "DELETE FROM twin_index_path", "") < 0)
		return -1;
	json_array_foreach(wanted, i, one)
		if (db_run(db, err, "INSERT INTO twin_index_path (path) VALUES (?)", "t", json_string_value(one)) < 0)
			return -1;
	return each_twin(db, db_query(db, err, TWIN_COLUMNS, ""), wanted, true, err);
}

int
twin_index_open(struct registry_store *store, const char *const *paths, size_t n, struct err *err)
{
	struct db *db = registry_store_db(store);
	OWN_LIB(json_t) wanted = wanted_paths(paths, n);
	OWN_LIB(json_t) declared = load_declared(db, err);

	for (size_t i = 0; i < n; i++)
		if (check_path(paths[i], err) < 0)
			return -1;
	if (!declared)
		return -1;
	if (json_equal(wanted, declared))
		return 0;
	if (registry_store_begin(store, err) < 0)
		return -1;
	if (registry_store_end(store, rebuild(db, wanted, err), err) == 0)
		return 0;
	return err_wrap(err, "building the index of twins");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of twins (twin_store.h). */
#include "hub/twins/twin_store.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "hub/twins/twin_index.h"
#include "wire/codec.h"
#include "wire/json.h"

/* An object that was written here is one again, or the file is damaged. */
static int
read_object(json_t **field, struct db_stmt *row, int column, struct err *err)
{
	const char *text = db_text(row, column);
	json_t *json = json_parse(text ? text : "", text ? strlen(text) : 0, err);

	if (!json_is_object(json)) {
		json_decref(json);
		return err_set(err, ERR_BROKEN, "column %d is no JSON object", column);
	}
	json_decref(*field);
	*field = json;
	return 0;
}

static int
read_section(struct twin_section *s, struct db_stmt *row, int column, struct err *err)
{
	if (read_object(&s->values, row, column, err) < 0 || read_object(&s->meta, row, column + 1, err) < 0)
		return -1;
	s->version = db_int(row, column + 2);
	return 0;
}

static int
read_twin(struct twin *twin, struct db_stmt *row, struct err *err)
{
	mem_free(twin->etag);
	twin->version = db_int(row, 0);
	twin->etag = mem_text(db_text(row, 1));
	twin->model_id = mem_text(db_text(row, 2));
	if (read_object(&twin->tags, row, 3, err) < 0 || read_section(&twin->desired, row, 4, err) < 0)
		return -1;
	return read_section(&twin->reported, row, 7, err);
}

struct twin *
twin_store_get(struct db *db, const char *device_id, const char *module_id, struct err *err)
{
	OWN(twin) twin = twin_new();
	struct db_stmt *row = db_query(db, err,
		"SELECT version, etag, model_id, tags, desired, desired_meta, desired_version, reported, reported_meta, "
		"reported_version"
		" FROM twin WHERE device_id = ? AND module_id = ?",
		"tt", device_id, module_id ? module_id : "");
	int got = row ? db_next(row, err) : -1;

	if (got == 1 && read_twin(twin, row, err) < 0)
		got = err_wrap(err, "%s is damaged: the twin of %s", db_path(db), device_id);
	if (row)
		db_done(row);
	return got < 0 ? NULL : GIVE(twin);
}

/* As the index knows it. */
static json_t *
indexed_view(const struct twin *twin)
{
	return json_pack("{s:O, s:O, s:O}", "tags", twin->tags, "desired", twin->desired.values, "reported", twin->reported.values);
}

static int
update_index(struct db *db, const char *device_id, const char *module_id, const struct twin *before, const struct twin *after,
	struct err *err)
{
	OWN_LIB(json_t) was = indexed_view(before);
	OWN_LIB(json_t) is = indexed_view(after);

	return twin_index_update(db, device_id, module_id, was, is, err);
}

int
twin_store_put(struct db *db, const char *device_id, const char *module_id, const struct twin *before, const struct twin *after,
	struct err *err)
{
	OWN_TEXT tags = json_line(after->tags);
	OWN_TEXT desired = json_line(after->desired.values);
	OWN_TEXT desired_meta = json_line(after->desired.meta);
	OWN_TEXT reported = json_line(after->reported.values);
	OWN_TEXT reported_meta = json_line(after->reported.meta);

	if (update_index(db, device_id, module_id, before, after, err) < 0)
		return -1;
	return db_run(db, err,
		"INSERT OR REPLACE INTO twin (device_id, module_id, version, etag, model_id, tags, desired, desired_meta,"
		" desired_version, reported, reported_meta, reported_version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		"ttitttttitti", device_id, module_id ? module_id : "", after->version, after->etag, after->model_id, tags, desired,
		desired_meta, after->desired.version, reported, reported_meta, after->reported.version);
}

int
twin_store_remove(struct db *db, const char *device_id, const char *module_id, struct err *err)
{
	if (twin_index_remove(db, device_id, module_id, err) < 0)
		return -1;
	if (module_id)
		return db_run(db, err, "DELETE FROM twin WHERE device_id = ? AND module_id = ?", "tt", device_id, module_id);
	return db_run(db, err, "DELETE FROM twin WHERE device_id = ?", "t", device_id);
}

/* Random, so that none comes back after the identity was deleted and made again. */
char *
twin_store_etag(void)
{
	CLEAR(buf) text = BUF_INIT(32);
	uint8_t bytes[8];

	random_bytes(bytes, sizeof(bytes));
	base64_encode(&text, bytes, sizeof(bytes));
	return buf_take_text(&text);
}

int
twin_store_put_new(struct db *db, const struct identity *identity, const json_t *wanted, struct err *err)
{
	const json_t *properties = json_object_get(wanted, "properties");
	struct twin_change change = {
		.tags = json_object_get(wanted, "tags"),
		.desired = json_object_get(properties, "desired"),
		.reported = json_object_get(properties, "reported"),
	};
	OWN(twin) before = NULL;
	OWN(twin) after = NULL;

	before = twin_store_get(db, identity->device_id, identity->module_id, err);
	if (!before)
		return -1;
	after = twin_copy(before);
	if (twin_apply(after, &change, clock_wall_ms(), err) < 0)
		return err->kind == ERR_LIMIT ? err_set(err, ERR_INVALID, "a section of the twin is too large") : -1;
	mem_free(after->etag);
	after->etag = twin_store_etag();
	return twin_store_put(db, identity->device_id, identity->module_id, before, after, err);
}

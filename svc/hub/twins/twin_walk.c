/* SPDX-License-Identifier: Apache-2.0 */
/* Walking through twins by an index (twin_walk.h).  The SQL of every kind of leg is a row of a table; its parameters are ?1 and ?2 for the identity to go on
 * behind, ?3 and ?5 for the ends of what is looked for, ?4 for the path. */
#include "hub/twins/twin_walk.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/twins/twin_index.h"
#include "wire/codec.h"
#include "wire/json.h"

#define CURSOR_MAX (16 * 1024)
#define MEASURE_MAX 5000 /* beyond that, two ways are equally long */
#define PROBES_MAX 4
#define PARAMETERS 5
#define SQL_MAX 4096
#define HASH_LEN 8
#define PAGE_BYTES (4u << 20) /* a page ends behind the row that goes beyond: a thousand large twins would be no answer any more */

/* -- SQL ----------------------------------------------------------------------------------------------------------------------------- */

static const char *const leg_sql[][2] = {
	[TWIN_LEG_ALL] = { "identity t WHERE module_id = '' AND device_id > ?1 ORDER BY device_id",
		"identity t WHERE module_id != '' AND (device_id, module_id) > (?1, ?2) ORDER BY device_id, module_id" },
	[TWIN_LEG_DEVICE] = { "identity t WHERE module_id = '' AND device_id = ?3 AND device_id > ?1",
		"identity t WHERE module_id != '' AND device_id = ?3 AND (device_id, module_id) > (?1, ?2) ORDER BY device_id, "
		"module_id" },
	[TWIN_LEG_MODULE] = { NULL, "identity t WHERE module_id != '' AND module_id = ?3 AND device_id > ?1 ORDER BY device_id" },
	[TWIN_LEG_SCOPE] = { "identity t WHERE module_id = '' AND scope IS NOT NULL AND scope = ?3 AND device_id > ?1 ORDER BY "
			     "device_id",
		NULL },
	[TWIN_LEG_DISABLED] = { "identity t WHERE module_id = '' AND enabled = 0 AND device_id > ?1 ORDER BY device_id", NULL },
	[TWIN_LEG_EDGE] = { "identity t WHERE module_id = '' AND is_edge = 1 AND device_id > ?1 ORDER BY device_id", NULL },
#define VALUE_SQL "twin_value t WHERE path = ?4 AND value = ?3 AND (device_id, module_id) > (?1, ?2) ORDER BY device_id, module_id"
	[TWIN_LEG_VALUE] = { VALUE_SQL, VALUE_SQL },
};

/* The highest one that each has. */
static size_t
n_parameters(const struct twin_leg *leg, enum query_source from)
{
	static const unsigned char n[][2] = {
		[TWIN_LEG_ALL] = { 1, 2 },
		[TWIN_LEG_DEVICE] = { 3, 3 },
		[TWIN_LEG_MODULE] = { 0, 3 },
		[TWIN_LEG_SCOPE] = { 3, 0 },
		[TWIN_LEG_DISABLED] = { 1, 0 },
		[TWIN_LEG_EDGE] = { 1, 0 },
		[TWIN_LEG_VALUE] = { 4, 4 },
		[TWIN_LEG_RANGE] = { 5, 5 },
	};

	return n[leg->kind][from == QUERY_MODULES];
}

static void
put_range_sql(struct buf *sql, const struct twin_leg *leg, bool goes_on, const char *probes)
{
	buf_putf(sql, "SELECT device_id, module_id, value FROM twin_value t WHERE path = ?4 AND value %s ?3 AND value %s ?5%s%s",
		leg->without_low && !goes_on ? ">" : ">=", leg->without_high || !leg->high ? "<" : "<=",
		goes_on ? " AND (value, device_id, module_id) > (?3, ?1, ?2)" : "", probes);
	buf_puts(sql, " ORDER BY value, device_id, module_id");
}

/* The probes stand in front of the ORDER BY. */
static void
put_leg_sql(struct buf *sql, const struct twin_leg *leg, enum query_source from, bool goes_on, const char *probes)
{
	const char *text, *order;
	size_t len;

	if (leg->kind == TWIN_LEG_RANGE) {
		put_range_sql(sql, leg, goes_on, probes);
		return;
	}
	text = leg_sql[leg->kind][from == QUERY_MODULES];
	order = strstr(text, " ORDER BY");
	len = order ? (size_t)(order - text) : strlen(text);
	buf_putf(sql, "SELECT device_id, module_id FROM %.*s%s%s", (int)len, text, probes, order ? order : "");
}

static struct db_value
text_value(const char *text)
{
	return (struct db_value){ .type = DB_TEXT, .data = text ? text : "", .len = text ? strlen(text) : 0 };
}

/* Where a range ends that has one end only: all numbers are in front of the empty string, all strings in front of the empty blob. */
static void
bind_range(struct db_value values[PARAMETERS], const struct twin_leg *leg, const json_t *goes_on)
{
	bool numbers = json_is_number(leg->low ? leg->low : leg->high);

	if (!twin_index_value(goes_on ? goes_on : leg->low, &values[2]))
		values[2] = numbers ? (struct db_value){ .type = DB_REAL, .real = -INFINITY } : text_value("");
	if (!twin_index_value(leg->high, &values[4]))
		values[4] = numbers ? text_value("") : (struct db_value){ .type = DB_BLOB, .data = "" };
}

static void
bind_leg(struct db_value values[PARAMETERS], const struct twin_leg *leg, const struct twin_cursor *at)
{
	values[0] = text_value(at ? at->device_id : NULL);
	values[1] = text_value(at ? at->module_id : NULL);
	values[3] = text_value(leg->path);
	if (leg->kind == TWIN_LEG_RANGE)
		bind_range(values, leg, at ? at->value : NULL);
	else if (leg->low)
		(void)twin_index_value(leg->low, &values[2]);
}

/* -- Choosing the way ------------------------------------------------------------------------------------------------------------------- */

static int
measure_leg(struct db *db, const struct twin_leg *leg, enum query_source from, int64_t *n, struct err *err)
{
	CLEAR(buf) sql = BUF_INIT(SQL_MAX);
	struct db_value values[PARAMETERS] = { 0 };
	struct db_stmt *row;
	int got;

	buf_puts(&sql, "SELECT count(*) FROM (");
	put_leg_sql(&sql, leg, from, false, "");
	buf_putf(&sql, " LIMIT %d)", MEASURE_MAX);
	bind_leg(values, leg, NULL);
	row = db_query_values(db, err, buf_text(&sql), values, n_parameters(leg, from));
	if (!row)
		return -1;
	got = db_next(row, err);
	*n += got == 1 ? db_int(row, 0) : 0;
	db_done(row);
	return got < 0 ? -1 : 0;
}

static int
choose_way(struct twin_walk *walk, struct db *db, struct err *err)
{
	const struct twin_plan *plan = walk->plan;
	int64_t best = INT64_MAX;

	walk->at.way = plan->n_ways - 1;
	for (size_t w = 0; plan->n_ways > 2 && w + 1 < plan->n_ways; w++) {
		const struct twin_way *way = &plan->ways[w];
		int64_t n = way->n_legs > 0 &&
			    way->legs[0].kind == TWIN_LEG_RANGE; /* of two that are equally long, rather the exact one */

		for (size_t l = 0; l < way->n_legs && n < MEASURE_MAX; l++)
			if (measure_leg(db, &way->legs[l], walk->query->from, &n, err) < 0)
				return -1;
		if (n < best) {
			best = n;
			walk->at.way = w;
		}
	}
	if (plan->n_ways == 2)
		walk->at.way = 0;
	walk->at.has_way = true;
	return 0;
}

/* -- Walking ------------------------------------------------------------------------------------------------------------------------------ */

/* Other ways of a single value are looked up beside the chosen one, so what fails them is never visited. */
static size_t
put_probes(const struct twin_walk *walk, struct buf *sql, struct db_value *values)
{
	size_t n = 0;

	for (size_t w = 0; w + 1 < walk->plan->n_ways && n < PROBES_MAX; w++) {
		const struct twin_way *way = &walk->plan->ways[w];

		if (w == walk->at.way || way->n_legs != 1 || way->legs[0].kind != TWIN_LEG_VALUE)
			continue;
		buf_putf(sql,
			" AND EXISTS (SELECT 1 FROM twin_value p WHERE p.path = ?%zu AND p.value = ?%zu AND p.device_id = "
			"t.device_id"
			" AND p.module_id = t.module_id)",
			PARAMETERS + 2 * n + 1, PARAMETERS + 2 * n + 2);
		values[PARAMETERS + 2 * n] = text_value(way->legs[0].path);
		(void)twin_index_value(way->legs[0].low, &values[PARAMETERS + 2 * n + 1]);
		n++;
	}
	return n;
}

static struct db_stmt *
open_leg(const struct twin_walk *walk, const struct twin_leg *leg, struct db *db, struct err *err)
{
	CLEAR(buf) sql = BUF_INIT(SQL_MAX);
	CLEAR(buf) probes = BUF_INIT(SQL_MAX);
	struct db_value values[PARAMETERS + 2 * PROBES_MAX] = { 0 };
	size_t n = put_probes(walk, &probes, values);

	put_leg_sql(&sql, leg, walk->query->from, walk->at.value != NULL, buf_text(&probes));
	bind_leg(values, leg, &walk->at);
	return db_query_values(db, err, buf_text(&sql), values, n > 0 ? PARAMETERS + 2 * n : n_parameters(leg, walk->query->from));
}

static void
set_place(struct twin_cursor *at, const char *device_id, const char *module_id, json_t *value_take)
{
	char *device = mem_text(device_id), *module = mem_text(module_id);

	mem_free(at->device_id);
	mem_free(at->module_id);
	json_decref(at->value);
	at->device_id = device;
	at->module_id = module;
	at->value = value_take;
}

static int
keep_row(struct twin_walk *walk, const json_t *row, struct err *err)
{
	json_t *shown;

	if (walk->groups)
		return query_groups_add(walk->groups, row, err);
	shown = query_project(walk->query, row);
	if (json_array_size(walk->rows) == 0)
		walk->n_bytes = 0;
	if (walk->max > 0)
		walk->n_bytes += json_dumpb(shown, NULL, 0, JSON_COMPACT);
	json_array_append_new(walk->rows, shown);
	if (walk->at.left > 0)
		walk->at.left--;
	return 0;
}

static int
visit(struct twin_walk *walk, const struct twin_row_context *context, const char *device_id, const char *module_id, struct err *err)
{
	OWN_LIB(json_t) row = NULL;
	unsigned more = walk->column_parts & ~walk->condition_parts;

	walk->n_visited++;
	if (twin_row_load(context, device_id, module_id, walk->condition_parts, &row, err) < 0)
		return -1;
	if (!row || !query_is_true(walk->query->where, row))
		return 0;
	if (more || walk->query->n_columns == 0) { /* what is shown is only what was asked for */
		json_decref(row);
		row = NULL;
		if (twin_row_load(context, device_id, module_id,
			    walk->query->n_columns == 0 ? walk->column_parts : walk->column_parts | walk->condition_parts, &row,
			    err) < 0)
			return -1;
	}
	return row ? keep_row(walk, row, err) : 0;
}

static bool
is_full(const struct twin_walk *walk)
{
	size_t n = json_array_size(walk->rows);

	if (walk->groups)
		return false;
	return walk->at.left == 0 || (walk->max > 0 && ((int64_t)n >= walk->max || (n > 0 && walk->n_bytes >= PAGE_BYTES)));
}

/* The rest of a leg.  1: it is done, 0: the walk stops inside. */
static int
walk_leg(struct twin_walk *walk, const struct twin_leg *leg, const struct twin_row_context *context, int64_t until, struct err *err)
{
	struct db_stmt *rows = open_leg(walk, leg, context->db, err);
	int got = rows ? 0 : -1;

	while (rows && (got = db_next(rows, err)) == 1) {
		const char *module_id = db_text(rows, 1);
		struct db_value value;

		if (is_full(walk)) {
			walk->state = TWIN_WALK_FULL;
			break;
		}
		if (visit(walk, context, db_text(rows, 0), *module_id ? module_id : NULL, err) < 0) {
			got = -1;
			break;
		}
		value = leg->kind == TWIN_LEG_RANGE ? db_get(rows, 2) : (struct db_value){ .type = DB_NULL };
		set_place(&walk->at, db_text(rows, 0), module_id, twin_index_json(&value));
		if (clock_boot_ms() >= until)
			break;
	}
	db_done(rows);
	return got < 0 ? -1 : got == 0;
}

int
twin_walk_go(struct twin_walk *walk, const struct twin_row_context *context, int64_t until, struct err *err)
{
	const struct twin_way *way;
	int done = 1;

	if (!walk->at.has_way && choose_way(walk, context->db, err) < 0)
		return -1;
	way = &walk->plan->ways[walk->at.way];
	walk->state = TWIN_WALK_GOING;
	while (walk->at.leg < way->n_legs && walk->at.left != 0) {
		done = walk_leg(walk, &way->legs[walk->at.leg], context, until, err);
		if (done <= 0)
			return done;
		walk->at.leg++;
		set_place(&walk->at, NULL, NULL, NULL);
	}
	walk->state = TWIN_WALK_END;
	return 0;
}

json_t *
twin_walk_rows(const struct twin_walk *walk)
{
	return walk->groups ? query_groups_rows(walk->groups) : json_incref(walk->rows);
}

/* -- Cursors -------------------------------------------------------------------------------------------------------------------------------- */

static void
hash_of(const char *text, char out[static 2 * HASH_LEN + 1])
{
	uint8_t digest[DIGEST_SHA256_LEN];
	CLEAR(buf) hex = BUF_INIT(64);

	digest_sha256(text, strlen(text), digest);
	hex_encode(&hex, digest, HASH_LEN, false);
	memcpy(out, buf_text(&hex), 2 * HASH_LEN + 1);
}

char *
twin_walk_cursor(const struct twin_walk *walk, const char *text)
{
	const struct twin_cursor *at = &walk->at;
	OWN_LIB(json_t) json = json_object();
	CLEAR(buf) out = BUF_INIT(4 * CURSOR_MAX);
	char hash[2 * HASH_LEN + 1];
	OWN_TEXT line = NULL;

	hash_of(text, hash);
	json_object_set_new(json, "query", json_string(hash));
	json_object_set_new(json, "way", json_integer((json_int_t)at->way));
	json_object_set_new(json, "leg", json_integer((json_int_t)at->leg));
	json_object_set_new(json, "left", json_integer(at->left));
	json_object_set_new(json, "device", json_string(at->device_id ? at->device_id : ""));
	json_object_set_new(json, "module", json_string(at->module_id ? at->module_id : ""));
	if (at->value)
		json_object_set(json, "value", at->value);
	line = json_line(json);
	base64_encode(&out, line, strlen(line));
	return buf_take_text(&out);
}

static int
take_cursor(struct twin_walk *walk, const json_t *json, const char *text, struct err *err)
{
	int64_t way = -1, leg = -1, left = -1;
	const char *query, *device, *module;
	json_t *value = json_object_get(json, "value");
	struct db_value ignored;
	char hash[2 * HASH_LEN + 1];

	if (json_get_text(json, "query", &query, err) < 0 || json_get_text(json, "device", &device, err) < 0 ||
		json_get_text(json, "module", &module, err) < 0 || json_find_int(json, "way", &way, err) < 0 ||
		json_find_int(json, "leg", &leg, err) < 0 || json_find_int(json, "left", &left, err) < 0)
		return -1;
	hash_of(text, hash);
	if (!text_is(query, hash) || way < 0 || (size_t)way >= walk->plan->n_ways || leg < 0 || left < -1 ||
		(value && !twin_index_value(value, &ignored)) || (walk->query->top >= 0) != (left >= 0))
		return -1;
	walk->at.way = (size_t)way;
	walk->at.leg = (size_t)leg;
	walk->at.left = left;
	walk->at.has_way = true;
	set_place(&walk->at, device, module, json_incref(value));
	return 0;
}

static int
read_cursor(struct twin_walk *walk, const char *cursor, const char *text, struct err *err)
{
	CLEAR(buf) line = BUF_INIT(CURSOR_MAX);
	struct err why = ERR_INIT;
	OWN_LIB(json_t) json = NULL;

	if (base64_decode(&line, cursor, strlen(cursor), BASE64_LAX))
		json = json_parse(line.data, line.len, &why);
	if (json_is_object(json) && take_cursor(walk, json, text, &why) == 0)
		return 0;
	return err_set(err, ERR_INVALID, "the continuation token is not one of this query");
}

int
twin_walk_init(struct twin_walk *walk, struct query *query_take, const char *text, const char *const *indexed_paths,
	size_t n_indexed_paths, const char *cursor, int64_t max, struct err *err)
{
	*walk = (struct twin_walk){ .query = query_take, .max = max, .at.left = query_take->folds ? -1 : query_take->top };
	walk->plan = twin_plan_new(query_take, indexed_paths, n_indexed_paths);
	walk->condition_parts = twin_row_condition_parts(query_take);
	walk->column_parts = twin_row_column_parts(query_take);
	walk->rows = json_array();
	if (query_take->folds)
		walk->groups = query_groups_new(query_take);
	return cursor && *cursor && !query_take->folds ? read_cursor(walk, cursor, text, err) : 0;
}

void
twin_walk_clear(struct twin_walk *walk)
{
	set_place(&walk->at, NULL, NULL, NULL);
	query_groups_free(walk->groups);
	json_decref(walk->rows);
	twin_plan_free(walk->plan);
	query_free(walk->query);
	*walk = (struct twin_walk){ 0 };
}

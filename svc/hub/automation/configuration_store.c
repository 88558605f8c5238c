/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations in the database (configuration_store.h). */
#include "hub/automation/configuration_store.h"

#include <string.h>

#include "base/mem.h"
#include "wire/json.h"

/* -- Configurations --------------------------------------------------------------------------------------------------------------------------- */

static struct configuration *
read_row(struct db *db, struct db_stmt *row, struct err *err)
{
	const char *text = db_text(row, 3);
	OWN(configuration) c =
		configuration_new(db_text(row, 0), db_text(row, 1), json_parse(text, strlen(text), err), db_int(row, 2));

	if (!json_is_object(c->doc) || configuration_read(c, err) != CONFIGURATION_OK)
		return err_null(err, ERR_BROKEN, "%s is damaged, and left untouched: the configuration %s", db_path(db), c->id);
	c->is_doomed = db_int(row, 4) != 0;
	c->sweep = db_int(row, 5);
	return GIVE(c);
}

int
configuration_store_load(
	struct db *db, int (*each)(void *arg, struct configuration *c, struct err *err), void *arg, struct err *err)
{
	struct db_stmt *rows = db_query(db, err,
		"SELECT id, etag, created_ms, doc, is_doomed, (SELECT ifnull(max(sweep), 0) FROM configuration_twin t WHERE t.id = "
		"c.id) FROM configuration c ORDER BY id",
		"");
	int got = rows ? 0 : -1;

	while (rows && (got = db_next(rows, err)) == 1) {
		struct configuration *c = read_row(db, rows, err);

		if (!c || each(arg, c, err) < 0) {
			got = -1;
			break;
		}
	}
	db_done(rows);
	return got;
}

int
configuration_store_save(struct db *db, const struct configuration *c, struct err *err)
{
	OWN_TEXT text = json_line(c->doc);

	return db_run(db, err, "INSERT OR REPLACE INTO configuration (id, etag, created_ms, doc) VALUES (?, ?, ?, ?)", "ttit",
		c->id, c->etag, c->created_ms, text);
}

int
configuration_store_doom(struct db *db, const struct configuration *c, struct err *err)
{
	return db_run(db, err, "UPDATE configuration SET is_doomed = 1 WHERE id = ?", "t", c->id);
}

int
configuration_store_remove(struct db *db, const struct configuration *c, struct err *err)
{
	return db_run(db, err, "DELETE FROM configuration WHERE id = ?", "t", c->id);
}

/* -- Which twin has which configurations -------------------------------------------------------------------------------------------------------- */

int
configuration_store_held(struct db *db, struct configuration_target target, struct configuration *const *list, size_t n_list,
	const struct configuration *except, struct configuration_held *held, struct err *err)
{
	struct db_stmt *rows = db_query(db, err, "SELECT id, applied FROM configuration_twin WHERE device_id = ? AND module_id = ?",
		"tt", target.device_id, target.module_id);
	int got = rows ? 0 : -1;

	held->n = 0;
	while (rows && (got = db_next(rows, err)) == 1) {
		struct configuration *c = configuration_find(list, n_list, db_text(rows, 0), false);

		if (c && c != except && held->n < CONFIGURATIONS_MAX) {
			held->applied[held->n] = db_int(rows, 1) != 0;
			held->list[held->n++] = c;
		}
	}
	db_done(rows);
	return got;
}

int
configuration_store_hold(struct db *db, const struct configuration *c, struct configuration_target target, struct err *err)
{
	return db_run(db, err,
		"INSERT INTO configuration_twin (id, device_id, module_id, applied, sweep) VALUES (?, ?, ?, 0, ?)"
		" ON CONFLICT (id, device_id, module_id) DO UPDATE SET sweep = excluded.sweep",
		"ttti", c->id, target.device_id, target.module_id, c->sweep);
}

int
configuration_store_let_go(struct db *db, const struct configuration *c, struct configuration_target target, struct err *err)
{
	return db_run(db, err, "DELETE FROM configuration_twin WHERE id = ? AND device_id = ? AND module_id = ?", "ttt", c->id,
		target.device_id, target.module_id);
}

int
configuration_store_set_applied(
	struct db *db, const struct configuration *c, struct configuration_target target, bool applied, struct err *err)
{
	return db_run(db, err, "UPDATE configuration_twin SET applied = ? WHERE id = ? AND device_id = ? AND module_id = ?", "ittt",
		(int64_t)applied, c->id, target.device_id, target.module_id);
}

int
configuration_store_forget(struct db *db, struct configuration_target target, struct err *err)
{
	return db_run(db, err, "DELETE FROM configuration_twin WHERE device_id = ? AND (module_id = ?2 OR ?2 = '')", "tt",
		target.device_id, target.module_id);
}

int
configuration_store_unswept(struct db *db, const struct configuration *c, char **device_id, char **module_id, struct err *err)
{
	struct db_stmt *row = db_query(db, err,
		"SELECT device_id, module_id FROM configuration_twin WHERE id = ? AND sweep != ? LIMIT 1", "ti", c->id, c->sweep);
	int got = row ? db_next(row, err) : -1;

	if (got == 1) {
		*device_id = mem_text(db_text(row, 0));
		*module_id = mem_text(db_text(row, 1));
	}
	db_done(row);
	return got;
}

int
configuration_store_count(struct db *db, const struct configuration *c, int64_t *targeted, int64_t *applied, struct err *err)
{
	struct db_stmt *row =
		db_query(db, err, "SELECT count(*), ifnull(sum(applied), 0) FROM configuration_twin WHERE id = ?", "t", c->id);
	int got = row ? db_next(row, err) : -1;

	if (got == 1) {
		*targeted = db_int(row, 0);
		*applied = db_int(row, 1);
	}
	db_done(row);
	return got < 0 ? -1 : 0;
}

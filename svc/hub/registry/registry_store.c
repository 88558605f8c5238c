/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of the registry (registry_store.h).  Identities stand in columns, not in JSON: what is looked for has an index, and what the REST API
 * shows may change without the file. */
#include "hub/registry/registry_store.h"

#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rd.h"

#include "base/text.h"
#include "hub/commands/command_store.h"
#include "hub/files/file_store.h"
#include "hub/registry/schema.h"
#include "hub/twins/twin_store.h"
#include "store/db.h"

#define SMALL_FILE (8 << 20) /* some 20,000 devices: looked through in less than 50 ms */

struct registry_store {
	struct db *db;
	bool checked;
	void (*ended)(void *arg, bool is_durable);
	void *ended_arg;
};

static struct registry_store *
store_over(struct db *db_take, bool checked)
{
	struct registry_store *store = NEW(registry_store);

	store->db = db_take;
	store->checked = checked;
	return store;
}

static struct registry_store *
open_db(const char *path, enum db_check check, struct err *err)
{
	struct db *db = db_open_checked(path, schema_migrations, schema_n_migrations, check, err);

	return db ? store_over(db, check == DB_CHECK_NOW) : NULL;
}

struct registry_store *
registry_store_open(const char *path, struct err *err)
{
	return open_db(path, DB_CHECK_NOW, err);
}

struct registry_store *
registry_store_open_soon(const char *path, struct err *err)
{
	struct stat st;

	return open_db(path, stat(path, &st) == 0 && st.st_size > SMALL_FILE ? DB_CHECK_LATER : DB_CHECK_NOW, err);
}

struct registry_store *
registry_store_open_reader(const struct registry_store *store, struct err *err)
{
	struct db *db = db_open_reader(db_path(store->db), err);

	return db ? store_over(db, true) : NULL;
}

int
registry_store_expect_many(struct registry_store *store, struct err *err)
{
	return db_expect_many(store->db, err);
}

bool
registry_store_is_checked(const struct registry_store *store)
{
	return store->checked;
}

int
registry_store_check(struct registry_store *store, struct err *err)
{
	if (!store->checked && db_check(store->db, err) < 0)
		return -1;
	store->checked = true;
	return 0;
}

void
registry_store_close(struct registry_store *store)
{
	if (!store)
		return;
	db_close(store->db);
	mem_free(store);
}

struct db *
registry_store_db(struct registry_store *store)
{
	return store->db;
}

int
registry_store_begin(struct registry_store *store, struct err *err)
{
	return registry_store_check(store, err) < 0 ? -1 : db_begin(store->db, err);
}

int
registry_store_end(struct registry_store *store, int done, struct err *err)
{
	int ended = db_end(store->db, done, err);

	if (store->ended && !db_is_in_transaction(store->db))
		store->ended(store->ended_arg, ended == 0);
	return ended;
}

void
registry_store_watch(struct registry_store *store, void (*ended)(void *arg, bool is_durable), void *arg)
{
	store->ended = ended;
	store->ended_arg = arg;
}

/* -- Identities ---------------------------------------------------------------------------------------------------------------- */

static void
read_secret(struct secret *secret, struct db_stmt *row, int column)
{
	size_t len;
	const void *bytes = db_blob(row, column, &len);

	if (bytes && len > 0 && len <= SECRET_MAX)
		secret_set(secret, bytes, len);
}

/* One scope a line: a space or a line break is in none. */
static void
read_parents(struct identity *identity, const char *text)
{
	struct slice rest = slice_of(text ? text : ""), one;

	while (rest.len > 0 && identity->n_parents < IDENTITY_PARENTS_MAX) {
		slice_cut(&rest, '\n', &one);
		if (one.len > 0)
			identity->parents[identity->n_parents++] = slice_text(one);
	}
}

static char *
parents_text(const struct identity *identity)
{
	CLEAR(buf) text = BUF_INIT(4096);

	for (size_t i = 0; i < identity->n_parents; i++)
		buf_putf(&text, "%s\n", identity->parents[i]);
	return text.len > 0 ? buf_take_text(&text) : NULL;
}

#define SELECT_IDENTITY                                                                                                            \
	"SELECT device_id, module_id, generation_id, etag, enabled, status_reason, is_edge, auth, key1, key2, thumbprint1, "       \
	"thumbprint2,"                                                                                                             \
	" scope, parents, managed_by, created, status_updated FROM identity"

static struct identity *
read_identity(struct db_stmt *row)
{
	const char *module_id = db_text(row, 1);
	struct identity *identity = identity_new(db_text(row, 0), *module_id ? module_id : NULL);

	identity->generation_id = mem_text(db_text(row, 2));
	identity->etag = mem_text(db_text(row, 3));
	identity->enabled = db_int(row, 4) != 0;
	identity->status_reason = mem_text(db_text(row, 5));
	identity->is_edge = db_int(row, 6) != 0;
	identity->auth = (enum identity_auth)db_int(row, 7);
	read_secret(&identity->keys[0], row, 8);
	read_secret(&identity->keys[1], row, 9);
	identity->thumbprints[0] = mem_text(db_text(row, 10));
	identity->thumbprints[1] = mem_text(db_text(row, 11));
	identity->scope = mem_text(db_text(row, 12));
	read_parents(identity, db_text(row, 13));
	identity->managed_by = mem_text(db_text(row, 14));
	identity->created = db_int(row, 15);
	identity->status_updated = db_int(row, 16);
	return identity;
}

int
registry_store_load(struct registry_store *store, registry_store_identity *each, void *arg, struct err *err)
{
	struct db_stmt *rows = db_query(store->db, err, SELECT_IDENTITY, "");
	int got;

	if (!rows)
		return -1;
	while ((got = db_next(rows, err)) == 1)
		if (each(arg, read_identity(rows), err) < 0) {
			got = err_wrap(err, "%s is damaged, and left untouched", db_path(store->db));
			break;
		}
	db_done(rows);
	return got;
}

int
registry_store_find(
	struct registry_store *store, const char *device_id, const char *module_id, struct identity **out, struct err *err)
{
	struct db_stmt *row = db_query(store->db, err, SELECT_IDENTITY " WHERE device_id = ? AND module_id = ?", "tt", device_id,
		module_id ? module_id : "");
	int got;

	if (!row)
		return -1;
	got = db_next(row, err);
	if (got >= 0)
		*out = got == 1 ? read_identity(row) : NULL;
	db_done(row);
	return got < 0 ? -1 : 0;
}

int
registry_store_put(struct registry_store *store, const struct identity *i, struct err *err)
{
	OWN_TEXT parents = parents_text(i);
	const char *parent = i->n_parents > 0 ? i->parents[0] : NULL;

	return db_run(store->db, err,
		"INSERT OR REPLACE INTO identity (device_id, module_id, generation_id, etag, enabled, status_reason, is_edge, "
		"auth, key1, key2,"
		" thumbprint1, thumbprint2, scope, parents, parent, managed_by, created, status_updated)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		"ttttitiibbttttttii", i->device_id, i->module_id ? i->module_id : "", i->generation_id, i->etag,
		(int64_t)i->enabled, i->status_reason, (int64_t)i->is_edge, (int64_t)i->auth, i->keys[0].bytes, i->keys[0].len,
		i->keys[1].bytes, i->keys[1].len, i->thumbprints[0], i->thumbprints[1], i->scope, parents, parent, i->managed_by,
		i->created, i->status_updated);
}

/* What is kept for the name of an identity goes with it. */
int
registry_store_remove(struct registry_store *store, const char *device_id, const char *module_id, struct err *err)
{
	int64_t n_commands;

	if (!module_id && db_run(store->db, err, "DELETE FROM job_device WHERE device_id = ?", "t", device_id) < 0)
		return -1;
	if (db_run(store->db, err, "DELETE FROM configuration_twin WHERE device_id = ?1 AND (?2 IS NULL OR module_id = ?2)", "tt",
		    device_id, module_id) < 0 ||
		twin_store_remove(store->db, device_id, module_id, err) < 0 ||
		command_store_forget(store, device_id, module_id, &n_commands, err) < 0)
		return -1;
	if (module_id) {
		OWN_TEXT name = mem_textf("%s/%s", device_id, module_id);

		if (registry_store_put_subscriptions(store, name, NULL, err) < 0 ||
			db_run(store->db, err, "DELETE FROM thumbprint_rotation WHERE device_id = ? AND module_id = ?", "tt",
				device_id, module_id) < 0)
			return -1;
		return db_run(
			store->db, err, "DELETE FROM identity WHERE device_id = ? AND module_id = ?", "tt", device_id, module_id);
	}
	if (db_run(store->db, err,
		    "DELETE FROM subscription WHERE name = ?1 OR name IN"
		    " (SELECT device_id || '/' || module_id FROM identity WHERE device_id = ?1 AND module_id != '')",
		    "t", device_id) < 0 ||
		db_run(store->db, err, "DELETE FROM thumbprint_rotation WHERE device_id = ?", "t", device_id) < 0)
		return -1;
	if (file_store_forget_device(store, device_id, err) < 0)
		return -1;
	return db_run(store->db, err, "DELETE FROM identity WHERE device_id = ?", "t", device_id);
}

/* Give the names of a query's rows to `each`. */
static int
each_name(struct db_stmt *rows, registry_store_name *each, void *arg, struct err *err)
{
	const char *module_id;
	int got;

	if (!rows)
		return -1;
	while ((got = db_next(rows, err)) == 1) {
		module_id = db_text(rows, 1);
		each(arg, db_text(rows, 0), *module_id ? module_id : NULL);
	}
	db_done(rows);
	return got;
}

int
registry_store_devices(
	struct registry_store *store, const char *after, int64_t max, registry_store_name *each, void *arg, struct err *err)
{
	return each_name(db_query(store->db, err,
				 "SELECT device_id, module_id FROM identity WHERE module_id = '' AND device_id > ? ORDER BY "
				 "device_id LIMIT ?",
				 "ti", after ? after : "", max),
		each, arg, err);
}

int
registry_store_modules(struct registry_store *store, const char *device_id, registry_store_name *each, void *arg, struct err *err)
{
	return each_name(
		db_query(store->db, err,
			"SELECT device_id, module_id FROM identity WHERE device_id = ? AND module_id != '' ORDER BY module_id", "t",
			device_id),
		each, arg, err);
}

int
registry_store_children(struct registry_store *store, const char *scope, const char *after, int64_t max, registry_store_name *each,
	void *arg, struct err *err)
{
	return each_name(db_query(store->db, err,
				 "SELECT device_id, module_id FROM identity WHERE parent = ? AND module_id = '' AND device_id > ? "
				 "ORDER BY device_id LIMIT ?",
				 "tti", scope, after ? after : "", max),
		each, arg, err);
}

/* -- Numbers and words ------------------------------------------------------------------------------------------------------------ */

int
registry_store_get_number(struct registry_store *store, const char *name, int64_t *value, struct err *err)
{
	int got = db_number(store->db, value, err, "SELECT value FROM number WHERE name = ?", "t", name);

	if (got == 0)
		*value = 0;
	return got < 0 ? -1 : 0;
}

int
registry_store_set_number(struct registry_store *store, const char *name, int64_t value, struct err *err)
{
	return db_run(store->db, err, "INSERT OR REPLACE INTO number (name, value) VALUES (?, ?)", "ti", name, value);
}

int
registry_store_get_text(struct registry_store *store, const char *name, char **value, struct err *err)
{
	struct db_stmt *row = db_query(store->db, err, "SELECT value FROM word WHERE name = ?", "t", name);
	int got;

	if (!row)
		return -1;
	got = db_next(row, err);
	if (got >= 0)
		*value = got == 1 ? mem_text(db_text(row, 0)) : NULL;
	db_done(row);
	return got < 0 ? -1 : 0;
}

int
registry_store_set_text(struct registry_store *store, const char *name, const char *value, struct err *err)
{
	OWN_TEXT before = NULL;

	/* What stands there already is not written again: three syncs less at every start. */
	if (registry_store_get_text(store, name, &before, err) < 0)
		return -1;
	if (before && text_is(before, value))
		return 0;
	if (registry_store_check(store, err) < 0)
		return -1;
	return db_run(store->db, err, "INSERT OR REPLACE INTO word (name, value) VALUES (?, ?)", "tt", name, value);
}

/* -- Policies and subscriptions ------------------------------------------------------------------------------------------------------ */

int
registry_store_policies(struct registry_store *store, registry_store_policy *each, void *arg, struct err *err)
{
	struct db_stmt *rows = db_query(store->db, err, "SELECT name, rights, key1, key2 FROM policy ORDER BY name", "");
	int got;

	if (!rows)
		return -1;
	while ((got = db_next(rows, err)) == 1) {
		struct secret keys[2] = { 0 };

		read_secret(&keys[0], rows, 2);
		read_secret(&keys[1], rows, 3);
		if (keys[0].len == 0 || keys[1].len == 0)
			got = err_set(err, ERR_BROKEN, "%s is damaged, and left untouched: the policy %s has no key",
				db_path(store->db), db_text(rows, 0));
		else
			each(arg, db_text(rows, 0), (unsigned)db_int(rows, 1), keys);
		secret_clear(&keys[0]);
		secret_clear(&keys[1]);
		if (got < 0)
			break;
	}
	db_done(rows);
	return got;
}

int
registry_store_put_policy(
	struct registry_store *store, const char *name, unsigned rights, const struct secret keys[2], struct err *err)
{
	return db_run(store->db, err, "INSERT OR REPLACE INTO policy (name, rights, key1, key2) VALUES (?, ?, ?, ?)", "tibb", name,
		(int64_t)rights, keys[0].bytes, keys[0].len, keys[1].bytes, keys[1].len);
}

int
registry_store_remove_policy(struct registry_store *store, const char *name, struct err *err)
{
	return db_run(store->db, err, "DELETE FROM policy WHERE name = ?", "t", name);
}

int
registry_store_subscriptions(struct registry_store *store, registry_store_filters *each, void *arg, struct err *err)
{
	struct db_stmt *rows = db_query(store->db, err, "SELECT name, filters FROM subscription", "");
	int got;

	if (!rows)
		return -1;
	while ((got = db_next(rows, err)) == 1)
		each(arg, db_text(rows, 0), db_text(rows, 1));
	db_done(rows);
	return got;
}

int
registry_store_put_subscriptions(struct registry_store *store, const char *name, const char *filters, struct err *err)
{
	if (!filters)
		return db_run(store->db, err, "DELETE FROM subscription WHERE name = ?", "t", name);
	return db_run(store->db, err, "INSERT OR REPLACE INTO subscription (name, filters) VALUES (?, ?)", "tt", name, filters);
}

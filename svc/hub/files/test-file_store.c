/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications of uploads in SQLite. */
#include "base/mem.h"
#include "hub/files/file_store.h"
#include "store/db.h"
#include "t.h"

#define DAY (24 * 3600)

static int64_t
count(struct registry_store *store)
{
	struct err err = ERR_INIT;
	struct db_stmt *row = db_query(registry_store_db(store), &err, "SELECT count(*) FROM file_notification", "");
	int64_t n = db_next(row, &err) == 1 ? db_int(row, 0) : -1;

	db_done(row);
	return n;
}

static void
put(struct registry_store *store, int64_t now)
{
	struct file_notification n = {
		.device_id = mem_text("dev1"), .blob = mem_text("dev1/a"), .size = 1, .modified = now, .enqueued = now
	};
	struct err err = ERR_INIT;

	CHECK_INT(file_store_put_notification(store, &n, &err), 0);
	file_notification_clear(&n);
}

TEST("notifications that no service asks for go after two days with those that come, and nobody has to ask for that")
{
	OWN_TEXT path = mem_textf("%s/hub.sqlite", T_TMPDIR);
	struct err err = ERR_INIT;
	struct registry_store *store = registry_store_open(path, &err);

	for (int i = 0; i < 10; i++)
		put(store, DAY);
	put(store, 2 * DAY);
	CHECK_INT(count(store), 11);
	for (int i = 0; i < 5; i++)
		put(store, 3 * DAY + 1);
	CHECK_INT(count(store), 6);
	put(store, 3 * DAY + 1);
	CHECK_INT(count(store), 7);
	registry_store_close(store);
}

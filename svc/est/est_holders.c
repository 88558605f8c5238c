/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of who holds which root (est_store.h). */
#include "base/mem.h"
#include "est/est_store_inside.h"

/* Who asks again is known already, and most do: that is looked up without a lock on the file. */
static int
has(struct est_store *s, const struct est_holding *h, bool *out, struct err *err)
{
	struct db_stmt *row = db_query(
		s->db, err, "SELECT 1 FROM held WHERE id = ? AND root = ? AND says >= ?", "tti", h->id, h->root, (int64_t)h->says);
	int found = est_store_next(row, err);

	est_store_end(row);
	*out = found > 0;
	return found < 0 ? -1 : 0;
}

int
est_store_hold(struct est_store *s, const struct est_holding *list, size_t n, struct err *err)
{
	int done = 0;

	est_store_lock(s);
	for (size_t i = 0; i < n && done == 0; i++) {
		bool known;

		done = has(s, &list[i], &known, err);
		if (done == 0 && !known)
			done = db_run(s->db, err,
				"INSERT INTO held (id, root, since, says) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET says = 1",
				"ttii", list[i].id, list[i].root, list[i].since, (int64_t)list[i].says);
	}
	return est_store_unlock(s, done);
}

int
est_store_list_holders(struct est_store *s, const char *root, void (*each)(void *arg, const struct est_holding *holding), void *arg,
	struct err *err)
{
	struct db_stmt *row;
	int found;

	est_store_lock(s);
	row = db_query(s->db, err, "SELECT id, since, says FROM held WHERE root = ? ORDER BY id", "t", root);
	while ((found = est_store_next(row, err)) > 0)
		each(arg, &(struct est_holding){
				  .id = db_text(row, 0), .root = root, .since = db_int(row, 1), .says = db_int(row, 2) != 0 });
	est_store_end(row);
	return est_store_unlock(s, found < 0 ? -1 : 0);
}

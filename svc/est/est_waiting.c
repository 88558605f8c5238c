/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of requests that wait for approval (est_store.h). */
#include "est/est_store_inside.h"

const char *
est_waiting_name(enum est_waiting_state state)
{
	static const char *const names[] = {
		[EST_PENDING] = "pending", [EST_APPROVED] = "approved", [EST_DENIED] = "denied", [EST_ISSUED] = "issued"
	};

	return names[state];
}

static enum est_waiting_state
state_of(int64_t number)
{
	return number < EST_PENDING || number > EST_ISSUED ? EST_DENIED : (enum est_waiting_state)number;
}

static int
find_waiting(struct est_store *s, struct est_waiting *w, struct err *err)
{
	struct db_stmt *row =
		db_query(s->db, err, "SELECT number, asked, state FROM waiting WHERE label = ? AND requester = ? AND request = ?",
			"ttt", w->label, w->requester, w->request);
	int there = est_store_next(row, err);

	if (there > 0) {
		w->number = db_int(row, 0);
		w->asked = db_int(row, 1);
		w->state = state_of(db_int(row, 2));
	}
	est_store_end(row);
	return there;
}

static int
check_room(struct est_store *s, struct err *err)
{
	int64_t n = 0;

	if (db_number(s->db, &n, err, "SELECT count(*) FROM waiting WHERE state = 0", "") < 0)
		return -1;
	return n < EST_WAITING_MAX
		       ? 0
		       : err_set(err, ERR_LIMIT, "%d requests wait for approval, no further one is taken", EST_WAITING_MAX);
}

static int
ask(struct est_store *s, struct est_waiting *w, int64_t now, struct err *err)
{
	int there = find_waiting(s, w, err);

	if (there != 0)
		return there < 0 ? -1 : 0;
	if (check_room(s, err) < 0)
		return -1;
	if (db_run(s->db, err, "INSERT INTO waiting (asked, label, requester, request, who, state) VALUES (?, ?, ?, ?, ?, 0)",
		    "itttt", now, w->label, w->requester, w->request, w->who) < 0)
		return -1;
	return find_waiting(s, w, err) < 0 ? -1 : 0;
}

int
est_store_ask(struct est_store *s, struct est_waiting *w, int64_t now, struct err *err)
{
	est_store_lock(s);
	if (db_begin(s->db, err) < 0)
		return est_store_unlock(s, -1);
	return est_store_unlock(s, db_end(s->db, ask(s, w, now, err), err));
}

int
est_store_decide(struct est_store *s, int64_t number, bool approve, struct err *err)
{
	int done;

	est_store_lock(s);
	done = db_run(s->db, err, "UPDATE waiting SET state = ? WHERE number = ? AND state = 0", "ii",
		(int64_t)(approve ? EST_APPROVED : EST_DENIED), number);
	if (done == 0 && db_changes(s->db) == 0)
		done = err_set(err, ERR_CONFLICT, "no request %lld waits", (long long)number);
	return est_store_unlock(s, done);
}

int
est_store_settle(struct est_store *s, int64_t number, struct err *err)
{
	est_store_lock(s);
	return est_store_unlock(s, db_run(s->db, err, "UPDATE waiting SET state = 3 WHERE number = ? AND state = 1", "i", number));
}

int
est_store_list_waiting(
	struct est_store *s, bool all, void (*each)(void *arg, const struct est_waiting *waiting), void *arg, struct err *err)
{
	struct db_stmt *row;
	int more;

	est_store_lock(s);
	row = db_query(s->db, err,
		"SELECT number, asked, label, requester, request, who, state FROM waiting WHERE state <= ? ORDER BY number", "i",
		(int64_t)(all ? EST_ISSUED : EST_PENDING));
	for (more = est_store_next(row, err); more > 0; more = db_next(row, err)) {
		struct est_waiting w = { .number = db_int(row, 0),
			.asked = db_int(row, 1),
			.label = db_text(row, 2),
			.requester = db_text(row, 3),
			.request = db_text(row, 4),
			.who = db_text(row, 5),
			.state = state_of(db_int(row, 6)) };

		each(arg, &w);
	}
	est_store_end(row);
	return est_store_unlock(s, more);
}

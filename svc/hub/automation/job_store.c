/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduled jobs in the database (job_store.h). */
#include "hub/automation/job_store.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "wire/json.h"

#define SELECT_JOB "SELECT id, doc, created_ms, start_ms, end_ms, status, failure FROM job"

static enum scheduled_job_status
status_in(struct db_stmt *row, int column)
{
	return (enum scheduled_job_status)(db_int(row, column) % SCHEDULED_JOB_STATUS_COUNT);
}

/* -- Jobs ------------------------------------------------------------------------------------------------------------------------------------ */

/* Whether a method that was on its way has been carried out, nobody knows. */
static int
give_up_running(struct db *db, struct err *err)
{
	OWN_LIB(json_t) outcome = scheduled_job_error("the hub was stopped meanwhile");
	OWN_TEXT text = json_line(outcome);

	return db_run(db, err, "UPDATE job_device SET status = ?, outcome = ? WHERE status = ?", "iti",
		(int64_t)SCHEDULED_JOB_FAILED, text, (int64_t)SCHEDULED_JOB_RUNNING);
}

int
job_store_load(struct db *db, void (*each)(void *arg, const char *id, json_t *doc, int64_t start_ms), void *arg, struct err *err)
{
	struct db_stmt *row;
	int got = -1;

	if (give_up_running(db, err) < 0)
		return -1;
	row = db_query(db, err, SELECT_JOB " WHERE status <= ?", "i", (int64_t)SCHEDULED_JOB_RUNNING);
	while (row && (got = db_next(row, err)) == 1) {
		const char *text = db_text(row, 1);
		OWN_LIB(json_t) doc = json_parse(text, strlen(text), err);

		if (!doc || scheduled_job_check(doc, err) < 0) {
			got = err_wrap(err, "%s is damaged, and left untouched: the job %s", db_path(db), db_text(row, 0));
			break;
		}
		each(arg, db_text(row, 0), doc, db_int(row, 3));
	}
	db_done(row);
	return got;
}

int
job_store_add(struct db *db, const char *id, const json_t *doc, int64_t created_ms, int64_t start_ms, struct err *err)
{
	OWN_TEXT text = json_line(doc);

	if (db_run(db, err, "INSERT OR IGNORE INTO job (id, doc, created_ms, start_ms, end_ms, status) VALUES (?, ?, ?, ?, 0, ?)",
		    "ttiii", id, text, created_ms, start_ms, (int64_t)SCHEDULED_JOB_WAITING) < 0)
		return -1;
	return db_changes(db) > 0;
}

int
job_store_begin(struct db *db, const char *id, struct err *err)
{
	return db_run(db, err, "UPDATE job SET status = ? WHERE id = ?", "it", (int64_t)SCHEDULED_JOB_RUNNING, id);
}

int
job_store_end(struct db *db, const char *id, enum scheduled_job_status status, const char *why, int64_t now_ms, struct err *err)
{
	return db_run(db, err,
		"UPDATE job SET status = ?1, end_ms = ?2, failure = ?3, n_devices = (SELECT count(*) FROM job_device WHERE job_id "
		"= ?4) WHERE id = ?4",
		"iitt", (int64_t)status, now_ms, why, id);
}

/* Both statements must forget the same: the job last. */
#define FORGOTTEN                                                                                                                  \
	"(SELECT id FROM (SELECT id, end_ms, row_number() OVER newest AS n, sum(n_devices) OVER newest AS n_devices FROM job"      \
	" WHERE end_ms > 0 WINDOW newest AS (ORDER BY end_ms DESC, id)) WHERE end_ms < ?1 OR n > ?2 OR n_devices > ?3)"

int
job_store_forget(struct db *db, int64_t before_ms, int64_t max_jobs, int64_t max_devices, struct err *err)
{
	if (db_run(db, err, "DELETE FROM job_device WHERE job_id IN " FORGOTTEN, "iii", before_ms, max_jobs, max_devices) < 0)
		return -1;
	return db_run(db, err, "DELETE FROM job WHERE id IN " FORGOTTEN, "iii", before_ms, max_jobs, max_devices);
}

/* -- Devices --------------------------------------------------------------------------------------------------------------------------------- */

int
job_store_has_device(struct db *db, const char *job_id, const char *device_id, struct err *err)
{
	struct db_stmt *row =
		db_query(db, err, "SELECT 1 FROM job_device WHERE job_id = ? AND device_id = ?", "tt", job_id, device_id);
	int got = row ? db_next(row, err) : -1;

	db_done(row);
	return got;
}

int
job_store_put_device(struct db *db, const char *job_id, const char *device_id, enum scheduled_job_status status,
	const json_t *outcome, struct err *err)
{
	OWN_TEXT text = outcome ? json_line(outcome) : NULL;
	int64_t now = clock_wall_ms();

	return db_run(db, err,
		"INSERT INTO job_device (job_id, device_id, status, start_ms, updated_ms, outcome) VALUES (?, ?, ?, ?, ?, ?)"
		" ON CONFLICT (job_id, device_id) DO UPDATE SET status = excluded.status, updated_ms = excluded.updated_ms, "
		"outcome = excluded.outcome",
		"ttiiit", job_id, device_id, (int64_t)status, now, now, text);
}

/* -- As they are shown -------------------------------------------------------------------------------------------------------------------------- */

static int
count_devices(struct db *db, struct scheduled_job_row *job, struct err *err)
{
	struct db_stmt *row = db_query(db, err,
		"SELECT count(*), sum(status = 2), sum(status = 3), sum(status = 1) FROM job_device WHERE job_id = ?", "t",
		job->id);
	int got = row ? db_next(row, err) : -1;

	if (got == 1) {
		job->n_devices = db_int(row, 0);
		job->n_completed = db_int(row, 1);
		job->n_failed = db_int(row, 2);
		job->n_running = db_int(row, 3);
	}
	db_done(row);
	return got < 0 ? -1 : 0;
}

static json_t *
view_of(struct db *db, struct db_stmt *row, struct err *err)
{
	const char *text = db_text(row, 1);
	OWN_LIB(json_t) doc = json_parse(text, strlen(text), err);
	struct scheduled_job_row job = {
		.id = db_text(row, 0),
		.doc = doc,
		.created_ms = db_int(row, 2),
		.start_ms = db_int(row, 3),
		.end_ms = db_int(row, 4),
		.status = status_in(row, 5),
		.failure = db_text(row, 6),
	};

	if (!doc || count_devices(db, &job, err) < 0)
		return NULL;
	return scheduled_job_view(&job);
}

int
job_store_get(struct db *db, const char *id, json_t **view, struct err *err)
{
	struct db_stmt *row = db_query(db, err, SELECT_JOB " WHERE id = ?", "t", id);
	int got = row ? db_next(row, err) : -1;

	if (got == 1) {
		*view = view_of(db, row, err);
		got = *view ? 1 : -1;
	}
	db_done(row);
	return got;
}

int
job_store_list(struct db *db, const char *after, bool (*each)(void *arg, const char *id, json_t *view), void *arg, struct err *err)
{
	struct db_stmt *row = db_query(db, err, SELECT_JOB " WHERE id > ? ORDER BY id", "t", after);
	int got = row ? 0 : -1;

	while (row && (got = db_next(row, err)) == 1) {
		OWN_LIB(json_t) view = view_of(db, row, err);

		if (!view)
			got = -1;
		if (!view || !each(arg, db_text(row, 0), view))
			break;
	}
	db_done(row);
	return got < 0 ? -1 : 0;
}

static json_t *
device_view(struct db_stmt *row)
{
	struct err ignored = ERR_INIT;
	const char *text = db_text(row, 6);
	OWN_LIB(json_t) outcome = text ? json_parse(text, strlen(text), &ignored) : NULL;
	struct scheduled_job_device_row device = {
		.job_id = db_text(row, 0),
		.device_id = db_text(row, 1),
		.status = status_in(row, 2),
		.start_ms = db_int(row, 3),
		.updated_ms = db_int(row, 4),
		.created_ms = db_int(row, 5),
		.outcome = outcome,
		.type = db_text(row, 7),
	};

	return scheduled_job_device_view(&device);
}

int
job_store_list_devices(struct db *db, const char *after_job, const char *after_device,
	bool (*each)(void *arg, const char *job_id, const char *device_id, json_t *view), void *arg, struct err *err)
{
	struct db_stmt *row = db_query(db, err,
		"SELECT d.job_id, d.device_id, d.status, d.start_ms, d.updated_ms, j.created_ms, d.outcome, json_extract(j.doc, "
		"'$.type')"
		" FROM job_device d JOIN job j ON j.id = d.job_id WHERE (d.job_id, d.device_id) > (?, ?) ORDER BY d.job_id, "
		"d.device_id",
		"tt", after_job, after_device);
	int got = row ? 0 : -1;

	while (row && (got = db_next(row, err)) == 1) {
		OWN_LIB(json_t) view = device_view(row);

		if (!each(arg, db_text(row, 0), db_text(row, 1), view))
			break;
	}
	db_done(row);
	return got < 0 ? -1 : 0;
}

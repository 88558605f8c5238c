/* SPDX-License-Identifier: Apache-2.0 */
/* Feedback about commands (feedback.h). */
#include "hub/commands/feedback.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"

int
feedback_store_put(struct registry_store *store, const struct feedback_record *r, struct err *err)
{
	return db_run(registry_store_db(store), err,
		"INSERT INTO feedback (message_id, device_id, generation_id, outcome, ended_ms, locked_until_ms, n_deliveries)"
		" VALUES (?, ?, ?, ?, ?, 0, 0)",
		"tttii", r->message_id, r->device_id, r->generation_id, (int64_t)r->end, r->ended_ms);
}

int
feedback_store_trim(struct registry_store *store, int64_t now_ms, struct err *err)
{
	return db_run(registry_store_db(store), err,
		"DELETE FROM feedback WHERE ended_ms <= ? OR sequence <= (SELECT MAX(sequence) FROM feedback) - ?", "ii",
		now_ms - FEEDBACK_LIFE_MS, (int64_t)FEEDBACK_RECORDS_MAX);
}

/* -- A batch ----------------------------------------------------------------------------------------------------------------------------- */

/* What a batch is made of: all that nobody has, oldest first.  A lock that ends too late was made before the clock went back. */
#define IS_FREE "(locked_until_ms <= ?1 OR locked_until_ms > ?1 + ?2)"

struct batch {
	json_t *records;
	int64_t last; /* its last sequence */
	bool is_due;  /* one has waited long enough, or was handed out before */
};

static json_t *
record_json(struct db_stmt *row)
{
	static const char *const descriptions[COMMAND_END_COUNT] = {
		[COMMAND_SUCCESS] = "Success",
		[COMMAND_EXPIRED] = "Message expired",
		[COMMAND_DELIVERY_COUNT_EXCEEDED] = "Message reached maximum delivery count",
		[COMMAND_REJECTED] = "Message rejected",
		[COMMAND_PURGED] = "Message purged",
	};
	int64_t end = db_int(row, 4);
	char when[CLOCK_TEXT_LEN];

	if (end <= COMMAND_LIVES || end >= COMMAND_END_COUNT)
		end = COMMAND_PURGED; /* of a newer hub */
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "originalMessageId", db_text(row, 1), "enqueuedTimeUtc",
		clock_text_ms(db_int(row, 5), when), "statusCode", command_end_name((enum command_end)end), "description",
		descriptions[end], "deviceId", db_text(row, 2), "deviceGenerationId", db_text(row, 3));
}

static int
collect(struct db *db, int64_t now_ms, struct batch *batch, struct err *err)
{
	struct db_stmt *row = db_query(db, err,
		"SELECT sequence, message_id, device_id, generation_id, outcome, ended_ms, n_deliveries FROM feedback "
		"WHERE " IS_FREE " ORDER BY sequence LIMIT ?3",
		"iii", now_ms, (int64_t)FEEDBACK_LOCK_MS, (int64_t)FEEDBACK_BATCH_MAX);
	int got;

	if (!row)
		return -1;
	batch->records = json_array();
	while ((got = db_next(row, err)) == 1) {
		batch->last = db_int(row, 0);
		batch->is_due = batch->is_due || db_int(row, 6) > 0 || db_int(row, 5) <= now_ms - FEEDBACK_BATCH_MS;
		json_array_append_new(batch->records, record_json(row));
	}
	db_done(row);
	return got;
}

static enum feedback_answer
take(struct registry_store *store, struct feedback_call *call)
{
	struct db *db = registry_store_db(store);
	struct batch batch = { .last = 0 };
	int64_t now_ms = clock_wall_ms();
	char token[RANDOM_UUID_LEN];

	if (collect(db, now_ms, &batch, &call->err) < 0)
		return FEEDBACK_FAILED;
	call->records = batch.records;
	if (json_array_size(batch.records) < FEEDBACK_BATCH_MAX && !batch.is_due)
		return FEEDBACK_NOTHING;
	call->lock_token = mem_text(random_uuid(token));
	/* One statement is a transaction. */
	if (db_run(db, &call->err,
		    "UPDATE feedback SET lock_token = ?3, locked_until_ms = ?1 + ?2, n_deliveries = n_deliveries + 1"
		    " WHERE " IS_FREE " AND sequence <= ?4",
		    "iiti", now_ms, (int64_t)FEEDBACK_LOCK_MS, token, batch.last) < 0)
		return FEEDBACK_FAILED;
	return FEEDBACK_OK;
}

static enum feedback_answer
settled(struct db *db, int done)
{
	if (done < 0)
		return FEEDBACK_FAILED;
	return db_changes(db) > 0 ? FEEDBACK_OK : FEEDBACK_LOCK_LOST;
}

static enum feedback_answer
complete(struct registry_store *store, struct feedback_call *call)
{
	struct db *db = registry_store_db(store);

	return settled(db, db_run(db, &call->err, "DELETE FROM feedback WHERE lock_token = ? AND locked_until_ms > ?", "ti",
				   call->lock_token, clock_wall_ms()));
}

static enum feedback_answer
abandon(struct registry_store *store, struct feedback_call *call)
{
	struct db *db = registry_store_db(store);

	return settled(db,
		db_run(db, &call->err,
			"UPDATE feedback SET lock_token = NULL, locked_until_ms = 0 WHERE lock_token = ? AND locked_until_ms > ?",
			"ti", call->lock_token, clock_wall_ms()));
}

/* -- Calls --------------------------------------------------------------------------------------------------------------------------------- */

void
feedback_run(struct registry *registry, struct feedback_call *call)
{
	static enum feedback_answer (*const ops[])(struct registry_store * store, struct feedback_call * call) = {
		[FEEDBACK_TAKE] = take,
		[FEEDBACK_COMPLETE] = complete,
		[FEEDBACK_ABANDON] = abandon,
	};

	call->answer = ops[call->op](registry_store_of(registry), call);
}

static void
run_job(struct job *job)
{
	struct feedback_call *call = CONTAINER_OF(job, struct feedback_call, job);

	feedback_run(call->registry, call);
}

static void
job_done(struct job *job)
{
	struct feedback_call *call = CONTAINER_OF(job, struct feedback_call, job);

	call->done(call);
}

bool
feedback_submit(struct registry *registry, struct feedback_call *call, struct owner *owner)
{
	call->registry = registry;
	call->job = (struct job){ .run = run_job, .done = job_done, .owner = owner };
	return registry_work(registry, &call->job);
}

void
feedback_call_clear(struct feedback_call *call)
{
	mem_free(call->lock_token);
	json_decref(call->records);
	*call = (struct feedback_call){ 0 };
}

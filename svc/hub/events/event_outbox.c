/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox (event_outbox.h): rows in the order of their numbers.  The log commits in the order in which it was given appends, and tells of a commit that failed before it tells of any later one: so the
 * greatest number that was told of before a failure says how far it is.  When one has failed, what comes behind it waits, and all is given again from there: events of one device stay in order. */
#include "hub/events/event_outbox.h"

#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define TICK_MS 500
#define RECORD_MAX (1u << 20)
#define LOOK_BACK_MAX 2000000 /* records of the log that are looked at: some seconds */

struct event_outbox {
	struct registry_store *store;
	struct message_log *log;
	struct registry *registry;
	struct loop *loop;
	struct timer timer;
	struct registry_step step; /* forgets what is in the log, and begins again after a failure */
	bool is_stepping;
	struct buf record;

	/* The worker's. */
	int64_t written, kept, told; /* the highest numbers: in the table; once the transaction is over; given to the log */
	int64_t due;		     /* about to be forgotten */

	pthread_mutex_t lock; /* for what follows */
	int64_t stored;	      /* all up to this number are in the log */
	int64_t forgotten;    /* and these no longer in the table */
	size_t n_in_flight;
	bool has_failed; /* an append; nothing is given until those on their way are back */
};

/* One that was given to the log. */
struct telling {
	struct event_outbox *outbox;
	int64_t number;
};

/* -- To the log ----------------------------------------------------------------------------------------------------------------------- */

static void
on_told(void *arg, bool ok)
{
	struct telling *telling = arg;
	struct event_outbox *outbox = telling->outbox;

	pthread_mutex_lock(&outbox->lock);
	outbox->n_in_flight--;
	outbox->has_failed = outbox->has_failed || !ok;
	if (!outbox->has_failed && telling->number > outbox->stored)
		outbox->stored = telling->number;
	pthread_mutex_unlock(&outbox->lock);
	mem_free(telling);
}

/* false: an earlier one has failed, and this one stays behind it. */
static bool
begin_telling(struct event_outbox *outbox)
{
	bool may;

	pthread_mutex_lock(&outbox->lock);
	may = !outbox->has_failed;
	outbox->n_in_flight += may;
	pthread_mutex_unlock(&outbox->lock);
	return may;
}

static int
tell(struct event_outbox *outbox, struct db_stmt *row, struct err *err)
{
	int64_t number = db_int(row, 0);
	struct message message;
	struct telling *telling;
	const void *record;
	size_t len;

	record = db_blob(row, 1, &len);
	if (message_decode(&message, record, len, err) < 0)
		return err_wrap(err, "event %lld in the outbox", (long long)number);
	if (!begin_telling(outbox))
		return 0;
	telling = NEW(telling);
	*telling = (struct telling){ outbox, number };
	message_log_tell(outbox->log, loop_owner(outbox->loop), &message, on_told, telling);
	outbox->told = number;
	return 1;
}

static int
tell_all(struct event_outbox *outbox, struct err *err)
{
	struct db_stmt *rows = db_query(registry_store_db(outbox->store), err,
		"SELECT number, record FROM outbox WHERE number > ? ORDER BY number", "i", outbox->told);
	int got;

	if (!rows)
		return -1;
	while ((got = db_next(rows, err)) == 1 && (got = tell(outbox, rows, err)) == 1)
		;
	db_done(rows);
	return got;
}

/* What can't be read now is begun again with at a tick. */
static void
go_on(struct event_outbox *outbox)
{
	struct err err = ERR_INIT;

	if (tell_all(outbox, &err) == 0)
		return;
	log_error("events: %s", err.text);
	pthread_mutex_lock(&outbox->lock);
	outbox->has_failed = true;
	pthread_mutex_unlock(&outbox->lock);
}

/* On the worker. */
static void
on_end(void *arg, bool is_durable)
{
	struct event_outbox *outbox = arg;

	if (!is_durable)
		outbox->written = outbox->kept;
	if (outbox->written == outbox->kept)
		return;
	outbox->kept = outbox->written;
	go_on(outbox);
}

/* -- Into the table --------------------------------------------------------------------------------------------------------------------- */

static int64_t
stored(struct event_outbox *outbox)
{
	int64_t number;

	pthread_mutex_lock(&outbox->lock);
	number = outbox->stored;
	pthread_mutex_unlock(&outbox->lock);
	return number;
}

int
event_outbox_put(struct event_outbox *outbox, const struct message *message, struct err *err)
{
	if (outbox->written - stored(outbox) >= EVENT_OUTBOX_MAX)
		return err_set(err, ERR_UNAVAILABLE, "%d events wait that can't be stored", EVENT_OUTBOX_MAX);
	buf_reset(&outbox->record);
	message_encode(&outbox->record, message);
	if (outbox->record.failed)
		return err_set(err, ERR_LIMIT, "an event is too large");
	return db_run(registry_store_db(outbox->store), err, "INSERT INTO outbox (number, record) VALUES (?, ?)", "ib",
		++outbox->written, outbox->record.data, outbox->record.len);
}

/* -- Forgetting, and beginning again ---------------------------------------------------------------------------------------------------- */

static int
forget(struct event_outbox *outbox, int64_t number, struct err *err)
{
	return db_run(registry_store_db(outbox->store), err, "DELETE FROM outbox WHERE number <= ?", "i", number);
}

static void
run_step(struct registry_step *step)
{
	struct event_outbox *outbox = CONTAINER_OF(step, struct event_outbox, step);
	int64_t number = stored(outbox);
	struct err err = ERR_INIT;

	if (forget(outbox, number, &err) < 0)
		log_error("events: %s", err.text);
	else
		outbox->due = number;
}

static void
set_forgotten(struct event_outbox *outbox, int64_t number)
{
	pthread_mutex_lock(&outbox->lock);
	outbox->forgotten = number;
	pthread_mutex_unlock(&outbox->lock);
}

static bool
may_begin_again(struct event_outbox *outbox)
{
	bool may;

	pthread_mutex_lock(&outbox->lock);
	may = outbox->has_failed && outbox->n_in_flight == 0;
	if (may)
		outbox->has_failed = false;
	pthread_mutex_unlock(&outbox->lock);
	return may;
}

static void
settle_step(struct registry_step *step, const struct err *problem)
{
	struct event_outbox *outbox = CONTAINER_OF(step, struct event_outbox, step);

	if (!problem)
		set_forgotten(outbox, outbox->due);
	if (!may_begin_again(outbox))
		return;
	outbox->told = stored(outbox);
	go_on(outbox);
}

static void
step_done(struct registry_step *step)
{
	CONTAINER_OF(step, struct event_outbox, step)->is_stepping = false;
}

static bool
has_work(struct event_outbox *outbox)
{
	bool has;

	pthread_mutex_lock(&outbox->lock);
	has = outbox->stored > outbox->forgotten || outbox->has_failed;
	pthread_mutex_unlock(&outbox->lock);
	return has;
}

static void
on_tick(struct timer *timer)
{
	struct event_outbox *outbox = CONTAINER_OF(timer, struct event_outbox, timer);

	timer_arm(timer, TICK_MS);
	if (outbox->is_stepping || !has_work(outbox))
		return;
	outbox->step = (struct registry_step){ .run = run_step, .settle = settle_step, .done = step_done };
	outbox->is_stepping = registry_step(outbox->registry, &outbox->step, loop_owner(outbox->loop));
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------ */

/* Numbers go on where they were, so that one is never given twice while it can be in the table. */
static int
find_written(struct event_outbox *outbox, struct err *err)
{
	struct db_stmt *row = db_query(registry_store_db(outbox->store), err, "SELECT min(number), max(number) FROM outbox", "");
	int got;

	if (!row)
		return -1;
	got = db_next(row, err);
	if (got == 1 && db_int(row, 1) > 0) {
		outbox->written = outbox->kept = db_int(row, 1);
		outbox->told = outbox->stored = outbox->forgotten = outbox->due = db_int(row, 0) - 1;
	}
	db_done(row);
	return got < 0 ? -1 : 0;
}

/* The first that waits, and when it was made; 0: none does. */
static int
find_first(struct event_outbox *outbox, int64_t *made_ms, struct err *err)
{
	struct db_stmt *row =
		db_query(registry_store_db(outbox->store), err, "SELECT record FROM outbox ORDER BY number LIMIT 1", "");
	struct message message;
	const void *record;
	size_t len;
	int got;

	if (!row)
		return -1;
	*made_ms = 0;
	got = db_next(row, err);
	record = got == 1 ? db_blob(row, 0, &len) : NULL;
	if (record && message_decode(&message, record, len, err) < 0)
		got = -1;
	else if (record)
		*made_ms = message.enqueued_ms;
	db_done(row);
	return got < 0 ? -1 : 0;
}

/* Rows are in the log in the order of their numbers, with others between them: so both are read once. */
static int
match(struct event_outbox *outbox, struct event_reader *log, struct db_stmt *rows, struct err *err)
{
	int got = db_next(rows, err), more = 1;
	struct event_record there;
	const void *record;
	size_t len;

	for (size_t n = 0; got == 1 && n < LOOK_BACK_MAX && (more = event_reader_next(log, &there, err)) == 1; n++) {
		record = db_blob(rows, 1, &len);
		if (len != there.len || memcmp(record, there.data, len) != 0)
			continue;
		outbox->told = outbox->stored = db_int(rows, 0);
		got = db_next(rows, err);
	}
	return got < 0 || more < 0 ? -1 : 0;
}

/* What the log has already is not told again. */
static int
look_back(struct event_outbox *outbox, const char *log_dir, struct err *err)
{
	struct event_start start = { .kind = EVENT_AT_TIME };
	struct event_reader *log;
	struct db_stmt *rows;
	int64_t made_ms;
	int done = -1;

	if (find_first(outbox, &made_ms, err) < 0)
		return -1;
	if (made_ms <= 0)
		return 0;
	start.value = (uint64_t)made_ms;
	log = event_reader_open(log_dir, &start, err);
	rows = log ? db_query(registry_store_db(outbox->store), err, "SELECT number, record FROM outbox ORDER BY number", "")
		   : NULL;
	if (rows)
		done = match(outbox, log, rows, err);
	db_done(rows);
	event_reader_close(log);
	return done;
}

struct event_outbox *
event_outbox_open(struct registry *registry, struct message_log *log, const char *log_dir, struct loop *loop, struct err *err)
{
	struct event_outbox *outbox = NEW(event_outbox);

	outbox->registry = registry;
	outbox->store = registry_store_of(registry);
	outbox->log = log;
	outbox->loop = loop;
	outbox->record = (struct buf)BUF_INIT(RECORD_MAX);
	pthread_mutex_init(&outbox->lock, NULL);
	timer_init(&outbox->timer, loop, on_tick);
	if (find_written(outbox, err) < 0 || look_back(outbox, log_dir, err) < 0 || tell_all(outbox, err) < 0) {
		event_outbox_close(outbox);
		return NULL;
	}
	registry_store_watch(outbox->store, on_end, outbox);
	timer_arm(&outbox->timer, TICK_MS);
	return outbox;
}

void
event_outbox_stop(struct event_outbox *outbox)
{
	if (outbox)
		timer_cancel(&outbox->timer);
}

void
event_outbox_close(struct event_outbox *outbox)
{
	struct err err = ERR_INIT;

	if (!outbox)
		return;
	if (has_work(outbox) && forget(outbox, outbox->stored, &err) < 0)
		log_error("events: %s", err.text);
	registry_store_watch(outbox->store, NULL, NULL);
	buf_clear(&outbox->record);
	pthread_mutex_destroy(&outbox->lock);
	mem_free(outbox);
}

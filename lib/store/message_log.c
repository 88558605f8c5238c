/* SPDX-License-Identifier: Apache-2.0 */
/* Telemetry on its way into the event log (message_log.h).  The hot path: one encoding into a buffer that stays, one append, no allocation once the
 * lane is warm. */
#include "store/message_log.h"

#include <assert.h>
#include <stdatomic.h>

#include "base/mem.h"

#define RECORD_MAX (1u << 20)
#define SPARE_MAX 1024

struct message_log {
	struct event_log *records;
	unsigned n_partitions;
	struct message_lane *lanes;
	void (*on_trouble)(const char *why);
	atomic_bool failing;	 /* the trouble was told */
	atomic_size_t n_storing; /* whose answer has not been given */
};

struct storing {
	struct event_append append;
	struct message_lane *lane;
	void (*done)(void *arg, bool ok);
	void *arg;
	struct storing *next_spare;
};

struct message_lane {
	struct buf record;
	struct storing *spare;
	size_t n_spare;
	struct message_log *log;
	struct owner *owner;
	struct message_lane *next;
};

struct message_log *
message_log_open(const struct message_log_config *config, struct err *err)
{
	struct event_log_config log_config = config->log;
	struct message_log *log;
	struct event_log *records;

	log_config.max_record = RECORD_MAX;
	records = event_log_open(&log_config, err);
	if (!records)
		return NULL;
	log = NEW(message_log);
	log->records = records;
	log->n_partitions = event_log_partitions(records);
	log->on_trouble = config->on_trouble;
	return log;
}

struct event_log *
message_log_records(struct message_log *log)
{
	return log->records;
}

void
message_log_stop(struct message_log *log)
{
	if (!log)
		return;
	event_log_close(log->records);
	log->records = NULL;
}

static void
lane_free(struct message_lane *lane)
{
	struct storing *next;

	for (struct storing *e = lane->spare; e; e = next) {
		next = e->next_spare;
		mem_free(e);
	}
	buf_clear(&lane->record);
	mem_free(lane);
}

void
message_log_free(struct message_log *log)
{
	if (!log)
		return;
	message_log_stop(log);
	for (struct message_lane *lane = log->lanes, *next; lane; lane = next) {
		next = lane->next;
		lane_free(lane);
	}
	mem_free(log);
}

void
message_log_add_lane(struct message_log *log, struct owner *owner)
{
	struct message_lane *lane = NEW(message_lane);

	lane->record = (struct buf)BUF_INIT(RECORD_MAX);
	lane->log = log;
	lane->owner = owner;
	lane->next = log->lanes;
	log->lanes = lane;
}

struct message_lane *
message_log_lane(const struct message_log *log, const struct owner *owner)
{
	struct message_lane *lane = log->lanes;

	while (lane && lane->owner != owner)
		lane = lane->next;
	assert(lane);
	return lane;
}

static void
note_failure(struct message_log *log, const char *why)
{
	if (!atomic_exchange(&log->failing, true))
		log->on_trouble(why);
}

static void
note_success(struct message_log *log)
{
	if (atomic_load_explicit(&log->failing, memory_order_relaxed) && atomic_exchange(&log->failing, false))
		log->on_trouble(NULL);
}

static struct storing *
storing_get(struct message_lane *lane)
{
	struct storing *e = lane->spare;

	if (!e) {
		e = NEW(storing);
		e->lane = lane;
		return e;
	}
	lane->spare = e->next_spare;
	lane->n_spare--;
	return e;
}

static void
storing_put(struct storing *e)
{
	struct message_lane *lane = e->lane;

	if (lane->n_spare == SPARE_MAX) {
		mem_free(e);
		return;
	}
	e->next_spare = lane->spare;
	lane->spare = e;
	lane->n_spare++;
}

static void
on_appended(struct event_append *append, bool ok)
{
	struct storing *e = CONTAINER_OF(append, struct storing, append);
	struct message_log *log = e->lane->log;
	struct err problem = ERR_INIT;

	if (ok)
		note_success(log);
	else if (log->records && event_log_problem(log->records, &problem))
		note_failure(log, problem.text);
	e->done(e->arg, ok);
	storing_put(e);
	atomic_fetch_sub(&log->n_storing, 1);
}

bool
message_log_is_idle(const struct message_log *log)
{
	return atomic_load(&log->n_storing) == 0;
}

void
message_lane_store(struct message_lane *lane, const struct message *message, void (*done)(void *arg, bool ok), void *arg)
{
	struct storing *e = storing_get(lane);
	struct err err = ERR_INIT;

	e->append = (struct event_append){ .done = on_appended, .owner = lane->owner };
	e->append.place.partition = message_partition(message->device_id, lane->log->n_partitions);
	e->done = done;
	e->arg = arg;
	buf_reset(&lane->record);
	message_encode(&lane->record, message);
	atomic_fetch_add(&lane->log->n_storing, 1);
	if (lane->log->records && event_log_append(lane->log->records, &e->append, lane->record.data, lane->record.len, &err) == 0)
		return;
	atomic_fetch_sub(&lane->log->n_storing, 1);
	if (lane->log->records) /* else the service is stopping: what is not acknowledged will be sent again */
		note_failure(lane->log, err.text);
	storing_put(e);
	done(arg, false);
}

/* -- What the service itself has to say ----------------------------------------------------------------------------------------------- */

struct told {
	struct event_append append;
	struct message_log *log;
	void (*done)(void *arg, bool ok);
	void *arg;
};

static void
on_told(struct event_append *append, bool ok)
{
	struct told *told = CONTAINER_OF(append, struct told, append);
	struct err problem = ERR_INIT;

	if (ok)
		note_success(told->log);
	else if (told->log->records && event_log_problem(told->log->records, &problem))
		note_failure(told->log, problem.text);
	if (told->done)
		told->done(told->arg, ok);
	mem_free(told);
}

void
message_log_tell(
	struct message_log *log, struct owner *owner, const struct message *message, void (*done)(void *arg, bool ok), void *arg)
{
	CLEAR(buf) record = BUF_INIT(RECORD_MAX);
	struct told *told = NEW(told);
	struct err err = ERR_INIT;

	told->append = (struct event_append){ .done = on_told, .owner = owner };
	told->append.place.partition = message_partition(message->device_id, log->n_partitions);
	told->log = log;
	told->done = done;
	told->arg = arg;
	message_encode(&record, message);
	if (!record.failed && event_log_append(log->records, &told->append, record.data, record.len, &err) == 0)
		return;
	note_failure(log, record.failed ? "an event is too large" : err.text);
	mem_free(told);
	if (done)
		done(arg, false);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Telemetry on its way into the event log (events.h).  The hot path: one encoding into a buffer that stays, one append, no allocation once the lane
 * is warm. */
#include "hub/events.h"

#include <stdatomic.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/event_log.h"

#define RECORD_MAX (1u << 20)
#define SPARE_MAX 1024

struct events {
	struct event_log *log;
	atomic_bool failing; /* the reason was logged */
};

struct event {
	struct event_append append;
	struct events_lane *lane;
	void (*done)(void *arg, bool ok);
	void *arg;
	struct event *next_spare;
};

struct events_lane {
	struct buf record;
	struct event *spare;
	size_t n_spare;
	struct events *events;
	struct owner *owner;
};

struct events *
events_open(const struct events_config *config, struct err *err)
{
	struct event_log_config log_config = { .dir = config->dir, .max_bytes = config->max_bytes, .max_record = RECORD_MAX };
	struct event_log *log = event_log_open(&log_config, err);
	struct events *events;

	if (!log)
		return NULL;
	events = NEW(events);
	events->log = log;
	return events;
}

void
events_stop(struct events *events)
{
	if (!events)
		return;
	event_log_close(events->log);
	events->log = NULL;
}

void
events_free(struct events *events)
{
	events_stop(events);
	mem_free(events);
}

struct events_lane *
events_lane_new(struct events *events, struct owner *owner)
{
	struct events_lane *lane = NEW(events_lane);

	lane->record = (struct buf)BUF_INIT(RECORD_MAX);
	lane->events = events;
	lane->owner = owner;
	return lane;
}

void
events_lane_free(struct events_lane *lane)
{
	struct event *next;

	if (!lane)
		return;
	for (struct event *e = lane->spare; e; e = next) {
		next = e->next_spare;
		mem_free(e);
	}
	buf_clear(&lane->record);
	mem_free(lane);
}

static void
note_failure(struct events *events, const char *why)
{
	if (!atomic_exchange(&events->failing, true))
		log_error("messages cannot be stored: %s", why);
}

static void
note_success(struct events *events)
{
	if (atomic_load_explicit(&events->failing, memory_order_relaxed) && atomic_exchange(&events->failing, false))
		log_info("messages are stored again");
}

static struct event *
event_get(struct events_lane *lane)
{
	struct event *e = lane->spare;

	if (!e) {
		e = NEW(event);
		e->lane = lane;
		return e;
	}
	lane->spare = e->next_spare;
	lane->n_spare--;
	return e;
}

static void
event_put(struct event *e)
{
	struct events_lane *lane = e->lane;

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
	struct event *e = CONTAINER_OF(append, struct event, append);
	struct events *events = e->lane->events;
	struct err problem = ERR_INIT;

	if (ok)
		note_success(events);
	else if (events->log && event_log_problem(events->log, &problem))
		note_failure(events, problem.text);
	e->done(e->arg, ok);
	event_put(e);
}

void
events_store(struct events_lane *lane, const struct message *message, void (*done)(void *arg, bool ok), void *arg)
{
	struct event *e = event_get(lane);
	struct err err = ERR_INIT;

	e->append = (struct event_append){ .done = on_appended, .owner = lane->owner };
	e->done = done;
	e->arg = arg;
	buf_reset(&lane->record);
	message_encode(&lane->record, message);
	if (lane->events->log && event_log_append(lane->events->log, &e->append, lane->record.data, lane->record.len, &err) == 0)
		return;
	if (lane->events->log) /* else the hub is stopping: what is not acknowledged will be sent again */
		note_failure(lane->events, err.text);
	event_put(e);
	done(arg, false);
}

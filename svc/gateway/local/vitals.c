/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's vital signs.  The age of the oldest message is read from the queue itself, which costs a look into a file: only when another message is the oldest. */
#include "gateway/local/vitals.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/gauges/gateway_metrics.h"
#include "gateway/queue/queue_window.h"
#include "keyd/client.h"
#include "store/message.h"

#define MESSAGE_MOST (320 * 1024) /* a message with what belongs to it: a queue without place for it refuses some */

/* -- The queue ------------------------------------------------------------------------------------------------------------------------------ */

static int64_t
read_time_at(const char *dir, uint64_t offset)
{
	struct err ignored = ERR_INIT;
	struct event_reader *reader =
		event_reader_open(dir, &(struct event_start){ .kind = EVENT_AT_OFFSET, .value = offset }, &ignored);
	struct event_record record;
	struct message message;
	int64_t when = 0;

	if (reader && event_reader_next(reader, &record, &ignored) == 1 &&
		message_decode(&message, record.data, record.len, &ignored) == 0)
		when = message.enqueued_ms;
	event_reader_close(reader);
	return when;
}

/* Of the log of this number: as it was when its cursor is where it was. */
static int64_t
oldest_in(size_t i, const char *dir)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct {
		uint64_t log, offset;
		int64_t ms;
	} known[QUEUE_LOGS_MAX];
	struct err ignored = ERR_INIT;
	uint64_t offset = 0, log = map_hash(dir, strlen(dir));
	int64_t when;

	if (i >= QUEUE_LOGS_MAX || event_cursor_load(dir, QUEUE_CURSOR, &offset, &ignored) < 0)
		return 0;
	pthread_mutex_lock(&lock);
	if (log != known[i].log || offset != known[i].offset || known[i].ms == 0)
		known[i].ms = read_time_at(dir, offset);
	known[i].log = log;
	known[i].offset = offset;
	when = known[i].ms;
	pthread_mutex_unlock(&lock);
	return when;
}

struct looking {
	struct vitals *v;
};

/* Its priorities are logs of their own. */
static void
add_to_endpoint(struct vitals *v, const struct queue_log_counts *log)
{
	char name[NOTED_ENDPOINT_MAX];
	size_t i = 0;

	noted_endpoint(name, log->module_id, log->input);
	while (i < v->n_endpoints && !text_is(v->endpoints[i].name, name))
		i++;
	if (i == VITALS_ENDPOINTS_MAX)
		return;
	if (i == v->n_endpoints)
		memcpy(v->endpoints[v->n_endpoints++].name, name, sizeof(name));
	v->endpoints[i].n_queued += log->counts.length;
}

static void
look_at_log(void *arg, const struct queue_log_counts *log)
{
	struct looking *l = arg;
	int64_t oldest = log->counts.length > 0 ? oldest_in(log->slot, log->counts.dir) : 0;

	l->v->n_queued += log->counts.length;
	add_to_endpoint(l->v, log);
	if (oldest > 0 && (l->v->oldest_queued_ms == 0 || oldest < l->v->oldest_queued_ms))
		l->v->oldest_queued_ms = oldest;
}

static void
look_at_queue(struct vitals *v, struct queue *queue)
{
	struct queue_totals totals;

	queue_totals(queue, &totals);
	v->queue_bytes = totals.bytes;
	v->max_queue_bytes = totals.max_bytes;
	v->n_refused = totals.refused;
	v->least_ttl_s = totals.least_ttl_s;
	v->drops_oldest = totals.drops_oldest;
	queue_each_log(queue, look_at_log, &(struct looking){ .v = v });
	v->is_queue_bad = *v->queue_problem || v->queue_bytes + MESSAGE_MOST > v->max_queue_bytes;
	if (v->is_queue_bad && !*v->queue_problem)
		snprintf(v->queue_problem, sizeof(v->queue_problem), "it is full");
}

/* -- All of it ----------------------------------------------------------------------------------------------------------------------------- */

static int64_t
disk_free(const char *dir)
{
	struct statvfs fs;

	return statvfs(dir, &fs) == 0 ? (int64_t)fs.f_bavail * (int64_t)fs.f_frsize : -1;
}

struct ending {
	struct vitals *v;
	const struct offline_policy *policy;
	int64_t boot_ms;
};

/* By its age, which is no matter of the wall clock. */
static void
look_at_record(void *arg, const struct identity *identity, const struct confirmation *confirmation)
{
	struct ending *e = arg;
	int64_t span = offline_policy_span(e->policy, identity), ends;
	OWN_TEXT name = NULL;

	if (span == OFFLINE_FOR_EVER)
		return;
	ends = e->v->now + span - confirmation_age_s(confirmation, e->v->now, e->boot_ms);
	if (e->v->record_ends != 0 && ends >= e->v->record_ends)
		return;
	name = identity_name(identity->device_id, identity->module_id);
	e->v->record_ends = ends;
	snprintf(e->v->record_ends_of, sizeof(e->v->record_ends_of), "%s", name);
}

/* Those that come in by a CA: collected under the scope's lock, for which whoever connects waits, and looked at without. */
struct ca_devices {
	struct identity **item;
	size_t n, room;
};

static void
collect(void *arg, const struct identity *identity)
{
	struct ca_devices *all = arg;

	if (identity->auth != IDENTITY_AUTH_CA)
		return;
	if (all->n == all->room) {
		all->room = all->room ? 2 * all->room : 64;
		all->item = mem_resize(all->item, all->room * sizeof(*all->item));
	}
	all->item[all->n++] = identity_ref(identity);
}

static void
ca_devices_clear(struct ca_devices *all)
{
	while (all->n > 0)
		identity_free(all->item[--all->n]);
	mem_free(all->item);
}

static bool
is_used(const struct authority *ca, const struct ca_devices *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (authority_scope_covers(&ca->scope, all->item[i]))
			return true;
	return false;
}

/* Does an end at `a` say more of what comes than one at `b`? */
static bool
ends_rather(int64_t a, int64_t b, int64_t now)
{
	return (a > now) == (b > now) ? (a > now ? a < b : a > b) : a > now;
}

void
vitals_take_device_cas(struct vitals *v, const struct vitals_sources *s)
{
	OWN(authorities) all = scope_cas(s->scope);
	CLEAR(ca_devices) devices = { 0 };

	if (!all)
		return;
	scope_each(s->scope, collect, &devices);
	for (size_t i = 0; i < authorities_count(all); i++) {
		const struct authority *ca = authorities_item(all, i);
		int64_t ends = cert_not_after(ca->cert);

		if ((v->device_ca_ends != 0 && !ends_rather(ends, v->device_ca_ends, v->now)) || !is_used(ca, &devices))
			continue;
		v->device_ca_ends = ends;
		snprintf(v->device_ca_name, sizeof(v->device_ca_name), "%s", ca->name);
	}
}

void
vitals_take(struct vitals *v, const struct vitals_sources *s)
{
	*v = (struct vitals){ .now = clock_wall() };
	noted_take(&v->noted);
	memcpy(v->queue_problem, v->noted.storing_problem, sizeof(v->queue_problem));
	if (v->noted.scope_told_ms != 0) {
		v->scope_for_ms = clock_boot_ms() - v->noted.scope_told_ms;
		v->scope_told = v->now - v->scope_for_ms / 1000;
	}
	v->https_port = s->https ? listener_port(s->https) : 0;
	v->https_problem = s->https_problem;
	v->hub = hub_presence();
	v->throttle = hub_throttle();
	v->carriage = carriage();
	v->keyd_silent_ms = keyd_client_silent_ms(s->keyd);
	v->n_known = scope_count(s->scope);
	if (s->offline->n > 0)
		scope_each_aged(
			s->scope, look_at_record, &(struct ending){ .v = v, .policy = s->offline, .boot_ms = clock_boot_ms() });
	v->n_connected = directory_count(s->directory);
	v->disk_free = disk_free(s->state_dir);
	look_at_queue(v, s->queue);
}

static void
set(enum gateway_metric which, int64_t value)
{
	metric_set(gateway_metric_of(which, &(const char *const){ NULL }), value);
}

static void
measure_log(void *arg, const struct queue_log_counts *log)
{
	(void)arg;
	noted_queue_length(log->module_id, log->input, log->priority, log->counts.length);
}

static void
measure_carriage(const struct carriage *c)
{
	metric_set(gateway_metric(METRIC_LINES_CONNECTED, "carried"), (int64_t)c->n_carried);
	metric_set(gateway_metric(METRIC_LINES_CONNECTED, "alone"), (int64_t)c->n_alone);
	for (int state = 0; state < CARRIAGE_STATES; state++)
		metric_set(
			gateway_metric(METRIC_CARRIAGE, carriage_state_name((enum carriage_state)state)), (int)c->state == state);
	set(METRIC_CARRIAGE_TIME, c->for_ms);
}

/* Of the oldest, which go unread, nobody knows whose they were. */
static void
measure_dropped(struct queue *queue)
{
	struct queue_totals totals;

	queue_totals(queue, &totals);
	metric_set(gateway_metric(METRIC_DROPPED, "queue_full", NULL, NULL), (int64_t)totals.dropped);
}

static void
measure_listener(const char *name, const struct listener *listener)
{
	struct listener_counts counts = listener_counts(listener);

	metric_set(gateway_metric(METRIC_CONNECTIONS, name), (int64_t)listener_n_conns(listener));
	metric_set(gateway_metric(METRIC_ACCEPTED, name), (int64_t)counts.accepted);
	metric_set(gateway_metric(METRIC_ACCEPT_REFUSED, name), (int64_t)counts.refused);
	metric_set(gateway_metric(METRIC_ACCEPT_DELAYED, name), (int64_t)counts.delays);
	metric_set(gateway_metric(METRIC_HANDSHAKES_FAILED, name), (int64_t)counts.failed_handshakes);
}

void
vitals_measure(const struct vitals_sources *s)
{
	struct vitals v;

	vitals_take(&v, s);
	measure_listener("mqtt", s->mqtt);
	if (s->https)
		measure_listener("https", s->https);
	metric_set(gateway_metric(METRIC_BUILD, ROOTEDGE_VERSION), 1);
	noted_dates(NOTED_SERVER_CERT, v.noted.cert_not_before, v.noted.cert_not_after);
	set(METRIC_CONNECTED, (int64_t)v.n_connected);
	set(METRIC_SCOPE_RECORDS, (int64_t)v.n_known);
	if (v.scope_told)
		set(METRIC_SCOPE_AGE, v.scope_for_ms);
	if (v.hub.reach != HUB_NOT_TRIED)
		set(METRIC_HUB_REACHABLE, hub_presence_is_served(&v.hub));
	if (s->has_parent && v.hub.reach != HUB_NOT_TRIED)
		set(METRIC_PARENT_REACHABLE, v.hub.reach == HUB_REACHED);
	metric_set(gateway_metric(METRIC_THROTTLED_TIME, "calls"), v.throttle.calls_ms);
	metric_set(gateway_metric(METRIC_THROTTLED_TIME, "lines"), v.throttle.lines_ms);
	set(METRIC_LINES_WAITING, (int64_t)v.throttle.n_lines);
	measure_carriage(&v.carriage);
	set(METRIC_HUB_REFUSES, v.hub.reach == HUB_REFUSES);
	set(METRIC_HUB_AWAY, hub_presence_away_ms(&v.hub));
	queue_each_log(s->queue, measure_log, NULL);
	measure_dropped(s->queue);
	set(METRIC_QUEUE_BYTES, (int64_t)v.queue_bytes);
	set(METRIC_QUEUE_LIMIT, (int64_t)v.max_queue_bytes);
	set(METRIC_QUEUE_OLDEST,
		v.oldest_queued_ms && clock_wall_ms() > v.oldest_queued_ms ? clock_wall_ms() - v.oldest_queued_ms : 0);
	set(METRIC_QUEUE_REFUSED, (int64_t)v.n_refused);
	if (v.disk_free >= 0)
		set(METRIC_DISK_FREE, v.disk_free);
}

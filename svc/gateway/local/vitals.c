/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's vital signs.  The age of the oldest message is read from the queue itself, which costs a look into a file: only when another message is the oldest. */
#include "gateway/local/vitals.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/local/gateway_metrics.h"
#include "common/service.h"
#include "gateway/queue/queue_window.h"
#include "keyd/client.h"
#include "store/message.h"

#define CERT_ID "edgehub-server"
#define ROLE "gateway"
#define MESSAGE_MOST (320 * 1024) /* a message with what belongs to it: a queue without place for it refuses some */

#define SAMPLES 60
#define SAMPLE_LEAST_MS 60000 /* what was sent in less says nothing about an hour */
#define ENDPOINT_NAME_MAX 280

/* Of the process, as what it counts is. */
static struct {
	atomic_llong told_ms; /* by the boot clock */
	atomic_ullong failures, bytes;
	pthread_mutex_t lock; /* of all that follows */
	int64_t not_before, not_after, issuers_not_before, issuers_not_after;
	char issuers_name[128];
	bool is_issuer_ours;
	char storing_problem[512], revocation_problem[512]; /* "": there is none */
	struct sample {
		int64_t ms;
		uint64_t bytes;
	} samples[SAMPLES]; /* the oldest is the next to go */
	size_t n_samples;
	int64_t began_ms;
} noted = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* -- What is told -------------------------------------------------------------------------------------------------------------------------- */

/* What follows the leaf: none of them may end before what they signed. */
static void
note_issuers(const struct certs *chain)
{
	const struct cert *last = chain->item[chain->n - 1];

	noted.issuers_not_after = 0;
	noted.is_issuer_ours = chain->n == 2 && cert_is_self_issued(last);
	for (size_t i = 1; i < chain->n; i++) {
		int64_t end = cert_not_after(chain->item[i]);

		if (noted.issuers_not_after > 0 && end >= noted.issuers_not_after)
			continue;
		noted.issuers_not_before = cert_not_before(chain->item[i]);
		noted.issuers_not_after = end;
		snprintf(noted.issuers_name, sizeof(noted.issuers_name), "%s", cert_subject(chain->item[i]));
	}
}

void
vitals_note_certificate(const struct certs *chain)
{
	pthread_mutex_lock(&noted.lock);
	noted.not_before = cert_not_before(chain->item[0]);
	noted.not_after = cert_not_after(chain->item[0]);
	note_issuers(chain);
	pthread_mutex_unlock(&noted.lock);
}

void
vitals_note_further_certificate(const char *id, int64_t not_before, int64_t not_after)
{
	int64_t now = clock_wall();

	metric_set(gateway_metric(METRIC_CERT_NOT_AFTER, id, ROLE), not_after);
	metric_set(gateway_metric(METRIC_CERT_VALID, id, ROLE), now >= not_before && now < not_after);
}

void
vitals_note_bytes(size_t len)
{
	atomic_fetch_add_explicit(&noted.bytes, len, memory_order_relaxed);
}

void
vitals_note_storing(const char *why)
{
	service_log_storing(why);
	pthread_mutex_lock(&noted.lock);
	snprintf(noted.storing_problem, sizeof(noted.storing_problem), "%s", why ? why : "");
	pthread_mutex_unlock(&noted.lock);
}

void
vitals_note_revocation(const char *why)
{
	metric_set(gateway_metric(METRIC_REVOCATION_READ), why == NULL);
	pthread_mutex_lock(&noted.lock);
	snprintf(noted.revocation_problem, sizeof(noted.revocation_problem), "%s", why ? why : "");
	pthread_mutex_unlock(&noted.lock);
}

void
vitals_sample(void)
{
	pthread_mutex_lock(&noted.lock);
	if (noted.began_ms == 0)
		noted.began_ms = clock_boot_ms();
	noted.samples[noted.n_samples++ % SAMPLES] = (struct sample){ clock_boot_ms(), noted.bytes };
	pthread_mutex_unlock(&noted.lock);
}

void
vitals_note_renewal(bool done)
{
	metric_add(gateway_metric(METRIC_CERT_RENEWALS, CERT_ID, ROLE, done ? "done" : "failed"), 1);
	if (done)
		noted.failures = 0;
	else
		noted.failures++;
}

void
vitals_note_scope(bool told)
{
	metric_add(gateway_metric(METRIC_SCOPE_REFRESHES, told ? "done" : "failed"), 1);
	if (!told)
		return;
	noted.told_ms = clock_boot_ms();
}

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

static void
endpoint_name(char out[static ENDPOINT_NAME_MAX], const struct queue_log_counts *log)
{
	snprintf(out, ENDPOINT_NAME_MAX, "%s%s%s", log->module_id ? log->module_id : "iothub", log->module_id ? "/" : "",
		log->module_id ? log->input : "");
}

/* Its priorities are logs of their own. */
static void
add_to_endpoint(struct vitals *v, const struct queue_log_counts *log)
{
	char name[ENDPOINT_NAME_MAX];
	size_t i = 0;

	endpoint_name(name, log);
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

static double
bytes_per_hour(void)
{
	const struct sample *first = &noted.samples[noted.n_samples < SAMPLES ? 0 : noted.n_samples % SAMPLES];
	int64_t ms = clock_boot_ms() - first->ms;

	ms = ms > SAMPLE_LEAST_MS ? ms : SAMPLE_LEAST_MS;
	return noted.n_samples == 0 ? 0 : (double)(noted.bytes - first->bytes) / (double)ms * 3600e3;
}

static void
take_noted(struct vitals *v)
{
	pthread_mutex_lock(&noted.lock);
	v->cert_not_before = noted.not_before;
	v->cert_not_after = noted.not_after;
	v->issuers_not_before = noted.issuers_not_before;
	v->issuers_not_after = noted.issuers_not_after;
	v->is_issuer_ours = noted.is_issuer_ours;
	memcpy(v->issuers_name, noted.issuers_name, sizeof(v->issuers_name));
	memcpy(v->queue_problem, noted.storing_problem, sizeof(v->queue_problem));
	memcpy(v->revocation_problem, noted.revocation_problem, sizeof(v->revocation_problem));
	v->bytes_per_hour = bytes_per_hour();
	v->runs_for_ms = noted.began_ms ? clock_boot_ms() - noted.began_ms : 0;
	pthread_mutex_unlock(&noted.lock);
	v->cert_failures = noted.failures;
	if (noted.told_ms == 0)
		return;
	v->scope_for_ms = clock_boot_ms() - noted.told_ms;
	v->scope_told = v->now - v->scope_for_ms / 1000;
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

struct device_cas {
	struct authorities *all;
	bool is_used[AUTHORITIES_MAX];
};

static void
look_at_issuers(void *arg, const struct identity *identity)
{
	struct device_cas *cas = arg;

	for (size_t i = 0; identity->auth == IDENTITY_AUTH_CA && i < authorities_count(cas->all); i++)
		cas->is_used[i] = cas->is_used[i] || authority_scope_covers(&authorities_item(cas->all, i)->scope, identity);
}

/* Does an end at `a` say more of what comes than one at `b`? */
static bool
ends_rather(int64_t a, int64_t b, int64_t now)
{
	return (a > now) == (b > now) ? (a > now ? a < b : a > b) : a > now;
}

static void
look_at_device_cas(struct vitals *v, struct scope *scope)
{
	OWN(authorities) all = scope_cas(scope);
	struct device_cas cas = { .all = all };

	if (!all)
		return;
	scope_each(scope, look_at_issuers, &cas);
	for (size_t i = 0; i < authorities_count(all); i++) {
		const struct authority *ca = authorities_item(all, i);
		int64_t ends = cert_not_after(ca->cert);

		if (!cas.is_used[i] || (v->device_ca_ends != 0 && !ends_rather(ends, v->device_ca_ends, v->now)))
			continue;
		v->device_ca_ends = ends;
		snprintf(v->device_ca_name, sizeof(v->device_ca_name), "%s", ca->name);
	}
}

void
vitals_take(struct vitals *v, const struct vitals_sources *s)
{
	*v = (struct vitals){ .now = clock_wall() };
	take_noted(v);
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
	look_at_device_cas(v, s->scope);
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
	OWN_TEXT priority = mem_textf("%d", log->priority);
	char endpoint[ENDPOINT_NAME_MAX];

	(void)arg;
	endpoint_name(endpoint, log);
	metric_set(gateway_metric(METRIC_QUEUE_LENGTH, endpoint, priority), (int64_t)log->counts.length);
}

void
vitals_note_log_left(const char *module_id, const char *input, int priority)
{
	struct queue_log_counts left = { .module_id = module_id, .input = input, .priority = priority };

	measure_log(NULL, &left);
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
	bool valid;

	vitals_take(&v, s);
	valid = v.now >= v.cert_not_before && v.now < v.cert_not_after;
	measure_listener("mqtt", s->mqtt);
	if (s->https)
		measure_listener("https", s->https);
	metric_set(gateway_metric(METRIC_BUILD, ROOTEDGE_VERSION), 1);
	metric_set(gateway_metric(METRIC_CERT_NOT_AFTER, CERT_ID, ROLE), v.cert_not_after);
	metric_set(gateway_metric(METRIC_CERT_VALID, CERT_ID, ROLE), valid);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Noted, in one place of the process. */
#include "gateway/gauges/noted.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "common/service.h"
#include "gateway/gauges/gateway_metrics.h"

#define ROLE "gateway"
#define SAMPLES 60
#define SAMPLE_LEAST_MS 60000 /* what was sent in less says nothing about an hour */

static struct {
	atomic_ullong bytes;
	pthread_mutex_t lock; /* of all that follows */
	struct noted noted;   /* but what is reckoned when it is taken */
	struct sample {
		int64_t ms;
		uint64_t bytes;
	} samples[SAMPLES]; /* the oldest is the next to go */
	size_t n_samples;
	int64_t began_ms;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* What follows the leaf: none of them may end before what they signed. */
static void
note_issuers(const struct certs *chain)
{
	const struct cert *last = chain->item[chain->n - 1];

	all.noted.issuers_not_after = 0;
	all.noted.is_issuer_ours = chain->n == 2 && cert_is_self_issued(last);
	for (size_t i = 1; i < chain->n; i++) {
		int64_t end = cert_not_after(chain->item[i]);

		if (all.noted.issuers_not_after > 0 && end >= all.noted.issuers_not_after)
			continue;
		all.noted.issuers_not_before = cert_not_before(chain->item[i]);
		all.noted.issuers_not_after = end;
		snprintf(all.noted.issuers_name, sizeof(all.noted.issuers_name), "%s", cert_subject(chain->item[i]));
	}
}

void
noted_certificate(const struct certs *chain)
{
	pthread_mutex_lock(&all.lock);
	all.noted.cert_not_before = cert_not_before(chain->item[0]);
	all.noted.cert_not_after = cert_not_after(chain->item[0]);
	note_issuers(chain);
	pthread_mutex_unlock(&all.lock);
}

void
noted_dates(const char *cert_id, int64_t not_before, int64_t not_after)
{
	int64_t now = clock_wall();

	metric_set(gateway_metric(METRIC_CERT_NOT_AFTER, cert_id, ROLE), not_after);
	metric_set(gateway_metric(METRIC_CERT_VALID, cert_id, ROLE), now >= not_before && now < not_after);
}

void
noted_endpoint(char out[static NOTED_ENDPOINT_MAX], const char *module_id, const char *input)
{
	snprintf(out, NOTED_ENDPOINT_MAX, "%s%s%s", module_id ? module_id : "iothub", module_id ? "/" : "", module_id ? input : "");
}

void
noted_queue_length(const char *module_id, const char *input, int priority, uint64_t n)
{
	OWN_TEXT number = mem_textf("%d", priority);
	char endpoint[NOTED_ENDPOINT_MAX];

	noted_endpoint(endpoint, module_id, input);
	metric_set(gateway_metric(METRIC_QUEUE_LENGTH, endpoint, number), (int64_t)n);
}

void
noted_bytes(size_t len)
{
	atomic_fetch_add_explicit(&all.bytes, len, memory_order_relaxed);
}

void
noted_storing(const char *why)
{
	service_log_storing(why);
	pthread_mutex_lock(&all.lock);
	snprintf(all.noted.storing_problem, sizeof(all.noted.storing_problem), "%s", why ? why : "");
	pthread_mutex_unlock(&all.lock);
}

void
noted_revocation(const char *why)
{
	metric_set(gateway_metric(METRIC_REVOCATION_READ), why == NULL);
	pthread_mutex_lock(&all.lock);
	snprintf(all.noted.revocation_problem, sizeof(all.noted.revocation_problem), "%s", why ? why : "");
	pthread_mutex_unlock(&all.lock);
}

void
noted_minute(void)
{
	pthread_mutex_lock(&all.lock);
	if (all.began_ms == 0)
		all.began_ms = clock_boot_ms();
	all.samples[all.n_samples++ % SAMPLES] = (struct sample){ clock_boot_ms(), all.bytes };
	pthread_mutex_unlock(&all.lock);
}

void
noted_renewal(bool done)
{
	metric_add(gateway_metric(METRIC_CERT_RENEWALS, NOTED_SERVER_CERT, ROLE, done ? "done" : "failed"), 1);
	pthread_mutex_lock(&all.lock);
	all.noted.cert_failures = done ? 0 : all.noted.cert_failures + 1;
	pthread_mutex_unlock(&all.lock);
}

void
noted_scope(bool told)
{
	metric_add(gateway_metric(METRIC_SCOPE_REFRESHES, told ? "done" : "failed"), 1);
	if (!told)
		return;
	pthread_mutex_lock(&all.lock);
	all.noted.scope_told_ms = clock_boot_ms();
	pthread_mutex_unlock(&all.lock);
}

static double
bytes_per_hour(void)
{
	const struct sample *first = &all.samples[all.n_samples < SAMPLES ? 0 : all.n_samples % SAMPLES];
	int64_t ms = clock_boot_ms() - first->ms;

	ms = ms > SAMPLE_LEAST_MS ? ms : SAMPLE_LEAST_MS;
	return all.n_samples == 0 ? 0 : (double)(all.bytes - first->bytes) / (double)ms * 3600e3;
}

void
noted_take(struct noted *out)
{
	pthread_mutex_lock(&all.lock);
	*out = all.noted;
	out->bytes_per_hour = bytes_per_hour();
	out->runs_for_ms = all.began_ms ? clock_boot_ms() - all.began_ms : 0;
	pthread_mutex_unlock(&all.lock);
}

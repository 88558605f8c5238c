/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to the hub and to provisioning (cloud.h). */
#include "identityd/cloud.h"

#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "common/service.h"

#define RETRY_MS 3000 /* edge-services 0.5 */
#define CONNECT_MS 15000
#define CLOCK_OFF_S 30 /* tokens live for a minute */

void
cloud_init(struct cloud *c)
{
	pthread_condattr_t monotonic;

	*c = (struct cloud){ .timeout_s = CLOUD_TIMEOUT_S, .retries = 1, .last_cause = -1 };
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

void
cloud_stop(struct cloud *c)
{
	atomic_store(&c->stopping, true);
	pthread_mutex_lock(&c->lock);
	pthread_cond_broadcast(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

void
cloud_clear(struct cloud *c)
{
	cloud_roots_clear(&c->roots);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
}

bool
cloud_pause(struct cloud *c, int64_t ms)
{
	int64_t until_ms = clock_boot_ms() + ms, left;

	pthread_mutex_lock(&c->lock);
	while (!atomic_load(&c->stopping) && (left = until_ms - clock_boot_ms()) > 0) {
		struct timespec until;

		clock_until(left, &until);
		pthread_cond_timedwait(&c->wake, &c->lock, &until);
	}
	pthread_mutex_unlock(&c->lock);
	return !atomic_load(&c->stopping);
}

/* Said once, and again when the answer changes. */
static void
log_verdict(struct cloud *c, const struct verdict *v)
{
	bool news;

	if (!v)
		return;
	pthread_mutex_lock(&c->lock);
	news = c->last_cause != (int)verdict_cause(v);
	c->last_cause = (int)verdict_cause(v);
	pthread_mutex_unlock(&c->lock);
	if (news)
		service_log_verdict(v);
}

/* A token has ended before it arrives when the clock that it was made by is behind. */
static void
explain_refusal(const struct http_answer *answer, struct err *err)
{
	int64_t now = clock_wall();
	char ours[CLOCK_TEXT_LEN], theirs[CLOCK_TEXT_LEN];
	struct err before = *err;

	if (answer->status != 401 || answer->date < 0 || llabs(answer->date - now) < CLOCK_OFF_S)
		return;
	err_set(err, before.kind, "%.300s (this device's clock says %s, the server's %s: tokens are made by it)", before.text,
		clock_text(now, ours), clock_text(answer->date, theirs));
}

int
cloud_fetch(struct cloud *c, json_t **out, struct http_answer *answer, struct http_call *call, const json_t *body, int64_t retries,
	struct err *err)
{
	int64_t until_ms = clock_boot_ms() + c->timeout_s * 1000;
	OWN(anchors) anchors = cloud_roots_now(&c->roots);
	int status;

	call->anchors = anchors;
	call->cancelled = &c->stopping;
	call->who = "edge";
	call->connect_ms = CONNECT_MS;
	for (int64_t left = retries;; left--) {
		call->timeout_ms = until_ms - clock_boot_ms();
		status = http_fetch_json(out, answer, call, body, err);
		if (status == 0 || answer->status != 0 || err->kind != ERR_UNAVAILABLE || left <= 0 ||
			until_ms - clock_boot_ms() < 2 * RETRY_MS || !cloud_pause(c, RETRY_MS))
			break;
		http_answer_clear(answer);
		*err = (struct err)ERR_INIT;
	}
	log_verdict(c, answer->verdict);
	if (status < 0)
		explain_refusal(answer, err);
	return status;
}

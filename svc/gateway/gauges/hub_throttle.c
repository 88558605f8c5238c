/* SPDX-License-Identifier: Apache-2.0 */
/* Throttling (hub_throttle.h). */
#include "gateway/gauges/hub_throttle.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/gauges/gateway_metrics.h"

#define STATUS_TOO_MANY 429
#define STATUS_UNAVAILABLE 503
#define TOO_MANY_S 2 /* of an answer that names no time */

static struct {
	atomic_llong calls_until_ms, lines_until_ms; /* boot clock */
	atomic_size_t n_lines;
} asked;

static int64_t
left(atomic_llong *until_ms)
{
	int64_t ms = atomic_load_explicit(until_ms, memory_order_relaxed) - clock_boot_ms();

	return ms > 0 ? ms : 0;
}

struct hub_throttle
hub_throttle(void)
{
	return (struct hub_throttle){
		.calls_ms = left(&asked.calls_until_ms), .lines_ms = left(&asked.lines_until_ms), .n_lines = asked.n_lines
	};
}

int64_t
hub_throttle_calls_ms(void)
{
	return left(&asked.calls_until_ms);
}

/* In seconds, or as a date by the server's clock; -1: it names no time. */
static int64_t
wait_s(const struct http_answer *answer)
{
	int64_t now = answer->date >= 0 ? answer->date : clock_wall();

	if (answer->retry_after_s >= 0)
		return answer->retry_after_s;
	if (answer->retry_at < 0)
		return -1;
	return answer->retry_at > now ? answer->retry_at - now : 0;
}

void
hub_throttle_note_answer(const struct http_answer *answer)
{
	int64_t s = wait_s(answer);

	if (answer->status != STATUS_TOO_MANY && (answer->status != STATUS_UNAVAILABLE || s < 0))
		return;
	if (s < 0)
		s = TOO_MANY_S;
	if (s > HUB_THROTTLE_MAX_S)
		s = HUB_THROTTLE_MAX_S;
	metric_add(gateway_metric(METRIC_THROTTLED, "calls"), 1);
	if (left(&asked.calls_until_ms) == 0 && s > 0)
		log_warn("the hub asks to be left alone: it is not called for %lld s", (long long)s);
	asked.calls_until_ms = clock_boot_ms() + s * 1000;
}

int
hub_throttle_check(struct err *err)
{
	int64_t ms = hub_throttle_calls_ms();

	if (ms == 0)
		return 0;
	return err_set(err, ERR_LIMIT, "the hub asked not to be called for another %lld s", (long long)(ms + 999) / 1000);
}

void
hub_throttle_pause_lines(int64_t ms)
{
	metric_add(gateway_metric(METRIC_THROTTLED, "lines"), 1);
	asked.lines_until_ms = clock_boot_ms() + ms;
}

void
hub_throttle_note_lines(size_t n)
{
	atomic_store_explicit(&asked.n_lines, n, memory_order_relaxed);
}

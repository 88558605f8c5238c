/* SPDX-License-Identifier: Apache-2.0 */
/* What answers of a hub that has too much to do mean.  Each test leaves nothing that waits. */
#include "gateway/gauges/hub_throttle.h"

#include "base/clock.h"
#include "gateway/gauges/gateway_metrics.h"
#include "t.h"

static struct http_answer
answer(int status, int64_t after_s)
{
	return (struct http_answer){ .status = status, .retry_after_s = after_s, .retry_at = -1, .date = -1 };
}

static void
note(int status, int64_t after_s)
{
	struct http_answer a = answer(status, after_s);

	hub_throttle_note_answer(&a);
}

static bool
waits_about(int64_t s)
{
	int64_t ms = hub_throttle_calls_ms();

	return ms > (s - 1) * 1000 && ms <= s * 1000;
}

TEST("429 and 503 are waited for as long as they ask, with a ceiling; other answers, and 503 that asks for nothing, are not")
{
	struct err err = ERR_INIT;

	note(429, 7);
	CHECK(waits_about(7));
	CHECK_INT(hub_throttle_check(&err), -1);
	CHECK_ERR(err, ERR_LIMIT, "for another");
	note(503, 20);
	CHECK(waits_about(20));
	note(429, 31536000);
	CHECK(waits_about(HUB_THROTTLE_MAX_S));
	note(429, 0);
	CHECK_INT(hub_throttle_check(&err), 0);
	note(200, 9);
	note(500, 9);
	note(503, -1);
	CHECK_INT(hub_throttle_calls_ms(), 0);
}

TEST("429 that names no time is a short wait")
{
	note(429, -1);
	CHECK(waits_about(2));
	note(429, 0);
}

TEST("a date is read by the clock of who sent it, and one that is over means now")
{
	struct http_answer a = answer(503, -1);

	a.date = 1000000;
	a.retry_at = 1000012;
	hub_throttle_note_answer(&a);
	CHECK(waits_about(12));
	a.retry_at = 999999;
	hub_throttle_note_answer(&a);
	CHECK_INT(hub_throttle_calls_ms(), 0);
}

TEST("each time is counted")
{
	int64_t before = metric_value(gateway_metric(METRIC_THROTTLED, "calls"));

	note(429, 0);
	note(200, -1);
	CHECK_INT(metric_value(gateway_metric(METRIC_THROTTLED, "calls")), before + 1);
}

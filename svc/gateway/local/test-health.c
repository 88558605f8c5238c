/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/local/health.h"
#include "t.h"
#include "wire/json.h"

#define NOW INT64_C(1772366400) /* 2026-03-01T12:00:00Z */
#define DAY 86400

static struct vitals
fit(void)
{
	return (struct vitals){ .now = NOW,
		.noted.cert_not_before = NOW - DAY,
		.noted.cert_not_after = NOW + DAY,
		.n_known = 3,
		.scope_told = NOW - 60,
		.hub = { .reach = HUB_AWAY } };
}

/* What is said of one check; or of all that are not well. */
static void
check_says(const struct vitals *v, const char *check, bool wanted, const char *part)
{
	bool ready, ok;
	json_t *answer = health_json(v, &ready), *one = json_object_get(json_object_get(answer, "checks"), check);

	ok = json_is_true(json_object_get(one, "ok"));
	CHECK(ok == wanted && ready == wanted);
	CHECK(json_is_true(json_object_get(answer, "ready")) == ready);
	CHECK_CONTAINS(json_string_value(json_object_get(one, "says")), part);
	json_decref(answer);
}

TEST("a gateway with a certificate, records and a queue is ready, though the hub is away")
{
	struct vitals v = fit();

	check_says(&v, "certificate", true, "valid until 2026-03-02T12:00:00Z");
	check_says(&v, "scope", true, "3 devices and modules, told by the hub at 2026-03-01T11:59:00Z");
	check_says(&v, "queue", true, "0 messages wait");
}

TEST("it is not without a certificate, with one that has ended, and with one that has not begun")
{
	struct vitals none = fit(), old = fit(), early = fit();

	none.noted.cert_not_before = none.noted.cert_not_after = 0;
	old.noted.cert_not_after = NOW;
	early.noted.cert_not_before = NOW + 1;
	check_says(&none, "certificate", false, "there is no server certificate");
	check_says(&old, "certificate", false, "ended at 2026-03-01T12:00:00Z");
	check_says(&early, "certificate", false, "begins at 2026-03-01T12:00:01Z");
}

TEST("it is not while keyd owes an answer for long, without which there is no handshake")
{
	struct vitals busy = fit(), hangs = fit();

	busy.keyd_silent_ms = 4000;
	hangs.keyd_silent_ms = 12000;
	check_says(&busy, "keys", true, "keyd answers");
	check_says(&hangs, "keys", false, "keyd has not answered for 12 s");
}

TEST("records from before this start are enough, and so is a hub that says that there are none")
{
	struct vitals kept = fit(), empty = fit(), nothing = fit();

	kept.scope_told = 0;
	empty.n_known = 0;
	nothing.n_known = 0;
	nothing.scope_told = 0;
	check_says(&kept, "scope", true, "3 devices and modules are known from before");
	check_says(&empty, "scope", true, "0 devices and modules, told");
	check_says(&nothing, "scope", false, "has not told yet");
}

TEST("it is not when messages can't be stored, and says why, in UTF-8 whatever the reason is in")
{
	struct vitals v = fit();

	v.is_queue_bad = true;
	snprintf(v.queue_problem, sizeof(v.queue_problem), "no space \xff left");
	check_says(&v, "queue", false, "messages can't be stored: no space ? left");
}

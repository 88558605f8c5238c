/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/text.h"
#include "gateway/local/offline_budget.h"
#include "t.h"

#define NOW INT64_C(1772366400) /* 2026-03-01T12:00:00Z */
#define DAY 86400
#define QUEUE_ROOM ((1 << 30) * 7.0 / 8) /* until the oldest go, or who has most is refused */

static struct vitals
quiet(void)
{
	return (struct vitals){ .now = NOW,
		.noted.cert_not_before = NOW - DAY,
		.noted.cert_not_after = NOW + 30 * DAY,
		.noted.issuers_not_before = NOW + 10 * DAY,
		.noted.issuers_not_after = NOW + 100 * DAY,
		.least_ttl_s = -1,
		.noted.issuers_name = "CN=Edge CA",
		.n_known = 3,
		.max_queue_bytes = 1 << 30,
		.disk_free = INT64_C(1) << 40 };
}

static const struct offline_limit *
limit_of(const struct offline_budget *b, const char *what)
{
	for (size_t i = 0; i < b->n; i++)
		if (text_is(b->limits[i].what, what))
			return &b->limits[i];
	fail_msg("no limit of %s", what);
	return NULL;
}

static void
check_limit(const struct vitals *v, const char *what, int64_t at, const char *why)
{
	struct offline_budget b;

	offline_budget_make(&b, v);
	CHECK_INT(limit_of(&b, what)->at, at);
	CHECK_CONTAINS(limit_of(&b, what)->why, why);
}

TEST("a quiet gateway stops when the Edge CA does that somebody else issued, and its own certificate is no limit")
{
	struct vitals v = quiet();
	struct offline_budget b;

	offline_budget_make(&b, &v);
	CHECK_STR(b.limits[0].what, "Edge CA");
	check_limit(&v, "Edge CA", NOW + 100 * DAY, "CN=Edge CA ends; who issued it has to be within reach before");
	check_limit(&v, "certificate", OFFLINE_NEVER, "renewed on this box");
	check_limit(&v, "queue", OFFLINE_NEVER, "nobody sends anything now");
	check_limit(&v, "records", OFFLINE_NEVER, "until it tells something else");
	check_limit(&v, "tokens", OFFLINE_NEVER, "devices sign their own");
}

TEST("an Edge CA that signed itself is followed by another one, which who keeps the old one does not trust; earlier than its end, "
     "and a short one a fifth of its life")
{
	struct vitals v = quiet();

	v.noted.is_issuer_ours = true;
	check_limit(&v, "Edge CA", NOW + 93 * DAY, "have not read the trust bundle again");
	v.noted.issuers_not_before = NOW + 80 * DAY;
	check_limit(&v, "Edge CA", NOW + 96 * DAY, "below a root of yours they go on");
}

TEST("messages that a route keeps for a while are lost after that, the oldest first; who drops the oldest when the queue is full "
     "says so")
{
	struct vitals v = quiet();

	v.least_ttl_s = 3600;
	check_limit(&v, "messages", NOW + 3600, "keeps for 3600 s (timeToLiveSecs)");
	v.oldest_queued_ms = (NOW - 3000) * 1000;
	check_limit(&v, "messages", NOW + 600, "lost");
	v.oldest_queued_ms = (NOW - 4000) * 1000;
	check_limit(&v, "messages", NOW, "lost");
	v.noted.bytes_per_hour = 1e6;
	v.drops_oldest = true;
	check_limit(
		&v, "queue", NOW + (int64_t)(QUEUE_ROOM / 1e6 * 3600), "is nearly full, and the oldest messages are lost, with");
}

TEST("where nothing ends there is nothing that stops first")
{
	struct vitals v = quiet();
	struct offline_budget b;
	json_t *json;

	v.noted.issuers_not_after = 0;
	offline_budget_make(&b, &v);
	CHECK_INT(b.limits[0].at, OFFLINE_NEVER);
	json = offline_budget_json(&b, NOW);
	CHECK(json_is_null(json_object_get(json, "stops_first")));
	json_decref(json);
}

TEST("a certificate that can't be renewed is a limit, and says how often it was tried")
{
	struct vitals v = quiet();

	v.noted.cert_failures = 7;
	check_limit(&v, "certificate", NOW + 30 * DAY, "7 attempts to renew it have failed");
}

TEST("the queue is full when seven eighths of it are used up at the rate of the last hour; or the disk is, where that has less")
{
	struct vitals v = quiet();

	v.noted.bytes_per_hour = QUEUE_ROOM / 48;
	check_limit(&v, "queue", NOW + 2 * DAY, "max_queue_mib");
	v.disk_free = (int64_t)QUEUE_ROOM / 2;
	check_limit(&v, "queue", NOW + DAY, "the disk is full, with 469.8 MB left");
	v.disk_free = -1;
	check_limit(&v, "queue", NOW + 2 * DAY, "max_queue_mib");
	v.noted.bytes_per_hour = 2;
	check_limit(&v, "queue", OFFLINE_NEVER, "as little as is sent now");
	v.noted.bytes_per_hour = 1000;
	v.queue_bytes = (uint64_t)QUEUE_ROOM - 100;
	check_limit(&v, "queue", NOW + 360, "is nearly full, and who has most in it is refused, with 0.0 MB left");
	v.queue_bytes = v.max_queue_bytes + 5;
	v.noted.bytes_per_hour = 0;
	check_limit(&v, "queue", NOW, "is nearly full, and who has most in it is refused");
}

TEST("a queue that takes nothing has stopped now, and that is the first")
{
	struct vitals v = quiet();
	struct offline_budget b;

	v.is_queue_bad = true;
	snprintf(v.queue_problem, sizeof(v.queue_problem), "no space left on device");
	offline_budget_make(&b, &v);
	CHECK_STR(b.limits[0].what, "queue");
	check_limit(&v, "queue", NOW, "no space left on device");
}

TEST("records count as long as the operator says, and the first that ends is named; without any nobody comes in")
{
	struct vitals v = quiet();

	v.record_ends = NOW + 9 * DAY;
	snprintf(v.record_ends_of, sizeof(v.record_ends_of), "dev1");
	check_limit(&v, "records", NOW + 9 * DAY, "about dev1 no longer counts ([offline])");
	v = quiet();
	v.n_known = 0;
	check_limit(&v, "records", NOW, "nothing is known of any device");
}

TEST("as JSON the nearest is first, with its time and how far that is")
{
	struct vitals v = quiet();
	struct offline_budget b;
	const json_t *first;
	json_t *json;

	offline_budget_make(&b, &v);
	json = offline_budget_json(&b, NOW);
	first = json_array_get(json_object_get(json, "limits"), 0);
	CHECK_STR(json_string_value(json_object_get(json, "stops_first")), "Edge CA");
	CHECK_STR(json_string_value(json_object_get(first, "at")), "2026-06-09T12:00:00Z");
	CHECK_INT(json_integer_value(json_object_get(first, "in_s")), 100 * DAY);
	json_decref(json);
}

TEST("a server certificate that has ended is not one that is renewed, whether or not it was tried already")
{
	struct vitals v = quiet();

	v.noted.cert_not_after = NOW - 1;
	check_limit(&v, "certificate", NOW - 1, "has ended");
}

TEST("the CA by which devices come in is a limit where there is one, by its name; and says so when it has ended")
{
	struct vitals v = quiet();

	v.device_ca_ends = NOW + 5 * DAY;
	snprintf(v.device_ca_name, sizeof(v.device_ca_name), "plant 3");
	check_limit(&v, "device CAs", NOW + 5 * DAY, "the CA \"plant 3\" ends");
	v.device_ca_ends = NOW - DAY;
	check_limit(&v, "device CAs", NOW - DAY, "has ended");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/renewal.h"
#include "t.h"

#define DAY 86400

TEST("a span is a share of 1 to 99 percent, or a time in minutes or days, and nothing else")
{
	static const char *const bad[] = { "", "%", "0%", "100%", "80", "80 %", "-1%", "0min", "3days", "3h", "1.5day",
		"99999999999day", "80%%" };
	struct renewal_span span;
	struct err err = ERR_INIT;

	CHECK_OK(renewal_span_parse(&span, "80%", &err), err);
	CHECK_INT(span.percent, 80);
	CHECK_OK(renewal_span_parse(&span, "10min", &err), err);
	CHECK_INT(span.seconds, 600);
	CHECK_INT(span.percent, 0);
	CHECK_OK(renewal_span_parse(&span, "3day", &err), err);
	CHECK_INT(span.seconds, 3 * DAY);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(renewal_span_parse(&span, bad[i], &err) < 0);
}

TEST("90 days at 80 % and 4 %: renewed at day 72, tried again after 3.6 days")
{
	struct renewal_policy policy = RENEWAL_POLICY_DEFAULT;

	CHECK_INT(renewal_due(&policy, 0, 90 * DAY), 72 * DAY);
	CHECK_INT(renewal_next_attempt(&policy, 0, 90 * DAY, 72 * DAY, 0), 72 * DAY + 90 * DAY / 25);
}

TEST("a threshold as a time counts from the end, and one longer than the life is due at once")
{
	struct renewal_policy policy = RENEWAL_POLICY_DEFAULT;

	policy.threshold = (struct renewal_span){ .seconds = 10 * DAY };
	CHECK_INT(renewal_due(&policy, 0, 90 * DAY), 80 * DAY);
	CHECK_INT(renewal_due(&policy, 100, 5 * DAY), 100);
	CHECK_INT(renewal_due(&policy, 100, 50), 100);
}

TEST("attempts come closer as the end does, and never stop after it")
{
	struct renewal_policy policy = RENEWAL_POLICY_DEFAULT;
	int64_t now = 72 * DAY, end = 90 * DAY;
	int attempts = 0;

	for (; now < end; attempts++)
		now = renewal_next_attempt(&policy, 0, end, now, 0);
	CHECK(attempts > 10);
	CHECK_INT(renewal_next_attempt(&policy, 0, end, end + DAY, 0), end + DAY + 600);
}

TEST("the dice move an attempt by a tenth at most, and only later")
{
	struct renewal_policy policy = { .retry = { .seconds = 1000 } };

	for (uint64_t dice = 0; dice < 500; dice++) {
		int64_t at = renewal_next_attempt(&policy, 0, 90 * DAY, DAY, dice);

		CHECK(at >= DAY + 1000 && at <= DAY + 1100);
	}
}

TEST("after a failure there is a wait, which a clock that is set back ends")
{
	struct renewal_policy policy = { .retry = { .seconds = 1000 } };
	struct renewal_pace pace = { 0 };
	int64_t next;

	CHECK(!renewal_waits(&pace, DAY));
	next = renewal_failed(&pace, &policy, 0, 90 * DAY, DAY);
	CHECK(next >= DAY + 1000 && next <= DAY + 1100);
	CHECK(renewal_waits(&pace, DAY) && renewal_waits(&pace, next - 1));
	CHECK(!renewal_waits(&pace, next) && !renewal_waits(&pace, DAY - 1));
}

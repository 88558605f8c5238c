/* SPDX-License-Identifier: Apache-2.0 */
#include "common/renewal.h"
#include "t.h"
#include "wire/json.h"

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

TEST("who follows a root takes over late, with the reserve left, or half of what was left when he was made")
{
	struct renewal_policy policy = RENEWAL_POLICY_DEFAULT;

	policy.overlaps = true;
	CHECK_INT(renewal_due(&policy, 0, 90 * DAY), 81 * DAY);
	policy.reserve_s = 7 * DAY;
	CHECK_INT(renewal_due(&policy, 0, 90 * DAY), 83 * DAY);
	CHECK_INT(renewal_due(&policy, 0, 10 * DAY), 9 * DAY);
	policy.threshold = (struct renewal_span){ .percent = 99 };
	CHECK_INT(renewal_due(&policy, 0, 90 * DAY), 86 * DAY + DAY / 2);
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

TEST("what a policy does not say stays as it is, and what it says wrong is named")
{
	struct renewal_policy policy = RENEWAL_POLICY_DEFAULT;
	OWN_LIB(json_t) table = json_pack("{s:s, s:b}", "threshold", "30min", "rotate_key", 0);
	OWN_LIB(json_t) wrong = json_pack("{s:s}", "retry", "5h");
	struct err err = ERR_INIT;

	CHECK_OK(renewal_policy_take(&policy, NULL, &err), err);
	CHECK_OK(renewal_policy_take(&policy, table, &err), err);
	CHECK(!policy.rotate_key && policy.threshold.percent == 0);
	CHECK_INT(policy.threshold.seconds, 1800);
	CHECK_INT(policy.retry.percent, 4);
	CHECK(renewal_policy_take(&policy, wrong, &err) < 0);
	CHECK(strstr(err.text, "retry") && strstr(err.text, "5h"));
}

TEST("a CA is renewed while what it issues can still live for a while, whatever the threshold")
{
	struct renewal_policy policy = { .threshold = { .seconds = 60 }, .reserve_s = 7 * DAY };

	CHECK_INT(renewal_due(&policy, 0, 90 * DAY), 83 * DAY);
	CHECK_INT(renewal_due(&policy, 0, 10 * DAY), 8 * DAY); /* a fifth of its life at the most */
	policy.threshold = (struct renewal_span){ .percent = 50 };
	CHECK_INT(renewal_due(&policy, 0, 90 * DAY), 45 * DAY);
}

#define NOW ((int64_t)20500 * DAY)

static enum renewal_step
step_of(int64_t from, int64_t until, int64_t previous_from, int64_t previous_until, bool doubt_is_over, int64_t now)
{
	struct renewal_policy policy = RENEWAL_POLICY_DEFAULT;

	return renewal_decide(&policy, &(struct renewal_view){ .current = { from, until },
					       .previous = { previous_from, previous_until },
					       .now = now,
					       .doubt_is_over = doubt_is_over });
}

TEST("what is good rests until it is due, and what is not there is made")
{
	CHECK(step_of(NOW - DAY, NOW + 9 * DAY, 0, 0, false, NOW) == RENEWAL_REST);
	CHECK(step_of(NOW - DAY, NOW + 9 * DAY, 0, 0, false, NOW + 7 * DAY - 1) == RENEWAL_REST);
	CHECK(step_of(NOW - DAY, NOW + 9 * DAY, 0, 0, false, NOW + 7 * DAY) == RENEWAL_RENEW);
	CHECK(step_of(NOW - DAY, NOW + 9 * DAY, 0, 0, false, NOW + 9 * DAY) == RENEWAL_RENEW); /* notAfter itself is too late */
	CHECK(step_of(0, 0, 0, 0, false, NOW) == RENEWAL_RENEW);
	CHECK(step_of(0, 0, 0, 0, false, 0) == RENEWAL_RENEW); /* whatever the clock: there is nothing to lose */
}

TEST("a clock in 1970 touches nothing, for however long")
{
	for (int64_t now = -DAY; now < 400 * DAY; now += 20 * DAY)
		CHECK(step_of(NOW, NOW + 90 * DAY, NOW - 90 * DAY, NOW + DAY, true, now) == RENEWAL_DOUBT);
}

TEST("a clock that goes back a year is doubted before the certificate is, and forward again nothing has happened")
{
	CHECK(step_of(NOW - DAY, NOW + 89 * DAY, 0, 0, false, NOW - 365 * DAY) == RENEWAL_DOUBT);
	CHECK(step_of(NOW - DAY, NOW + 89 * DAY, 0, 0, true, NOW - 365 * DAY) == RENEWAL_RENEW);
	CHECK(step_of(NOW - DAY, NOW + 89 * DAY, 0, 0, false, NOW) == RENEWAL_REST);
}

TEST("what was replaced while the clock was a year ahead is put back when it isn't any more, at once")
{
	int64_t ahead = NOW + 365 * DAY;

	CHECK(step_of(NOW - DAY, NOW + 89 * DAY, 0, 0, false, ahead) == RENEWAL_RENEW);
	CHECK(step_of(ahead, ahead + 90 * DAY, NOW - DAY, NOW + 89 * DAY, false, NOW) == RENEWAL_RESTORE);
	/* And the other way round, where a clock went back for a while. */
	CHECK(step_of(NOW - 400 * DAY, NOW - 310 * DAY, NOW - DAY, NOW + 89 * DAY, false, NOW) == RENEWAL_RESTORE);
	/* What was kept and has ended is no help. */
	CHECK(step_of(NOW - 90 * DAY, NOW, NOW - 180 * DAY, NOW - 90 * DAY, false, NOW) == RENEWAL_RENEW);
}

TEST("a certificate whose end is not behind its beginning is replaced without doubt")
{
	CHECK(step_of(NOW + DAY, NOW + DAY, 0, 0, false, NOW) == RENEWAL_RENEW);
}

TEST("how near the end is has a name, from good to ended")
{
	struct renewal_policy policy = RENEWAL_POLICY_DEFAULT;
	struct renewal_life life = { NOW, NOW + 100 * DAY }, none = { 0 };
	static const struct {
		int64_t day;
		const char *name;
	} rows[] = { { -1, "not begun" }, { 0, "good" }, { 79, "good" }, { 80, "due" }, { 91, "late" }, { 97, "urgent" },
		{ 100, "ended" }, { 500, "ended" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		CHECK_STR(renewal_urgency_name(renewal_urgency(&policy, &life, NOW + rows[i].day * DAY)), rows[i].name);
	CHECK_STR(renewal_urgency_name(renewal_urgency(&policy, &none, NOW)), "absent");
}

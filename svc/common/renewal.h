/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* When a certificate is made anew (edge-services 6.1).  Pure: all follows from the certificates' dates and the wall clock, so that a clock that is set takes effect at once, and nothing has
 * to be remembered but the wait after a failure.  Who looks, and when: renewals.h. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"

/* A share of the certificate's life, or a time. */
struct renewal_span {
	int percent; /* 0: seconds */
	int64_t seconds;
};

struct renewal_policy {
	bool rotate_key;
	struct renewal_span threshold; /* the share that is over, or the time that is left */
	struct renewal_span retry;
	bool overlaps; /* the successor was made when it would have been due, and is trusted since by whoever looked; it takes over as late as it can: with the reserve, or half of the rest left */
	int64_t reserve_s; /* so much is left of it when it is renewed, whatever the threshold, but not more than a fifth of its life: what it issues needs a life too */
};
#define RENEWAL_POLICY_DEFAULT                                                                                                     \
	{                                                                                                                          \
		.rotate_key = true, .threshold = { .percent = 80 }, .retry = {.percent = 4 }                                       \
	}

/* "80%" (1 to 99), "10min", "3day". */
int renewal_span_parse(struct renewal_span *out, const char *text, struct err *err);
/* {"rotate_key", "threshold", "retry"}: what is not said stays as it is in *out; NULL says nothing. */
int renewal_policy_take(struct renewal_policy *out, const json_t *table, struct err *err);

int64_t renewal_due(const struct renewal_policy *policy, int64_t not_before, int64_t not_after);
/* After a failure: by the policy, at most half of what is left of the life as its end comes near, a minute at least; `dice` (any number) moves it by up to a tenth, so that a thousand
 * devices don't come back together. */
int64_t renewal_next_attempt(
	const struct renewal_policy *policy, int64_t not_before, int64_t not_after, int64_t now, uint64_t dice);

/* After a failure, until the next attempt.  A clock that was set back to before the failure ends the wait. */
struct renewal_pace {
	_Atomic int64_t failed_at, next_attempt;
};
bool renewal_waits(const struct renewal_pace *pace, int64_t now);
/* Returns the time of the next attempt. */
int64_t renewal_failed(
	struct renewal_pace *pace, const struct renewal_policy *policy, int64_t not_before, int64_t not_after, int64_t now);

/* -- What is to be done now? ------------------------------------------------------------------------------------------------------- */

struct renewal_life {
	int64_t from, until; /* notBefore, notAfter; both 0: there is none */
};
bool renewal_is_good(const struct renewal_life *life, int64_t now); /* the second of notAfter itself is too late */

/* A wall clock that is earlier than this has not been set yet (2024-01-01). */
#define RENEWAL_CLOCK_FLOOR 1704067200

enum renewal_step {
	RENEWAL_REST,
	RENEWAL_RENEW,
	RENEWAL_RESTORE, /* it is not good now, but the one before it is: the clock was wrong when it was replaced, or is now */
	RENEWAL_DOUBT, /* it has not begun: a clock that is wrong is more likely than a certificate that is, and nothing is touched yet */
};

struct renewal_view {
	struct renewal_life current, previous;
	int64_t now;
	bool doubt_is_over; /* it has been in doubt for long: nobody sets this clock, so it is the certificate that is wrong */
};

enum renewal_step renewal_decide(const struct renewal_policy *policy, const struct renewal_view *view);

/* How near the end is. */
enum renewal_urgency { RENEWAL_GOOD, RENEWAL_DUE, RENEWAL_LATE, RENEWAL_URGENT, RENEWAL_ENDED, RENEWAL_NOT_BEGUN, RENEWAL_ABSENT };
enum renewal_urgency renewal_urgency(const struct renewal_policy *policy, const struct renewal_life *life, int64_t now);
const char *renewal_urgency_name(enum renewal_urgency urgency);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* When a certificate is made anew (edge-services 6.1).  Pure: all follows from the certificate's dates and the wall clock, so nothing has to be remembered that a crash could lose, and a
 * clock that is set takes effect at once. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

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
};
#define RENEWAL_POLICY_DEFAULT                                                                                                     \
	{                                                                                                                          \
		.rotate_key = true, .threshold = { .percent = 80 }, .retry = {.percent = 4 }                                       \
	}

/* "80%" (1 to 99), "10min", "3day". */
int renewal_span_parse(struct renewal_span *out, const char *text, struct err *err);

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

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Tests about verdicts name the reason and the subject that they expect. */

#include "diag/verdict.h"
#include "t.h"

static inline bool
t_failed_at(const struct check *check, enum reason reason, const char *part)
{
	return !check->passed && check->reason == reason && strstr(check->subject, part);
}

#define CHECK_ACCEPTED(v)                                                                                                          \
	do {                                                                                                                       \
		OWN_TEXT t_said = verdict_sentence(v);                                                                             \
		if (!verdict_accepted(v))                                                                                          \
			fail_msg("refused: %s", t_said);                                                                           \
	} while (0)
/* The cause of the refusal. */
#define CHECK_CAUSE(v, wanted)                                                                                                     \
	do {                                                                                                                       \
		if (verdict_cause(v) != (wanted))                                                                                  \
			fail_msg("%s, not %s", reason_row(verdict_cause(v))->code, reason_row(wanted)->code);                      \
	} while (0)
/* One of the failed checks has this reason, and its subject this part. */
#define CHECK_REASON(v, wanted, part)                                                                                              \
	do {                                                                                                                       \
		bool t_found = false;                                                                                              \
		for (size_t t_i = 0; t_i < (v)->n_checks; t_i++)                                                                   \
			t_found = t_found || t_failed_at(&(v)->checks[t_i], wanted, part);                                         \
		if (!t_found) {                                                                                                    \
			OWN_TEXT t_said = verdict_sentence(v);                                                                     \
			fail_msg("no %s at '%s': %s", reason_row(wanted)->code, part, t_said);                                     \
		}                                                                                                                  \
	} while (0)

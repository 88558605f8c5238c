/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How long a session may last for no other reason than time: until its certificate ends, and no longer than [gateway] max_session_age.  Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "diag/reason.h"

struct tenure_policy {
	bool leave_expired; /* a certificate that ends leaves its session open */
	int64_t max_age_s;  /* 0: none */
};
struct tenure {
	int64_t not_after; /* wall clock; 0: whenever */
	int64_t until_ms;  /* boot clock, because an age is none of the wall clock's; 0: for ever */
};
/* not_after: of the certificate that it was opened with, 0: with a token.  dice: any number; up to a tenth of the age is taken away, so that those who came together don't all come again
 * together. */
struct tenure tenure_begin(const struct tenure_policy *policy, int64_t not_after, int64_t boot_ms, uint32_t dice);
enum reason tenure_check(const struct tenure *tenure, int64_t wall, int64_t boot_ms);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which of several hubs becomes a new device's?  A pure function of its registration id (in any case), so that asking again answers the same. */

#include <stddef.h>
#include <stdint.h>

#define ALLOCATION_WEIGHT_MAX 1000

/* policy: "static" takes the first; all others spread by the weights, of which one at least is above 0.  n > 0. */
size_t allocation_pick(const char *policy, const int64_t *weights, size_t n, const char *registration_id);

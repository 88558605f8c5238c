/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How long to wait after a failure before the next attempt, for ever: longer each time up to five minutes, or as long as the other side says; where it says that too many ask, the
 * original's minutes (edge-services 0.5).  Moved a little, so that a thousand devices that lost the network together don't come back together.  Pure. */

#include <stdint.h>

#include "base/err.h"

/* failures: how many in a row, from 1.  retry_after_s: -1 when not said.  dice: any number. */
int64_t backoff_ms(int64_t failures, enum err_kind kind, int64_t retry_after_s, uint64_t dice);

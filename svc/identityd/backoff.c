/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting between attempts (backoff.h). */
#include "identityd/backoff.h"

#include <stdbool.h>

#include "base/mem.h"

#define FIRST_MS 1000
#define LAST_MS 300000
#define SAID_MAX_MS 3600000 /* no server sends a device away for longer */

static const int64_t busy_ms[] = { 60000, 120000, 180000, 300000 };

static int64_t
doubled(int64_t failures)
{
	int64_t ms = FIRST_MS;

	for (int64_t i = 1; i < failures && ms < LAST_MS; i++)
		ms *= 2;
	return ms < LAST_MS ? ms : LAST_MS;
}

int64_t
backoff_ms(int64_t failures, enum err_kind kind, int64_t retry_after_s, uint64_t dice)
{
	size_t at = failures < 1 ? 0 : failures > (int64_t)COUNT(busy_ms) ? COUNT(busy_ms) - 1 : (size_t)failures - 1;
	int64_t ms = kind == ERR_LIMIT ? busy_ms[at] : doubled(failures);
	bool said = retry_after_s >= 0;

	if (said)
		ms = retry_after_s * 1000 < SAID_MAX_MS ? retry_after_s * 1000 : SAID_MAX_MS;
	if (ms < FIRST_MS)
		ms = FIRST_MS;
	return ms + (int64_t)(dice % (uint64_t)(ms / 10 + 1)); /* never earlier than was asked for */
}

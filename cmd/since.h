/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* "--since": how long ago ("30min", "2h", "1d 12h"), or when (RFC 3339, a date, or seconds since 1970). */

#include <stdint.h>

#include "base/err.h"

int since_parse(const char *text, int64_t now, int64_t *out, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Is the gateway fit to serve?  Each question with its answer in plain words, so that a probe's log is enough to know what is wrong.  Pure. */

#include <jansson.h>

#include "gateway/local/vitals.h"

/* {"ready": true, "checks": {"certificate": {"ok": true, "says": "..."}, "scope": ..., "queue": ...}}.  A hub that is away makes a gateway no less ready: that is what it is for. */
json_t *health_json(const struct vitals *vitals, bool *ready);

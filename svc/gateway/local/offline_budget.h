/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What stops first while the hub is away, when, and why.  Pure: what is known goes in, limits come out, the nearest first. */

#include <jansson.h>

#include "gateway/local/vitals.h"

#define OFFLINE_LIMITS_MAX 8
#define OFFLINE_NEVER INT64_MAX

struct offline_limit {
	const char *what; /* "queue", "certificate", "Edge CA", "records", "device CAs" and others */
	int64_t at;	  /* seconds UTC; in the past: it has; OFFLINE_NEVER */
	char why[512];
};

struct offline_budget {
	struct offline_limit limits[OFFLINE_LIMITS_MAX];
	size_t n;
};

void offline_budget_make(struct offline_budget *out, const struct vitals *vitals);
/* {"stops_first": "queue" or null, "limits": [{"what", "at" or null, "in_s" or null, "why"}]} */
json_t *offline_budget_json(const struct offline_budget *budget, int64_t now);

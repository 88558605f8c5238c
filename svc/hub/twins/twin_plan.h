/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How to find the twins of a query: its condition is a conjunction, each term of which may name an index, and one of those is walked.  A plan may find too
 * many, never too few: the whole condition is asked of every twin that it finds.  Pure; which way is the shortest is measured by whoever walks it. */

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "wire/query.h"

#define TWIN_WAYS_MAX 16
#define TWIN_LEGS_MAX 1024 /* values of an IN */

enum twin_leg_kind {
	TWIN_LEG_ALL,
	TWIN_LEG_DEVICE, /* low: the id */
	TWIN_LEG_MODULE, /* low: the id of a module, on any device */
	TWIN_LEG_SCOPE,	 /* low: the device scope */
	TWIN_LEG_DISABLED,
	TWIN_LEG_EDGE,
	TWIN_LEG_VALUE, /* path, low */
	TWIN_LEG_RANGE, /* path, low to high; one of them may be NULL: then the other's type is all there is */
};

/* One walk through one index. */
struct twin_leg {
	enum twin_leg_kind kind;
	char *path; /* as in the table */
	json_t *low, *high;
	bool without_low, without_high; /* the ends themselves do not count */
};

/* A way is one term's legs, one after the other. */
struct twin_way {
	struct twin_leg *legs;
	size_t n_legs;
};

struct twin_plan {
	struct twin_way ways[TWIN_WAYS_MAX]; /* the last one is through all twins */
	size_t n_ways;
};

struct twin_plan *twin_plan_new(const struct query *query, const char *const *indexed_paths, size_t n_indexed_paths);
void twin_plan_free(struct twin_plan *plan);
OWN_DEFINE(twin_plan);

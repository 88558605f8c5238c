/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A query on its way through the twins: it goes on in slices of time, so that nobody waits behind it and it can be given up between them, and stops where a
 * page is full.  What follows is behind a cursor, which names a place and not a number of rows: rows that come and go meanwhile shift nothing. */

#include "hub/twins/twin_plan.h"
#include "hub/twins/twin_row.h"

enum twin_walk_state {
	TWIN_WALK_GOING, /* time was up */
	TWIN_WALK_FULL,	 /* there may be more */
	TWIN_WALK_END,
};

struct twin_cursor {
	size_t way, leg;
	json_t *value; /* where a range goes on; NULL: at the leg's beginning */
	char *device_id, *module_id;
	int64_t left; /* of TOP; -1: no end */
	bool has_way; /* the way has been chosen */
};

struct twin_walk {
	struct query *query; /* owned, like all of it */
	struct twin_plan *plan;
	struct twin_cursor at;
	json_t *rows;
	struct query_groups *groups; /* NULL: rows are twins */
	int64_t max;		     /* rows of this page; 0: any number */
	size_t n_bytes;		     /* of the rows of this page, as text */
	int64_t n_visited;	     /* twins that were looked at */
	enum twin_walk_state state;
	unsigned condition_parts, column_parts;
};

/* Takes the query.  `cursor` continues an earlier page of the same query; NULL begins.  -1: the cursor is none of this query. */
int twin_walk_init(struct twin_walk *walk, struct query *query_take, const char *text, const char *const *indexed_paths,
	size_t n_indexed_paths, const char *cursor, int64_t max, struct err *err);
void twin_walk_clear(struct twin_walk *walk);
/* Go on until the page is full, the end is reached, or clock_boot_ms() is `until`. */
int twin_walk_go(struct twin_walk *walk, const struct twin_row_context *context, int64_t until, struct err *err);
/* The rows so far; a new reference. */
json_t *twin_walk_rows(const struct twin_walk *walk);
/* Where the next page begins, as text for the asker to give back: harmless when it is forged, for it names a place among rows that he may see anyway.  The
 * caller owns it. */
char *twin_walk_cursor(const struct twin_walk *walk, const char *text);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Queries of services: they run on a few threads of their own, each with a session of its own on the database that reads only, and go on in slices: between
 * them another one has its turn, the asker may have gone, and the database may tidy up. */

#include "base/pool.h"
#include "hub/twins/twin_walk.h"

struct queries;
/* `path` is the registry's database, which is open; all is borrowed. */
struct queries *queries_open(const char *path, struct registry *registry, struct directory *directory,
	const char *const *indexed_paths, size_t n_indexed_paths, struct err *err);
void queries_stop(struct queries *queries); /* no further slices, before the loops end; then free */
void queries_free(struct queries *queries);

enum query_end {
	QUERY_DONE,	/* walk.state is FULL or END; or GOING, when the time was up and what was found is a page of its own */
	QUERY_TOO_SLOW, /* an aggregate, which has no part of an answer */
	QUERY_BROKEN,	/* err has the sentence */
};

struct query_call {
	struct twin_walk walk; /* filled by queries_prepare; cleared by the caller */
	char *text;
	/* On the owner, between slices: is anybody still waiting?  NULL: yes. */
	bool (*is_wanted)(struct query_call *call);
	void (*done)(struct query_call *call); /* on the owner; not called when nobody waits any more: then `dropped` is */
	void (*dropped)(struct query_call *call);

	enum query_end end;
	struct err err;
	int64_t deadline;
	struct queries *queries;
	struct job job;
};
/* -1: the query or the cursor can't be right; the sentence says where. */
int queries_prepare(
	struct queries *queries, struct query_call *call, const char *text, const char *cursor, int64_t max, struct err *err);
/* false: too many wait. */
bool queries_submit(struct query_call *call, struct owner *owner);
void query_call_clear(struct query_call *call);

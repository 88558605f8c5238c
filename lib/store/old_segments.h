/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The event log's segments that are complete, all but the last: what they take, and which of them may go.  The writer thread's. */

#include "store/segment_tip.h"

struct old_segment {
	uint64_t first, bytes;
	int64_t end_ms; /* nothing in it is younger */
};
struct old_segments {
	struct old_segment *item; /* ascending */
	size_t n, room;
	uint64_t bytes; /* of all */
};

/* Which may go: those that end at or below `forget_below`, and the oldest beyond the retention (0: there is no such limit). */
struct old_segments_limit {
	uint64_t forget_below, max_bytes; /* with those of the tip */
	int64_t max_age_ms;
};

int old_segments_find(struct old_segments *old, const struct segment_tip *tip, struct err *err); /* those on the disk */
void old_segments_clear(struct old_segments *old);
void old_segments_add(struct old_segments *old, uint64_t first, uint64_t bytes, int64_t end_ms);
/* Remove them, whole ones.  True: some are gone.  A removal that a crash undoes is made again. */
bool old_segments_remove(struct old_segments *old, const struct segment_tip *tip, const struct old_segments_limit *limit);
/* The header of the oldest segment of the log, which may be the tip's. */
int old_segments_head(const struct old_segments *old, const struct segment_tip *tip, struct segment_head *head, struct err *err);
uint64_t old_segments_first(const struct old_segments *old, const struct segment_tip *tip); /* the oldest offset of the log */
uint64_t old_segments_end_of_oldest(const struct old_segments *old, const struct segment_tip *tip); /* 0: there is none */

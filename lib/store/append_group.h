/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the event log makes durable by one commit: the records with room for their heads, and who waits for them, in the same order.  Collected by the threads that append, under
 * the log's lock; sealed, written and completed by its writer. */

#include "base/buf.h"
#include "store/event_log.h"
#include "store/segment_tip.h"

#define APPEND_GROUP_MAX (64u << 20) /* what may wait for the disk */

struct append_group {
	struct buf bytes;
	struct event_append *head, **tail;
	size_t n;
};

void append_group_init(struct append_group *group);
void append_group_clear(struct append_group *group);
void append_group_reset(struct append_group *group); /* empty again; what a burst needed is not kept */
void append_group_swap(struct append_group *a, struct append_group *b);
/* The caller has seen to it that there is room for SEGMENT_RECORD_LEN + len. */
void append_group_add(struct append_group *group, struct event_append *append, const void *data, size_t len);
/* Give the records their places behind what the tip has; `tally` is what counts after them. */
void append_group_seal(struct append_group *group, const struct segment_tip *tip, struct segment_tally *tally);
/* Tell each owner, in order, a few hundred a post.  The group has none of them any more. */
void append_group_complete(struct append_group *group, bool ok);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The writing end of the event log: the last segment of a folder, with what was durable when.  One process holds it (a lock on DIR/lock); the
 * same file says up to which offset records were durable, for readers and for noticing that acknowledged records are gone. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/segment.h"

struct segment_tip {
	char *dir;
	int dir_fd, lock_fd, fd;			    /* fd: the last segment, -1 before there is one */
	struct segment_head head;			    /* of the last segment */
	uint64_t next;					    /* the offset of the next record: all below are durable */
	uint64_t pos;					    /* where that goes in the file */
	struct segment_tally tally[SEGMENT_PARTITIONS_MAX]; /* of all that is durable */
	unsigned new_partitions;			    /* what a log without any gets */
	bool torn;					    /* there may be bytes of a failed write behind pos */
};

/* Take the lock, find the last segment and cut off its torn tail.  A new log gets so many partitions, and so does one of version 1, which goes on in a
 * segment of this version.  On failure nothing was changed. */
int segment_tip_open(struct segment_tip *tip, const char *dir, unsigned n_partitions, struct err *err);
void segment_tip_close(struct segment_tip *tip);
/* Begin a new segment at `next`; durable when it returns. */
int segment_tip_rotate(struct segment_tip *tip, struct err *err);
/* The time of the next record: now, but not before that of the last one. */
int64_t segment_tip_time(const struct segment_tip *tip);
/* Write a group of n sealed records and make it durable; `tally` is what counts after it.  On failure the records are not in the log. */
int segment_tip_write(
	struct segment_tip *tip, const uint8_t *group, size_t len, size_t n, const struct segment_tally *tally, struct err *err);

int segment_tip_lock_take(int dir_fd, const char *dir, struct err *err); /* the descriptor that holds it, or -1 */

/* What a reader asks: up to which offset records are durable, and is there a writer now? */
int segment_tip_lock_open(const char *dir); /* a descriptor for the two below, or -1 */
bool segment_tip_durable(int lock_fd, uint64_t *next);
bool segment_tip_is_held(int lock_fd);

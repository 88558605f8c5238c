/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the processes of the story said, from what they wrote: verdicts from their logs, events from the hub's.  Nothing is
 * judged here. */

#include "diag/verdict.h"

/* How much of a log there is now: what is of interest comes after. */
size_t testimony_length(const char *log_path);
/* The last verdict of `who` on this question after the first `from` bytes of the log; it is waited for a little.  NULL with
 * err: there is none. */
struct verdict *testimony_find(
	const char *log_path, size_t from, const char *who, const char *question, int stop_fd, struct err *err);

/* The readings of a device in the hub's event log, the last of them into *last (which may be NULL); waits a little until there
 * are as many as wanted.  -1: it can't be read. */
int testimony_count_events(
	const char *hub_state, const char *device_id, int wanted, struct buf *last, int stop_fd, struct err *err);

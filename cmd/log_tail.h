/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The logs that the supervisor keeps (STATE/logs): the end of one, and all of several in the order of time. */

#include "base/buf.h"

void log_tail_put(struct buf *out, const char *path, size_t n_lines); /* a file that is not there has no lines */

/* Lines of logs, each with the time that it begins with: text, or JSON with "time" first.  A line without one belongs to the one before. */
struct log_line {
	char time[25];	  /* "2026-03-01T00:00:00.000Z"; sorts as text */
	const char *text; /* not terminated */
	size_t len, place; /* in the order of loading */
};
struct log_lines {
	struct log_line *item;
	size_t n, cap;
	struct buf files[16];
	size_t n_files;
};
void log_lines_load(struct log_lines *lines, const char *path); /* PATH.1 first */
void log_lines_sort(struct log_lines *lines);			/* by time; of one time as they were loaded */
void log_lines_clear(struct log_lines *lines);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the roles of an edge device say: passed on to our standard error, line by line, and kept in STATE/logs, for a box without a journal.  A log is two files, NAME.log and NAME.log.1,
 * of LOG_FILE_MAX each, 0600: the older is thrown away when the newer is full, so whatever a role says, there is an end to the disk that it takes. */

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"

#define LOG_FILE_MAX (2 * 1024 * 1024)
#define LOG_LAST_MAX 400

struct role_log {
	char *path;
	int file; /* -1: it can't be written */
	off_t size;
	int fd; /* where the role writes to; -1: it has ended */
	struct buf partial;
	char last[LOG_LAST_MAX + 1]; /* its last sentence */
};

void role_log_open(struct role_log *log, const char *dir, const char *name);
/* From this descriptor on, which is taken.  What there is; at the end of it the descriptor is closed. */
void role_log_attach(struct role_log *log, int fd_take);
void role_log_read(struct role_log *log);
/* To be called from time to time for a file that is written to by others: it is exchanged when it is full. */
void role_log_turn_over(struct role_log *log);
void role_log_close(struct role_log *log);

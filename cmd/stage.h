/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where commands that run roles of their own let them play: a folder that goes when they end, and signals that every wait sees. */

#include <stdbool.h>

#include "base/err.h"

/* A new folder "rootedge-NAME-...", in memory where that is wanted and possible; the caller owns the path. */
char *stage_make_dir(const char *name, bool in_memory, struct err *err);
void stage_remove_dir(const char *dir);
/* Readable once SIGINT, SIGTERM, SIGHUP or SIGQUIT has come; they do nothing else any more.  SIGPIPE is ignored. */
int stage_hold_signals(void);

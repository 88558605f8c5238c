/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A service's configuration, read at its start, and again while it runs: on SIGHUP, and within five seconds when the file has become another (edge-services 1.1). */

#include <jansson.h>

#include "net/loop.h"

json_t *config_load(const char *path, struct err *err); /* path NULL: a failure, too */

struct config_watch;

/* `changed` gets the whole configuration, on the loop's thread; -1 with err: it stays as it was, and the log says so.  Path is borrowed. */
struct config_watch *config_watch_start(
	struct loop *loop, const char *path, int (*changed)(const json_t *config, void *arg, struct err *err), void *arg);
void config_watch_look(struct config_watch *watch); /* now, whether the file is another or not */
void config_watch_stop(struct config_watch *watch); /* NULL is fine */

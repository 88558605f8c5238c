/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A role started by the demo: its process, its log, and the line it writes when it serves.  It dies with us. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"

struct child {
	char *name, *log_path;
	json_t *ready; /* {"ready":true,"mqtt_port":...} */
	pid_t pid;
};

/* Start `rootedge-NAME ARGS...` with its log (JSON) appended to log_path, and wait until it is ready. */
struct child *child_start(const char *name, const char *const *args, const char *log_path, int64_t timeout_ms, struct err *err);
/* Run one that ends: its exit status, or -1.  Its log goes to log_path, its standard output to out_path. */
int child_run(const char *name, const char *const *args, const char *log_path, const char *out_path, struct err *err);
void child_free(struct child *child); /* SIGTERM, waits; SIGKILL when it does not end in time */
OWN_DEFINE(child);

int64_t child_port(const struct child *child, const char *key);

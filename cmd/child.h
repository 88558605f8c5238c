/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A role started by the demo: its process, its log, and the line it writes when it serves.  It dies with us, and every wait for
 * it ends when `stop_fd` becomes readable. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"

struct child_spec {
	const char *name;	 /* of `rootedge-NAME` */
	bool by_command;	 /* `rootedge NAME` instead: a verb of it, not the role */
	const char *const *args; /* NULL-terminated */
	const char *log_path;	 /* what it says on both outputs is appended there, in JSON */
	int stop_fd;
	int64_t timeout_ms;
};

struct child {
	char *name, *log_path;
	json_t *ready; /* {"ready":true,"mqtt_port":...} */
	pid_t pid;
	int pid_fd; /* readable once it has ended */
};

struct child *child_start(const struct child_spec *spec, struct err *err); /* waits until it is ready */
int child_run(const struct child_spec *spec, struct err *err);		   /* waits until it has ended: its exit status, or -1 */
void child_free(struct child *child); /* SIGTERM, waits; SIGKILL when it does not end in time */
OWN_DEFINE(child);

bool child_has_ended(const struct child *child);
int child_port(const struct child *child, const char *key); /* of its ready line; 0 when it is not there */

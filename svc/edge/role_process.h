/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A role as a process: its program in its sandbox, with its sockets, in a session of its own, and its log on a pipe. */

#include <signal.h>

#include "edge/role_args.h"

struct role_launch {
	const struct config *config;
	const struct layout *layout;
	enum layout_role role;
	struct role_args *args;
	const int *sockets; /* of the layout's */
	int asker_fd;	    /* where it asks us which program a process runs (common/executable.h); -1: it has no such question */
	const sigset_t *signals; /* blocked by the role, as they were when we began */
};

struct role_child {
	pid_t pid;
	int ready_fd, log_fd;
};

/* Returns -1 (with a sentence) when there could be no process; why it then ends is in its log. */
int role_process_start(struct role_child *out, const struct role_launch *launch, struct err *err);

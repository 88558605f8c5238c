/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a role's process may reach.  With users of their own: the user id and nothing gained by exec.  Landlock comes on top in both modes where the kernel has it: a role reads the
 * system's libraries and its own files, and writes its own folder; other roles' folders do not exist for it.  Of /etc one that runs as the operator's user reads what TLS and the
 * resolver need, for there may lie what is his alone.  A filter denies the system calls that would lead around that and those that no service needs (common/syscall_filter.h), and
 * where Landlock is of version 6 no signal reaches another role.
 *
 * What is left between roles of one user: each can slow the others down, before version 6 end them, and use the modules' sockets, which every process of that user may. */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define SANDBOX_PATHS_MAX 96
#define SANDBOX_GROUPS_MAX 32

struct sandbox {
	bool change_user;
	uid_t uid;
	gid_t gid;
	gid_t groups[SANDBOX_GROUPS_MAX]; /* beside that */
	size_t n_groups;
	bool uses_tokens, resolves_names;    /* reads what the system has for that */
	const char *read[SANDBOX_PATHS_MAX]; /* files and folders, beside the system's */
	size_t n_read;
	const char *write[SANDBOX_PATHS_MAX]; /* folders, or files and devices */
	size_t n_write;
};

bool sandbox_separates_files(void);	     /* of roles that run as one user */
bool sandbox_all_may_read(const char *path); /* it lies with the system's files: no place for a secret of one role */
/* In the child, before exec: irrevocable.  Returns -1 (with a sentence) when it must not go on. */
int sandbox_enter(const struct sandbox *sandbox, struct err *err);

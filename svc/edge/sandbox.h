/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a role's process may reach.  With users of their own: the user id and nothing gained by exec.  Landlock comes on top in both modes where the kernel has it: a role reads the
 * system's libraries and configuration and its own files, and writes its own folder; other roles' folders do not exist for it. */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define SANDBOX_PATHS_MAX 32

struct sandbox {
	bool change_user;
	uid_t uid;
	const char *read[SANDBOX_PATHS_MAX]; /* files and folders, beside the system's */
	size_t n_read;
	const char *write[SANDBOX_PATHS_MAX]; /* folders */
	size_t n_write;
};

bool sandbox_has_landlock(void);
/* In the child, before exec: irrevocable.  Returns -1 (with a sentence) when it must not go on. */
int sandbox_enter(const struct sandbox *sandbox, struct err *err);

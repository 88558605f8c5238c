/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The system calls that a role has no use for and that would lead around Landlock where all roles run as one user (sandbox.h): Landlock says which files may be opened, not whose modes
 * may be changed, whose length set, or which names the box's sockets have.  They fail with EPERM. */

#include <stdbool.h>

#include "base/err.h"

bool syscall_filter_is_there(void); /* in this kernel */
/* For this process and what it executes, for good.  Needs no_new_privs.  Nothing is done where the kernel has no filters. */
int syscall_filter_enter(struct err *err);

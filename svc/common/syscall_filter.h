/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* System calls that a process of ours has no use for: they fail with EPERM, for it and what it executes, for good.  The filter is a list of what is denied, not of what is allowed:
 * libraries, PKCS #11 modules and C libraries to come use others than today's, and a call that is missing then is an outage in the field.
 *
 *	every service	what only an administrator's tool needs (mounts, namespaces, modules, clocks, keyrings, tracing, ...), sockets of other families than unix, IP and
 *			netlink, and programs: whoever takes a service over by what it parses starts no shell
 *	a role		beside that what would lead around Landlock where all roles run as one user (edge/sandbox.h): Landlock says which files may be opened, not whose modes
 *			may be changed, whose length set, or which names the box's sockets have.  It still has to execute its program. */

#include <stdbool.h>

#include "base/err.h"

enum syscall_filter { SYSCALL_FILTER_SERVICE, SYSCALL_FILTER_ROLE };

bool syscall_filter_is_there(void); /* in this kernel */
/* Sets no_new_privs.  Nothing is done where the kernel has no filters. */
int syscall_filter_enter(enum syscall_filter filter, struct err *err);

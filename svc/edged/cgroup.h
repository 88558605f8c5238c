/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where a process stands in the tree of control groups, as /proc/PID/cgroup tells it (cgroups(7)), and which systemd unit that is.  Pure.  Only root puts a process there, or whoever
 * root has given a part of the tree, and then within that part: so it says who started a process more surely than its name does. */

#include <stdbool.h>

/* The path in the unified hierarchy, or in systemd's own where there are several: the caller owns it.  NULL: it can't be told, or it is outside of the part that we see. */
char *cgroup_path(const char *text);
/* The same one, or below it. */
bool cgroup_is_in(const char *path, const char *group);
/* "sensor.service" of /system.slice/sensor.service/worker; user@1000.service of what runs below it.  The caller owns it; NULL: none. */
char *cgroup_unit(const char *path);

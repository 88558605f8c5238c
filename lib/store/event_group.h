/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Consumer groups: how far the readers who work together have come in each partition, kept durably beside the log (DIR/NAME.group, a line a partition).  A
 * group is there as soon as something of it is saved. */

#include "store/event_log.h"

#define EVENT_GROUP_NAME_MAX 64

struct event_group {
	uint64_t next[EVENT_PARTITIONS_MAX]; /* the first sequence number that is still to be done, where there is one */
	bool has[EVENT_PARTITIONS_MAX];
};

bool event_group_name_is_valid(const char *name); /* 1 to 64 of ASCII letters, digits and $ . _ - */
int event_group_load(
	const char *dir, const char *name, struct event_group *out, struct err *err); /* nothing when it is not there */
int event_group_save(const char *dir, const char *name, const struct event_group *group, struct err *err);
int event_group_remove(const char *dir, const char *name, struct err *err); /* MISSING when it is not there */
/* Those that are there, in order of their names; the caller frees each and the list. */
int event_group_list(const char *dir, char ***names, size_t *n, struct err *err);

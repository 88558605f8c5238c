/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The scope on disk, for the time when the hub is away: encrypted by the workload API, so that whoever copies the file has neither keys nor names, and
 * whoever changes it makes it unreadable.  Blocks. */

#include "base/map.h"
#include "gateway/scope/scope.h"

struct scope_kept {
	struct map *records, *lists; /* struct scope_record by name, struct scope_list by gateway */
	struct authorities *cas;     /* NULL: none are known */
	bool takes_marks;
};

/* Writes it, atomically. */
int scope_file_save(const char *path, const struct workload *workload, const struct scope_kept *kept, struct err *err);
/* Fills empty maps; all of it is the caller's, also what was read before a failure.  ERR_MISSING: there is no such file. */
int scope_file_load(const char *path, const struct workload *workload, struct scope_kept *kept, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The scope on disk, for the time when the hub is away: encrypted by the workload API, so that whoever copies the file has neither keys nor names, and
 * whoever changes it makes it unreadable; sealed, so that whoever puts an older one back is noticed (freshness.h).  Blocks. */

#include "base/map.h"
#include "gateway/keep/freshness.h"
#include "gateway/scope/scope.h"

struct scope_kept {
	struct map *records, *lists; /* struct scope_record by name, struct scope_list by gateway */
	struct authorities *cas;     /* NULL: none are known */
	bool takes_marks;
};

struct scope_file {
	const char *path;
	const struct workload *workload;
	struct freshness *freshness;
};
/* Writes it, atomically. */
int scope_file_save(const struct scope_file *file, const struct scope_kept *kept, struct err *err);
/* Fills empty maps; all of it is the caller's, also what was read before a failure.  ERR_MISSING: there is no such file; ERR_CONFLICT: it is an older one. */
int scope_file_load(const struct scope_file *file, struct scope_kept *kept, struct err *err);

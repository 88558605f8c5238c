/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The scope on disk, for the time when the hub is away: encrypted by the workload API, so that whoever copies the file has neither keys nor names, and
 * whoever changes it makes it unreadable.  Blocks. */

#include "base/map.h"
#include "gateway/scope/scope.h"

/* Writes the records (struct scope_record by name) and the CAs (NULL: none are known), atomically. */
int scope_file_save(const char *path, const struct workload *workload, const struct map *records, const struct authorities *cas,
	struct err *err);
/* Fills an empty map, whose records are the caller's.  ERR_MISSING: there is no such file. */
int scope_file_load(
	const char *path, const struct workload *workload, struct map *records, struct authorities **cas, struct err *err);

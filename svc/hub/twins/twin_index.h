/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The values of twins that queries look up (table twin_value): every scalar of the tags, and of the properties those at or below a path that the operator
 * declared.  It is written in the transaction that changes the twin, so it is never older or newer than that.
 *
 * A path is "tags.building.floor"; a module's stands behind "modules.", so that queries of devices never pass by a module.  Values have the types of
 * JSON: numbers in front of strings in front of booleans. */

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/err.h"
#include "hub/registry/registry_store.h"
#include "store/db.h"

#define TWIN_INDEX_PATHS_MAX 32 /* that an operator declares */

/* Make it the index of tags and of these paths ("properties.reported.battery"): what is there for other paths goes, what is missing is read from all twins.
 * On the thread of the writer, before anybody asks. */
int twin_index_open(struct registry_store *store, const char *const *paths, size_t n, struct err *err);

/* Inside the transaction that changes the twin.  `before` and `after` are {"tags", "desired", "reported"}, without versions and metadata; NULL: there is none.
 * module_id NULL: the device's. */
int twin_index_update(
	struct db *db, const char *device_id, const char *module_id, const json_t *before, const json_t *after, struct err *err);
/* An identity goes: with module_id NULL the device and all its modules. */
int twin_index_remove(struct db *db, const char *device_id, const char *module_id, struct err *err);

/* How a scalar stands in the table; false: null and what is no scalar do not.  The text is borrowed from the JSON. */
bool twin_index_value(const json_t *value, struct db_value *out);
json_t *twin_index_json(const struct db_value *value); /* and back; NULL: that is none of ours */

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Twins in the hub's SQLite file.  An identity has a row from the first change of its twin on; until then its twin is twin_new().  Used like registry_store:
 * on the registry's worker, inside the transaction of whoever changes something. */

#include "hub/registry/registry_store.h"
#include "wire/twin_doc.h"
#include "store/db.h"

/* What stands there, or a new one. */
struct twin *twin_store_get(struct db *db, const char *device_id, const char *module_id, struct err *err);
/* `before` is what twin_store_get gave. */
int twin_store_put(struct db *db, const char *device_id, const char *module_id, const struct twin *before, const struct twin *after,
	struct err *err);
/* With module_id NULL those of the device and of all its modules. */
int twin_store_remove(struct db *db, const char *device_id, const char *module_id, struct err *err);

char *twin_store_etag(void); /* for what services write; the caller owns it */
/* What a new identity comes with, {"tags", "properties": {"desired", "reported"}}: ERR_INVALID and nothing written when it is
 * wrong. */
int twin_store_put_new(struct db *db, const struct identity *identity, const json_t *wanted, struct err *err);

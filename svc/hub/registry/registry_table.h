/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The records of the registry by their name, for any thread.  The names are those in the packed records; the table is cut into parts with a lock
 * each, so that who looks something up waits for one record to be put, or for one part of many to grow, never for the whole. */

#include "hub/registry/registry_pack.h"

struct registry_table;

struct registry_table *registry_table_new(void);
void registry_table_free(struct registry_table *table);

/* A fresh record, or NULL. */
struct identity *registry_table_find(struct registry_table *table, const char *device_id, const char *module_id);
/* Takes the record; what stood in its place is the caller's, NULL for nothing. */
struct registry_pack *registry_table_put(struct registry_table *table, struct registry_pack *pack_take);
struct registry_pack *registry_table_remove(struct registry_table *table, const char *device_id, const char *module_id);
/* A fresh record of each, in no order; others may change the table meanwhile, of which it sees some. */
void registry_table_each(struct registry_table *table, void (*each)(void *arg, const struct identity *identity), void *arg);
void registry_table_count(struct registry_table *table, size_t *n_devices, size_t *n_enabled);

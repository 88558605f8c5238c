/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Hubs that devices may be assigned to beside our own: how to get into them, kept in SQLite.  Used by one thread at a time, the registry's worker. */

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"
#include "store/db.h"

#define LINKED_HUBS_MAX 64

struct linked_hub {
	char *host, *policy; /* host may have a port; lower case */
	struct secret key;   /* of the policy */
	int64_t weight;
};
struct linked_hub *linked_hub_copy(const struct linked_hub *hub);
void linked_hub_free(struct linked_hub *hub);
OWN_DEFINE(linked_hub);

/* {"connectionString": "HostName=...;SharedAccessKeyName=...;SharedAccessKey=...", "allocationWeight": 1}; the host is that of the path.  What is missing is as `before`, which may
 * be NULL. */
struct linked_hub *linked_hub_from_json(const char *host, const json_t *body, const struct linked_hub *before, struct err *err);
json_t *linked_hub_to_json(const struct linked_hub *hub); /* without the key */

int linked_hub_find(struct db *db, const char *host, struct linked_hub **out, struct err *err); /* NULL: there is none */
int linked_hub_put(struct db *db, const struct linked_hub *hub, struct err *err);
int linked_hub_remove(struct db *db, const char *host, struct err *err);
struct linked_hubs {
	struct linked_hub *item[LINKED_HUBS_MAX];
	size_t n;
};
int linked_hubs_load(struct db *db, struct linked_hubs *out, struct err *err); /* in the order of names */
void linked_hubs_clear(struct linked_hubs *hubs);

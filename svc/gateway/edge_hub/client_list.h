/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who is connected, as $edgeHub reports it: "clients": {ID: {status, lastConnectedTimeUtc, lastDisconnectedTimeUtc}} (gateway 4.2), in as much of it as a twin has room for: those who went
 * first make place for those who come, and who finds none is not in it.  Any thread. */

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

#define CLIENT_LIST_MAX 100

struct client_list;
struct client_list *client_list_new(void);
void client_list_free(struct client_list *list);

/* A session has begun, or ended; seconds UTC.  An identity may have two for a moment, when one follows the other. */
void client_list_came(struct client_list *list, const char *name, int64_t now);
void client_list_went(struct client_list *list, const char *name, int64_t now);

/* What has changed since the last time, as a merge of the twin; NULL: nothing. */
json_t *client_list_changes(struct client_list *list);

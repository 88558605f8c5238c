/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the hub lists for one gateway: for this one, and for each one below it.  A list that is known by its etag is confirmed as a whole, without its records being sent
 * again.  Records point to the list in which they stand; lists are few and stay as long as the scope. */

#include "base/map.h"
#include "gateway/scope/confirmation.h"

#define SCOPE_LISTS_MAX 1000

struct scope_list {
	char *gateway_id;
	char *etag;		/* NULL: the hub has none, or the list isn't known in full */
	struct confirmation at; /* of all that stands in it; wall 0: never as a whole */
	uint64_t walk;		/* in which it was looked at last */
};

/* By gateway id, of struct scope_list. */
struct scope_list *scope_list_need(struct map *lists, const char *gateway_id); /* NULL: too many */
void scope_list_set_etag(struct scope_list *list, const char *etag);
void scope_lists_free(struct map *lists);

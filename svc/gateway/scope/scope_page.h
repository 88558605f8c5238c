/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a gateway below this one is told of its scope (gateway 3.8): itself with its modules, and who is right below it; those further down it asks for itself.  From the records at hand, a page at a
 * time, in the order of the ids. */

#include "gateway/scope/scope.h"

struct scope_page {
	struct identity **devices, **modules; /* owned, both */
	size_t n_devices, n_modules;
	int64_t age_s; /* so long ago the hub confirmed the oldest of it */
	char *next;    /* where the next page begins (`after`); NULL: this is the last */
};
/* after: NULL, the first page, on which the gateway itself stands.  At most max devices that are right below. */
void scope_page_read(struct scope_page *out, struct scope *scope, const char *gateway_id, const char *after, size_t max);
void scope_page_clear(struct scope_page *page);

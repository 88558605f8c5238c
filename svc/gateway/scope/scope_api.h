/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a gateway asks the hub about those below it (hub 5, gateway 3.3).  Blocks. */

#include "auth/authority.h"
#include "base/map.h"
#include "gateway/upstream/upstream.h"

/* What an answer says: records, and the CAs that may speak for devices (NULL: it says nothing of them, as the original's hub).  Records come as struct identity by name (identity_name); what was in the map under a name is freed and replaced. */

/* All of the scope.  Not complete: some of it can't be read, so that nothing is known about what is not in the map. */
int scope_api_list(struct upstream *upstream, struct map *records, struct authorities **cas, bool *complete, struct err *err);

enum scope_answer {
	SCOPE_FOUND,	 /* the device, and the module that was asked for, are in the map */
	SCOPE_UNKNOWN,	 /* the hub has no such device or module */
	SCOPE_NOT_BELOW, /* it has, but not below this gateway */
	SCOPE_NO_ANSWER, /* none, or one about our own credentials: says nothing about the device */
};
enum scope_answer scope_api_get(struct upstream *upstream, const char *device_id, const char *module_id, struct map *records,
	struct authorities **cas, struct err *err);

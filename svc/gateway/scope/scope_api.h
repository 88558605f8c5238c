/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a gateway asks the hub about those below it (hub 5, gateway 3.3).  Blocks. */

#include "auth/authority.h"
#include "base/map.h"
#include "gateway/upstream/upstream.h"

/* What an answer says: records, and the CAs that may speak for devices (NULL: it says nothing of them, as the original's hub).  Records come as struct identity by name (identity_name); what was in the map under a name is freed and replaced. */

enum scope_listing {
	SCOPE_ALL,
	SCOPE_DIFFERENCE, /* what has changed since the etag that was given, and what has gone */
	SCOPE_SAME,	  /* it is as it was */
};
struct scope_listed {
	enum scope_listing what;
	struct map *records;
	struct map *removed; /* names; the values mean nothing */
	struct authorities *cas;
	char *etag;	  /* NULL: this hub has none */
	bool takes_marks; /* of messages (wire/message_mark.h); not told with SCOPE_SAME */
	int64_t age_s;	  /* so long ago the hub confirmed it to a gateway that answered for it; 0: it is the hub's own word */
	/* Records that can't be read, which are left out: then nothing is known about what isn't there. */
	size_t n_broken;
	struct err broken; /* the first of them */
};
void scope_listed_clear(struct scope_listed *listed);
/* The scope of a gateway: `chain` is "GATEWAY;...;US", or our id alone.  since: the etag of what is known of it, or NULL.  *refusal: the status with which the hub refused that
 * question, 0: it did not. */
int scope_api_list(struct upstream *upstream, const char *chain, const char *since, struct scope_listed *listed, int *refusal,
	struct err *err);

enum scope_answer {
	SCOPE_FOUND,	 /* the device, and the module that was asked for, are in the map */
	SCOPE_UNKNOWN,	 /* the hub has no such device or module */
	SCOPE_NOT_BELOW, /* it has, but not below this gateway */
	SCOPE_NO_ANSWER, /* none, or one about our own credentials: says nothing about the device */
};
enum scope_answer scope_api_get(struct upstream *upstream, const char *device_id, const char *module_id, struct map *records,
	struct authorities **cas, int64_t *age_s, bool *takes_marks, struct err *err);

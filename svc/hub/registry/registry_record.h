/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a record becomes when somebody puts it: rules only, no storage. */

#include <stdbool.h>

#include "auth/identity.h"
#include "base/err.h"

struct record_wish {
	const struct identity *wanted; /* what was sent */
	const struct identity *before; /* what is there, or NULL */
	bool keep_auth;		       /* nothing was sent about authentication */
	uint64_t ticks;		       /* a number that was never used: generation and scope are made of it */
	uint64_t change;	       /* the number of this change: the etag is made of it */
	int64_t now;
};
/* The new record, or NULL with a sentence (the wish can't be granted). */
struct identity *record_compose(const struct record_wish *wish, struct err *err);

/* Is this a record as they are made here?  SQLite notices torn pages, not values that were changed in them. */
int record_check(const struct identity *record, struct err *err);

/* The scope under which this record stands, NULL for none. */
const char *record_parent(const struct identity *identity);
char *record_etag(uint64_t change);		     /* of the number of a change */
char *record_scope_device(const char *scope);	     /* the id of the gateway that such a scope would be of, or NULL */
bool record_is_system_module(const char *module_id); /* $edgeAgent, $edgeHub */
struct identity *record_system_module(const char *device_id, const char *module_id, uint64_t ticks, uint64_t change, int64_t now);

#define RECORD_SCOPE_PREFIX IDENTITY_SCOPE_PREFIX

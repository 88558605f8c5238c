/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who is above whom below this gateway, by the hub's records (gateway 3.7): a device, the gateway that it is right below, the one above that, and so on up to this one.  Nothing that a peer says
 * of itself counts here.  Pure. */

#include "auth/identity.h"

#define LINEAGE_GATEWAYS_MAX 5 /* one above the other, this one included */
#define LINEAGE_MAX LINEAGE_GATEWAYS_MAX

/* The records at hand. */
struct lineage_records {
	const struct identity *(*find)(const void *arg, const char *device_id); /* NULL: none */
	const void *arg;
	const char *edge_id; /* the device that this gateway is */
};

struct lineage {
	const struct identity *at[LINEAGE_MAX]; /* the device first; this gateway itself is not among them */
	size_t n;
};
/* false: the records don't lead from the device up to this gateway, or through too many.  As long as the hub has not told us who we are ourselves, all that it told of is right below. */
bool lineage_trace(struct lineage *out, const struct lineage_records *records, const struct identity *device);

/* Of the gateway with this scope. */
bool lineage_is_right_below(const struct identity *device, const char *scope);
/* Are the gateways between all enabled?  Whether the device is, is told where it is judged. */
bool lineage_is_open(const struct lineage *lineage);
/* Is it this device, or does the way lead through it? */
bool lineage_passes(const struct lineage *lineage, const char *device_id);
/* "device;gateway;...;this one", or with a module "device/module;device;...": how those above know for whom we speak.  A lineage of none is our own. */
char *lineage_chain(const struct lineage *lineage, const char *module_id, const char *edge_id);

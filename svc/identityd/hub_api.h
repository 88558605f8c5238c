/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The hub's registry as an edge device uses it for its own modules (edge-services 7.2).  Below a parent gateway the same requests go to the parent, for the hub's name.  An answer that is not
 * about what was asked is a failure, whoever gave it.
 *
 * A hub that was waited for in vain is not waited for by everybody: for half a minute all calls fail at once.  One that could not be reached a moment ago is asked by each call, but once: so who has
 * something kept goes by that at once, and that the hub is back is known to the first who asks.
 *
 * ERR_UNAVAILABLE: the hub is out of reach, in trouble or not to be believed; what was kept may be used.  ERR_DENIED: it does not know this device, or not by this credential.
 * ERR_MISSING: it has no such module.  Calls block; any thread. */

#include <jansson.h>

#include "identityd/cloud.h"
#include "identityd/device_credential.h"
#include "identityd/device_info.h"

struct hub_api {
	struct cloud *cloud;
	struct device_credential *credential;
	const char *address;	       /* instead of resolving the name; may be NULL */
	int port;		       /* of hubs whose name has none */
	_Atomic int64_t away_until_ms; /* boot clock: it was waited for in vain just now, and is not asked again so soon */
	_Atomic int64_t unreached_ms;  /* boot clock: when nobody answered; 0: the last time somebody did */
};

json_t *hub_api_get_module(struct hub_api *api, const struct device_info *device, const char *module_id, struct err *err);
json_t *hub_api_list_modules(struct hub_api *api, const struct device_info *device, struct err *err); /* an array */
/* if_match: NULL creates, "*" overwrites. */
json_t *hub_api_put_module(struct hub_api *api, const struct device_info *device, const char *module_id, const json_t *module,
	const char *if_match, struct err *err);
int hub_api_delete_module(struct hub_api *api, const struct device_info *device, const char *module_id, struct err *err);

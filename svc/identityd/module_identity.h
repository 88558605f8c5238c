/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Module identities of this device (edge-services 7.1, 7.2): registered in the hub with keys derived from a master key that never leaves keyd, and remembered on disk, without keys, for
 * when the hub is out of reach. */

#include <pthread.h>

#include "identityd/hub_api.h"

struct module_identities {
	struct hub_api *hub;
	struct keyd_client *keyd;
	const char *state_dir;
	bool prefer_cache; /* what was kept comes before the hub */
	pthread_mutex_t lock;
	char *master_handle; /* NULL: not asked for yet */
};

void module_identities_init(struct module_identities *m);
void module_identities_clear(struct module_identities *m);

/* Each gives the Identity JSON of edge-services 1.3; key_handle is the primary derived key's.  The kinds of failure are the hub's (hub_api.h) and ERR_INVALID for an id that is none; the
 * sentence begins, as the original's answer does, with "Hub client error" or "Key client error". */
json_t *module_identity_get(struct module_identities *m, const struct device_info *device, const char *module_id, struct err *err);
/* What was kept of it, without asking the hub; ERR_MISSING: nothing. */
json_t *module_identity_get_kept(
	struct module_identities *m, const struct device_info *device, const char *module_id, struct err *err);
json_t *module_identity_create(
	struct module_identities *m, const struct device_info *device, const char *module_id, struct err *err);
json_t *module_identity_update(
	struct module_identities *m, const struct device_info *device, const char *module_id, struct err *err);
int module_identity_delete(struct module_identities *m, const struct device_info *device, const char *module_id, struct err *err);
json_t *module_identity_list(
	struct module_identities *m, const struct device_info *device, struct err *err); /* an array, without auth */

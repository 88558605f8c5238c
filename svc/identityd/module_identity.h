/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Module identities of this device (edge-services 7.1, 7.2): registered in the hub with keys derived from a master key that never leaves keyd, and remembered on disk, without keys, for
 * when the hub is out of reach. */

#include "identityd/hub_api.h"

struct module_identities {
	struct hub_api *hub;
	struct keyd_client *keyd;
	char *backup_dir;
	char *master_handle;
};

/* Makes the master key if need be. */
int module_identities_open(struct module_identities *m, struct hub_api *hub, const char *state_dir, struct err *err);
void module_identities_clear(struct module_identities *m);

/* Each gives the Identity JSON of edge-services 1.3; key_handle is the primary derived key's. */
json_t *module_identity_get(struct module_identities *m, const char *module_id, struct err *err);
json_t *module_identity_create(struct module_identities *m, const char *module_id, struct err *err);
json_t *module_identity_update(struct module_identities *m, const char *module_id, struct err *err);
int module_identity_delete(struct module_identities *m, const char *module_id, struct err *err);
json_t *module_identity_list(struct module_identities *m, struct err *err); /* an array, without auth */

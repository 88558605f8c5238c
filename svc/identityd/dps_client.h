/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A registration at provisioning over HTTPS (edge-services 7.4, 9.5): asked for, and asked after until it is assigned.  A TPM answers its challenge on the way, and gets its key at the hub
 * at the end.  An attempt that does not come through is made again as a whole, by who calls this. */

#include "identityd/cloud.h"
#include "identityd/device_credential.h"

struct dps_client {
	struct cloud *cloud;
	struct device_credential *credential;
	const struct provisioning_source *source;
	const char *address; /* of the endpoint, instead of resolving its name; may be NULL */
};

struct dps_assignment {
	char *hub, *device_id;
};
void dps_assignment_clear(struct dps_assignment *assignment);

/* *retry_after_s: when the service says so, else -1.  ERR_UNAVAILABLE: out of reach or in trouble; ERR_LIMIT: too many ask; ERR_DENIED: it says no. */
int dps_client_register(struct dps_client *client, const char *registration_id, struct dps_assignment *out, int64_t *retry_after_s,
	struct err *err);

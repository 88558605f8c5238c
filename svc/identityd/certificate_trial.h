/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A certificate that is to follow the device's is tried before it is in force: by a registration at provisioning, which is also how provisioning and the hub hear of it, or by a question to
 * the hub that it answers to this device alone. */

#include <stdatomic.h>

#include "identityd/dps_client.h"
#include "identityd/hub_api.h"
#include "identityd/provisioner.h"

struct certificate_trial {
	const struct hub_api *hub;
	const struct dps_client *dps;
	struct provisioner *_Atomic provisioner; /* NULL: it has not begun yet */
};

/* For device_certificate.test; arg: the struct. */
int certificate_trial_run(void *arg, const struct certs *chain, const struct key *key, struct err *err);

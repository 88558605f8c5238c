/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The identity service's endpoints (edge-services 1.3). */

#include "common/endpoint.h"
#include "identityd/caller.h"
#include "identityd/local_identity.h"
#include "identityd/provisioner.h"

struct identityd {
	struct provisioning_source source;
	struct device_credential credential;
	struct callers callers;
	pthread_rwlock_t callers_lock; /* they may change while it runs */
	struct caller_rules rules;
	struct module_identities modules;
	struct local_identities local;
	struct provisioner *provisioner;
};

extern const struct endpoint_table identity_endpoints;

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The modules of host processes, as configured, made so in the hub (edge-services 6.5). */

#include "identityd/module_identity.h"
#include "identityd/reconcile_plan.h"

bool reconcile_has_run(const char *state_dir); /* modules may have been made */
/* Asks the hub, and does it.  The kinds of failure are the hub's (hub_api.h).  What was done is remembered in state_dir step by step, so that a kill in between is gone on from. */
int reconcile_run(struct module_identities *modules, const char *state_dir, const struct device_info *device,
	const char *const *configured, size_t n_configured, struct err *err);

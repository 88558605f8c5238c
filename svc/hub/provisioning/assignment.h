/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Making a device in a linked hub over its REST, on a pool of its own, so that a hub that is slow or away keeps nobody waiting at ours.  The registration was claimed before; it is assigned on
 * the registry's worker once the device is there.  What is temporary (the hub is away) leaves it assigning, and the device's next question begins anew, after a kill
 * as well; what is not makes it failed. */

#include "hub/provisioning/linked_hub.h"
#include "hub/provisioning/provisioning_inside.h"

/* On the worker; everything is copied.  It may run already: then nothing more is begun.  false: too many wait. */
bool assignment_start(struct provisioning *provisioning, const struct registration *r, const struct linked_hub *hub,
	const struct identity *wanted, const json_t *initial_twin);

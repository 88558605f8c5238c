/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a registration that comes again does to a device that is in a hub already (hub 6.5): rules only, on a registration in memory.
 *
 *	updateHubAssignment false	it stays, as long as it is there
 *	true, and the same hub		it stays, and nothing is changed
 *	true, and another		it moves: with its data (migrateDeviceData), or with what the enrollment says at first */

#include "hub/provisioning/registration.h"

struct reprovision_policy {
	bool update, migrate; /* updateHubAssignment, migrateDeviceData */
};
struct reprovision_policy reprovision_policy(const struct enrollment *e);

/* It registers again, or for the first time: where it is now is where it may have to be taken out of.  One that is unfinished goes on to the hub that was chosen. */
void reprovision_begin(struct registration *r);
/* It stays in the hub where it is; that it is in another one stands in r->from. */
void reprovision_stay(struct registration *r);
/* This hub was chosen for it.  given_twin: and a twin that goes before what it had. */
void reprovision_go(struct registration *r, const char *hub, struct reprovision_policy policy, bool given_twin);
const char *reprovision_substatus(enum registration_substatus substatus);

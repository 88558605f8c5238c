/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What `rootedge dev up --provisioning` has beside its hub: an enrollment group, so that a device registers at once. */

#include "hub_session.h"

#define DEV_GROUP "dev"

/* Is the group there?  Then this is its key; otherwise it is made, with the key that follows from `fixed`, or one at random.  The caller owns it. */
char *dev_provisioning_group_key(struct hub_session *s, const char *fixed, struct err *err);

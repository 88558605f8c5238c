/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The modules' identities, from identityd.  The gateway's is waited for, since downstream devices depend on it; another module that the hub could not be asked about yet
 * is tried for again beside the work, and is answered that it has none meanwhile. */

#include "edged/edged.h"

struct identity_wait;
/* Blocks until $edgeHub has its identity, when it is among the modules. */
struct identity_wait *identity_wait_start(struct edged *edged);
void identity_wait_stop(struct identity_wait *wait);

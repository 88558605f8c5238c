/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who this device is, where provisioning tells that and not the configuration: from identityd, which is asked until it knows. */

#include "edged/edged.h"

/* Fills hub_name and device_id, which are not set yet. */
void device_wait(struct edged *edged);
/* Has it become another one, of another hub perhaps?  False while identityd can't say. */
bool device_has_moved(const struct edged *edged);

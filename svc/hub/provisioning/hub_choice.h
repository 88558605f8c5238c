/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which hub becomes a device's, of those that its enrollment may use: ours and the linked ones.  Pure. */

#include "hub/provisioning/enrollment.h"
#include "hub/provisioning/linked_hub.h"

/* An index into hubs, hubs->n for our own, or -1: the enrollment names none that is linked. */
int hub_choice_pick(const struct enrollment *e, const struct linked_hubs *hubs, const char *ours, const char *registration_id);

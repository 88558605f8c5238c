/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which hub becomes a device's, of those that its enrollment may use: ours and the linked ones.  Pure. */

#include "hub/provisioning/enrollment.h"
#include "hub/provisioning/linked_hub.h"

/* An index into hubs, hubs->n for our own (NULL: there is none), or -1: the enrollment names none that is linked. */
int hub_choice_pick(const struct enrollment *e, const struct linked_hubs *hubs, const char *ours, const char *registration_id);
int hub_choice_find(const struct linked_hubs *hubs, const char *ours, const char *host); /* the same; -1: it is not linked */
const char *hub_choice_name(const struct linked_hubs *hubs, size_t i, const char *ours);
bool hub_choice_may(
	const struct enrollment *e, const char *host); /* is it one that the enrollment names, or does that name none? */

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What is to be done so that the hub has the modules of host processes as configured: what is configured is there, what was and is not any more is gone, and what somebody else has made under
 * such a name is made anew, for nobody knows who has its keys.  Pure. */

#include <stddef.h>

#include <jansson.h>

#define RECONCILE_MAX 128

enum reconcile_deed { RECONCILE_KEEP, RECONCILE_CREATE, RECONCILE_RECREATE, RECONCILE_DELETE };

struct reconcile_step {
	enum reconcile_deed deed;
	const char *module_id; /* borrowed from what was given */
};

/* hub: the hub's modules; before: names that were ours for this device (texts); configured: names now.  Returns how many steps. */
size_t reconcile_plan(struct reconcile_step out[static RECONCILE_MAX], const json_t *hub, const json_t *before,
	const char *const *configured, size_t n_configured);

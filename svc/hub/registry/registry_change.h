/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Changes of the registry where it is kept: what may become of a device is decided on what stands in the store, the changes of the same transaction
 * included.  The twin that a new device comes with is kept in the same transaction (twin_store.h); one that is wrong refuses its device.  Nobody else is
 * told before it is committed.  One thread at a time. */

#include "hub/registry/registry_call.h"
#include "hub/registry/registry_store.h"

#define REGISTRY_MODULES_MAX 50
#define REGISTRY_LEVELS_MAX 5 /* of nested gateways (gateway 3.7) */

struct registry_changed {
	struct identity *before, *after; /* one of them may be NULL; owned */
};

struct registry_change {
	struct registry_store *store;	  /* borrowed */
	uint64_t ticks, change;		  /* the last ones used */
	struct registry_changed *changed; /* in this transaction, in their order; owned */
	size_t n_changed, room;
	/* Called for each of them before the commit, which is undone where it fails; NULL: nobody. */
	int (*record)(void *arg, const struct identity *before, const struct identity *after, struct err *err);
	void *record_arg;
};

int registry_change_open(struct registry_change *change, struct registry_store *store, struct err *err);
void registry_change_clear(struct registry_change *change);

/* Run call->op, a change, in a transaction of its own.  Where it is answered with REGISTRY_OK, and for REGISTRY_BULK each of its items, it is durable
 * and `changed` tells what became of what, until the next run. */
void registry_change_run(struct registry_change *change, struct registry_call *call);

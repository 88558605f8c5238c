/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Changes of the registry where it is kept: what may become of a device is decided on what stands in the store, the changes of the same transaction
 * included.  Nobody else is told before it is committed.  One thread at a time. */

#include "hub/registry_call.h"
#include "hub/registry_store.h"

#define REGISTRY_MODULES_MAX 50
#define REGISTRY_LEVELS_MAX 5 /* of nested gateways (gateway 3.7) */

/* Where the tags and desired properties that a new device or module comes with are kept.  Called inside the transaction, before the record is written;
 * it writes nothing when it finds them wrong: -1 with ERR_INVALID.  Any other failure undoes the transaction. */
typedef int registry_put_twin(
	void *arg, struct registry_store *store, const struct identity *identity, const json_t *twin, struct err *err);

struct registry_changed {
	struct identity *before, *after; /* one of them may be NULL; owned */
};

struct registry_change {
	struct registry_store *store; /* borrowed */
	registry_put_twin *put_twin;  /* NULL: nobody keeps twins */
	void *put_twin_arg;
	uint64_t ticks, change;		  /* the last ones used */
	struct registry_changed *changed; /* in this transaction, in their order; owned */
	size_t n_changed, room;
};

int registry_change_open(struct registry_change *change, struct registry_store *store, struct err *err);
void registry_change_clear(struct registry_change *change);

/* Run call->op, a change, in a transaction of its own.  Where it is answered with REGISTRY_OK, and for REGISTRY_BULK each of its items, it is durable
 * and `changed` tells what became of what, until the next run. */
void registry_change_run(struct registry_change *change, struct registry_call *call);

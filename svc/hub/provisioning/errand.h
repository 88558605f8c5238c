/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Something to be done about a device in a hub: to look at it, to make it, to take it away.  The same errand is run in our hub, at once on the registry's worker, and in a linked one over its
 * REST, which blocks, on the pool.  Running it again after a kill does no harm. */

#include <stdatomic.h>

#include "auth/identity.h"
#include "hub/provisioning/linked_hub.h"
#include "hub/registry/registry.h"
#include "hub/registry/rotation_keeper.h"
#include "pki/chain.h"

enum errand_kind { ERRAND_READ, ERRAND_MAKE, ERRAND_REMOVE };
enum errand_end {
	ERRAND_DONE,
	ERRAND_LATER,	/* the hub is away, or somebody else changes the same */
	ERRAND_REFUSED, /* for good; err has the sentence */
};

struct errand {
	/* What; owned. */
	enum errand_kind kind;
	char *device_id;
	struct identity *wanted; /* MAKE */
	json_t *twin; /* MAKE: what a new device begins with, {"tags", "properties": {"desired", "reported"}}; NULL: nothing */
	bool rotates; /* MAKE: of a device that is there, the certificate it uses stays good beside the one that is wanted */
	bool owned;   /* MAKE: what is there is ours and gets its new credential; somebody's own is left alone (atk-17) */

	/* What came of it; owned. */
	enum errand_end end;
	struct err err;
	struct identity *found; /* READ: NULL: it is not there */
	json_t *found_twin;	/* READ: as `twin` */
	bool was_there;		/* MAKE */
};
void errand_clear(struct errand *errand);

/* Our hub, on the worker.  MAKE asks first whether it will be refused, so that the claim can be on disk before the device is. */
bool errand_may_make_here(struct errand *errand, struct registry *registry);
void errand_run_here(struct errand *errand, struct registry *registry, struct rotation_keeper *rotations);

struct errand_way {
	const struct linked_hub *hub;
	struct anchors *anchors;
	const atomic_bool *cancelled;
};
void errand_run_there(struct errand *errand, const struct errand_way *way);
